"""One output against one `Expected`: which elements are legal, and by what margin."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.judge.draws import draws_margin
from nnapi_testkit.judge.profiles import CTS_CODES, CTS_FLOAT16, CTS_FLOAT32, Profile
from nnapi_testkit.model.case import Expected
from nnapi_testkit.model.types import Operand
from nnapi_testkit.op.bounds import ARITHMETIC, SMALLEST
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.kinds import OutputKind
from nnapi_testkit.spec.operands import CODE_RANGE, DTYPE, FLOATS

Reals = NDArray[np.float64]
Mask = NDArray[np.bool_]
_MAXIMUM = {
    OperandCode.TENSOR_FLOAT32: 3.4028234663852886e38,
    OperandCode.TENSOR_FLOAT16: 65504.0,
}
# Half an ulp above the largest finite number: from here on rounding gives infinity.
_OVERFLOW = {
    OperandCode.TENSOR_FLOAT32: 3.4028235677973366e38,
    OperandCode.TENSOR_FLOAT16: 65520.0,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What comparing one output found.

    Args:
        wrong: mask of illegal elements, in the output's shape. nan: those of them where
            exactly one side is NaN.
        compared, exempt: element counts.
        margin: worst error over allowance of the legal and illegal elements alike.
        tolerance: the smallest absolute error (real units) that would pass all elements.
        actual: real values; codes: the codes of a quantized output; low, high: legal codes.
        clamped: elements where the largest finite number stands for one beyond it; exempt.
        bias: mean distance from exact rounding in codes, and the limit it had to keep.
    """

    wrong: Mask
    nan: Mask
    compared: int
    exempt: int
    margin: float
    tolerance: float
    actual: Reals
    allowed: Reals
    codes: NDArray[np.int64] | None = None
    low: NDArray[np.int64] | None = None
    high: NDArray[np.int64] | None = None
    bias: float | None = None
    bias_limit: float = math.inf
    clamped: int = 0

    @property
    def ok(self) -> bool:
        """Whether every element is legal and the errors have no bias."""
        biased = self.bias is not None and abs(self.bias) > self.bias_limit
        return not biased and not bool(self.wrong.any())


def compare(
    operand: Operand,
    expected: Expected,
    data: bytes,
    profile: Profile,
    relaxed: bool,
    clamps: bool = False,
) -> Comparison:
    """Judge the bytes of one output.

    Args:
        operand: the output operand: its type and quantization.
        data: the output's bytes; at least the expected shape's.
        relaxed: the model allows float32 to be computed as float16.
        clamps: the largest finite number may stand for a result beyond it.
    """
    code = OperandCode(operand.type)
    shape = expected.value.shape
    raw = np.frombuffer(data, dtype=DTYPE[code], count=math.prod(shape)).reshape(shape)
    if expected.kind == OutputKind.DRAWS:
        return _draws(expected, raw.astype(np.int64))
    with np.errstate(all="ignore"):
        if code in FLOATS:
            return _floats(code, expected, raw.astype(np.float64), profile, relaxed, clamps)
        if code in CODE_RANGE and expected.kind != OutputKind.TRUTH:
            return _quantized(code, operand, expected, raw.astype(np.int64), profile)
        if code == OperandCode.TENSOR_BOOL8 or expected.kind == OutputKind.TRUTH:
            raw = raw != 0
        return _integers(expected, raw.astype(np.float64), profile, code)


def _draws(expected: Expected, actual: NDArray[np.int64]) -> Comparison:
    """A row that does not follow its distribution is wrong as a whole."""
    assert expected.distribution is not None
    margins = draws_margin(expected.distribution, actual)[..., None]
    margin = np.broadcast_to(margins, actual.shape)
    real = actual.astype(np.float64)
    return _finish(
        expected,
        margin > 1,
        np.zeros(actual.shape, bool),
        margin,
        real,
        actual=real,
        allowed=np.zeros(actual.shape),
    )


def _finish(
    expected: Expected, wrong: Mask, nan: Mask, margin: Reals, error: Reals, **more: Any
) -> Comparison:
    exempt = 0
    if expected.exempt is not None:
        wrong = wrong & ~expected.exempt
        nan = nan & ~expected.exempt
        margin = np.where(expected.exempt, 0.0, margin)
        error = np.where(expected.exempt, 0.0, error)
        exempt = int(expected.exempt.sum())
    size = wrong.size
    return Comparison(
        wrong=wrong,
        nan=nan,
        compared=size - exempt,
        exempt=exempt,
        margin=float(margin.max()) if size else 0.0,
        tolerance=float(error.max()) if size else 0.0,
        **more,
    )


