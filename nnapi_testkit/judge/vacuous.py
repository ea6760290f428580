"""When a bound says nothing: as wide as the data that it is meant to judge.

Certified bounds add up over the operations of a model until they exceed the data, and then any
answer passes. An output whose allowance is, for half of its elements or more, wider than a share
of its own range is not judged by it.
"""

from __future__ import annotations

import numpy as np

from nnapi_testkit.judge.profiles import Profile
from nnapi_testkit.model.case import Expected
from nnapi_testkit.model.types import Operand
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.kinds import OutputKind
from nnapi_testkit.spec.operands import FLOATS, is_quantized

__all__ = ["FLOAT_SHARE", "QUANTIZED_SHARE", "share", "vacuous"]

FLOAT_SHARE = 0.02
QUANTIZED_SHARE = 0.25


def vacuous(operand: Operand, expected: Expected, profile: Profile) -> bool:
    """Whether the profile's allowance for an output is too wide to judge it.

    Draws, rows and truth values have judges of their own, and whole numbers no allowance.
    """
    code = OperandCode(operand.type)
    if expected.kind != OutputKind.EACH or not (code in FLOATS or is_quantized(code)):
        return False
    if is_quantized(code):
        return share(operand, expected, profile) > QUANTIZED_SHARE
    return share(operand, expected, profile) > FLOAT_SHARE


def share(operand: Operand, expected: Expected, profile: Profile) -> float:
    """The median allowance of an output's elements over the range of its values.

    0 for exact outputs; infinite if the values do not differ, are zero, and need not be.
    """
    counted = np.isfinite(expected.value) & np.isfinite(expected.bound)
    if expected.exempt is not None:
        counted &= ~expected.exempt
    if not counted.any():
        return 0.0
    value = expected.value[counted]
    bound = np.broadcast_to(expected.bound, expected.value.shape)[counted]
    if is_quantized(OperandCode(operand.type)):
        # Half a code is rounding's own; codes of freedom are given to computed values only.
        allowed = np.where(bound > 0, bound + (0.5 + profile.codes) * operand.scale, 0.0)
    else:
        allowed = bound * profile.float_factor
    middle = float(np.median(allowed))
    if not middle:
        return 0.0
    size = float(value.max() - value.min()) or float(np.abs(value).max())
    return middle / size if size else float("inf")
