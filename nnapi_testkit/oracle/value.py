"""`Value`: what an operand holds while a model is evaluated, read from its bytes and given back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nnapi_testkit.model.case import Expected
from nnapi_testkit.model.types import Operand
from nnapi_testkit.op.bounds import SMALLEST
from nnapi_testkit.op.declare import Output
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.kinds import OutputKind
from nnapi_testkit.spec.operands import CODE_RANGE, DTYPE, is_quantized, is_tensor

TIE = 1e-9  # codes from the middle of two: far more than float64 loses, and no bias otherwise


@dataclass(frozen=True, slots=True)
class Value:
    """An operand's value during evaluation.

    Args:
        data: float64 real values, int64 for TENSOR_INT32, bool for TENSOR_BOOL8, in the
            operand's stored layout; a Python scalar for scalars; None if omitted.
        error: how far a driver's real value may be from `data`; None if it is exact.
        exempt: elements the documentation leaves open; None for none.
        kind, distribution: see `Expected`.
    """

    data: Any
    error: Any = None
    exempt: Any = None
    kind: OutputKind = OutputKind.EACH
    distribution: Any = None


def decode(operand: Operand, array: NDArray[np.generic]) -> Value:
    """Codes or floats of an operand as exact real values; of a scalar, a Python one."""
    code = OperandCode(operand.type)
    if not is_tensor(code):
        return _scalar(code, array)
    if code == OperandCode.TENSOR_BOOL8:
        return Value(torch.from_numpy(np.ascontiguousarray(array != 0)))
    if code == OperandCode.TENSOR_INT32:
        return Value(torch.from_numpy(array.astype(np.int64)))
    # Codes have at most 17 bits and scales 24: these products are exact, on every processor.
    with np.errstate(invalid="ignore"):  # a signalling NaN
        data = array.astype(np.float64)
    if operand.channel_quant is not None:
        shape = [1] * data.ndim
        shape[operand.channel_quant.dim] = -1
        data *= np.array(operand.channel_quant.scales).reshape(shape)
    elif is_quantized(code):
        data = (data - operand.zero_point) * operand.scale
    return Value(torch.from_numpy(data))


def constant(operand: Operand) -> Value:
    """The value of a constant, as `decode` gives it."""
    code = OperandCode(operand.type)
    array = np.frombuffer(operand.value, dtype=DTYPE[code])
    return decode(operand, array.reshape(operand.dims))


def _scalar(code: OperandCode, array: NDArray[np.generic]) -> Value:
    item = array.item()
    return Value(bool(item) if code == OperandCode.BOOL else item)


def error_of(value: Value) -> Any:
    """An operand's error; what the documentation left open on the way may be anything."""
    if value.exempt is None or not value.data.is_floating_point():
        return value.error
    error = torch.zeros_like(value.data) if value.error is None else value.error
    return torch.where(value.exempt, torch.inf, error)


def through_codes(operand: Operand, data: Any, error: Any) -> tuple[Any, Any]:
    """A quantized intermediate: clamped to its codes' range, half a code further off.

    What is known exactly can be rounded in one way only, but for a tie.
    """
    low, high = CODE_RANGE[OperandCode(operand.type)]
    scale, zero = operand.scale, operand.zero_point
    clamped = data.clamp((low - zero) * scale, (high - zero) * scale)
    codes = clamped / scale + zero
    nearest = codes.round()
    tied = ((codes - nearest).abs() - 0.5).abs() < TIE
    exact = (error <= SMALLEST) & ~tied
    rounded = torch.where(exact, (nearest - zero) * scale, clamped)
    return rounded, torch.where(exact, 0.0, error + scale / 2)


def decoded(spec: Output, operand: Operand, value: Any) -> Any:
    """The real value of what the reference returned, which may be codes."""
    if spec.codes and is_quantized(OperandCode(operand.type)):
        return (value - operand.zero_point) * operand.scale
    return value


def drawn(distribution: Any, error: Any) -> Value:
    """What a driver draws; `distribution`, `error`: [..., draws, classes], all draws alike."""
    stacked = torch.stack((distribution.select(-2, 0), error.select(-2, 0)))
    open_ = ~(distribution.isfinite() & error.isfinite()).all(-1)
    drawn = torch.zeros(distribution.shape[:-1], dtype=torch.float64)
    return Value(drawn, None, open_, OutputKind.DRAWS, stacked.nan_to_num(0.0, 1.0))


def result_of(operand: Operand, value: Any, bound: Any, exempt: Any, flip: bool) -> Value:
    """The value of an output in its stored layout and its kind of numbers."""
    if flip:
        value, bound = value.permute(0, 2, 3, 1), bound.permute(0, 2, 3, 1)
        exempt = exempt.permute(0, 2, 3, 1) if exempt is not None else None
    if value.dtype == torch.bool or operand.type == OperandCode.TENSOR_INT32:
        if value.dtype == torch.bool:
            return Value(value, None, exempt)
        error = bound if bound.is_floating_point() and bool(bound.any()) else None
        return Value(value.round().to(torch.int64), error, exempt)
    return Value(value, bound, exempt)


def expected(operand: Operand, value: Value) -> Expected:
    """What the oracle says of an output with this value."""
    data = value.data.to(torch.float64).contiguous()
    bound = torch.zeros_like(data) if value.error is None else value.error.contiguous()
    exempt = value.exempt
    values = data.numpy()
    limits = np.broadcast_to(bound.numpy(), values.shape)
    # Where the float64 value itself is infinite or NaN, that is what a driver must give, unless
    # an intermediate sum could overflow on the way (bound not finite although the value is).
    special = ~np.isfinite(values)
    open_ = ~np.isfinite(limits) & ~special
    limits = np.where(special | open_, 0.0, limits)
    mask = open_ if exempt is None else open_ | exempt.numpy()
    distribution = None if value.distribution is None else value.distribution.contiguous().numpy()
    return Expected(values, limits, mask if mask.any() else None, value.kind, distribution)
