"""One operation as a model of its own: what the kernel tests of this folder call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.spec.codes import OperandCode, OperationCode, ResultCode
from tests.driver.capi import Execution, Library, Model, ok, operand_type

_TENSOR = {
    "float32": OperandCode.TENSOR_FLOAT32,
    "float16": OperandCode.TENSOR_FLOAT16,
    "int32": OperandCode.TENSOR_INT32,
    "uint8": OperandCode.TENSOR_QUANT8_ASYMM,
    "int8": OperandCode.TENSOR_QUANT8_ASYMM_SIGNED,
    "bool": OperandCode.TENSOR_BOOL8,
    "int16": OperandCode.TENSOR_QUANT16_SYMM,
    "uint16": OperandCode.TENSOR_QUANT16_ASYMM,
}
_SCALAR = {
    "float32": OperandCode.FLOAT32,
    "float16": OperandCode.FLOAT16,
    "int32": OperandCode.INT32,
    "bool": OperandCode.BOOL,
}
OMITTED = None


@dataclass(frozen=True)
class Quant:
    """An 8-bit tensor with its quantization."""

    codes: NDArray[Any]
    scale: float
    zero: int

    @property
    def real(self) -> NDArray[np.float64]:
        """The real values."""
        real: NDArray[np.float64] = self.codes.astype(np.float64) - self.zero
        return real * float(np.float32(self.scale))


@dataclass(frozen=True)
class Out:
    """The type of an output; dims None leaves the rank to the driver."""

    dtype: str
    scale: float = 0.0
    zero: int = 0
    dims: tuple[int, ...] | None = None
    scalar: bool = False


@dataclass(frozen=True)
class Answer:
    """Where it ended (`finish`, `compute`) with which code, and the outputs."""

    stage: str
    code: ResultCode
    outputs: tuple[NDArray[Any], ...] = ()


Input = NDArray[Any] | Quant | np.generic | int | bool | None


def quantized(real: Any, like: Out) -> NDArray[Any]:
    """Exact real values to codes: rounded once, ties away from zero, clamped."""
    info = np.iinfo(like.dtype)
    ratio = np.asarray(real, np.float64) / float(np.float32(like.scale))
    code = np.trunc(ratio + np.copysign(0.5, ratio)) + like.zero
    clipped: NDArray[Any] = np.clip(code, info.min, info.max)
    return clipped.astype(like.dtype)


def operand(
    model: Model, value: Quant | NDArray[Any] | np.generic | int | bool, unknown: bool = False
) -> tuple[int, NDArray[Any]]:
    """Adds an operand of the type of a value, its dimensions unknown if wished."""
    scale, zero = 0.0, 0
    if isinstance(value, Quant):
        scale, zero, value = value.scale, value.zero, value.codes
    if isinstance(value, bool):
        value = np.bool_(value)
    if isinstance(value, int):
        value = np.int32(value)
    if isinstance(value, np.generic):
        return model.operand(_SCALAR[value.dtype.name]), np.asarray(value).reshape(())
    dims = [0] * value.ndim if unknown else value.shape
    return model.operand(_TENSOR[value.dtype.name], dims, scale, zero), np.ascontiguousarray(value)


def apply(
    lib: Library,
    name: str,
    inputs: Sequence[Input],
    outputs: Out | Sequence[Out],
    *,
    constant: bool = True,
    room: int = 1 << 16,
) -> Answer:
    """Runs one operation.

    `constant` makes every input but those of float, quantized and boolean tensors constant (axes,
    shapes, scalars); otherwise they are model inputs and no dimension of the model is known.
    """
    model = Model(lib)
    operands, feeds = _operands(lib, model, inputs, constant)
    wanted = [outputs] if isinstance(outputs, Out) else list(outputs)
    results = [
        model.operand(_SCALAR[out.dtype])
        if out.scalar
        else model.operand(_TENSOR[out.dtype], out.dims, out.scale, out.zero)
        for out in wanted
    ]
    ok(model.operation(OperationCode[name], operands, results))
    model.identify([index for index, _ in feeds], results)
    code = model.finish()
    if code != ResultCode.NO_ERROR:
        return Answer("finish", ResultCode(code))
    execution = Execution(model.compile())
    for i, (index, array) in enumerate(feeds):
        source = inputs[operands.index(index)]
        scale, zero = (source.scale, source.zero) if isinstance(source, Quant) else (0.0, 0)
        kind = operand_type(_TENSOR[array.dtype.name], array.shape, scale, zero)
        ok(execution.input(i, array, kind if array.ndim else None))
    sizes = [np.dtype(out.dtype).itemsize if out.scalar else room for out in wanted]
    buffers = [np.full(size, 0xA5, np.uint8) for size in sizes]
    for i, buffer in enumerate(buffers):
        ok(execution.output(i, buffer))
    code = execution.compute()
    if code != ResultCode.NO_ERROR:
        return Answer("compute", ResultCode(code))
    values = []
    for i, (out, buffer) in enumerate(zip(wanted, buffers, strict=True)):
        _, dims = execution.shape(i)
        count = int(np.prod(dims, dtype=np.int64)) if dims else 1
        itemsize = np.dtype(out.dtype).itemsize
        values.append(buffer[: count * itemsize].view(out.dtype).reshape(dims))
    execution.free()
    model.free()
    return Answer("compute", ResultCode.NO_ERROR, tuple(values))


def _operands(
    lib: Library, model: Model, inputs: Sequence[Input], constant: bool
) -> tuple[list[int], list[tuple[int, NDArray[Any]]]]:
    """The operands of the inputs, and which of them an execution is fed with."""
    feeds: list[tuple[int, NDArray[Any]]] = []
    operands: list[int] = []
    arrays = [isinstance(value, Quant | np.ndarray) for value in inputs]
    data = [
        isinstance(value, Quant) or (isinstance(value, np.ndarray) and value.dtype != np.int32)
        for value in inputs
    ]
    if not any(data):  # a model needs an input
        data[arrays.index(True)] = True
    for value, is_data in zip(inputs, data, strict=True):
        if value is None:
            operands.append(model.operand(OperandCode.TENSOR_INT32, (0,)))
            ok(lib.Model_setOperandValue(model.handle, operands[-1], None, 0))
            continue
        index, array = operand(model, value, unknown=not constant)
        operands.append(index)
        if constant and not is_data and array.size:
            model.value(index, array)
        else:
            feeds.append((index, array))
    return operands, feeds


def run(lib: Library, name: str, inputs: Sequence[Input], output: Out) -> NDArray[Any]:
    """Runs one operation with one output, with constant and with run-time parameters."""
    first = apply(lib, name, inputs, output)
    assert first.code == ResultCode.NO_ERROR, (first.stage, first.code)
    second = apply(lib, name, inputs, output, constant=False)
    assert second.code == ResultCode.NO_ERROR, (second.stage, second.code)
    np.testing.assert_array_equal(first.outputs[0], second.outputs[0])
    return first.outputs[0]


def refusals(
    lib: Library, name: str, inputs: Sequence[Input], output: Out | Sequence[Out]
) -> tuple[str, str]:
    """The stages at which an operation is refused: parameters constant, and at run time."""
    stages = []
    for constant in (True, False):
        answer = apply(lib, name, inputs, output, constant=constant)
        assert answer.code == ResultCode.BAD_DATA, (answer, constant)
        stages.append(answer.stage)
    return stages[0], stages[1]
