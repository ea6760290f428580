"""Element-wise kernels: worked examples, and plain formulas over random values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.driver.apply import Out, Quant, apply, quantized, refusals, run
from tests.driver.capi import Library

F32, F16, I32, BOOL = Out("float32"), Out("float16"), Out("int32"), Out("bool")
NONE, RELU, RELU1, RELU6 = range(4)


def f32(*values: Any) -> np.ndarray[Any, Any]:
    return np.array(values, np.float32)


def i32(*values: Any) -> np.ndarray[Any, Any]:
    return np.array(values, np.int32)


def spread(seed: int, *shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(0, 3, shape).astype(np.float32)


def codes(seed: int, dtype: str, *shape: int) -> np.ndarray[Any, Any]:
    info = np.iinfo(dtype)
    rng = np.random.default_rng(seed)
    return rng.integers(info.min, info.max + 1, shape).astype(dtype)


PAIRS: dict[str, Callable[..., Any]] = {
    "ADD": lambda a, b: a + b,
    "SUB": lambda a, b: a - b,
    "MUL": lambda a, b: a * b,
    "DIV": lambda a, b: a / b,
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("shapes", [((3, 5), (3, 5)), ((4, 1, 2), (5, 4, 3, 1)), ((2, 7), (1,))])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_arithmetic(lib: Library, name: str, shapes: Any, dtype: str) -> None:
    a, b = (spread(i, *shape).astype(dtype) for i, shape in enumerate(shapes))
    exact = PAIRS[name](a.astype(np.float64), b.astype(np.float64))
    for fuse, low, high in [(NONE, None, None), (RELU, 0, None), (RELU1, -1, 1), (RELU6, 0, 6)]:
        want = exact if low is None else np.clip(exact, low, high)
        np.testing.assert_array_equal(run(lib, name, [a, b, fuse], Out(dtype)), want.astype(dtype))


@pytest.mark.parametrize("name", ["ADD", "SUB", "MUL"])
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_arithmetic_quantized(lib: Library, name: str, dtype: str) -> None:
    zero = 128 if dtype == "uint8" else 0
    a = Quant(codes(1, dtype, 8, 50), 0.5, zero + 3)
    b = Quant(codes(2, dtype, 50), 0.25, zero - 5)
    for out in (Out(dtype, 0.5, zero), Out(dtype, 0.3, zero + 20)):
        for fuse, low, high in [(NONE, -1e9, 1e9), (RELU1, -1, 1), (RELU6, 0, 6)]:
            real = PAIRS[name](a.real, b.real)
            want = np.clip(quantized(real, out), quantized(low, out), quantized(high, out))
            np.testing.assert_array_equal(run(lib, name, [a, b, fuse], out), want)


@pytest.mark.documented
def test_integer_arithmetic(lib: Library) -> None:
    a, b = i32(5, -5, 7, -7, 0, -(2**31)), i32(2, 2, -2, -2, 3, -1)
    assert list(run(lib, "DIV", [a, b, NONE], I32)) == [2, -3, -4, 3, 0, -(2**31)]
    assert list(run(lib, "SUB", [a, b, NONE], I32))[:5] == [3, -7, 9, -5, -3]
    assert list(run(lib, "DIV", [i32(1), i32(0), NONE], I32)) == [0]
    refusals(lib, "DIV", [a, b, RELU], I32)


@pytest.mark.documented
def test_special_values(lib: Library) -> None:
    nan, inf = np.nan, np.inf
    x = f32(nan, inf, -inf, 0.0, -0.0)
    got = run(lib, "ADD", [x, f32(1), RELU6], F32)
    np.testing.assert_array_equal(got, f32(nan, 6, 0, 1, 1))
    np.testing.assert_array_equal(run(lib, "RELU", [x], F32), f32(nan, inf, 0, 0, 0))
    assert np.isnan(run(lib, "DIV", [f32(0.0), f32(0), NONE], F32))[0]
    np.testing.assert_array_equal(run(lib, "MAXIMUM", [x, f32(0)], F32), f32(nan, inf, 0, 0, 0))
    assert np.isnan(run(lib, "MINIMUM", [f32(0, nan), f32(nan, 0)], F32)).all()


@pytest.mark.documented
def test_arithmetic_refusals(lib: Library) -> None:
    a = spread(0, 2, 3)
    assert refusals(lib, "MUL", [a, spread(1, 2), NONE], F32) == ("finish", "compute")
    assert refusals(lib, "MUL", [a, a, 4], F32) == ("finish", "compute")
    assert refusals(lib, "MUL", [a, a], F32) == ("finish", "finish")
    assert refusals(lib, "MUL", [a, a.astype(np.float16), NONE], F32) == ("finish", "finish")
    quant = Quant(codes(0, "uint8", 4), 0.5, 0)
    assert refusals(lib, "MUL", [quant, quant, NONE], Out("uint8", 0.25)) == ("finish", "finish")
    assert refusals(lib, "DIV", [quant, quant, NONE], Out("uint8", 1.0)) == ("finish", "finish")
    assert refusals(lib, "SUB", [spread(0, 1, 1, 1, 1, 1), a, NONE], F32)[0] == "finish"
    # [65536, 1] + [1, 65536] would have 2^32 elements.
    wide = np.zeros((65536, 1), np.float32)
    answer = apply(lib, "ADD", [wide, wide.reshape(1, 65536), NONE], F32, constant=False)
    assert answer.code.name == "OUT_OF_MEMORY"


UNARY: dict[str, Callable[..., Any]] = {
    "ABS": np.abs,
    "EXP": np.exp,
    "FLOOR": np.floor,
    "LOG": lambda x: np.log(np.abs(x)),
    "NEG": np.negative,
    "RSQRT": lambda x: 1 / np.sqrt(np.abs(x)),
    "SIN": np.sin,
    "SQRT": lambda x: np.sqrt(np.abs(x)),
    "LOGISTIC": lambda x: 1 / (1 + np.exp(-x)),
    "TANH": np.tanh,
    "RELU": lambda x: np.maximum(x, 0),
    "RELU1": lambda x: np.clip(x, -1, 1),
    "RELU6": lambda x: np.clip(x, 0, 6),
    "HARD_SWISH": lambda x: x * np.clip(x + 3, 0, 6) / 6,
}


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_unary(lib: Library, name: str, dtype: str) -> None:
    x = spread(3, 2, 3, 41).astype(dtype)
    if name in ("LOG", "SQRT", "RSQRT"):
        x = np.abs(x)
    want = UNARY[name](x.astype(np.float64)).astype(dtype)
    np.testing.assert_array_equal(run(lib, name, [x], Out(dtype)), want)


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.documented
def test_unary_quantized(lib: Library, dtype: str) -> None:
    low = np.iinfo(dtype).min
    x = Quant(np.tile((np.arange(256) + low).astype(dtype), 2), 0.0625, low + 100)
    for name, out in [
        ("LOGISTIC", Out(dtype, 1 / 256, low)),
        ("TANH", Out(dtype, 1 / 128, low + 128)),
        ("RELU", Out(dtype, 0.0625, low + 100)),
        ("RELU1", Out(dtype, 0.0625, low + 100)),
        ("RELU6", Out(dtype, 0.0625, low + 100)),
        ("HARD_SWISH", Out(dtype, 0.125, low + 30)),
    ]:
        got = run(lib, name, [x], out)
        np.testing.assert_array_equal(got, quantized(UNARY[name](x.real), out), name)
    positive = Quant(np.arange(low + 101, low + 256).astype(dtype), 0.5, low + 100)
    out = Out(dtype, 0.01, low + 10)
    got = run(lib, "RSQRT", [positive], out)
    np.testing.assert_array_equal(got, quantized(1 / np.sqrt(positive.real), out))
    assert refusals(lib, "LOGISTIC", [x], Out(dtype, 1 / 128, low)) == ("finish", "finish")
    assert refusals(lib, "TANH", [x], Out(dtype, 1 / 128, low)) == ("finish", "finish")
    assert refusals(lib, "RELU", [x], Out(dtype, 0.5, low + 100)) == ("finish", "finish")


def test_elu(lib: Library) -> None:
    x = f32(-2, -0.5, 0, 3, np.nan, np.inf, -np.inf, 800)
    for alpha in (1.0, 0.3, 0.0):
        want = np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0).astype(np.float64)))
        want = np.where(np.isnan(x), x, want).astype(np.float32)
        np.testing.assert_allclose(run(lib, "ELU", [x, np.float32(alpha)], F32), want, rtol=2e-7)
    half = run(lib, "ELU", [x[:4].astype(np.float16), np.float16(1)], F16)
    np.testing.assert_array_equal(half, np.array([np.expm1(-2), np.expm1(-0.5), 0, 3], np.float16))


@pytest.mark.documented
def test_softmax(lib: Library) -> None:
    x = spread(4, 2, 3, 4, 5)
    for axis in (-4, -1, 1, 3):
        for beta in (1.0, 0.4):
            scaled = x.astype(np.float64) * np.float32(beta)
            power = np.exp(scaled)
            total = power.sum(axis, keepdims=True)
            parameters = [x, np.float32(beta), axis]
            got = run(lib, "SOFTMAX", parameters, F32)
            np.testing.assert_allclose(got, power / total, rtol=2e-7)
            got = run(lib, "LOG_SOFTMAX", parameters, F32)
            np.testing.assert_allclose(got, scaled - np.log(total), rtol=2e-6, atol=1e-7)
    default = run(lib, "SOFTMAX", [x, np.float32(1)], F32)
    np.testing.assert_array_equal(default, run(lib, "SOFTMAX", [x, np.float32(1), -1], F32))
    big = run(lib, "LOG_SOFTMAX", [f32(1e4, 0, -1e4), np.float32(1), 0], F32)
    np.testing.assert_array_equal(big, f32(0, -1e4, -2e4))
    out = Out("int8", 1 / 256, -128)
    quant = Quant(codes(1, "int8", 6, 9), 0.1, 5)
    power = np.exp(quant.real)
    want = quantized(power / power.sum(-1, keepdims=True), out)
    np.testing.assert_array_equal(run(lib, "SOFTMAX", [quant, np.float32(1)], out), want)
    for bad in (np.float32(0), np.float32(-1), np.float32(np.nan)):
        assert refusals(lib, "SOFTMAX", [x, bad], F32) == ("finish", "compute")
    assert refusals(lib, "SOFTMAX", [x, np.float32(1), 4], F32) == ("finish", "compute")
    assert refusals(lib, "LOG_SOFTMAX", [x, np.float32(1), -5], F32) == ("finish", "compute")
    assert refusals(lib, "SOFTMAX", [x, np.float16(1)], F32) == ("finish", "finish")


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_prelu_and_extremes_quantized(lib: Library, dtype: str) -> None:
    low = np.iinfo(dtype).min
    a = Quant(codes(5, dtype, 6, 40), 0.25, low + 120)
    b = Quant(codes(6, dtype, 40), 0.015, low + 60)
    out = Out(dtype, 0.2, low + 90)
    want = quantized(np.where(a.real < 0, a.real * b.real, a.real), out)
    np.testing.assert_array_equal(run(lib, "PRELU", [a, b], out), want)
    for name, f in [("MAXIMUM", np.maximum), ("MINIMUM", np.minimum)]:
        want = quantized(f(a.real, b.real), out)
        np.testing.assert_array_equal(run(lib, name, [a, b], out), want)


def test_pairs_without_activation(lib: Library) -> None:
    a, b = spread(7, 4, 3), spread(8, 3) / 3
    want = np.where(a < 0, a * b, a)
    np.testing.assert_array_equal(run(lib, "PRELU", [a, b], F32), want)
    base = np.abs(a)
    power = np.power(base.astype(np.float64), b)
    np.testing.assert_array_equal(run(lib, "POW", [base, b], F32), power.astype(np.float32))
    got = run(lib, "POW", [base.astype(np.float16), b.astype(np.float16)], F16)
    half = base.astype(np.float16).astype(np.float64) ** b.astype(np.float16).astype(np.float64)
    np.testing.assert_array_equal(got, half.astype(np.float16))
    whole = i32(-3, 7, 2)
    np.testing.assert_array_equal(run(lib, "MAXIMUM", [whole, i32(0)], I32), [0, 7, 2])
    p, q = np.array([0, 0, 1, 1], bool), np.array([0, 1, 0, 1], bool)
    np.testing.assert_array_equal(run(lib, "LOGICAL_AND", [p, q], BOOL), p & q)
    np.testing.assert_array_equal(run(lib, "LOGICAL_OR", [p, q], BOOL), p | q)
    np.testing.assert_array_equal(run(lib, "LOGICAL_NOT", [p], BOOL), ~p)


COMPARE: dict[str, Callable[..., Any]] = {
    "EQUAL": np.equal,
    "NOT_EQUAL": np.not_equal,
    "LESS": np.less,
    "LESS_EQUAL": np.less_equal,
    "GREATER": np.greater,
    "GREATER_EQUAL": np.greater_equal,
}


@pytest.mark.parametrize("name", COMPARE)
@pytest.mark.documented
def test_comparison(lib: Library, name: str) -> None:
    f = COMPARE[name]
    x, y = f32([1, 2, np.nan], [-0.0, np.inf, 5]), f32(1, np.inf, 5)
    for dtype in ("float32", "float16"):
        left, right = x.astype(dtype), y.astype(dtype)
        np.testing.assert_array_equal(run(lib, name, [left, right], BOOL), f(left, right))
    np.testing.assert_array_equal(run(lib, name, [i32(1, 2), i32(2)], BOOL), f([1, 2], [2]))
    p = np.array([True, False])
    np.testing.assert_array_equal(run(lib, name, [p, p[::-1].copy()], BOOL), f(p, p[::-1]))
    a, b = Quant(codes(1, "uint8", 99), 0.5, 100), Quant(codes(2, "uint8", 99), 0.25, 3)
    np.testing.assert_array_equal(run(lib, name, [a, b], BOOL), f(a.real, b.real))
    assert refusals(lib, name, [x, y], F32) == ("finish", "finish")


@pytest.mark.documented
def test_select(lib: Library) -> None:
    mask = np.array([[1, 0, 1], [0, 0, 1]], bool)
    x, y = spread(1, 2, 3), spread(2, 2, 3)
    np.testing.assert_array_equal(run(lib, "SELECT", [mask, x, y], F32), np.where(mask, x, y))
    a, b = Quant(codes(1, "int8", 2, 3), 0.5, 4), Quant(codes(2, "int8", 2, 3), 0.3, -9)
    out = Out("int8", 0.7, 1)
    want = quantized(np.where(mask, a.real, b.real), out)
    np.testing.assert_array_equal(run(lib, "SELECT", [mask, a, b], out), want)
    assert refusals(lib, "SELECT", [mask, x, spread(2, 2, 4)], F32) == ("finish", "compute")


def test_quantize_and_dequantize(lib: Library) -> None:
    x = f32(0.25, -0.25, 0.75, 1e9, -1e9, 0.1, 3.4)  # halves of the scale: away from zero
    assert list(run(lib, "QUANTIZE", [x], Out("uint8", 0.5, 10))) == [11, 9, 12, 255, 0, 10, 17]
    assert list(run(lib, "QUANTIZE", [x], Out("int8", 0.5, 0))) == [1, -1, 2, 127, -128, 0, 7]
    half = x[[0, 1, 2, 6]].astype(np.float16)
    assert list(run(lib, "QUANTIZE", [half], Out("int8", 0.5, 0))) == [1, -1, 2, 7]
    for dtype in ("uint8", "int8"):
        quant = Quant(codes(3, dtype, 4, 9), 0.1, 7)
        for real in ("float32", "float16"):
            got = run(lib, "DEQUANTIZE", [quant], Out(real))
            np.testing.assert_array_equal(got, quant.real.astype(real))


@pytest.mark.documented
def test_cast(lib: Library) -> None:
    x = f32(1.9, -1.9, 0, 250.5)
    assert list(run(lib, "CAST", [x], I32)) == [1, -1, 0, 250]
    assert list(run(lib, "CAST", [f32(1.9, 250.5)], Out("uint8", 1.0))) == [1, 250]
    assert list(run(lib, "CAST", [i32(7, -3, 2**24 + 1)], F32)) == [7, -3, 2**24]
    # Halves above 2048 are even: 2049 and 2051 are ties.
    assert list(run(lib, "CAST", [i32(2049, 2051, 65520)], F16)) == [2048, 2052, np.inf]
    quant = Quant(codes(3, "uint8", 9), 0.1, 7)  # scale and zero point are ignored
    np.testing.assert_array_equal(run(lib, "CAST", [quant], F16), quant.codes)
    whole = apply(lib, "CAST", [f32(3e9, -3e9, np.nan, np.inf)], I32).outputs[0]
    assert list(whole) == [2**31 - 1, -(2**31), 0, 2**31 - 1]
    signed = Quant(codes(3, "int8", 9), 0.1, 7)
    np.testing.assert_array_equal(run(lib, "CAST", [signed], Out("int8", 0.1, 7)), signed.codes)
    assert refusals(lib, "CAST", [signed], F32) == ("finish", "finish")
    assert refusals(lib, "CAST", [x], BOOL) == ("finish", "finish")
