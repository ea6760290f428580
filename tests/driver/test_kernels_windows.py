"""Convolutions, pooling, resizing, blocks, normalization, regions: examples and refusals."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nnapi_testkit.spec.codes import OperandCode, OperationCode, ResultCode
from tests.driver.apply import Out, Quant, apply, operand, quantized, refusals, run
from tests.driver.capi import ChannelQuant, Execution, Library, Model, ok

FLOAT = Out("float32")


def f32(*values: Any) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def i32(*values: Any) -> NDArray[np.int32]:
    return np.array(values, np.int32)


def iota(*shape: int) -> NDArray[np.float32]:
    return np.arange(1, 1 + int(np.prod(shape)), dtype=np.float32).reshape(shape)


def spread(seed: int, *shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def convolved(x: Any, w: Any, bias: Any, pad: int, stride: int, groups: int) -> NDArray[Any]:
    """Grouped convolution of NHWC `x` with `w` [out, h, w, in / groups], in float64."""
    x = np.pad(np.asarray(x, np.float64), ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    depth, height, width, each = w.shape
    rows = (x.shape[1] - height) // stride + 1
    columns = (x.shape[2] - width) // stride + 1
    y: NDArray[Any] = np.zeros((x.shape[0], rows, columns, depth)) + bias
    for out in range(depth):
        first = out // (depth // groups) * each
        for i in range(rows):
            for j in range(columns):
                window = x[:, i * stride :, j * stride :, first : first + each]
                window = window[:, :height, :width]
                y[:, i, j, out] += (window * w[out].astype(np.float64)).sum((1, 2, 3))
    return y


# --- Convolutions ------------------------------------------------------------------------------


def test_conv_2d_by_hand(lib: Library) -> None:
    x, w = iota(1, 3, 3, 1), np.ones((1, 2, 2, 1), np.float32)
    valid: list[Any] = [x, w, f32(10), 2, 1, 1, 0]
    np.testing.assert_array_equal(
        run(lib, "CONV_2D", valid, FLOAT).ravel(), [22, 26, 34, 38]
    )  # 1 + 2 + 4 + 5 + 10 and so on
    same = run(lib, "CONV_2D", [x, w, f32(0), 1, 1, 1, 0], FLOAT)  # pads at the end
    np.testing.assert_array_equal(same[0, :, :, 0], [[12, 16, 9], [24, 28, 15], [15, 17, 9]])
    explicit = run(lib, "CONV_2D", [x, w, f32(0), 1, 0, 0, 1, 2, 1, 3], FLOAT)
    np.testing.assert_array_equal(explicit[0, :, :, 0], [[5, 6], [6, 6], [6, 6]])  # RELU6
    dilated = run(lib, "CONV_2D", [x, w, f32(0), 2, 1, 1, 0, False, 2, 2], FLOAT)
    np.testing.assert_array_equal(dilated.ravel(), [20])  # the corners


def test_ten_inputs_are_told_apart_by_the_eighth(lib: Library) -> None:
    x, w = spread(1, 1, 5, 6, 2), spread(2, 3, 2, 3, 2)
    implicit = run(lib, "CONV_2D", [x, w, f32(0, 0, 0), 2, 2, 1, 0, False, 1, 1], FLOAT)
    explicit = run(lib, "CONV_2D", [x, w, f32(0, 0, 0), 0, 0, 0, 0, 2, 1, 0], FLOAT)
    np.testing.assert_array_equal(implicit, explicit)


def test_depthwise_multiplier(lib: Library) -> None:
    x = f32(1, 2, 10, 20).reshape(1, 1, 2, 2)
    w = f32(1, 2, 3, 4).reshape(1, 1, 1, 4)  # channel k * 2 + q comes from input channel k
    for nchw in (False, True):
        given = np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if nchw else x
        y = run(lib, "DEPTHWISE_CONV_2D", [given, w, f32(0, 0, 0, 5), 2, 1, 1, 2, 0, nchw], FLOAT)
        y = y.transpose(0, 2, 3, 1) if nchw else y
        np.testing.assert_array_equal(y.ravel(), [1, 2, 6, 13, 10, 20, 60, 85])


def test_transpose_conv_2d_by_hand(lib: Library) -> None:
    x, w = f32(1, 2, 3, 4).reshape(1, 2, 2, 1), iota(1, 2, 2, 1)
    expected = np.kron(x[0, :, :, 0], w[0, :, :, 0])
    y = run(lib, "TRANSPOSE_CONV_2D", [x, w, f32(0), 0, 0, 0, 0, 2, 2, 0, False], FLOAT)
    np.testing.assert_array_equal(y[0, :, :, 0], expected)
    shape = i32(1, 4, 4, 1)
    y = run(lib, "TRANSPOSE_CONV_2D", [x, w, f32(0), shape, 1, 2, 2, 0, False], FLOAT)
    np.testing.assert_array_equal(y[0, :, :, 0], expected)
    # Each input pixel in turn, one row and column cut off at either end.
    cut = run(lib, "TRANSPOSE_CONV_2D", [x, w, f32(1), 1, 1, 1, 1, 1, 1, 0, False], FLOAT)
    assert cut.ravel() == [1 * 4 + 2 * 3 + 3 * 2 + 4 * 1 + 1]


def test_transpose_conv_2d_output_shape_in_either_order(lib: Library) -> None:
    """The reference does not say whether the shape of an NCHW output is given as NCHW."""
    x, w = spread(1, 1, 2, 2, 1), spread(2, 2, 1, 3, 2)
    bias = f32(0, 0)
    expected = run(lib, "TRANSPOSE_CONV_2D", [x, w, bias, 0, 0, 0, 0, 1, 1, 0, True], FLOAT)
    assert expected.shape == (1, 2, 2, 3)  # as NHWC, too, this has two channels
    for shape in (i32(1, 2, 2, 3), i32(1, 2, 3, 2)):
        y = run(lib, "TRANSPOSE_CONV_2D", [x, w, bias, shape, 2, 1, 1, 0, True], FLOAT)
        np.testing.assert_array_equal(y, expected)


def both_ways(lib: Library, name: str, x: Any, w: Any, bias: Any, rest: list[Any]) -> NDArray[Any]:
    """Runs with a constant filter and with one that is an input; both must agree."""
    results = []
    for constant in (True, False):
        model = Model(lib)
        operands, feeds = [], []
        for i, value in enumerate([x, w, bias, *rest]):
            index, array = operand(model, value)
            operands.append(index)
            if i == 0 or (i < 3 and not constant):
                feeds.append((index, array))
            else:
                model.value(index, array)
        out = model.operand(OperandCode.TENSOR_FLOAT32, (0, 0, 0, 0))
        ok(model.operation(OperationCode[name], operands, [out]))
        execution = Execution(model.finished([i for i, _ in feeds], [out]).compile())
        for i, (_, array) in enumerate(feeds):
            ok(execution.input(i, array))
        buffer = np.zeros(1 << 14, np.float32)
        ok(execution.output(0, buffer))
        ok(execution.compute())
        dims = execution.shape(0)[1]
        results.append(buffer[: int(np.prod(dims))].reshape(dims))
    np.testing.assert_array_equal(results[0], results[1])
    return results[0]


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("columns", [2, 17, 40])
@pytest.mark.parametrize("nchw", [False, True])
def test_engine_convolutions(lib: Library, groups: int, columns: int, nchw: bool) -> None:
    """Columns in and beyond one panel, rows in and beyond one tile, in each layout."""
    x, w = spread(3, 2, 6, 7, 6), spread(4, groups * columns, 3, 3, 6 // groups)
    bias = spread(5, groups * columns)
    expected = convolved(x, w, bias, 1, 2, groups)
    bound = convolved(abs(x), abs(w), abs(bias), 1, 2, groups) * (54 // groups + 2) * 2.0**-24
    given = np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if nchw else x
    rest = [1, 1, 1, 1, 2, 2, groups, 0, nchw]
    y = both_ways(lib, "GROUPED_CONV_2D", given, w, bias, rest)
    assert (abs((y.transpose(0, 2, 3, 1) if nchw else y) - expected) <= bound).all()
    if groups == 6:
        filters = np.ascontiguousarray(w[..., 0].transpose(1, 2, 0)[None])
        y = both_ways(
            lib, "DEPTHWISE_CONV_2D", given, filters, bias, [1, 1, 1, 1, 2, 2, columns, 0, nchw]
        )
        assert (abs((y.transpose(0, 2, 3, 1) if nchw else y) - expected) <= bound).all()


@pytest.mark.parametrize("columns", [1, 18, 70])
@pytest.mark.parametrize("depth", [1, 7, 64])
def test_engine_products_of_codes(lib: Library, columns: int, depth: int) -> None:
    rng = np.random.default_rng(depth)
    x = Quant(rng.integers(0, 256, (9, depth)).astype(np.uint8), 0.5, 131)
    w = Quant(rng.integers(0, 256, (columns, depth)).astype(np.uint8), 0.25, 120)
    bias = Quant(rng.integers(-900, 900, columns).astype(np.int32), 0.125, 0)
    like = Out("uint8", 4.0, 99)  # exact ties occur
    y = run(lib, "FULLY_CONNECTED", [x, w, bias, 1], like)
    real = np.maximum(x.real @ w.real.T + bias.real, 0)
    np.testing.assert_array_equal(y, quantized(real, like))


def test_more_terms_than_int32_sums_hold(lib: Library) -> None:
    depth = 40001
    x = Quant(np.full((1, depth), 255, np.uint8), 1.0, 0)
    w = Quant(np.full((2, depth), 255, np.uint8), 1.0, 0)
    w.codes[1, 1:] = 0
    like = Out("uint8", 2.0**24, 0)
    bias = Quant(i32(0, 0), 1.0, 0)
    y = apply(lib, "FULLY_CONNECTED", [x, w, bias, 0], like).outputs[0]
    np.testing.assert_array_equal(y, quantized(x.real @ w.real.T, like))


LONG = {  # input, filter: dot products of some thousand terms
    "depth": ((1, 1, 3, 9000), (5, 1, 1, 9000)),
    "taps": ((1, 90, 93, 1), (18, 88, 91, 1)),
    "both": ((2, 4, 5, 999), (40, 3, 3, 999)),
}


@pytest.mark.parametrize("name", LONG)
@pytest.mark.parametrize("nchw", [False, True])
def test_engine_long_sums(lib: Library, name: str, nchw: bool) -> None:
    """Terms of one sign: a sum in single precision alone is off by 2e-6 and more."""
    shape, filter_shape = LONG[name]
    rng = np.random.default_rng(len(name))
    x = rng.uniform(0.1, 0.2, shape).astype(np.float32)
    w = rng.uniform(0.1, 0.2, filter_shape).astype(np.float32)
    bias = spread(1, filter_shape[0])
    expected = np.maximum(convolved(x, w, bias, 0, 1, 1), 0)
    given = np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if nchw else x
    y = both_ways(lib, "CONV_2D", given, w, bias, [0, 0, 0, 0, 1, 1, 1, nchw])
    np.testing.assert_allclose(y.transpose(0, 2, 3, 1) if nchw else y, expected, rtol=5e-7)


@pytest.mark.parametrize("engine", ["avx2", "portable"])
def test_other_engines(engine: str) -> None:
    """The tests of the engine again with the code for lesser processors."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-p", "no:xdist", "-k", "test_engine or int32_sums", __file__],
        env={**os.environ, "NNAPI_TESTKIT_CPU": engine},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "passed" in done.stdout