def _floats(
    code: OperandCode,
    expected: Expected,
    actual: Reals,
    profile: Profile,
    relaxed: bool,
    clamps: bool,
) -> Comparison:
    value = expected.value
    bound = expected.bound
    if profile.fixed:
        half = relaxed or code == OperandCode.TENSOR_FLOAT16
        atol, rtol = CTS_FLOAT16 if half else CTS_FLOAT32
        allowed = atol + rtol * np.abs(value)
    else:
        allowed = bound * profile.float_factor
    # What another processor's float64 makes of the expected value, which no driver is charged with.
    allowed = allowed + np.where(np.isfinite(value), np.abs(value), 0.0) * ARITHMETIC
    error = np.abs(actual - value)
    legal = error <= allowed
    if not legal.all() or not np.isfinite(value).all():
        legal |= np.isnan(value) & np.isnan(actual)
        legal |= np.isinf(value) & (actual == value)
        limit = 65520.0 if relaxed else _OVERFLOW[code]
        may_overflow = (np.abs(value) + allowed >= limit) & np.isfinite(value)
        legal |= np.isinf(actual) & may_overflow & (np.sign(actual) == np.sign(value))
    clamped = 0
    if clamps and not legal.all():
        beyond = np.isinf(value) | (np.abs(value) + allowed >= _OVERFLOW[code])
        finite = ~legal & beyond & (actual == np.sign(value) * _MAXIMUM[code])
        clamped = int(finite.sum())
        if clamped:
            legal |= finite
            open_ = finite if expected.exempt is None else finite | expected.exempt
            expected = replace(expected, exempt=open_)
    exact_zero = (bound == 0) & (value == 0)
    if exact_zero.any():
        legal &= ~exact_zero | (np.signbit(actual) == np.signbit(value))
    finite_error = np.isfinite(error)
    if not finite_error.all():
        error = np.where(finite_error, error, np.where(legal, 0.0, np.inf))
    margin = np.where(error > 0, error / np.maximum(allowed, SMALLEST), 0.0)
    margin = np.where(legal, np.minimum(margin, 1.0), np.maximum(margin, 1.0 + 1e-9))
    nan = ~legal & (np.isnan(actual) != np.isnan(value))
    return _finish(
        expected, ~legal, nan, margin, error, actual=actual, allowed=allowed, clamped=clamped
    )


def _quantized(
    code: OperandCode,
    operand: Operand,
    expected: Expected,
    actual: NDArray[np.int64],
    profile: Profile,
) -> Comparison:
    first, last = CODE_RANGE[code]
    scale, zero = operand.scale, operand.zero_point
    real = expected.value / scale + zero
    mask = expected.exempt
    if not np.isfinite(real).all():
        # NaN has no code: any is legal. Infinities saturate.
        open_ = np.isnan(real)
        mask = open_ if mask is None else open_ | mask
        real = np.nan_to_num(real, nan=float(zero), posinf=last + 2.0, neginf=first - 2.0)
    real = np.minimum(np.maximum(real, first - 2.0), last + 2.0)
    if profile.fixed:
        extra: Any = CTS_CODES
    else:
        extra = np.where(expected.bound > 0, profile.codes, 0) if profile.codes else 0
    # Round to nearest; a tie may go either way, whatever the last place of float64 says.
    reach = 0.5 + np.minimum(expected.bound / scale, last - first)
    reach = reach + (np.abs(real) + abs(zero)) * ARITHMETIC
    low = np.minimum(np.maximum(np.ceil(real - reach), first), last)
    high = np.minimum(np.maximum(np.floor(real + reach), first), last)
    legal = (actual >= low - extra) & (actual <= high + extra)
    if mask is not None:
        legal |= mask
    error = np.abs(actual - np.minimum(np.maximum(real, first), last))
    margin = error / (reach + extra)
    margin = np.where(legal, np.minimum(margin, 1.0), np.maximum(margin, 1.0 + 1e-9))
    bias, limit = None, math.inf
    if profile.bias_sigmas and real.size >= profile.bias_outputs:
        inside = (real > first + 1 + 1e-6) & (real < last - 1 - 1e-6)
        counted = (expected.bound > 0) & inside
        if mask is not None:
            counted &= ~mask
        number = int(counted.sum())
        if number >= profile.bias_outputs // 2:
            # How far beyond exact rounding: ties and what the bound leaves open count nothing.
            beyond = actual - np.minimum(np.maximum(actual, low), high)
            bias = float(beyond[counted].mean())
            limit = profile.bias_sigmas * math.sqrt(1 / 12 / number)
    return _finish(
        Expected(expected.value, expected.bound, mask),
        ~legal,
        np.zeros_like(legal),
        margin,
        error * scale,
        actual=(actual - zero) * scale,
        allowed=(reach + extra) * scale,
        codes=actual,
        low=(low - extra).astype(np.int64),
        high=(high + extra).astype(np.int64),
        bias=bias,
        bias_limit=limit,
    )


def _integers(expected: Expected, actual: Reals, profile: Profile, code: OperandCode) -> Comparison:
    allowed = expected.bound.copy()
    if profile.fixed and code == OperandCode.TENSOR_INT32:
        allowed = np.maximum(allowed, 1.0)
    error = np.nan_to_num(np.abs(actual - expected.value), nan=0.0)
    legal = error <= allowed
    margin = np.where(legal, 0.0, 1.0 + error)
    nothing = np.zeros_like(legal)
    return _finish(expected, ~legal, nothing, margin, error, actual=actual, allowed=allowed)
