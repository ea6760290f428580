"""A first look at an output: whether every element is legal beyond doubt, and by what margin.

Nearly all outputs are right. For these a third of what `compare` computes is enough: no masks of
what is wrong, no infinities and no NaN that need rules of their own. Where anything is in doubt
this says nothing, and `compare` decides; where it speaks, it gives the same numbers in the same
bits (`tests/meta/test_glance.py`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.judge.profiles import CTS_CODES, CTS_FLOAT16, CTS_FLOAT32, Profile
from nnapi_testkit.model.case import Expected
from nnapi_testkit.model.types import Operand
from nnapi_testkit.op.bounds import ARITHMETIC, SMALLEST
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.kinds import OutputKind
from nnapi_testkit.spec.operands import CODE_RANGE, DTYPE, FLOATS

__all__ = ["Right", "glance"]

Reals = NDArray[np.float64]
_largest = np.maximum.reduce
_count = np.count_nonzero


class Right(NamedTuple):
    """What `Comparison` says of an output whose elements are all legal, errors without bias."""

    compared: int
    exempt: int
    margin: float
    tolerance: float


def glance(
    operand: Operand, expected: Expected, data: bytes, profile: Profile, relaxed: bool
) -> Right | None:
    """Return the numbers of an output that is right; None where `compare` has to look.

    The arguments are those of `compare`; the caller ignores numpy's floating-point warnings.
    """
    code = operand.type
    shape = expected.value.shape
    count = math.prod(shape)
    if not count or expected.kind == OutputKind.DRAWS:
        return None
    raw = np.frombuffer(data, DTYPE[code], count).reshape(shape)  # type: ignore[index]
    if code in FLOATS:
        half = relaxed or code == OperandCode.TENSOR_FLOAT16
        return _floats(expected, raw.astype(np.float64), profile, half)
    if code in CODE_RANGE and expected.kind != OutputKind.TRUTH:
        return _quantized(operand, expected, raw, profile)
    if code == OperandCode.TENSOR_BOOL8 or expected.kind == OutputKind.TRUTH:
        raw = raw != 0
    error = np.abs(raw.astype(np.float64) - expected.value)
    if _count(error <= expected.bound) != count:
        return None
    return _right(expected.exempt, None, error)


def _right(exempt: NDArray[np.bool_] | None, margin: Reals | None, error: Reals) -> Right | None:
    """The numbers of legal elements; None where an error is not finite."""
    open_ = 0
    if not math.isfinite(_largest(error, axis=None)):
        return None
    if exempt is not None:
        open_ = int(_count(exempt))
        error = np.where(exempt, 0.0, error)
        if margin is not None:
            margin = np.where(exempt, 0.0, margin)
    worst = 0.0 if margin is None else min(float(_largest(margin, axis=None)), 1.0)
    return Right(error.size - open_, open_, worst, float(_largest(error, axis=None)))


def _floats(expected: Expected, actual: Reals, profile: Profile, half: bool) -> Right | None:
    value, bound = expected.value, expected.bound
    size = np.abs(value)
    if profile.fixed:
        atol, rtol = CTS_FLOAT16 if half else CTS_FLOAT32
        allowed = atol + rtol * size
    else:
        allowed = bound * profile.float_factor
    # Infinite values come to infinite errors here, or to NaN, which are for `compare`.
    allowed += size * ARITHMETIC
    error = np.abs(actual - value)
    if _count(error <= allowed) != error.size:
        return None
    if _count(value) != value.size:
        exact_zero = (bound == 0) & (value == 0)
        if (exact_zero & (np.signbit(actual) != np.signbit(value))).any():
            return None
    return _right(expected.exempt, error / np.maximum(allowed, SMALLEST), error)


def _quantized(
    operand: Operand, expected: Expected, raw: NDArray[np.generic], profile: Profile
) -> Right | None:
    bound = expected.bound
    computed = _count(bound)
    if profile.bias_sigmas and computed and raw.size >= profile.bias_outputs:
        return None
    first, last = CODE_RANGE[operand.type]  # type: ignore[index]
    scale, zero = operand.scale, operand.zero_point
    actual = raw.astype(np.float64)
    real = expected.value / scale + zero
    real = np.minimum(np.maximum(real, first - 2.0), last + 2.0)
    reach: Reals | float = 0.5
    if computed:
        reach = 0.5 + np.minimum(bound / scale, last - first)
    reach = reach + (np.abs(real) + abs(zero)) * ARITHMETIC
    low = np.minimum(np.maximum(np.ceil(real - reach), first), last)
    high = np.minimum(np.maximum(np.floor(real + reach), first), last)
    if profile.fixed:
        extra: Reals | int = CTS_CODES
    else:
        extra = np.where(bound > 0, profile.codes, 0) if computed and profile.codes else 0
    legal = (actual >= low - extra) & (actual <= high + extra)
    if expected.exempt is not None:
        legal |= expected.exempt
    if _count(legal) != legal.size:
        return None
    error = np.abs(actual - np.minimum(np.maximum(real, first), last))
    found = _right(expected.exempt, error / (reach + extra), error)
    return None if found is None else found._replace(tolerance=found.tolerance * scale)