@pytest.mark.parametrize("depthwise", [False, True])
def test_per_channel_filter(lib: Library, depthwise: bool) -> None:
    model = Model(lib)
    x = model.operand(OperandCode.TENSOR_QUANT8_ASYMM_SIGNED, (1, 1, 2, 2), 0.5, -3)
    shape = (1, 1, 1, 2) if depthwise else (2, 1, 1, 2)
    w = model.operand(OperandCode.TENSOR_QUANT8_SYMM_PER_CHANNEL, shape)
    scales = f32(0.5, 0.25)
    params = ChannelQuant(
        3 if depthwise else 0, 2, scales.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    )
    ok(lib.Model_setOperandSymmPerChannelQuantParams(model.handle, w, ctypes.byref(params)))
    codes = np.array([4, -8] if depthwise else [4, 0, 0, -8], np.int8).reshape(shape)
    model.value(w, codes)
    bias = model.value(model.operand(OperandCode.TENSOR_INT32, (2,)), i32(8, -16))
    out = model.operand(OperandCode.TENSOR_QUANT8_ASYMM_SIGNED, (1, 1, 2, 2), 0.5, 1)
    scalars = [2, 1, 1, 1, 0] if depthwise else [2, 1, 1, 0]
    name = OperationCode.DEPTHWISE_CONV_2D if depthwise else OperationCode.CONV_2D
    ok(model.operation(name, [x, w, bias, *(model.int32(s) for s in scalars)], [out]))
    execution = Execution(model.finished([x], [out]).compile())
    ok(execution.input(0, np.array([-3, -1, 1, 3], np.int8).reshape(1, 1, 2, 2)))
    y = np.zeros((1, 1, 2, 2), np.int8)
    ok(execution.output(0, y))
    ok(execution.compute())
    # Inputs 0, 1, 2, 3; filters 2 and -2; biases 8 * 0.25 = 2 and -16 * 0.125 = -2.
    np.testing.assert_array_equal(y.ravel(), [2 * 2 + 1, -4 * 2 + 1, 6 * 2 + 1, -8 * 2 + 1])


