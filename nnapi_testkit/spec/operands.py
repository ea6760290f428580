"""Facts about operand types: element layout, code range, kind.

Source: `OperandCode` in the NNAPI reference (`NeuralNetworksTypes.h`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.spec.codes import OPERAND_KIND, OperandCode

_C = OperandCode
Array = NDArray[np.generic]

FLOATS = frozenset({_C.TENSOR_FLOAT32, _C.TENSOR_FLOAT16, _C.FLOAT32, _C.FLOAT16})
# Integer types that stand for real numbers: (lowest code, highest code).
CODE_RANGE: dict[OperandCode, tuple[int, int]] = {
    _C.TENSOR_QUANT8_ASYMM: (0, 255),
    _C.TENSOR_QUANT8_ASYMM_SIGNED: (-128, 127),
    _C.TENSOR_QUANT8_SYMM: (-128, 127),
    _C.TENSOR_QUANT8_SYMM_PER_CHANNEL: (-128, 127),
    _C.TENSOR_QUANT16_SYMM: (-32768, 32767),
    _C.TENSOR_QUANT16_ASYMM: (0, 65535),
}
ASYMMETRIC = frozenset(
    {_C.TENSOR_QUANT8_ASYMM, _C.TENSOR_QUANT8_ASYMM_SIGNED, _C.TENSOR_QUANT16_ASYMM}
)

DTYPE: dict[OperandCode, np.dtype[np.generic]] = {
    _C.FLOAT32: np.dtype("<f4"),
    _C.INT32: np.dtype("<i4"),
    _C.UINT32: np.dtype("<u4"),
    _C.TENSOR_FLOAT32: np.dtype("<f4"),
    _C.TENSOR_INT32: np.dtype("<i4"),
    _C.TENSOR_QUANT8_ASYMM: np.dtype("u1"),
    _C.BOOL: np.dtype("u1"),
    _C.TENSOR_QUANT16_SYMM: np.dtype("<i2"),
    _C.TENSOR_FLOAT16: np.dtype("<f2"),
    _C.TENSOR_BOOL8: np.dtype("u1"),
    _C.FLOAT16: np.dtype("<f2"),
    _C.TENSOR_QUANT8_SYMM_PER_CHANNEL: np.dtype("i1"),
    _C.TENSOR_QUANT16_ASYMM: np.dtype("<u2"),
    _C.TENSOR_QUANT8_SYMM: np.dtype("i1"),
    _C.TENSOR_QUANT8_ASYMM_SIGNED: np.dtype("i1"),
}

# What a case id calls a type.
SHORT_NAME: dict[OperandCode, str] = {
    _C.FLOAT32: "f32",
    _C.FLOAT16: "f16",
    _C.INT32: "i32",
    _C.UINT32: "u32",
    _C.BOOL: "b8",
    _C.TENSOR_FLOAT32: "float32",
    _C.TENSOR_FLOAT16: "float16",
    _C.TENSOR_INT32: "int32",
    _C.TENSOR_BOOL8: "bool8",
    _C.TENSOR_QUANT8_ASYMM: "quant8",
    _C.TENSOR_QUANT8_ASYMM_SIGNED: "quant8_signed",
    _C.TENSOR_QUANT8_SYMM: "quant8_symm",
    _C.TENSOR_QUANT8_SYMM_PER_CHANNEL: "per_channel",
    _C.TENSOR_QUANT16_SYMM: "quant16_symm",
    _C.TENSOR_QUANT16_ASYMM: "quant16_asymm",
    _C.MODEL: "model",
}


def is_tensor(code: OperandCode) -> bool:
    """Whether operands of this type have dimensions."""
    return OPERAND_KIND[code.name] == "tensor"


def is_quantized(code: OperandCode) -> bool:
    """Whether the integers of this type stand for real numbers by scale and zero point."""
    return code in CODE_RANGE
