"""An ONNX graph as the rules see it: live nodes, each value's type and shape, constants.

Shapes are inferred node by node by the `onnx` package, with the constants found so far; what can be
computed from constants alone is computed, shapes of values included. So a chain of Shape, Gather
and Concat before a Reshape leaves no node behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from nnapi_testkit.errors import KitError

__all__ = ["Node", "Source", "attributes", "kind_of", "leading", "symbols"]

Array = NDArray[Any]
Shape = tuple[int, ...]
_KNOWN_BY_SHAPE = 4096  # elements of a constant that shape inference may need
_FOLDED = 1 << 24  # elements: what is larger stays an operation
_RANDOM = {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial"}


@dataclass(frozen=True)
class Node:
    """One node.

    Args:
        kind: its operator, with the domain where it is not ONNX's own.
        label: how reports call it. inputs: names of values, empty for one that is left out.
        version: of the operator set that defines it.
        within: values that its subgraphs read from outside.
    """

    kind: str
    label: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    version: int
    within: tuple[str, ...] = ()

    @property
    def reads(self) -> tuple[str, ...]:
        """The names of all that it reads."""
        return tuple(dict.fromkeys(name for name in (*self.inputs, *self.within) if name))

    def input(self, position: int) -> str:
        """The name of an input, empty if it is left out."""
        return self.inputs[position] if position < len(self.inputs) else ""


def kind_of(proto: Any) -> str:
    """The operator of a node, with the domain where it is not ONNX's own."""
    return proto.op_type if proto.domain in ("", "ai.onnx") else f"{proto.domain}.{proto.op_type}"


def attributes(proto: Any) -> dict[str, Any]:
    """The attributes of a node as Python values; texts decoded."""
    found = {}
    for item in proto.attribute:
        value = helper.get_attribute_value(item)
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        found[item.name] = value
    return found


def _captured(proto: Any) -> Iterator[str]:
    """Yield the values that a node's subgraphs read and do not make."""
    for item in proto.attribute:
        for graph in [item.g, *item.graphs] if item.type in (item.GRAPH, item.GRAPHS) else []:
            made = {value.name for value in (*graph.input, *graph.initializer)}
            made.update(name for node in graph.node for name in node.output)
            used = [name for node in graph.node for name in (*node.input, *_captured(node))]
            used += [value.name for value in graph.output]
            yield from (name for name in dict.fromkeys(used) if name and name not in made)