def test_nan_stays_and_activation_clamps(lib: Library) -> None:
    x = f32(np.nan, np.inf, -np.inf, 9).reshape(1, 1, 4, 1)
    w = np.ones((1, 1, 1, 1), np.float32)
    for name, rest in (
        ("CONV_2D", [w, f32(0), 2, 1, 1, 3]),
        ("DEPTHWISE_CONV_2D", [w, f32(0), 2, 1, 1, 1, 3]),
        ("MAX_POOL_2D", [2, 1, 1, 1, 1, 3]),
        ("AVERAGE_POOL_2D", [2, 1, 1, 1, 1, 3]),
    ):
        np.testing.assert_array_equal(run(lib, name, [x, *rest], FLOAT).ravel(), [np.nan, 6, 0, 6])


# --- Pooling and resizing ----------------------------------------------------------------------


def test_pooling_by_hand(lib: Library) -> None:
    x = iota(1, 3, 3, 1)
    same: list[Any] = [x, 1, 2, 2, 2, 2, 0]
    for name, expected in (
        ("MAX_POOL_2D", f32(5, 6, 8, 9)),
        ("AVERAGE_POOL_2D", f32(3, 4.5, 7.5, 9)),  # only elements inside count
        ("L2_POOL_2D", np.sqrt([46 / 4, 45 / 2, 113 / 2, 81])),
    ):
        got = run(lib, name, same, FLOAT)
        np.testing.assert_allclose(got.ravel(), expected, rtol=1e-7)
    codes = Quant(np.array([[1, 2], [0, 3]], np.int8).reshape(1, 2, 2, 1), 0.5, 3)
    like = Out("int8", 0.5, 3)
    # Means of real values: (-2 - 1 - 3 + 0) / 4 = -1.5 codes, away from zero: -2.
    mean = run(lib, "AVERAGE_POOL_2D", [codes, 2, 1, 1, 2, 2, 0], like)
    assert mean.ravel() == [1]


