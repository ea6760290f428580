"""Kernels that reduce, rank and rearrange: worked examples, and NumPy over random values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nnapi_testkit.spec.codes import OperandCode, OperationCode
from tests.driver.apply import OMITTED, Input, Out, Quant, apply, operand, quantized, refusals, run
from tests.driver.capi import Execution, Library, Model, ok

F32, F16, I32, BOOL = Out("float32"), Out("float16"), Out("int32"), Out("bool")
BOTH = ("finish", "compute")
EARLY = ("finish", "finish")


def i32(*values: Any) -> np.ndarray[Any, Any]:
    return np.array(values, np.int32)


def iota(*shape: int, dtype: str = "float32") -> np.ndarray[Any, Any]:
    return np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)


def spread(seed: int, *shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


REDUCE: dict[str, Callable[..., Any]] = {
    "MEAN": np.mean,
    "REDUCE_SUM": np.sum,
    "REDUCE_PROD": np.prod,
    "REDUCE_MAX": np.max,
    "REDUCE_MIN": np.min,
}


@pytest.mark.parametrize("name", REDUCE)
@pytest.mark.parametrize("axes", [(0,), (1, 2), (-1,), (0, -2), (0, 1, 2, 3), (2, 2, 2)])
def test_reductions(lib: Library, name: str, axes: tuple[int, ...]) -> None:
    x = spread(1, 3, 4, 2, 5)
    unique = tuple({axis % 4 for axis in axes})
    for keep in (False, True):
        want = REDUCE[name](x.astype(np.float64), axis=unique, keepdims=keep)
        want = want.reshape(want.shape or (1,)).astype(np.float32)
        flag = int(keep) if name == "MEAN" else keep
        got = run(lib, name, [x, i32(*axes), flag], F32)
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-12)


@pytest.mark.documented
def test_reduction_details(lib: Library) -> None:
    quant = Quant(np.array([[1, 2], [4, 4], [0, 255]], np.uint8), 0.5, 3)
    # Means of the codes 1.5, 4, 127.5; relative to the zero point -1.5 rounds away to -2.
    out = Out("uint8", 0.5, 3)
    assert list(run(lib, "MEAN", [quant, i32(1), 0], out)) == [1, 4, 128]
    assert list(run(lib, "REDUCE_MAX", [quant, i32(0), False], out)) == [4, 255]
    assert list(run(lib, "REDUCE_MIN", [quant, i32(-1), False], out)) == [1, 4, 0]
    p = np.array([[1, 1], [0, 1], [0, 0]], bool)
    np.testing.assert_array_equal(run(lib, "REDUCE_ALL", [p, i32(1), False], BOOL), p.all(1))
    np.testing.assert_array_equal(run(lib, "REDUCE_ANY", [p, i32(1), False], BOOL), p.any(1))
    x = np.array([[1, np.nan], [2, 3]], np.float32)
    np.testing.assert_array_equal(run(lib, "REDUCE_MAX", [x, i32(1), False], F32), [np.nan, 3])
    for axis in (2, -3, 2**31 - 1, -(2**31)):
        assert refusals(lib, "MEAN", [x, i32(axis), 0], F32) == BOTH
        assert refusals(lib, "REDUCE_SUM", [x, i32(axis), False], F32) == BOTH
    assert refusals(lib, "MEAN", [x, i32(0), False], F32) == EARLY
    assert refusals(lib, "REDUCE_SUM", [x, i32(0), 0], F32) == EARLY
    assert refusals(lib, "REDUCE_MAX", [quant, i32(0), False], Out("uint8", 1.0, 3)) == EARLY


@pytest.mark.documented
def test_concatenation_and_pack(lib: Library) -> None:
    a, b = spread(1, 2, 3, 4), spread(2, 2, 5, 4)
    got = run(lib, "CONCATENATION", [a, b, a, 1], F32)
    np.testing.assert_array_equal(got, np.concatenate([a, b, a], 1))
    x, y = Quant(iota(2, 3, dtype="int8"), 0.5, 1), Quant(iota(2, 4, dtype="int8"), 0.75, -2)
    out = Out("int8", 0.5, 1)
    want = np.concatenate([x.codes, quantized(y.real, out)], 1)
    np.testing.assert_array_equal(run(lib, "CONCATENATION", [x, y, 1], out), want)
    for axis in (0, 1, 2, 3):
        got = run(lib, "PACK", [axis, a, a + 1], F32)
        np.testing.assert_array_equal(got, np.stack([a, a + 1], axis))
    assert refusals(lib, "CONCATENATION", [a, b, 0], F32) == BOTH
    assert refusals(lib, "CONCATENATION", [a, b, 3], F32) == BOTH
    assert refusals(lib, "PACK", [4, a, a], F32) == BOTH
    assert refusals(lib, "PACK", [-1, a, a], F32) == BOTH
    assert refusals(lib, "PACK", [0, a, b], F32) == BOTH


@pytest.mark.documented
def test_reshape_family(lib: Library) -> None:
    x = iota(2, 6)
    shape: tuple[int, ...]
    for shape in [(12,), (3, 4), (-1,), (2, -1, 3), (1, 12, 1, 1)]:
        np.testing.assert_array_equal(run(lib, "RESHAPE", [x, i32(*shape)], F32), x.reshape(shape))
    for shape in [(5,), (-1, 5), (-1, -1), (-2, -6), (0, -1), (2**31 - 1, 2**31 - 1, 4, 4)]:
        assert refusals(lib, "RESHAPE", [x, i32(*shape)], F32) == BOTH
    assert refusals(lib, "RESHAPE", [x, i32(1, 1, 1, 2, 6)], F32)[0] == "finish"
    for axis in (-3, -1, 0, 1, 2):
        got = run(lib, "EXPAND_DIMS", [x, axis], F32)
        np.testing.assert_array_equal(got, np.expand_dims(x, axis))
    assert refusals(lib, "EXPAND_DIMS", [x, 3], F32) == BOTH
    assert refusals(lib, "EXPAND_DIMS", [x, -4], F32) == BOTH
    y = iota(1, 3, 1, 2)
    assert run(lib, "SQUEEZE", [y, i32(2)], F32).shape == (1, 3, 2)
    assert run(lib, "SQUEEZE", [y, i32(0, 2)], F32).shape == (3, 2)
    for inputs in ([y], [y, OMITTED]):
        assert run(lib, "SQUEEZE", inputs, F32).shape == (3, 2)
    assert run(lib, "SQUEEZE", [iota(1, 1)], F32).shape == (1,)
    assert run(lib, "SQUEEZE", [y, i32(-2, 0)], F32).shape == (3, 2)
    for dim in (1, 4, -1, -5, 40, 2**31 - 1):
        assert refusals(lib, "SQUEEZE", [y, i32(dim)], F32) == BOTH


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
@pytest.mark.documented
def test_transpose(lib: Library, dtype: str) -> None:
    data = iota(2, 3, 4, 5, dtype=dtype)
    x, out = (Quant(data, 0.5, 3), Out(dtype, 0.5, 3)) if dtype == "uint8" else (data, Out(dtype))
    perm: tuple[int, ...]
    for perm in [(0, 1, 2, 3), (3, 2, 1, 0), (0, 2, 3, 1), (0, 3, 1, 2), (1, 0, 3, 2)]:
        got = run(lib, "TRANSPOSE", [x, i32(*perm)], out)
        np.testing.assert_array_equal(got, data.transpose(perm))
    np.testing.assert_array_equal(run(lib, "TRANSPOSE", [x, OMITTED], out), data.T)
    np.testing.assert_array_equal(run(lib, "TRANSPOSE", [x], out), data.T)
    for perm in [(0, 1, 2, 2), (0, 1, 2, 4), (-1, 1, 2, 0), (0, 1, 2)]:
        assert refusals(lib, "TRANSPOSE", [x, i32(*perm)], out) == BOTH


@pytest.mark.documented
def test_reverse_and_shuffle(lib: Library) -> None:
    x = iota(2, 3, 4)
    for axis in range(3):
        got = run(lib, "REVERSE", [x, i32(axis)], F32)
        np.testing.assert_array_equal(got, np.flip(x, axis))
    assert refusals(lib, "REVERSE", [x, i32(3)], F32) == BOTH
    assert refusals(lib, "REVERSE", [x, i32(-1)], F32) == BOTH
    y = iota(2, 6, 3)
    want = y.reshape(2, 3, 2, 3).transpose(0, 2, 1, 3).reshape(2, 6, 3)
    np.testing.assert_array_equal(run(lib, "CHANNEL_SHUFFLE", [y, 3, 1], F32), want)
    assert list(run(lib, "CHANNEL_SHUFFLE", [iota(6), 2, -1], F32)) == [0, 3, 1, 4, 2, 5]
    assert refusals(lib, "CHANNEL_SHUFFLE", [y, 4, 1], F32) == BOTH
    assert refusals(lib, "CHANNEL_SHUFFLE", [y, 0, 1], F32) == BOTH


def slices(begin: Any, end: Any, strides: Any, masks: Any) -> tuple[slice | int, ...]:
    parts: list[slice | int] = []
    for i, (b, e, s) in enumerate(zip(begin, end, strides, strict=True)):
        if masks[2] >> i & 1:
            parts.append(b)
        else:
            first = None if masks[0] >> i & 1 else b
            parts.append(slice(first, None if masks[1] >> i & 1 else e, s))
    return tuple(parts)


@pytest.mark.parametrize(
    ("begin", "end", "strides", "masks"),
    [
        ((0, 1, 0), (2, 3, 5), (1, 1, 2), (0, 0, 0)),
        ((1, 1, 4), (2, 3, 0), (1, 1, -2), (0, 0, 0)),
        ((1, 1, 4), (2, 3, 0), (1, 1, -1), (4, 4, 0)),
        ((0, -2, -3), (9, 100, -1), (1, 1, 1), (1, 0, 0)),
        ((1, 0, 2), (2, 4, 3), (1, 1, 1), (0, 0, 5)),
        ((-1, 0, 0), (0, 4, 5), (1, 3, 1), (0, 6, 1)),
        ((1, 2, 3), (2, 3, 4), (1, 1, 1), (0, 0, 7)),
    ],
)
def test_strided_slice(lib: Library, begin: Any, end: Any, strides: Any, masks: Any) -> None:
    x = iota(2, 4, 5)
    got = run(lib, "STRIDED_SLICE", [x, i32(*begin), i32(*end), i32(*strides), *masks], F32)
    want = np.atleast_1d(x[slices(begin, end, strides, masks)])
    assert got.shape == want.shape
    np.testing.assert_array_equal(got, want)


@pytest.mark.documented
def test_slices(lib: Library) -> None:
    x = iota(3, 4)
    big = 2**31 - 1
    ends: list[Input] = [x, i32(0, 0), i32(big, big), i32(big, big), 0, 0, 0]
    assert list(run(lib, "STRIDED_SLICE", ends, F32).ravel()) == [0]
    least: list[Input] = [x, i32(2, 3), i32(-big - 1, -big - 1), i32(-big - 1, -1), 0, 0, 0]
    assert list(run(lib, "STRIDED_SLICE", least, F32).ravel()) == [11, 10, 9, 8]
    bad: list[Input] = [x, i32(0, 0), i32(3, 4), i32(1, 0), 0, 0, 0]
    assert refusals(lib, "STRIDED_SLICE", bad, F32) == BOTH
    wide: list[Input] = [x, i32(0, 0), i32(3, 4), i32(1, 1), 0, 0, 1]
    assert refusals(lib, "STRIDED_SLICE", wide, F32) == BOTH
    short: list[Input] = [x, i32(0), i32(3), i32(1), 0, 0, 0]
    assert refusals(lib, "STRIDED_SLICE", short, F32) == BOTH
    np.testing.assert_array_equal(run(lib, "SLICE", [x, i32(1, 1), i32(-1, 2)], F32), x[1:, 1:3])
    for begin, size in [((0, 3), (3, 2)), ((-1, 0), (1, 1)), ((0, 0), (-2, 1)), ((4, 0), (-1, 1))]:
        assert refusals(lib, "SLICE", [x, i32(*begin), i32(*size)], F32) == BOTH
    assert refusals(lib, "SLICE", [x, i32(1, 1), i32(big, big)], F32) == BOTH
    for constant in (True, False):
        parts = apply(lib, "SPLIT", [x, 1, 2], [F32, F32], constant=constant).outputs
        np.testing.assert_array_equal(parts[0], x[:, :2])
        np.testing.assert_array_equal(parts[1], x[:, 2:])
    for axis, count in [(0, 2), (2, 2), (1, 0), (1, 4), (1, -1)]:
        assert refusals(lib, "SPLIT", [x, axis, count], [F32, F32]) == BOTH


@pytest.mark.documented
def test_pads(lib: Library) -> None:
    x = iota(2, 3)
    pads = i32((1, 0), (2, 1))
    np.testing.assert_array_equal(run(lib, "PAD", [x, pads], F32), np.pad(x, pads))
    got = run(lib, "PAD_V2", [x, pads, np.float32(9)], F32)
    np.testing.assert_array_equal(got, np.pad(x, pads, constant_values=9))
    half = run(lib, "PAD_V2", [x.astype(np.float16), pads, np.float16(9)], F16)
    np.testing.assert_array_equal(half, np.pad(x, pads, constant_values=9))
    quant, out = Quant(iota(2, 3, dtype="int8"), 0.5, -7), Out("int8", 0.5, -7)
    want = np.pad(quant.codes, pads, constant_values=-7)
    np.testing.assert_array_equal(run(lib, "PAD", [quant, pads], out), want)
    want = np.pad(quant.codes, pads, constant_values=-100)
    np.testing.assert_array_equal(run(lib, "PAD_V2", [quant, pads, -100], out), want)
    assert refusals(lib, "PAD_V2", [quant, pads, 200], out) == BOTH
    y = iota(2, 3, 4)
    mirror = i32((1, 1), (2, 1), (0, 3))
    for mode, name in enumerate(("reflect", "symmetric")):
        got = run(lib, "MIRROR_PAD", [y, mirror, mode], F32)
        np.testing.assert_array_equal(got, np.pad(y, mirror, mode=name))  # type: ignore[call-overload]
    assert refusals(lib, "MIRROR_PAD", [x, i32((2, 0), (0, 0)), 0], F32) == BOTH
    assert refusals(lib, "MIRROR_PAD", [x, i32((3, 0), (0, 0)), 1], F32) == BOTH
    assert refusals(lib, "MIRROR_PAD", [x, pads, 2], F32) == BOTH
    for bad in (i32((-1, 0), (0, 0)), i32((1, 1)), i32((0, 2**31 - 1), (0, 0))):
        assert refusals(lib, "PAD", [x, bad], F32) == BOTH


@pytest.mark.documented
def test_tile_gather_fill_rank(lib: Library) -> None:
    x = iota(2, 3)
    np.testing.assert_array_equal(run(lib, "TILE", [x, i32(2, 3)], F32), np.tile(x, (2, 3)))
    deep = iota(2, 1, 2, 2, 3)
    many = (1, 2, 3, 1, 2)
    np.testing.assert_array_equal(run(lib, "TILE", [deep, i32(*many)], F32), np.tile(deep, many))
    assert refusals(lib, "TILE", [x, i32(2)], F32) == BOTH
    assert refusals(lib, "TILE", [x, i32(-1, 1)], F32) == BOTH
    assert refusals(lib, "TILE", [x, i32(2**31 - 1, 1)], F32) == BOTH
    picks = i32((1, 0), (2, 2))
    for axis in (1, -1):
        got = run(lib, "GATHER", [x, axis, picks], F32)
        np.testing.assert_array_equal(got, np.take(x, picks, 1))
    for index in (3, -1, 2**31 - 1):
        assert refusals(lib, "GATHER", [x, 1, i32(index)], F32) == BOTH
    assert refusals(lib, "GATHER", [x, 2, i32(0)], F32) == BOTH
    np.testing.assert_array_equal(
        run(lib, "FILL", [i32(2, 3), np.float32(1.5)], F32), np.full((2, 3), 1.5)
    )
    np.testing.assert_array_equal(run(lib, "FILL", [i32(4), 7], I32), [7] * 4)
    assert refusals(lib, "FILL", [i32(-1), 7], I32) == ("compute", "compute")
    assert refusals(lib, "FILL", [i32(2), 7], F32) == EARLY
    huge = apply(lib, "FILL", [i32(2**31 - 1, 2**31 - 1, 2**31 - 1), 7], I32)
    assert huge.code.name == "OUT_OF_MEMORY"
    assert run(lib, "RANK", [deep], Out("int32", scalar=True)).item() == 5


@pytest.mark.documented
def test_ranking(lib: Library) -> None:
    x = np.array([[3, 9, 9, 1], [5, 5, 2, 2]], np.float32)
    assert list(run(lib, "ARGMAX", [x, 1], I32)) == [1, 0]
    assert list(run(lib, "ARGMIN", [x, -1], I32)) == [3, 2]
    assert list(run(lib, "ARGMAX", [x, 0], I32)) == [1, 0, 0, 1]
    assert list(run(lib, "ARGMAX", [x[0].copy(), 0], I32)) == [1]
    assert refusals(lib, "ARGMAX", [x, 2], I32) == BOTH
    for dtype in ("float32", "float16", "int32", "uint8"):
        data = x.astype(dtype)
        scale, zero = (0.5, 3) if dtype == "uint8" else (0.0, 0)
        y, out = Quant(data, scale, zero), Out(dtype, scale, zero)
        for constant in (True, False):
            top = apply(lib, "TOPK_V2", [y, 3], [out, I32], constant=constant).outputs
            np.testing.assert_array_equal(top[0], [[9, 9, 3], [5, 5, 2]])
            # Of two equal values the one with the larger index comes first.
            np.testing.assert_array_equal(top[1], [[2, 1, 0], [1, 0, 3]])
    assert refusals(lib, "TOPK_V2", [x, 5], [F32, I32]) == BOTH
    assert refusals(lib, "TOPK_V2", [x, 0], [F32, I32]) == BOTH


EMPTY: list[tuple[str, list[Any], tuple[int, ...]]] = [
    ("ADD", ["x", np.zeros(3, np.float32), 0], (0, 3)),
    ("MAXIMUM", ["x", np.zeros(1, np.float32)], (0, 3)),
    ("TANH", ["x"], (0, 3)),
    ("RELU6", ["x"], (0, 3)),
    ("SOFTMAX", ["x", np.float32(1), 0], (0, 3)),
    ("SOFTMAX", ["x", np.float32(1), 1], (0, 3)),
    ("LOG_SOFTMAX", ["x", np.float32(1), 0], (0, 3)),
    ("PRELU", ["x", np.zeros(3, np.float32)], (0, 3)),
    ("CONCATENATION", ["x", np.ones((1, 3), np.float32), 0], (1, 3)),
    ("CONCATENATION", ["x", "x", 1], (0, 6)),
    ("RESHAPE", ["x", i32(4, 0, 2)], (4, 0, 2)),
    ("RESHAPE", ["x", i32(-1, 2)], (0, 2)),
    ("EXPAND_DIMS", ["x", 0], (1, 0, 3)),
    ("TRANSPOSE", ["x", i32(1, 0)], (3, 0)),
    ("STRIDED_SLICE", ["x", i32(0, 2), i32(0, 0), i32(1, -1), 0, 0, 0], (0, 2)),
    ("MEAN", ["x", i32(1), 0], (0,)),
    ("REDUCE_SUM", ["x", i32(0), False], (3,)),
    ("PAD", ["x", i32((1, 1), (0, 0))], (2, 3)),
    ("TILE", ["x", i32(5, 2)], (0, 6)),
    ("GATHER", ["x", 1, i32(2, 0)], (0, 2)),
    ("TOPK_V2", ["x", 2], (0, 2)),
    ("REVERSE", ["x", i32(0)], (0, 3)),
    ("CHANNEL_SHUFFLE", ["x", 2, 0], (0, 3)),
    ("MIRROR_PAD", ["x", i32((0, 0), (1, 1)), 0], (0, 5)),
]


@pytest.mark.parametrize(("name", "inputs", "shape"), EMPTY)
@pytest.mark.documented
def test_empty_tensors(lib: Library, name: str, inputs: list[Any], shape: Any) -> None:
    """An empty tensor comes from a SLICE: the caller cannot hand one over."""
    model = Model(lib)
    x = model.operand(OperandCode.TENSOR_FLOAT32, (2, 3))
    empty = model.operand(OperandCode.TENSOR_FLOAT32)
    begin = model.value(model.operand(OperandCode.TENSOR_INT32, (2,)), i32(0, 0))
    size = model.value(model.operand(OperandCode.TENSOR_INT32, (2,)), i32(0, 3))
    ok(model.operation(OperationCode.SLICE, [x, begin, size], [empty]))
    operands = []
    for value in inputs:
        if isinstance(value, str):
            operands.append(empty)
            continue
        index, array = operand(model, value)
        operands.append(model.value(index, array))
    outputs = [model.operand(OperandCode.TENSOR_FLOAT32)]
    if name == "TOPK_V2":
        outputs.append(model.operand(OperandCode.TENSOR_INT32))
    ok(model.operation(OperationCode[name], operands, outputs))
    execution = Execution(model.finished([x], outputs).compile())
    ok(execution.input(0, iota(2, 3)))
    buffer = np.full(64, 7, np.float32)
    for i, _ in enumerate(outputs):
        ok(execution.output(i, buffer if i == 0 else np.zeros(64, np.int32)))
    ok(execution.compute())
    assert execution.shape(0) == (0, list(shape))
    count = int(np.prod(shape))
    expected = {"CONCATENATION": 1, "REDUCE_SUM": 0, "PAD": 0}.get(name, 7)
    np.testing.assert_array_equal(buffer[:count], expected)
    np.testing.assert_array_equal(buffer[count:], 7)


def test_empty_axes_reduce_nothing(lib: Library) -> None:
    model = Model(lib)
    x = model.operand(OperandCode.TENSOR_FLOAT32, (2, 3))
    axes = model.operand(OperandCode.TENSOR_INT32, (2,))
    none = model.operand(OperandCode.TENSOR_INT32)
    out = model.operand(OperandCode.TENSOR_FLOAT32)
    begin = model.value(model.operand(OperandCode.TENSOR_INT32, (1,)), i32(0))
    size = model.value(model.operand(OperandCode.TENSOR_INT32, (1,)), i32(0))
    ok(model.operation(OperationCode.SLICE, [axes, begin, size], [none]))
    ok(model.operation(OperationCode.MEAN, [x, none, model.int32(0)], [out]))
    result = np.zeros((2, 3), np.float32)
    ok(model.finished([x, axes], [out]).run(iota(2, 3), i32(0, 1), outputs=[result]))
    np.testing.assert_array_equal(result, iota(2, 3))
