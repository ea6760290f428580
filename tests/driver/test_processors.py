"""Every path that a processor chooses: products and codes by the portable engine, by AVX2, AVX-512.

`NNAPI_TESTKIT_CPU` asks for one of them, so that a fault in the portable path shows on a machine
that has better ones. Sizes lie around the edges of tiles, panels and partial sums.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nnapi_testkit.spec.codes import OperationCode
from tests.driver.capi import Library, Model, ok
from tests.driver.operands import BYTE, FLOAT, INT, SIGNED, In, Out, compute, flag, integer, real

ENGINES = ("portable", "avx2", "avx512", "vnni")
# Products of codes are below 2^16: this many terms still fit in 32 bits.
MOST_SHORT_TERMS = (2**31 - 1) // (255 * 255)
# Longer float sums are made of parts.
MOST_FLOAT_TERMS = 1024


def has(engine: str) -> bool:
    """Whether this processor has what the engine needs."""
    if engine == "portable":
        return True
    cpuinfo = Path("/proc/cpuinfo")
    flags = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
    needs = {"avx2": {"avx2", "fma"}, "avx512": {"avx512f", "avx512bw", "avx512vl", "avx512dq"}}
    needs["vnni"] = needs["avx512"] | {"avx512_vnni"}
    return needs[engine] <= flags


@pytest.fixture(scope="module", params=ENGINES)
def engine(
    request: pytest.FixtureRequest, driver_library: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Library]:
    """A copy of the driver that computes by one engine: which one is read at the first product."""
    if not has(request.param):
        pytest.skip(f"this processor has no {request.param}")
    copy = tmp_path_factory.mktemp(request.param) / "driver.so"
    shutil.copy(driver_library, copy)
    with pytest.MonkeyPatch.context() as during:
        during.setenv("NNAPI_TESTKIT_CPU", request.param)
        library = Library(copy)
        fully_connected(library, np.ones((1, 1)), np.ones((1, 1)), np.zeros(1))
    yield library


def fully_connected(
    lib: Library, x: NDArray[np.float64], w: NDArray[np.float64], b: NDArray[np.float64]
) -> NDArray[np.float32]:
    inputs = [real(x), real(w), real(b), integer(0)]
    outs = [Out(FLOAT, (x.shape[0], w.shape[0]))]
    return compute(lib, OperationCode.FULLY_CONNECTED, inputs, outs)[0]


def small(shape: tuple[int, ...], seed: int) -> NDArray[np.float64]:
    """Integers whose sums float32 holds exactly: any mistake is a whole number."""
    return np.random.default_rng(seed).integers(-8, 9, shape).astype(np.float64)


@pytest.mark.parametrize("rows", [1, 3, 4, 5, 6, 7, 8, 9, 17])
@pytest.mark.parametrize("columns", [1, 4, 5, 8, 9, 15, 16, 17, 31, 32, 33, 70])
def test_tiles(engine: Library, rows: int, columns: int) -> None:
    x, w, b = small((rows, 7), rows), small((columns, 7), columns), small((columns,), 3)
    assert np.array_equal(fully_connected(engine, x, w, b), x @ w.T + b)


@pytest.mark.parametrize(
    "depth", [1, 2, MOST_FLOAT_TERMS - 1, MOST_FLOAT_TERMS, MOST_FLOAT_TERMS + 1, 1537, 5000]
)
def test_long_sums(engine: Library, depth: int) -> None:
    for rows, columns in ((1, 3), (9, 40)):
        x, w, b = small((rows, depth), 1), small((columns, depth), 2), small((columns,), 3)
        assert np.array_equal(fully_connected(engine, x, w, b), x @ w.T + b)


def test_the_rounding_of_a_long_sum_is_that_of_a_part(engine: Library) -> None:
    # 2^24 and then ones: added one by one they would all be lost.
    x = np.ones((1, 4 * MOST_FLOAT_TERMS))
    x[0, 0] = 2.0**24
    out = fully_connected(engine, x, np.ones((1, x.size)), np.zeros(1))
    assert abs(out.item() - x.sum()) <= MOST_FLOAT_TERMS / 2


@pytest.mark.parametrize("code", [BYTE, SIGNED])
@pytest.mark.parametrize(
    "depth",
    [1, 2, 7, MOST_SHORT_TERMS, MOST_SHORT_TERMS + 1, MOST_SHORT_TERMS + 2, 2 * MOST_SHORT_TERMS],
)
def test_sums_of_codes(engine: Library, code: int, depth: int) -> None:
    rng = np.random.default_rng(depth)
    least, most = (0, 255) if code == BYTE else (-128, 127)
    for rows, columns in ((1, 5), (9, 33)):
        x = rng.integers(least, most + 1, (rows, depth))
        w = rng.integers(least, most + 1, (columns, depth))
        # One row and column of extremes: their sum leaves 32 bits where the depth is large.
        x[0], w[0] = most, most
        bias = rng.integers(-1000, 1000, columns)
        total = (x - least).astype(np.int64) @ (w - least).astype(np.int64).T + bias
        scale = float(np.float32(max(1.0, total.max() / 200)))
        inputs = [In(code, x, 1.0, least), In(code, w, 1.0, least), In(INT, bias, 1.0), integer(0)]
        outs = [Out(code, (rows, columns), scale, least)]
        given = compute(engine, OperationCode.FULLY_CONNECTED, inputs, outs)[0]
        exact = total / scale
        assert np.abs(given.astype(np.float64) - least - exact.clip(0, 255)).max() <= 0.5 + 1e-9


def test_sums_of_codes_at_ties_and_beyond_32_bits(engine: Library) -> None:
    # Halves go away from zero; a sum and its bias may leave 32 bits together.
    columns, most = 37, 2**31 - 1
    x, w = np.full((1, 10000), 255), np.full((columns, 10000), 255)
    bias = np.full(columns, most)
    inputs = [In(BYTE, x, 1.0), In(BYTE, w, 1.0), In(INT, bias, 1.0), integer(0)]
    scale = float(2**24)
    given = compute(
        engine, OperationCode.FULLY_CONNECTED, inputs, [Out(BYTE, (1, columns), scale)]
    )[0]
    assert (given == round((10000 * 255**2 + most) / scale)).all()
    inputs = [In(BYTE, [[1]], 1.0), In(BYTE, [[0]] * columns, 1.0)]
    inputs += [In(INT, np.arange(columns) - 18, 1.0), integer(0)]
    given = compute(
        engine, OperationCode.FULLY_CONNECTED, inputs, [Out(BYTE, (1, columns), 2.0, 100)]
    )[0]
    halves = (np.arange(columns) - 18) / 2
    away = np.trunc(halves + np.copysign(0.5, halves))
    assert given[0].tolist() == (100 + away).tolist()


@pytest.mark.parametrize(("depth", "outputs"), [(1, 3), (3, 8), (8, 33), (300, 17)])
def test_convolution(engine: Library, depth: int, outputs: int) -> None:
    x, w = small((2, 5, 6, depth), 1), small((outputs, 3, 3, depth), 2)
    b = small((outputs,), 3)
    inputs = [real(x), real(w), real(b), *map(integer, (1, 1, 1, 0)), integer(1), integer(2)]
    inputs += [integer(0)]

    def run() -> NDArray[np.float32]:
        model = Model(engine)
        kinds = [model.operand(FLOAT, np.shape(one.value)) for one in inputs[:3]]
        kinds += [model.int32(one.value) for one in inputs[3:]]
        result = model.operand(FLOAT, (2, 2, 6, outputs))
        ok(model.operation(OperationCode.CONV_2D, kinds, [result]))
        for kind, one in zip(kinds[1:3], inputs[1:3], strict=True):
            model.value(kind, np.array(one.value, np.float32))
        model.finished(kinds[:1], [result])
        out = np.zeros((2, 2, 6, outputs), np.float32)
        ok(model.run(x.astype(np.float32), outputs=[out]))
        return out

    padded = np.pad(x, ((0, 0), (1, 0), (1, 1), (0, 0)))
    expected = np.zeros((2, 2, 6, outputs)) + b
    for y, left in itertools.product(range(3), range(3)):
        part = padded[:, y : y + 4 : 2, left : left + 6]
        expected += part @ w[:, y, left].T
    late = compute(engine, OperationCode.CONV_2D, inputs, [Out(FLOAT, expected.shape)])[0]
    assert np.array_equal(late, expected)
    assert np.array_equal(run(), expected)  # weights packed when it is compiled


@pytest.mark.parametrize("channels", [1, 3, 8, 16, 17, 40])
@pytest.mark.parametrize("kind", [FLOAT, BYTE])
def test_depthwise_convolution(engine: Library, channels: int, kind: int) -> None:
    rng = np.random.default_rng(channels)
    x, w = rng.integers(0, 9, (1, 6, 9, channels)), rng.integers(0, 9, (1, 3, 3, channels))
    b = rng.integers(-9, 9, channels)
    total = np.zeros((1, 4, 7, channels)) + b
    for y, left in itertools.product(range(3), range(3)):
        total += x[:, y : y + 4, left : left + 7] * w[:, y, left]
    scale = 0.0 if kind == FLOAT else 4.0
    one = 0.0 if kind == FLOAT else 1.0
    inputs = [In(kind, x, one), In(kind, w, one)]
    inputs += [real(b) if kind == FLOAT else In(INT, b, 1.0)]
    inputs += [integer(2), integer(1), integer(1), integer(1), integer(0)]
    outs = [Out(kind, total.shape, scale)]
    given = compute(engine, OperationCode.DEPTHWISE_CONV_2D, inputs, outs)[0]
    if kind == FLOAT:
        assert np.array_equal(given, total)
    else:
        assert np.abs(given - (total / scale).clip(0, 255)).max() <= 0.5


def codes_of(steps: list[Fraction], kind: int, zero: int) -> list[int]:
    """Codes of exact values in steps of the scale: halves away from zero, clamped."""
    least, most = (0, 255) if kind == BYTE else (-128, 127)
    half = Fraction(1, 2)
    nearest = [int(abs(one) + half) * (1 if one > 0 else -1) for one in steps]
    return [min(max(one + zero, least), most) for one in nearest]


# Eighths and quarters make ties of all kinds, the last one none.
SCALES = (0.5, 8.0, 1024.0, 333.3)


@pytest.mark.parametrize("kind", [BYTE, SIGNED])
@pytest.mark.parametrize("window", [(1, 1), (3, 3), (2, 3), (5, 2)])
@pytest.mark.parametrize(("channels", "multiplier"), [(1, 1), (5, 3), (16, 1), (19, 2), (48, 1)])
def test_depthwise_codes(
    engine: Library, kind: int, window: tuple[int, int], channels: int, multiplier: int
) -> None:
    rng = np.random.default_rng(channels)
    least, most = (0, 255) if kind == BYTE else (-128, 127)
    zero, stride, deep = least + 100, 2, channels * multiplier
    x = rng.integers(least, most + 1, (2, 9, 23, channels))
    w = rng.integers(least, most + 1, (1, *window, deep))
    x[0], w[..., 0] = most, least  # the largest products there are
    b = rng.integers(-500, 500, deep)
    around = ((0, 0), (1, 1), (1, 1), (0, 0))  # less than any of these windows but the first
    around = around if min(window) > 1 else ((0, 0),) * 4
    padded = np.pad(np.repeat(x - zero, multiplier, axis=3), around)
    rows, columns = ((padded.shape[i + 1] - window[i]) // stride + 1 for i in range(2))
    total = np.zeros((2, rows, columns, deep), np.int64) + b
    for at, left in itertools.product(*map(range, window)):
        part = padded[:, at : at + stride * rows : stride, left : left + stride * columns : stride]
        total += part[:, :rows, :columns] * (w[:, at, left] - zero)
    for scale, nchw in itertools.product(SCALES, (False, True)):
        laid = x.transpose(0, 3, 1, 2) if nchw else x
        pads = [around[2][0], around[2][1], around[1][0], around[1][1]]
        inputs = [In(kind, laid, 1.0, zero), In(kind, w, 1.0, zero), In(INT, b, 1.0)]
        inputs += [*map(integer, (*pads, stride, stride, multiplier, 0)), flag(nchw)]
        inputs += [integer(1), integer(1)]
        shape = total.transpose(0, 3, 1, 2).shape if nchw else total.shape
        outs = [Out(kind, shape, scale, zero)]
        given = compute(engine, OperationCode.DEPTHWISE_CONV_2D, inputs, outs)[0]
        given = given.transpose(0, 2, 3, 1) if nchw else given
        step = Fraction(float(np.float32(scale)))
        sums, places = np.unique(total, return_inverse=True)
        expected = np.array(codes_of([int(one) / step for one in sums], kind, zero))
        assert np.array_equal(given.ravel(), expected[places.ravel()])


@pytest.mark.parametrize("kind", [BYTE, SIGNED])
@pytest.mark.parametrize("count", [1, 3, 4, 8, 13, 64, 65, 200])
def test_codes_of_reals(engine: Library, kind: int, count: int) -> None:
    zero = 3
    x = (np.arange(count) - count // 2) / 4  # halves of the scale among them
    for scale in (0.5, 0.1, 1e-30, 1e30):
        values = (x * scale * 2).astype(np.float32)
        outs = [Out(kind, (count,), scale, zero)]
        given = compute(engine, OperationCode.QUANTIZE, [real(values)], outs)[0]
        step = Fraction(float(np.float32(scale)))
        steps = [Fraction(float(one)) / step for one in values]
        assert given.tolist() == codes_of(steps, kind, zero)
    least, most = (0, 255) if kind == BYTE else (-128, 127)
    odd = [np.nan, np.inf, -np.inf, 3e38, -3e38] * count
    outs = [Out(kind, (len(odd),), 0.5, zero)]
    given = compute(engine, OperationCode.QUANTIZE, [real(odd)], outs)[0]
    assert given.tolist() == [zero, most, least, most, least] * count


@pytest.mark.parametrize("operation", [OperationCode.ADD, OperationCode.SUB])
@pytest.mark.parametrize("kind", [BYTE, SIGNED])
@pytest.mark.parametrize("count", [1, 5, 8, 64, 67, 300])
def test_codes_of_pairs(engine: Library, operation: int, kind: int, count: int) -> None:
    rng = np.random.default_rng(count)
    least, most = (0, 255) if kind == BYTE else (-128, 127)
    x, y = rng.integers(least, most + 1, (2, count))
    x[0], y[0] = most, least
    zeros, sign = (least + 7, most, least + 90), 1 if operation == OperationCode.ADD else -1
    for scales in ((1.0, 0.5, 4.0), (0.3, 0.7, 0.9), (8.0, 1.0, 2.0), (9.0, 1.0, 1.0)):
        a, b, step = (Fraction(float(np.float32(scale))) for scale in scales)
        steps = [
            (int(one - zeros[0]) * a + sign * int(other - zeros[1]) * b) / step
            for one, other in zip(x, y, strict=True)
        ]
        inputs = [In(kind, x, scales[0], zeros[0]), In(kind, y, scales[1], zeros[1]), integer(0)]
        outs = [Out(kind, (count,), scales[2], zeros[2])]
        given = compute(engine, operation, inputs, outs)[0]
        assert given.tolist() == codes_of(steps, kind, zeros[2])


@pytest.mark.parametrize("size", [(1, 1, 1), (5, 7, 9), (33, 40, 17), (2, 1100, 3)])
def test_batch_matmul(engine: Library, size: tuple[int, int, int]) -> None:
    rows, depth, columns = size
    x, y = small((2, rows, depth), 1), small((2, depth, columns), 2)
    inputs = [real(x), real(y), flag(False), flag(False)]
    outs = [Out(FLOAT, (2, rows, columns))]
    assert np.array_equal(compute(engine, OperationCode.BATCH_MATMUL, inputs, outs)[0], x @ y)
    inputs = [real(x.swapaxes(1, 2)), real(y.swapaxes(1, 2)), flag(True), flag(True)]
    assert np.array_equal(compute(engine, OperationCode.BATCH_MATMUL, inputs, outs)[0], x @ y)


def test_an_engine_that_is_not_there_is_not_taken(driver_library: Path, tmp_path: Path) -> None:
    """A name that no engine has asks for the portable one."""
    copy = tmp_path / "driver.so"
    shutil.copy(driver_library, copy)
    with pytest.MonkeyPatch.context() as during:
        during.setenv("NNAPI_TESTKIT_CPU", "none")
        library = Library(copy)
        out = fully_connected(library, np.ones((2, 3)), np.ones((4, 3)), np.zeros(4))
    assert out.tolist() == [[3] * 4] * 2