def test_resize_by_hand(lib: Library) -> None:
    x = iota(1, 1, 4, 1)
    for flags, nearest in (
        ((), [1, 1, 2, 3, 3, 4]),
        ((True, False), [1, 2, 2, 3, 3, 4]),
        ((False, True), [1, 2, 2, 3, 4, 4]),
    ):
        inputs = [x, 6, 1, False, *flags]
        got = run(lib, "RESIZE_NEAREST_NEIGHBOR", inputs, FLOAT).ravel()
        np.testing.assert_array_equal(got, nearest)
    for flags, bilinear in (
        ((), f32(1, 1.5, 2, 2.5, 3, 3.5, 4, 4)),
        ((True, False), 1 + f32(*range(8)) * 3 / 7),
        ((False, True), f32(1, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75, 4)),
    ):
        by_shape = run(lib, "RESIZE_BILINEAR", [x, 8, 1, False, *flags], FLOAT).ravel()
        np.testing.assert_allclose(by_shape, bilinear, rtol=1e-6)
        scales = [np.float32(2.2), np.float32(1.9)]  # floor(4 * 2.2) = 8, floor(1.9) = 1
        by_scale = run(lib, "RESIZE_BILINEAR", [x, *scales, False, *flags], FLOAT).ravel()
        np.testing.assert_array_equal(by_scale, by_shape)
    # 10 * 0.7f is 7 in single precision, though 0.7f is a little less than 0.7.
    row = np.zeros((1, 1, 10, 1), np.float32)
    for name in ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"):
        got = run(lib, name, [row, np.float32(0.7), np.float32(1), False], FLOAT)
        assert got.shape == (1, 1, 7, 1)


