"""Nodes written as others: one form for the rules, whatever the exporter chose.

QLinear operators become DequantizeLinear, the float operator and QuantizeLinear, which is what
their specification says they compute; a BatchNormalization behind a Conv becomes part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from nnapi_testkit.frontends.onnx.source import attributes, kind_of

__all__ = ["REWRITES", "rewritten"]

Array = NDArray[Any]


class _Parts:
    """The nodes that one node becomes, and constants for them."""

    def __init__(self, node: Any, constants: Mapping[str, Array]) -> None:
        self.node, self.constants = node, constants
        self.nodes: list[Any] = []
        self.made: list[Any] = []

    def real(self, name: str, scale: str, zero: str, axis: int | None = None) -> str:
        """A DequantizeLinear of an input; returns what it gives."""
        result = f"{self.node.output[0]}/{name}/real"
        more = {} if axis is None else {"axis": axis}
        inputs = [name, scale, zero] if zero else [name, scale]
        self.nodes.append(
            helper.make_node("DequantizeLinear", inputs, [result], f"{result}/dequantize", **more)
        )
        return result

    def axis(self, scale: str, axis: int) -> int | None:
        """The axis of scales, if there are several."""
        return axis if self.constants[scale].size > 1 else None

    def compute(self, kind: str, inputs: Sequence[str], scale: str, zero: str, **how: Any) -> None:
        """The float operator, and the QuantizeLinear that gives the node's output."""
        result = f"{self.node.output[0]}/real"
        name = self.node.name or self.node.output[0]
        self.nodes.append(helper.make_node(kind, list(inputs), [result], name, **how))
        last = [result, scale, zero] if zero else [result, scale]
        self.nodes.append(
            helper.make_node("QuantizeLinear", last, [self.node.output[0]], f"{name}/quantize")
        )

    def constant(self, name: str, array: Array) -> str:
        """A constant of its own."""
        self.made.append(numpy_helper.from_array(array, f"{self.node.output[0]}/{name}"))
        return str(self.made[-1].name)


def _input(node: Any, position: int) -> str:
    return node.input[position] if position < len(node.input) else ""


def _conv(parts: _Parts) -> None:
    node, constants = parts.node, parts.constants
    x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero = node.input[:8]
    inputs = [
        parts.real(x, x_scale, x_zero),
        parts.real(w, w_scale, w_zero, parts.axis(w_scale, 0)),
    ]
    if _input(node, 8):
        scale = np.asarray(constants[x_scale] * constants[w_scale], np.float32)
        named = parts.constant("bias_scale", scale.reshape(()) if scale.size == 1 else scale)
        inputs.append(parts.real(node.input[8], named, "", 0 if scale.size > 1 else None))
    parts.compute("Conv", inputs, y_scale, y_zero, **attributes(node))


def _matmul(parts: _Parts) -> None:
    a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero = parts.node.input[:8]
    inputs = [
        parts.real(a, a_scale, a_zero),
        parts.real(b, b_scale, b_zero, parts.axis(b_scale, -1)),
    ]
    parts.compute("MatMul", inputs, y_scale, y_zero)


def _gemm(parts: _Parts) -> None:
    node, constants = parts.node, parts.constants
    a, a_scale, a_zero, b, b_scale, b_zero = node.input[:6]
    how = attributes(node)
    axis = 0 if how.get("transB") else 1
    inputs = [
        parts.real(a, a_scale, a_zero),
        parts.real(b, b_scale, b_zero, parts.axis(b_scale, axis)),
    ]
    if _input(node, 6):
        factor = np.float32(how.get("alpha", 1.0))
        scale = np.asarray(constants[a_scale] * constants[b_scale] * factor, np.float32)
        named = parts.constant("bias_scale", scale.reshape(()) if scale.size == 1 else scale)
        inputs.append(parts.real(node.input[6], named, "", 0 if scale.size > 1 else None))
    parts.compute("Gemm", inputs, node.input[7], _input(node, 8), **how)


def _binary(kind: str) -> Callable[[_Parts], None]:
    def rewrite(parts: _Parts) -> None:
        a, a_scale, a_zero, b, b_scale, b_zero, scale = parts.node.input[:7]
        inputs = [parts.real(a, a_scale, a_zero), parts.real(b, b_scale, b_zero)]
        parts.compute(kind, inputs, scale, _input(parts.node, 7))

    return rewrite


def _unary(kind: str, dropped: Sequence[str] = ()) -> Callable[[_Parts], None]:
    def rewrite(parts: _Parts) -> None:
        x, x_scale, x_zero, scale = parts.node.input[:4]
        how = {k: v for k, v in attributes(parts.node).items() if k not in dropped}
        parts.compute(kind, [parts.real(x, x_scale, x_zero)], scale, _input(parts.node, 4), **how)

    return rewrite


def _concat(parts: _Parts) -> None:
    scale, zero, *rest = parts.node.input
    inputs = [parts.real(*rest[at : at + 3]) for at in range(0, len(rest), 3)]
    parts.compute("Concat", inputs, scale, zero, **attributes(parts.node))


