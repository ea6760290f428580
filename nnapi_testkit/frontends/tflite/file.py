"""A `.tflite` file as plain data: graphs, tensors, operators, by the schema of `ai-edge-litert`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.errors import KitError

__all__ = ["File", "Graph", "Node", "Tensor", "names_of", "parse", "schema"]

# What the schema calls a type, and how numpy reads its buffers.
TYPES = {
    "FLOAT32": "<f4",
    "FLOAT16": "<f2",
    "INT32": "<i4",
    "UINT8": "u1",
    "INT8": "i1",
    "INT16": "<i2",
    "INT64": "<i8",
    "BOOL": "u1",
}
IDENTIFIER = b"TFL3"


def schema() -> Any:
    """The module that describes the format. Raises KitError where it is not installed."""
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError as error:
        raise KitError(
            "a .tflite file is read by LiteRT's schema: pip install 'nnapi-testkit[litert]'"
        ) from error
    return schema_py_generated


def names_of(kind: str) -> Mapping[int, str]:
    """The names of one of the schema's enumerations, as `BuiltinOperator`, by number."""
    found = vars(getattr(schema(), kind))
    return {value: name for name, value in found.items() if not name.startswith("_")}


@dataclass(frozen=True)
class Tensor:
    """One tensor of a graph.

    Args:
        index: within its graph. type: the schema's name, as `FLOAT32`.
        shape: 0 where a size is open. example: the same with the sizes that the file was made
            with.
        scales, zero_points: one for the whole tensor, or one for each channel along `channel`;
            empty where it is not quantized.
        raw: the bytes of a constant, else empty. variable: it keeps its value between runs.
        sparse: how a sparse constant is laid out, in the schema's terms.
    """

    index: int
    name: str
    type: str
    shape: tuple[int, ...]
    example: tuple[int, ...]
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    channel: int = 0
    raw: bytes = field(default=b"", repr=False)
    variable: bool = False
    sparse: Any = field(default=None, repr=False)

    @property
    def rank(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def constant(self) -> bool:
        """Whether the file holds its data."""
        return bool(self.raw)

    @property
    def scale(self) -> float:
        """The scale of a tensor that is quantized as a whole, else 0."""
        return self.scales[0] if len(self.scales) == 1 else 0.0

    @property
    def zero_point(self) -> int:
        """The zero point that goes with `scale`."""
        return self.zero_points[0] if self.zero_points else 0

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of its elements; for the types that `TYPES` names."""
        return np.dtype(TYPES[self.type])

    @cached_property
    def array(self) -> NDArray[Any]:
        """The data of a constant."""
        return np.frombuffer(self.raw, self.dtype).reshape(self.shape)

    @cached_property
    def real(self) -> NDArray[np.float32]:
        """The data of a constant as real values, in float32."""
        if not self.scales:
            return np.asarray(self.array, np.float32)
        wide = [1] * self.rank
        if len(self.scales) > 1:
            wide[self.channel] = -1
        scales = np.asarray(self.scales, np.float32).reshape(wide)
        zeros = np.asarray(self.zero_points or (0,), np.int32)
        points = zeros.reshape(wide if zeros.size > 1 else [1] * self.rank)
        return np.asarray((self.array.astype(np.int32) - points) * scales, np.float32)


@dataclass(frozen=True)
class Node:
    """One operator: its kind, as `CONV_2D` or a custom one's name, its tensors and options.

    Args:
        options: the schema's object; None where there is none. custom: bytes of custom options.
    """

    index: int
    kind: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: Any = None
    custom: bytes = b""
    builtin: bool = True

    def option(self, name: str, default: Any = 0) -> Any:
        """An option by the schema's name; `default` where the file has none."""
        found = getattr(self.options, name, None)
        return default if found is None else found

    def input(self, position: int) -> Tensor | None:
        """An input, None where it is omitted or left out."""
        return self.inputs[position] if position < len(self.inputs) else None

    @property
    def label(self) -> str:
        """What reports call it: its kind, and the name of its first result."""
        made = self.outputs[0].name if self.outputs else ""
        return f"{self.kind} ({made})" if made else self.kind


@dataclass(frozen=True)
class Graph:
    """One graph of a file; indexes are those of its tensors."""

    tensors: tuple[Tensor, ...]
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class File:
    """A model: its graphs, the first of which is the main one, and the bytes of the file."""

    graphs: tuple[Graph, ...]
    content: bytes = field(repr=False)


def parse(path: Path) -> File:
    """Read a file. Raises KitError if it is none of this format."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise KitError(f"{path} cannot be read: {error.strerror}") from error
    if content[4:8] != IDENTIFIER:
        raise KitError(f"{path} is no .tflite file: it does not bear the mark TFL3")
    module = schema()
    try:
        model = module.ModelT.InitFromObj(module.Model.GetRootAs(content, 0))
        kinds = [_kind(code) for code in model.operatorCodes or []]
        graphs = tuple(_graph(graph, model, kinds) for graph in model.subgraphs)
    except KitError as error:
        raise KitError(f"{path} {error}") from error
    except Exception as error:  # whatever bytes it is: the reader's errors are not of one kind
        raise KitError(f"{path} is damaged: {type(error).__name__} while it was read") from error
    if not graphs:
        raise KitError(f"{path} holds no graph")
    return File(graphs, content)


def _kind(code: Any) -> tuple[str, bool]:
    # Files from before the 127th operator have the deprecated field alone.
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    name = names_of("BuiltinOperator").get(number, f"operator {number}")
    if name == "CUSTOM":
        return _text(code.customCode) or "CUSTOM", False
    return name, True


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")


def _ints(values: Any) -> tuple[int, ...]:
    return () if values is None else tuple(int(value) for value in values)


def _graph(graph: Any, model: Any, kinds: list[tuple[str, bool]]) -> Graph:
    tensors = tuple(
        _tensor(index, tensor, model) for index, tensor in enumerate(graph.tensors or [])
    )

    def pick(index: int) -> Tensor | None:
        return tensors[index] if index != -1 else None

    nodes = []
    listed: list[Sequence[int]] = [_ints(graph.inputs), _ints(graph.outputs)]
    for index, operator in enumerate(graph.operators or []):
        name, builtin = kinds[operator.opcodeIndex]
        listed += [_ints(operator.outputs), [at for at in _ints(operator.inputs) if at != -1]]
        if any(not 0 <= at < len(tensors) for row in listed[-2:] for at in row):
            raise KitError(f"is damaged: operator {index} names a tensor that is not there")
        outputs = tuple(tensors[at] for at in _ints(operator.outputs))
        custom = bytes(bytearray(operator.customOptions)) if not builtin and _has(operator) else b""
        options = operator.builtinOptions2 or operator.builtinOptions
        inputs = tuple(pick(at) for at in _ints(operator.inputs))
        nodes.append(Node(index, name, inputs, outputs, options, custom, builtin))
    if any(not 0 <= at < len(tensors) for row in listed[:2] for at in row):
        raise KitError("is damaged: an input or output is a tensor that is not there")
    return Graph(tensors, tuple(nodes), _ints(graph.inputs), _ints(graph.outputs))


def _has(operator: Any) -> bool:
    return operator.customOptions is not None and len(operator.customOptions) > 0


def _tensor(index: int, tensor: Any, model: Any) -> Tensor:
    buffer = model.buffers[tensor.buffer] if model.buffers else None
    if buffer is not None and (getattr(buffer, "offset", 0) or 0) > 1:
        raise KitError("has its weights behind the model (over 2 GB): the kit does not read that")
    data = None if buffer is None else buffer.data
    example = _ints(tensor.shape)
    signature = _ints(tensor.shapeSignature) or example
    raw = b"" if data is None else np.asarray(data, np.uint8).tobytes()
    _whole(tensor, example, raw)
    quant = tensor.quantization
    scales = () if quant is None or quant.scale is None else tuple(float(s) for s in quant.scale)
    return Tensor(
        index,
        _text(tensor.name) or f"tensor {index}",
        names_of("TensorType").get(tensor.type, f"type {tensor.type}"),
        tuple(max(0, size) for size in signature),
        example,
        scales,
        _ints(quant.zeroPoint) if scales else (),
        quant.quantizedDimension if scales else 0,
        raw,
        bool(tensor.isVariable),
        tensor.sparsity,
    )


def _whole(tensor: Any, example: tuple[int, ...], raw: bytes) -> None:
    """Raise KitError if a tensor's size makes no sense, or is not that of its data."""
    name = _text(tensor.name)
    kind = names_of("TensorType").get(tensor.type, "")
    size = math.prod(example) * (np.dtype(TYPES[kind]).itemsize if kind in TYPES else 1)
    if min(example, default=0) < 0 or size >= 2**31:
        raise KitError(f"is damaged: tensor {name} has shape {list(example)}")
    if raw and kind in TYPES and tensor.sparsity is None and len(raw) != size:
        raise KitError(f"is damaged: tensor {name} has {len(raw)} bytes of {size}")