# --- Blocks, products, normalization -----------------------------------------------------------


def test_blocks_and_their_inverses(lib: Library) -> None:
    x = iota(1, 2, 2, 4)
    wide = run(lib, "DEPTH_TO_SPACE", [x, 2], FLOAT)
    np.testing.assert_array_equal(
        wide[0, :, :, 0], [[1, 2, 5, 6], [3, 4, 7, 8], [9, 10, 13, 14], [11, 12, 15, 16]]
    )
    np.testing.assert_array_equal(run(lib, "SPACE_TO_DEPTH", [wide, 2], FLOAT), x)
    batches = run(lib, "SPACE_TO_BATCH_ND", [wide, i32(2, 2), i32((0, 0), (2, 0))], FLOAT)
    assert batches.shape == (4, 2, 3, 1)
    np.testing.assert_array_equal(batches[3, :, :, 0], [[0, 4, 8], [0, 12, 16]])
    back = run(lib, "BATCH_TO_SPACE_ND", [batches, i32(2, 2)], FLOAT)
    np.testing.assert_array_equal(back[:, :, 2:], wide)


def test_batch_matmul(lib: Library) -> None:
    x, y = iota(2, 2, 3), iota(2, 3, 2)
    plain = run(lib, "BATCH_MATMUL", [x, y, False, False], FLOAT)
    np.testing.assert_array_equal(plain, x @ y)
    turned = [np.ascontiguousarray(a.swapaxes(1, 2)) for a in (x, y)]
    np.testing.assert_array_equal(run(lib, "BATCH_MATMUL", [*turned, True, True], FLOAT), plain)


def test_normalizations(lib: Library) -> None:
    x = f32((3, 4), (0, 0))
    np.testing.assert_allclose(
        run(lib, "L2_NORMALIZATION", [x], FLOAT), f32((0.6, 0.8), (0, 0)), rtol=1e-7
    )
    codes = Quant(np.array([[131, 132]], np.uint8), 0.7, 128)
    got = run(lib, "L2_NORMALIZATION", [codes], Out("uint8", 1 / 128, 128))
    np.testing.assert_array_equal(got, [[205, 230]])  # 0.6 * 128 = 76.8, 0.8 * 128 = 102.4
    scalars: list[Any] = [1, np.float32(1), np.float32(2), np.float32(0.5)]
    got = run(lib, "LOCAL_RESPONSE_NORMALIZATION", [f32((1, 2, 3)), *scalars], FLOAT)
    np.testing.assert_allclose(got.ravel(), [1 / 11**0.5, 2 / 29**0.5, 3 / 27**0.5], rtol=1e-6)
    rest: list[Any] = [np.float32(2), np.float32(1), np.float32(0.25), False]
    image = f32(1, 5, 3, 3).reshape(1, 2, 2, 1)  # mean 3, variance 2
    got = run(lib, "INSTANCE_NORMALIZATION", [image, *rest], FLOAT)
    np.testing.assert_allclose(got.ravel(), 1 + f32(-2, 2, 0, 0) * 2 / 1.5, rtol=1e-6)


# --- Regions -----------------------------------------------------------------------------------


def test_regions(lib: Library) -> None:
    x, ratio = iota(1, 4, 4, 1), np.float32(2)
    rois, batch = f32((0, 0, 8, 8)), i32(0)
    mean: list[Any] = [x, rois, batch, 2, 2, ratio, ratio, 1, 1, False]
    # Samples at (1, 1), (1, 3), (3, 1), (3, 3).
    got = run(lib, "ROI_ALIGN", mean, FLOAT)
    np.testing.assert_array_equal(got.ravel(), [6, 8, 14, 16])
    pooled: list[Any] = [x, f32((0, 0, 6, 6)), batch, 2, 2, ratio, ratio, False]
    got = run(lib, "ROI_POOLING", pooled, FLOAT)
    np.testing.assert_array_equal(got.ravel(), [6, 8, 14, 16])
    outside: list[Any] = [x, f32((40, 40, 46, 46)), batch, 1, 1, ratio, ratio, False]
    assert run(lib, "ROI_POOLING", outside, FLOAT).ravel() == [0]