def symbols(model: Any) -> dict[str, int]:
    """The symbolic dimensions of a model's inputs, with a size to try: 1 for a batch, else 32.

    A dimension without a name gets one: `INPUT.DIMENSION`.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    found: dict[str, int] = {}
    for value in model.graph.input:
        if value.name in constants:
            continue
        for at, dim in enumerate(value.type.tensor_type.shape.dim):
            if dim.HasField("dim_value"):
                continue
            name = dim.dim_param or f"{value.name}.{at}"
            found.setdefault(name, 1 if at == 0 else 32)
    return found


def leading(model: Any) -> set[str]:
    """The symbolic dimensions that come first in an input: batches."""
    found = set()
    for value in model.graph.input:
        dims = value.type.tensor_type.shape.dim
        if dims and not dims[0].HasField("dim_value"):
            found.add(dims[0].dim_param or f"{value.name}.0")
    return found


class Source:
    """A graph with what is known of it before it runs.

    Args:
        sizes: of symbolic dimensions.
        ask: what a value is in the source's own run, for shapes that depend on data.

    Attributes:
        nodes: those that do something that is not known yet, in order.
        shapes, types: of each value; types are ONNX's element types.
        constants: values that are known. users: the nodes that read each value; makers: the one
            that gives it.
        inputs, outputs: names of the graph's own.
    """

    def __init__(self, model: Any, sizes: Mapping[str, int], ask: Callable[[str], Array]) -> None:
        self.model, self._ask = model, ask
        self.versions = {item.domain: item.version for item in model.opset_import}
        self.shapes: dict[str, Shape] = {}
        self.types: dict[str, int] = {}
        self.constants: dict[str, Array] = {}
        for tensor in model.graph.initializer:
            self._constant(tensor.name, numpy_helper.to_array(tensor), tensor.data_type)
        self.inputs = [v.name for v in model.graph.input if v.name not in self.constants]
        self.outputs = [value.name for value in model.graph.output]
        self._place(sizes)
        self.nodes = list(self._live([*self._walk()]))
        self.makers = {name: node for node in self.nodes for name in node.outputs}
        self.users: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in node.reads:
                self.users.setdefault(name, []).append(node)

    def fixed(self, name: str) -> bool:
        """Whether a value is a constant, or codes of one made real."""
        maker = self.makers.get(name)
        if maker is not None and maker.kind == "DequantizeLinear":
            return maker.inputs[0] in self.constants
        return name in self.constants

    def _place(self, sizes: Mapping[str, int]) -> None:
        for value in self.model.graph.input:
            if value.name in self.constants:
                continue
            tensor = value.type.tensor_type
            if not value.type.HasField("tensor_type") or not tensor.HasField("shape"):
                raise KitError(f"input {value.name} has no shape: export the model with one")
            self.types[value.name] = tensor.elem_type
            self.shapes[value.name] = tuple(
                dim.dim_value
                if dim.HasField("dim_value")
                else sizes[dim.dim_param or f"{value.name}.{at}"]
                for at, dim in enumerate(tensor.shape.dim)
            )

    def _constant(self, name: str, array: Array, type: int | None = None) -> None:
        self.constants[name] = array
        self.shapes[name] = tuple(array.shape)
        self.types[name] = type or helper.np_dtype_to_tensor_dtype(array.dtype)

    def _walk(self) -> Iterator[Node]:
        """Yield the nodes that are not known from constants; note what each gives."""
        for at, proto in enumerate(self.model.graph.node):
            if self._folded(proto):
                continue
            self._infer(proto)
            label = f"{kind_of(proto)} ({proto.name or f'node {at}'})"
            version = self.versions.get(proto.domain, self.versions.get("", 1))
            yield Node(
                kind_of(proto),
                label,
                tuple(proto.input),
                tuple(proto.output),
                attributes(proto),
                version,
                tuple(_captured(proto)),
            )

    def _folded(self, proto: Any) -> bool:
        kind = kind_of(proto)
        if kind in ("Shape", "Size") and proto.input[0] in self.shapes:
            self._constant(proto.output[0], self._measured(proto))
            return True
        if kind == "DequantizeLinear" or kind in _RANDOM or proto.domain not in ("", "ai.onnx"):
            return False
        if not all(name in self.constants for name in proto.input if name):
            return False
        if any(item.type in (item.GRAPH, item.GRAPHS) for item in proto.attribute):
            return False
        feeds = {name: self.constants[name] for name in proto.input if name}
        if sum(array.size for array in feeds.values()) > _FOLDED:
            return False
        try:
            found = ReferenceEvaluator(proto, opsets=self.versions).run(None, feeds)
        except Exception:  # an operator that the reference does not know stays a node
            return False
        for name, array in zip(proto.output, found, strict=False):
            if name:
                self._constant(name, np.asarray(array))
        return True

    def _measured(self, proto: Any) -> Array:
        shape = self.shapes[proto.input[0]]
        if proto.op_type == "Size":
            return np.array(int(np.prod(shape, dtype=np.int64)), np.int64)
        given = attributes(proto)
        return np.array(shape[slice(given.get("start", 0), given.get("end"))], np.int64)

    def _infer(self, proto: Any) -> None:
        """Note type and shape of what a node gives, from inference or from the source's run."""
        found: Mapping[str, Any] = {}
        known = [name for name in dict.fromkeys(proto.input) if name]
        if all(name in self.shapes for name in known):
            given = {
                name: helper.make_tensor_type_proto(self.types[name], self.shapes[name])
                for name in known
            }
            data = {
                name: numpy_helper.from_array(self.constants[name], name)
                for name in known
                if name in self.constants and self.constants[name].size <= _KNOWN_BY_SHAPE
            }
            try:
                version = self.versions.get(proto.domain, 1)
                schema = onnx.defs.get_schema(proto.op_type, version, proto.domain)
                found = shape_inference.infer_node_outputs(
                    schema,
                    proto,
                    given,
                    data,
                    opset_imports=list(self.model.opset_import),
                    ir_version=self.model.ir_version,
                )
            except Exception:  # no such schema, or shapes that do not go together
                found = {}
        for name in filter(None, proto.output):
            self._note(name, found.get(name))

    def _note(self, name: str, type: Any) -> None:
        tensor = type.tensor_type if type is not None else None
        if tensor is not None and tensor.HasField("shape"):
            dims = tensor.shape.dim
            if all(dim.HasField("dim_value") for dim in dims) and tensor.elem_type:
                self.types[name] = tensor.elem_type
                self.shapes[name] = tuple(dim.dim_value for dim in dims)
                return
        try:
            array = self._ask(name)
        except KitError:
            return  # nobody knows: who reads it is refused
        self.types[name] = helper.np_dtype_to_tensor_dtype(array.dtype)
        self.shapes[name] = tuple(array.shape)

    def _live(self, nodes: Sequence[Node]) -> Iterator[Node]:
        """Yield the nodes that an output needs."""
        wanted = set(self.outputs)
        kept = set()
        for node in reversed(nodes):
            if wanted.intersection(node.outputs):
                kept.add(node.outputs)
                wanted.update(node.reads)
        return (node for node in nodes if node.outputs in kept)