# Kind, with the positions of what has to be constant.
REWRITES: dict[str, tuple[Callable[[_Parts], None], Sequence[int]]] = {
    "QLinearConv": (_conv, (1, 2, 3, 4, 5, 6, 7)),
    "QLinearMatMul": (_matmul, (1, 2, 4, 5, 6, 7)),
    "com.microsoft.QGemm": (_gemm, (1, 2, 4, 5)),
    "com.microsoft.QLinearAdd": (_binary("Add"), (1, 2, 4, 5, 6)),
    "com.microsoft.QLinearMul": (_binary("Mul"), (1, 2, 4, 5, 6)),
    "com.microsoft.QLinearSigmoid": (_unary("Sigmoid"), (1, 2, 3)),
    "com.microsoft.QLinearLeakyRelu": (_unary("LeakyRelu"), (1, 2, 3)),
    "com.microsoft.QLinearSoftmax": (_unary("Softmax", ("opset",)), (1, 2, 3)),
    "com.microsoft.QLinearAveragePool": (_unary("AveragePool", ("channels_last",)), (1, 2, 3)),
    "com.microsoft.QLinearGlobalAveragePool": (
        _unary("GlobalAveragePool", ("channels_last",)),
        (1, 2, 3),
    ),
    "com.microsoft.QLinearConcat": (_concat, (0, 1)),
}


def rewritten(model: Any) -> Any:
    """A copy of a model, its QLinear operators and batch norms written in other nodes.

    A node whose scales are computed stays as it is, and is refused later.
    """
    copy = type(model)()
    copy.CopyFrom(model)
    graph = copy.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    known = _Lazy(constants)
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            known.tensors[node.output[0]] = node.attribute[0].t
    nodes: list[Any] = []
    for node in graph.node:
        found = REWRITES.get(kind_of(node))
        if found is None or not _fits(node, found[1], known):
            nodes.append(node)
            continue
        parts = _Parts(node, known)
        found[0](parts)
        nodes += parts.nodes
        graph.initializer.extend(parts.made)
    listed = list(_without_norms(nodes, known, graph))
    del graph.node[:]
    graph.node.extend(listed)
    return copy


def _fits(node: Any, positions: Sequence[int], known: Mapping[str, Array]) -> bool:
    given = attributes(node)
    if given.get("channels_last"):
        return False
    if given.get("opset", 13) < 13 and given.get("axis") != -1:
        return False  # over all dimensions from the axis on, which Softmax does no more
    return all(not _input(node, at) or node.input[at] in known for at in positions)


class _Lazy(dict[str, Array]):
    """Constants as arrays, made when they are asked for."""

    def __init__(self, tensors: Mapping[str, Any]) -> None:
        super().__init__()
        self.tensors = dict(tensors)

    def __missing__(self, name: str) -> Array:
        self[name] = numpy_helper.to_array(self.tensors[name])
        return self[name]

    def __contains__(self, name: object) -> bool:
        return name in self.tensors


def _without_norms(nodes: Sequence[Any], known: _Lazy, graph: Any) -> Iterator[Any]:
    """Yield the nodes, a Conv with the BatchNormalization that alone reads it folded in."""
    readers: dict[str, list[Any]] = {}
    for node in nodes:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    ends = {value.name for value in graph.output}
    gone: set[str] = set()
    for node in nodes:
        norm: Any = readers.get(node.output[0], [None])[0] if len(node.output) == 1 else None
        alone = norm is not None and len(readers[node.output[0]]) == 1
        if node.output and node.output[0] in gone:
            continue
        if (
            alone
            and kind_of(node) == "Conv"
            and kind_of(norm) == "BatchNormalization"
            and node.output[0] not in ends
            and all(name in known for name in (*node.input[1:], *norm.input[1:]))
            and not attributes(norm).get("training_mode")
            and attributes(norm).get("spatial", 1)
            and [name for name in norm.output if name] == list(norm.output[:1])
        ):
            gone.add(norm.output[0])
            yield _folded(node, norm, known, graph)
            continue
        yield node


def _folded(conv: Any, norm: Any, known: Mapping[str, Array], graph: Any) -> Any:
    """One Conv that computes both: w * scale, (b - mean) * scale + shift."""
    gamma, beta, mean, variance = (known[name].astype(np.float64) for name in norm.input[1:5])
    scale = gamma / np.sqrt(variance + attributes(norm).get("epsilon", 1e-5))
    weight = known[conv.input[1]]
    bias = known[conv.input[2]] if _input(conv, 2) else np.zeros(len(scale))
    made = {
        "weight": weight * scale.reshape(-1, *(1,) * (weight.ndim - 1)),
        "bias": (bias - mean) * scale + beta,
    }
    names = []
    for name, array in made.items():
        named = f"{norm.output[0]}/{name}"
        graph.initializer.append(numpy_helper.from_array(array.astype(weight.dtype), named))
        names.append(named)
    folded = type(conv)()
    folded.CopyFrom(conv)
    del folded.input[:], folded.output[:]
    folded.input.extend([conv.input[0], *names])
    folded.output.append(norm.output[0])
    return folded