def test_heatmap(lib: Library) -> None:
    place = np.arange(5) - 2.25
    paraboloid = 10 - place[:, None] ** 2 - (place[None, :] + 0.5) ** 2
    heatmap = paraboloid.astype(np.float32).reshape(1, 5, 5, 1)
    boxes = f32((10, 20, 20, 40))
    answer = apply(lib, "HEATMAP_MAX_KEYPOINT", [heatmap, boxes, False], [FLOAT, FLOAT])
    score, keypoint = answer.outputs
    np.testing.assert_allclose(score, [[10]], rtol=1e-6)  # the quadratic is exact here
    np.testing.assert_allclose(keypoint, [[[10 + 2.25 * 2, 20 + 2.75 * 4]]], rtol=1e-6)


# --- Refusals and empty batches ----------------------------------------------------------------

X, W, B = iota(1, 3, 3, 2), iota(4, 2, 2, 2), f32(0, 0, 0, 0)
REFUSED: list[tuple[str, list[Any]]] = [
    ("CONV_2D", [X, W, B, 3, 1, 1, 0]),  # no such padding scheme
    ("CONV_2D", [X, W, B, 2, 0, 1, 0]),  # stride
    ("CONV_2D", [X, W, B, 2, 1, 1, 4]),  # activation
    ("CONV_2D", [X, W, B, -1, 0, 0, 0, 1, 1, 0]),
    ("CONV_2D", [X, W, B, 2, 1, 1, 0, False, 0, 1]),  # dilation
    ("CONV_2D", [X, W, B, 2, 1, 1, 0, False, 3, 3]),  # does not fit
    ("CONV_2D", [X, W, f32(0), 2, 1, 1, 0]),
    ("CONV_2D", [X, iota(4, 2, 2, 3), B, 2, 1, 1, 0]),
    ("CONV_2D", [X, W, B, 2**31 - 1, 2**31 - 1, 2**31 - 1, 2**31 - 1, 1, 1, 0]),
    ("GROUPED_CONV_2D", [X, W, B, 2, 1, 1, 3, 0, False]),
    ("GROUPED_CONV_2D", [X, W, B, 2, 1, 1, 0, 0, False]),
    ("DEPTHWISE_CONV_2D", [X, iota(1, 2, 2, 4), B, 2, 1, 1, 3, 0]),
    ("DEPTHWISE_CONV_2D", [X, iota(2, 2, 2, 4), B, 2, 1, 1, 2, 0]),
    ("TRANSPOSE_CONV_2D", [X, W, B, i32(1, 9, 9, 4), 1, 2, 2, 0, False]),
    ("TRANSPOSE_CONV_2D", [X, W, B, i32(1, 6, 6, 3), 1, 2, 2, 0, False]),
    ("TRANSPOSE_CONV_2D", [X, W, B, 9, 9, 9, 9, 1, 1, 0, False]),
    ("FULLY_CONNECTED", [iota(2, 5), iota(4, 3), B, 0]),
    ("MAX_POOL_2D", [X, 2, 0, 0, 0, 1, 1, 2, 2, 0]),  # a window in the padding alone
    ("AVERAGE_POOL_2D", [X, 2, 1, 1, 0, 1, 0]),  # no filter
    ("L2_POOL_2D", [X, 2, 1, 1, 4, 4, 0]),
    ("RESIZE_BILINEAR", [X, 0, 2]),
    ("RESIZE_BILINEAR", [X, np.float32(0.1), np.float32(np.nan)]),
    ("RESIZE_NEAREST_NEIGHBOR", [X, 2, 2, False, True, True]),
    ("DEPTH_TO_SPACE", [X, 2]),
    ("DEPTH_TO_SPACE", [X, 2**31 - 1]),
    ("SPACE_TO_DEPTH", [X, 0]),
    ("SPACE_TO_DEPTH", [X, 2]),
    ("BATCH_TO_SPACE_ND", [X, i32(2, 1)]),
    ("BATCH_TO_SPACE_ND", [X, i32(1, 1, 1)]),
    ("SPACE_TO_BATCH_ND", [X, i32(3, 3), i32((0, 0), (-3, 3))]),
    ("SPACE_TO_BATCH_ND", [X, i32(2, 2), i32((0, 0), (0, 1))]),
    ("BATCH_MATMUL", [iota(2, 2, 3), iota(3, 3, 2)]),
    ("BATCH_MATMUL", [iota(2, 3), iota(2, 3)]),
    ("L2_NORMALIZATION", [X, 4]),
    ("L2_NORMALIZATION", [X, -5]),
    ("LOCAL_RESPONSE_NORMALIZATION", [X, -1, *f32(1, 1, 1)]),
    ("LOCAL_RESPONSE_NORMALIZATION", [X, 1, *f32(0, 1, 1)]),
    ("ROI_ALIGN", [X, f32((0, 0, 1, 1)), i32(1), 1, 1, *f32(1, 1), 0, 0, False]),
    ("ROI_ALIGN", [X, f32((0, 0, 1, 1)), i32(0), 1, 1, *f32(0, 1), 0, 0, False]),
    ("ROI_ALIGN", [X, f32((0, 0, 1, 1)), i32(0), 1, 1, *f32(1, 1), 2**20, 2**20, False]),
    ("ROI_POOLING", [X, f32((2, 0, 1, 1)), i32(0), 1, 1, *f32(1, 1), False]),
    ("ROI_POOLING", [X, f32((0, 0, 1, 1)), i32(-1), 1, 1, *f32(1, 1), False]),
]


