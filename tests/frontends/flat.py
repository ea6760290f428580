"""Writes `.tflite` files by LiteRT's own schema: tensors, operators, graphs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

TYPES = {
    "float32": "FLOAT32",
    "float16": "FLOAT16",
    "int32": "INT32",
    "int64": "INT64",
    "uint8": "UINT8",
    "int8": "INT8",
    "int16": "INT16",
    "bool": "BOOL",
}


class Flat:
    """A file with one graph under construction; tensors are their indexes."""

    def __init__(self) -> None:
        self.model, self.graph = schema.ModelT(), schema.SubGraphT()
        self.model.version, self.model.buffers = 3, [schema.BufferT()]
        self.model.operatorCodes = []
        self.graph.tensors, self.graph.operators = [], []
        self.graph.inputs, self.graph.outputs = [], []
        self.codes: dict[tuple[str, int], int] = {}

    def tensor(
        self,
        shape: Sequence[int],
        type: str = "float32",
        scale: float | Sequence[float] | None = None,
        zero: int | Sequence[int] = 0,
        *,
        data: Any = None,
        axis: int = 0,
        open: Sequence[int] = (),
        variable: bool = False,
        name: str = "",
    ) -> int:
        """A tensor; `open` lists axes whose size is not fixed."""
        made = schema.TensorT()
        made.shape, made.type = list(shape), getattr(schema.TensorType, TYPES[type])
        made.name = name or f"t{len(self.graph.tensors)}"
        made.isVariable, made.hasRank = variable, True
        if open:
            made.shapeSignature = [-1 if at in open else size for at, size in enumerate(shape)]
        if scale is not None:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale = np.atleast_1d(scale).tolist()
            zeros = np.atleast_1d(zero).tolist()
            made.quantization.zeroPoint = zeros * (len(made.quantization.scale) // len(zeros))
            made.quantization.quantizedDimension = axis
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            made.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def input(self, shape: Sequence[int], type: str = "float32", *args: Any, **kw: Any) -> int:
        """A tensor that the model is fed."""
        self.graph.inputs.append(self.tensor(shape, type, *args, **kw))
        return self.graph.inputs[-1]

    def constant(self, data: Any, scale: Any = None, zero: Any = 0, **kw: Any) -> int:
        """A tensor with data, in the type of their array."""
        array = np.asarray(data)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        if array.dtype == np.int64 and not kw.pop("wide", False):
            array = array.astype(np.int32)
        return self.tensor(array.shape, array.dtype.name, scale, zero, data=array, **kw)

    def op(
        self,
        kind: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: str = "",
        *,
        version: int = 1,
        custom: bytes | None = None,
        **fields: Any,
    ) -> None:
        """One operator; `options` is the schema's name without `Options`."""
        made = schema.OperatorT()
        if (kind, version) not in self.codes:
            code = schema.OperatorCodeT()
            builtin = custom is None
            number = getattr(schema.BuiltinOperator, kind if builtin else "CUSTOM")
            code.builtinCode, code.deprecatedBuiltinCode = number, min(number, 127)
            code.version = version
            code.customCode = None if builtin else kind
            self.codes[kind, version] = len(self.model.operatorCodes)
            self.model.operatorCodes.append(code)
        made.opcodeIndex = self.codes[kind, version]
        made.inputs, made.outputs = list(inputs), list(outputs)
        if custom is not None:
            made.customOptions = np.frombuffer(custom, np.uint8)
        if options:
            made.builtinOptionsType = getattr(schema.BuiltinOptions, f"{options}Options")
            made.builtinOptions = getattr(schema, f"{options}OptionsT")()
            for name, value in fields.items():
                assert hasattr(made.builtinOptions, name), (options, name)
                setattr(made.builtinOptions, name, value)
        self.graph.operators.append(made)

    def content(self, outputs: Sequence[int]) -> bytes:
        """The file's bytes."""
        self.graph.outputs = list(outputs)
        self.model.subgraphs = [self.graph]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def write(self, path: Path, outputs: Sequence[int]) -> Path:
        """The file."""
        path.write_bytes(self.content(outputs))
        return path
