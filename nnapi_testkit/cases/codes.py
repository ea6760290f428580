"""Data in the parts of a type's range where kernels break: limits, and where floats cancel."""

from __future__ import annotations

import math

import numpy as np

from nnapi_testkit.cases.draw import bits, integers, uniform
from nnapi_testkit.errors import KitError
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import CODE_RANGE, DTYPE, Array

INT32 = (-(2**31), 2**31 - 1)
SYMMETRIC_LOW = {OperandCode.TENSOR_QUANT8_SYMM, OperandCode.TENSOR_QUANT8_SYMM_PER_CHANNEL}
NEAR = 3
# Of TENSOR_INT32: what a sum, and what a product of two numbers does not leave.
LIMITS = {
    "wide": INT32,
    "signed": (-(2**31 - 1), 2**31 - 1),
    "half": (-(2**30), 2**30 - 1),
    "root": (-46340, 46340),
}


def drawn_codes(
    code: OperandCode, zero_point: int, where: str, key: int, shape: tuple[int, ...]
) -> Array:
    """What `Codes` describes, in the element type of `code`."""
    low, high = CODE_RANGE.get(code, INT32)
    if code in SYMMETRIC_LOW:
        low = -127
    count = math.prod(shape)
    if where in LIMITS:
        found = integers(key, count, *LIMITS[where])
        # Every fourth number is at a limit, or next to it.
        ends = integers(key ^ 1, count, 0, NEAR)
        edge = np.where(ends & 1, LIMITS[where][0] + ends // 2, LIMITS[where][1] - ends // 2)
        found = np.where(bits(key ^ 2, count) % np.uint64(4) == 0, edge, found)
    elif where in ("low", "high"):
        found = np.full(count, low if where == "low" else high, dtype=np.int64)
    elif where == "ends":
        # In runs of three, so that neighbours in any dimension meet both.
        found = np.where(np.arange(count) // 3 % 2, low, high)
    elif where == "near":
        found = np.clip(integers(key, count, zero_point - NEAR, zero_point + NEAR), low, high)
    elif where in ("hollow-first", "hollow-last"):
        whole = integers(key, count, low, high).reshape(shape)
        whole[0 if where == "hollow-first" else (..., 0)] = zero_point
        found = whole.reshape(-1)
    elif where == "far":
        step = integers(key, count, 0, NEAR)
        found = np.where(bits(key ^ 1, count) & np.uint64(1), low + step, high - step)
    else:
        raise KitError(
            f"Codes: {where!r} is unknown; low, high, ends, near, far, wide, signed, half, root"
        )
    drawn: Array = np.ascontiguousarray(found.reshape(shape).astype(DTYPE[code]))
    return drawn


# Where float data lie, by the size of the type: float16, float32.
OFFSET = {2: 100.0, 4: 10_000.0}
BIG = {2: 8.0, 4: 1024.0}
SPREAD = 3.0


def drawn_floats(code: OperandCode, where: str, key: int, shape: tuple[int, ...]) -> Array:
    """What `Floats` describes, in the element type of `code`."""
    dtype = DTYPE[code]
    info = np.finfo(np.float16 if dtype.itemsize == 2 else np.float32)
    count = math.prod(shape)
    unit = uniform(key, count, 0.0, 1.0)
    sign = np.where(bits(key ^ 1, count) & np.uint64(1), -1.0, 1.0)
    if where == "offset":
        found = OFFSET[dtype.itemsize] + SPREAD * unit
    elif where == "cancel":
        # Neighbours of opposite sign, whose sum is what else they hold.
        big = BIG[dtype.itemsize] * np.where(np.arange(count) % 2, -1.0, 1.0)
        found = big + sign * unit
    elif where == "equal":
        found = 1.0 + float(info.eps) * np.floor(unit * 4)
    elif where == "subnormal":
        found = sign * unit * float(info.tiny)
    else:
        raise KitError(f"Floats: {where!r} is unknown; see op/declare.py for what there is")
    drawn: Array = np.ascontiguousarray(found.reshape(shape).astype(dtype))
    return drawn