@pytest.mark.parametrize(("name", "inputs"), REFUSED)
@pytest.mark.documented
def test_refusals(lib: Library, name: str, inputs: list[Any]) -> None:
    """With parameters and dimensions in the model, and with both known only at execution."""
    refusals(lib, name, inputs, FLOAT)


EMPTY: list[tuple[str, list[Any], tuple[int, ...]]] = [
    ("CONV_2D", [W, B, 2, 1, 1, 0], (0, 2, 2, 4)),
    ("GROUPED_CONV_2D", [W, B, 2, 1, 1, 1, 0, False], (0, 2, 2, 4)),
    ("DEPTHWISE_CONV_2D", [iota(1, 2, 2, 4), B, 2, 1, 1, 2, 0, False], (0, 2, 2, 4)),
    ("TRANSPOSE_CONV_2D", [W, B, 0, 0, 0, 0, 1, 1, 0, False], (0, 4, 4, 4)),
    ("FULLY_CONNECTED", [iota(4, 18), B, 0], (0, 4)),
    ("MAX_POOL_2D", [2, 1, 1, 2, 2, 0], (0, 2, 2, 2)),
    ("RESIZE_BILINEAR", [5, 4], (0, 4, 5, 2)),
    ("RESIZE_NEAREST_NEIGHBOR", [5, 4, False], (0, 4, 5, 2)),
    ("L2_NORMALIZATION", [], (0, 3, 3, 2)),
    ("SPACE_TO_DEPTH", [3], (0, 1, 1, 18)),
]


@pytest.mark.parametrize(("name", "rest", "shape"), EMPTY)
def test_empty_batches(lib: Library, name: str, rest: list[Any], shape: Any) -> None:
    """Zero batches are made inside a model, here by a SLICE."""
    model = Model(lib)
    x = model.operand(OperandCode.TENSOR_FLOAT32, (1, 3, 3, 2))
    empty = model.operand(OperandCode.TENSOR_FLOAT32)
    ends = [model.operand(OperandCode.TENSOR_INT32, (4,)) for _ in range(2)]
    for end, value in zip(ends, (i32(0, 0, 0, 0), i32(0, 3, 3, 2)), strict=True):
        model.value(end, value)
    ok(model.operation(OperationCode.SLICE, [x, *ends], [empty]))
    operands = [empty]
    for item in rest:
        index, array = operand(model, item)
        operands.append(model.value(index, array))
    out = model.operand(OperandCode.TENSOR_FLOAT32)
    ok(model.operation(OperationCode[name], operands, [out]))
    execution = Execution(model.finished([x], [out]).compile())
    ok(execution.input(0, X))
    ok(execution.output(0, np.zeros(16, np.float32)))
    ok(execution.compute())
    assert execution.shape(0) == (ResultCode.NO_ERROR, list(shape))
