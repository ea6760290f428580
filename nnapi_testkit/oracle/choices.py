"""What a driver may choose, and how a sample of a whole model chooses.

Each result of a float type that is too large for it may be infinite, or the largest number where
a driver clamps (a fused activation); what an op file leaves open may be anything. A sample takes
one of these, so that its end shows what follows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from nnapi_testkit.model.types import Operand
from nnapi_testkit.oracle.value import Value
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.kinds import OutputKind
from nnapi_testkit.spec.operands import CODE_RANGE, DTYPE, FLOATS, is_quantized

__all__ = ["apart", "beyond", "chosen", "largest", "picks"]

# From here on a number rounds to infinity where float32 is computed as float16.
_RELAXED = 65520.0


def largest(operand: Operand) -> float:
    """The largest finite number of an operand's type; infinite if it is no float type."""
    code = OperandCode(operand.type)
    if code not in FLOATS:
        return float("inf")
    return float(np.finfo(np.float16 if np.dtype(DTYPE[code]).itemsize == 2 else np.float32).max)


def beyond(operand: Operand, relaxed: bool) -> float:
    """From where on a real value may be infinite as a result of this type."""
    most = largest(operand)
    return min(most, _RELAXED) if relaxed and most < float("inf") else most


def picks(operand: Operand, value: Value) -> bool:
    """Whether a result may pick other elements than the reference's and be right.

    Places and truth values of which an op file leaves some open; rows in any order, draws, and
    truth values of any number.
    """
    if value.kind in (OutputKind.ROWS, OutputKind.GROUPS):
        return len(value.data) > 1
    if value.kind != OutputKind.EACH:
        return True
    whole = not (OperandCode(operand.type) in FLOATS or is_quantized(OperandCode(operand.type)))
    return whole and value.exempt is not None and bool(value.exempt.any())


def chosen(
    operand: Operand,
    data: Any,
    exempt: Any,
    relaxed: bool,
    sample: int,
    generator: torch.Generator,
) -> Any:
    """A result with a driver's choices in it, as real values.

    The first sample clamps and the second does not; others do either for each operation. Open
    elements are NaN, the largest and the smallest number in turn, then any of them.

    Args:
        exempt: elements that are left open; None for none. sample: its number.
    """
    if OperandCode(operand.type) in FLOATS:
        most = largest(operand)
        large = data.abs() >= beyond(operand, relaxed)
        if bool(large.any()):
            clamps = bool(torch.rand((), generator=generator) < 0.5) if sample > 1 else not sample
            data = torch.where(large, data.clamp(-most, most) if clamps else data * torch.inf, data)
        ends = (float("nan"), most, -most)
    elif is_quantized(OperandCode(operand.type)):
        low, high = CODE_RANGE[OperandCode(operand.type)]
        first, last = ((code - operand.zero_point) * operand.scale for code in (low, high))
        ends = (first, last, first)
    else:
        return data
    if exempt is None or exempt.shape != data.shape or not bool(exempt.any()):
        return data
    every = torch.tensor(ends, dtype=data.dtype)
    if sample < len(ends):
        return torch.where(exempt, every[sample], data)
    drawn = torch.randint(len(ends), data.shape, generator=generator)
    return torch.where(exempt, every[drawn], data)


def apart(operand: Operand, value: Any, other: Any, relaxed: bool) -> tuple[Any, Any]:
    """How far two results are from each other, and where one is infinite or NaN and one is not.

    Infinity, the largest number and what may become either are one.
    """
    most, limit = largest(operand), beyond(operand, relaxed)
    huge = value.abs() >= most, other.abs() >= most
    either = huge[0] | huge[1]
    small = torch.minimum(value.abs(), other.abs()) < limit
    differs = either & (small | (value.sign() != other.sign()))
    differs |= value.isnan() != other.isnan()
    distance = torch.where(differs | either, 0.0, (value - other).abs())
    return distance.nan_to_num(0.0), differs
