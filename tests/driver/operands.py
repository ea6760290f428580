"""One operation, its operands written out: what the tests of kernels compute and see refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.spec.codes import OperandCode, ResultCode
from tests.driver.capi import Execution, Library, Model, ok

FLOAT = OperandCode.TENSOR_FLOAT32
INT = OperandCode.TENSOR_INT32
BYTE = OperandCode.TENSOR_QUANT8_ASYMM
SIGNED = OperandCode.TENSOR_QUANT8_ASYMM_SIGNED
SHORT = OperandCode.TENSOR_QUANT16_SYMM
BOX = OperandCode.TENSOR_QUANT16_ASYMM
SYMM = OperandCode.TENSOR_QUANT8_SYMM
HALF = OperandCode.TENSOR_FLOAT16

NUMPY: dict[int, Any] = {
    FLOAT: np.float32,
    INT: np.int32,
    BYTE: np.uint8,
    SIGNED: np.int8,
    SHORT: np.int16,
    BOX: np.uint16,
    OperandCode.TENSOR_FLOAT16: np.float16,
    OperandCode.TENSOR_QUANT8_SYMM: np.int8,
    OperandCode.INT32: np.int32,
    OperandCode.FLOAT32: np.float32,
    OperandCode.FLOAT16: np.float16,
    OperandCode.BOOL: np.uint8,
}


@dataclass(frozen=True)
class In:
    """An input; `value` None omits it."""

    code: int
    value: Any
    scale: float = 0.0
    zero: int = 0
    scalar: bool = False


@dataclass(frozen=True)
class Out:
    """An output; a dimension of 0 is left to the driver."""

    code: int
    dims: Sequence[int]
    scale: float = 0.0
    zero: int = 0


def real(value: Any) -> In:
    return In(FLOAT, value)


def index(value: Any) -> In:
    return In(INT, value)


def integer(value: int | None) -> In:
    return In(OperandCode.INT32, value, scalar=True)


def number(value: float | None) -> In:
    return In(OperandCode.FLOAT32, value, scalar=True)


def flag(value: bool) -> In:
    return In(OperandCode.BOOL, value, scalar=True)


NONE = real(None)


class Refused(Exception):
    """The driver refused at `stage` with `code`."""

    def __init__(self, stage: str, code: int) -> None:
        super().__init__(f"{stage}: {ResultCode(code).name}")
        self.stage = stage
        self.code = code


def compute(
    lib: Library,
    operation: int,
    inputs: Sequence[In],
    outputs: Sequence[Out],
    late: bool = False,
) -> list[NDArray[Any]]:
    """Runs one operation: tensors are model inputs, scalars constants.

    Tensors without a value are omitted by the model, or `late`, as model inputs that the
    execution omits.
    """
    model = Model(lib)
    operands: list[int] = []
    given: list[tuple[int, NDArray[Any] | None]] = []
    for one in inputs:
        array = None
        if one.value is not None:
            array = np.ascontiguousarray(np.array(one.value, NUMPY[one.code]))
        dims = None if one.scalar else (0,) if array is None else np.shape(one.value)
        operand = model.operand(one.code, dims, one.scale, one.zero)
        operands.append(operand)
        if array is None and late and not one.scalar:
            given.append((operand, None))
        elif array is None:
            ok(lib.Model_setOperandValue(model.handle, operand, None, 0))
        elif one.scalar:
            model.value(operand, array)
        else:
            given.append((operand, array))
    results = [model.operand(one.code, one.dims, one.scale, one.zero) for one in outputs]
    code = model.operation(operation, operands, results)
    if code != ResultCode.NO_ERROR:
        raise Refused("add", code)
    model.identify([operand for operand, _ in given], results)
    code = model.finish()
    if code != ResultCode.NO_ERROR:
        raise Refused("finish", code)
    execution = Execution(model.compile())
    for i, (_, array) in enumerate(given):
        ok(execution.input(i, array))
    buffers = []
    for i, out in enumerate(outputs):
        count = math.prod(out.dims) or 64
        buffers.append(np.full(count, 77, NUMPY[out.code]))
        ok(execution.output(i, buffers[-1]))
    code = execution.compute()
    if code != ResultCode.NO_ERROR:
        raise Refused("compute", code)
    values = []
    for i, buffer in enumerate(buffers):
        dims = execution.shape(i)[1]
        values.append(buffer[: math.prod(dims)].reshape(dims))
    execution.free()
    return values
