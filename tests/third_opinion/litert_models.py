"""One-operation LiteRT models from cases, run by LiteRT's reference kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from nnapi_testkit.model.case import Case, Ending, OutputResult, Result, SetResult, Stage
from nnapi_testkit.model.types import Lifetime, Operand
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import DTYPE, is_quantized

TYPES = {
    OperandCode.TENSOR_FLOAT32: "FLOAT32",
    OperandCode.TENSOR_FLOAT16: "FLOAT16",
    OperandCode.TENSOR_INT32: "INT32",
    OperandCode.TENSOR_BOOL8: "BOOL",
    OperandCode.TENSOR_QUANT8_ASYMM: "UINT8",
    OperandCode.TENSOR_QUANT8_ASYMM_SIGNED: "INT8",
    OperandCode.TENSOR_QUANT8_SYMM: "INT8",
    OperandCode.TENSOR_QUANT8_SYMM_PER_CHANNEL: "INT8",
}


class NotShared(Exception):
    """LiteRT has no such operation, type or attribute."""


@dataclass(frozen=True)
class Call:
    """How LiteRT is asked.

    Args:
        builtin: name of the operator. inputs: operands, or arrays of attributes, in its order.
        options: name of its options, and their fields.
    """

    builtin: str
    inputs: list[Operand | np.ndarray | None]
    options: str = ""
    fields: dict[str, Any] | None = None
    version: int = 1


def run(case: Case, call: Call) -> Result:
    """What LiteRT computes for every input set.

    Raises:
        NotShared: LiteRT refuses the model.
    """
    content, fed = _flatbuffer(case, call)
    try:
        interpreter = Interpreter(
            model_content=content,
            num_threads=1,
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        )
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise NotShared(str(error).splitlines()[0]) from error
    details = {detail["name"]: detail["index"] for detail in interpreter.get_input_details()}
    outputs = sorted(interpreter.get_output_details(), key=lambda detail: detail["name"])
    sets = []
    for execution in case.sets:
        by_operand = dict(zip(case.model.main.inputs, execution.inputs, strict=True))
        for name, index in fed.items():
            array = by_operand[index]
            if name in details:
                wanted = interpreter.tensor(details[name])().dtype
                interpreter.set_tensor(details[name], np.asarray(array).astype(wanted))
        try:
            interpreter.invoke()
        except RuntimeError as error:
            raise NotShared(str(error).splitlines()[0]) from error
        found = []
        for detail, operand in zip(outputs, _outputs(case), strict=True):
            array = interpreter.get_tensor(detail["index"])
            data = np.ascontiguousarray(array.astype(DTYPE[OperandCode(operand.type)]))
            found.append(OutputResult(tuple(array.shape) or operand.dims, data.tobytes(), 0))
        sets.append(SetResult(0, tuple(found)))
    return Result(0, Ending.COMPLETED, Stage.DONE, device="litert", executions=tuple(sets))


def _outputs(case: Case) -> list[Operand]:
    return [case.model.main.operands[index] for index in case.model.main.outputs]


def _flatbuffer(case: Case, call: Call) -> tuple[bytes, dict[str, int]]:
    main = case.model.main
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.buffers = 3, [schema.BufferT()]
    graph.tensors, inputs, fed = [], [], {}

    def tensor(operand: Operand, name: str, data: bytes = b"") -> int:
        found = schema.TensorT()
        found.name, found.shape = name, list(operand.dims)
        code = OperandCode(operand.type)
        if code not in TYPES:
            raise NotShared(f"LiteRT has no {code.name}")
        found.type = getattr(schema.TensorType, TYPES[code])
        if operand.channel_quant is not None or is_quantized(code) or operand.scale:
            channels = operand.channel_quant
            quant = found.quantization = schema.QuantizationParametersT()
            quant.scale = list(channels.scales) if channels else [operand.scale]
            quant.zeroPoint = [0] * len(quant.scale) if channels else [operand.zero_point]
            quant.quantizedDimension = channels.dim if channels else 0
        if data:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data, np.uint8)
            model.buffers.append(buffer)
            found.buffer = len(model.buffers) - 1
        graph.tensors.append(found)
        return len(graph.tensors) - 1

    for position, item in enumerate(call.inputs):
        if item is None or (isinstance(item, Operand) and item.lifetime == Lifetime.OMITTED):
            inputs.append(-1)
        elif isinstance(item, Operand):
            data = item.value if item.lifetime == Lifetime.CONSTANT else b""
            name = f"input{position}"
            inputs.append(tensor(item, name, data))
            if not data:
                fed[name] = next(i for i in main.inputs if main.operands[i] is item)
        else:
            array = np.asarray(item, dtype="<i4") if item.dtype.kind == "i" else item
            kind = OperandCode.TENSOR_INT32 if array.dtype.kind == "i" else None
            kind = kind or OperandCode.TENSOR_FLOAT32
            value = np.ascontiguousarray(array, dtype=DTYPE[kind])
            inputs.append(tensor(Operand(kind, array.shape), f"input{position}", value.tobytes()))
    outputs = [tensor(operand, f"output{i:02}") for i, operand in enumerate(_outputs(case))]
    operator, code = schema.OperatorT(), schema.OperatorCodeT()
    number = getattr(schema.BuiltinOperator, call.builtin)
    code.builtinCode, code.deprecatedBuiltinCode = number, min(number, 127)
    code.version = call.version
    operator.inputs, operator.outputs = inputs, outputs
    if call.options:
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, call.options)
        operator.builtinOptions = getattr(schema, f"{call.options}T")()
        for name, value in (call.fields or {}).items():
            setattr(operator.builtinOptions, name, value)
    graph.operators, graph.inputs, graph.outputs = [operator], [], outputs
    graph.inputs = [i for i, t in enumerate(graph.tensors) if t.name in fed]
    model.operatorCodes, model.subgraphs = [code], [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output()), fed
