"""Values where kernels break: infinities, NaN, zeros of both signs, subnormals, limits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import CODE_RANGE, DTYPE

_F32 = np.finfo(np.float32)
_F16 = np.finfo(np.float16)


def special_values(code: OperandCode, zero_point: int = 0) -> NDArray[np.generic]:
    """The special values of an element type, in that type."""
    if code in (OperandCode.TENSOR_FLOAT32, OperandCode.TENSOR_FLOAT16):
        info = _F32 if code == OperandCode.TENSOR_FLOAT32 else _F16
        values = [
            np.nan,
            np.inf,
            -np.inf,
            0.0,
            -0.0,
            float(info.max),
            -float(info.max),
            float(info.tiny),
            -float(info.tiny),
            float(info.smallest_subnormal),
            -float(info.tiny) / 2,
            1.0,
            -1.0,
            float(1 + info.eps),
            0.5,
            -0.5,
            2.5,
            -2.5,
            6.0,
            float(np.sqrt(float(info.max))),
        ]
        return np.array(values).astype(DTYPE[code])
    if code in CODE_RANGE:
        low, high = CODE_RANGE[code]
        codes = [low, high, zero_point, zero_point + 1, zero_point - 1, low + 1, high - 1]
        return np.array([min(max(c, low), high) for c in codes], dtype=DTYPE[code])
    if code == OperandCode.TENSOR_INT32:
        return np.array([0, 1, -1, 2, -2, 127, -128, 32767, -32768, 46340], dtype="<i4")
    return np.array([0, 1], dtype=DTYPE[code])
