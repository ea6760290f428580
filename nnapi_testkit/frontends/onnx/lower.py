"""From an ONNX graph to a graph of NNAPI's: one rule for each operator.

A rule is handed the lowering and the node, and returns the value, or values, of the node. What
NNAPI cannot express stays on the CPU: what it gives becomes an input of the model, and what it
reads an output, so that the rest is judged all the same.

Quantized graphs say in floats what is computed in codes: DequantizeLinear, operator,
QuantizeLinear (`nnapi_testkit/frontends/coded.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import TensorProto

from nnapi_testkit.frontends.coded import CodedSteps, Codes
from nnapi_testkit.frontends.draft import Quant, Refusal
from nnapi_testkit.frontends.onnx.source import Node, Source
from nnapi_testkit.frontends.sketch import LAST_FIRST, NHWC, Value
from nnapi_testkit.model.program import Left
from nnapi_testkit.spec.codes import OperandCode

__all__ = ["RULES", "Lowering", "lowers"]

Array = NDArray[Any]
_C = OperandCode
TYPES = {
    TensorProto.FLOAT: _C.TENSOR_FLOAT32,
    TensorProto.FLOAT16: _C.TENSOR_FLOAT16,
    TensorProto.INT32: _C.TENSOR_INT32,
    TensorProto.INT64: _C.TENSOR_INT32,
    TensorProto.BOOL: _C.TENSOR_BOOL8,
    TensorProto.UINT8: _C.TENSOR_QUANT8_ASYMM,
    TensorProto.INT8: _C.TENSOR_QUANT8_ASYMM_SIGNED,
}
CODES = (TensorProto.UINT8, TensorProto.INT8)
_REASONS = {
    "Erf": "NNAPI has no error function: export GELU with approximate='tanh'",
    "Gelu": "NNAPI has no error function: export GELU with approximate='tanh'",
    "com.microsoft.Gelu": "NNAPI has no error function: export GELU with approximate='tanh'",
    "NonMaxSuppression": "NNAPI's forms of it give rows of scores and boxes, and not positions",
    "NonZero": "NNAPI has no results whose size depends on values",
    "DynamicQuantizeLinear": "NNAPI's scales are fixed when the model is made: quantize statically",
    "ConvInteger": "NNAPI has no sums of codes without a scale: quantize statically",
    "MatMulInteger": "NNAPI has no sums of codes without a scale: quantize statically",
    "LSTM": "its layouts of weights and directions are not NNAPI's; ONNX Runtime does not map it",
    "GRU": "NNAPI has no gated recurrent unit",
    "RNN": "its directions and activations are not NNAPI's; ONNX Runtime does not map it",
    "If": "a branch of its own graph; ONNX Runtime does not map it",
    "Loop": "a loop of its own graph; ONNX Runtime does not map it",
    "Scan": "a loop of its own graph; ONNX Runtime does not map it",
    "Einsum": "write it as MatMul and Transpose",
    "Cos": "NNAPI has no cosine: sin(x + pi / 2)",
    "Ceil": "NNAPI rounds down alone: -floor(-x)",
    "Round": "NNAPI rounds down alone",
    "CumSum": "NNAPI has no running sums",
    "ScatterND": "NNAPI has no scatter",
    "ScatterElements": "NNAPI has no scatter",
    "GatherND": "NNAPI gathers along one dimension",
    "GatherElements": "NNAPI gathers whole slices",
    "GridSample": "NNAPI has no sampling at computed positions",
}


@dataclass(frozen=True)
class Rule:
    """A rule; `quantized`: NNAPI has the operation for codes."""

    lower: Callable[[Lowering, Node], Any]
    quantized: bool


RULES: dict[str, Rule] = {}


def lowers(*kinds: str, quantized: bool = False) -> Callable[[Any], Any]:
    """Register a rule for operators of these kinds."""

    def register(rule: Any) -> Any:
        for kind in kinds:
            RULES[kind] = Rule(rule, quantized)
        return rule

    return register


@dataclass
class Lowering(CodedSteps):
    """One graph on its way.

    Args:
        source: the ONNX graph. values: what each of its values is.
        codes: constants that are held as codes, by the name of their real value.
        left: nodes that stay on the CPU. cut: names of values that come from there, in the
            order of the inputs that stand for them. read: values that are read there.
        columns: for the input of a product with constant weights, the columns of these in the
            order in which a flattened image lies. moved: the values that lie so.
    """

    source: Source
    values: dict[str, Value] = field(default_factory=dict)
    codes: dict[str, Codes] = field(default_factory=dict)
    left: list[Left] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    read: list[str] = field(default_factory=list)
    columns: dict[str, Array] = field(default_factory=dict)
    moved: set[str] = field(default_factory=set)
    _missing: dict[str, str] = field(default_factory=dict)

    def run(self) -> None:
        """Lower the graph."""
        for name in self.source.inputs:
            self._place(name)
        for node in self.source.nodes:
            try:
                self._absent(node)
                made = self.one(node)
            except Refusal as refusal:
                self._leave(node, str(refusal))
                continue
            for name, value in zip(
                node.outputs, made if isinstance(made, tuple) else (made,), strict=False
            ):
                if name:
                    self.values[name] = value

    def one(self, node: Node) -> Any:
        """Lower one node: in codes where the graph and NNAPI have them, else in reals."""
        rule = RULES.get(node.kind)
        if rule is None:
            raise Refusal(_REASONS.get(node.kind, "NNAPI has nothing for it"))
        self.sketch.origin = node.label
        quant = self.unit(node) if rule.quantized else None
        return self.in_codes_or_reals(quant, lambda: rule.lower(self, node))

    def unit(self, node: Node) -> Quant | None:
        """The quantization that a node's result is rounded to, if that alone reads it.

        Activations between commute with rounding to codes, so they are looked through.
        """
        name = node.outputs[0]
        for _ in range(2):
            users = self.source.users.get(name, [])
            if len(users) != 1 or name in self.source.outputs:
                return None
            if users[0].kind == "QuantizeLinear" and users[0].inputs[0] == name:
                return self.quant(users[0])
            if not self.clamps(users[0]):
                return None
            name = users[0].outputs[0]
        return None

    def clamps(self, node: Node) -> bool:
        """Whether a node is an activation that NNAPI can fuse."""
        return node.kind == "Relu" or (node.kind == "Clip" and self.limits(node) in _FUSED_LIMITS)

    def limits(self, node: Node) -> tuple[float | None, float | None]:
        """The limits of a Clip; None where there is none. Refusal if they are computed."""
        found: list[float | None] = []
        for position, name in ((1, "min"), (2, "max")):
            given = node.attributes.get(name)
            if node.input(position):
                given = float(self.constant(node, position).reshape(()))
            if given is not None and (not math.isfinite(given) or abs(given) > 3e38):
                given = None
            found.append(None if given is None else float(given))
        return found[0], found[1]

    def quant(self, node: Node) -> Quant | None:
        """The quantization that a QuantizeLinear or DequantizeLinear names, per tensor."""
        constants = self.source.constants
        scale, zero = node.input(1), node.input(2)
        if scale not in constants or (zero and zero not in constants):
            return None
        if constants[scale].size != 1:
            return None
        side = node.outputs[0] if node.kind == "QuantizeLinear" else node.inputs[0]
        type = self.source.types.get(side)
        if type not in CODES:
            return None
        point = int(constants[zero].reshape(())) if zero else 0
        return Quant(TYPES[type], float(constants[scale].reshape(())), point)

    # What a rule asks for.

    def take(self, node: Node, position: int = 0) -> Value:
        """An input: codes while the rule is asked for codes, else real values."""
        value = self.raw(node, position)
        if self.mode is None:
            if self._floats(node, position):
                return self.real(value)
            if value.quant is not None:
                raise Refusal("whole numbers of 8 bits: NNAPI's are codes of real numbers")
            return value
        if value.constant is not None:
            return self.coded(self.codes.get(node.inputs[position]))
        if value.quant is None:
            raise Refusal("an input is not quantized")
        return value

    def raw(self, node: Node, position: int = 0) -> Value:
        """An input as it is held: for rules that only move elements."""
        name = node.input(position)
        if not name:
            raise Refusal(f"input {position} is left out")
        if name not in self.values:
            array = self.source.constants[name]
            self.values[name] = self._held(array, name)
        return self.values[name]

    def constant(self, node: Node, position: int) -> Array:
        """The data of an input that has to be constant, real values of quantized ones."""
        name = node.input(position)
        if name in self.source.constants:
            return self.source.constants[name]
        value = self.values.get(name)
        if value is None or value.constant is None:
            raise Refusal(f"input {position} has to be constant, and is computed")
        found: Array = value.constant.numpy()
        return found

    def ints(self, node: Node, position: int, name: str = "") -> list[int] | None:
        """Whole numbers: of an attribute in old operator sets, of a constant input in new ones."""
        if name in node.attributes:
            given = node.attributes[name]
            return [int(item) for item in (given if isinstance(given, list) else [given])]
        if not node.input(position):
            return None
        return [int(item) for item in self.constant(node, position).reshape(-1)]

    def shape(self, node: Node, position: int = 0) -> tuple[int, ...]:
        """The shape of a result."""
        return self.source.shapes[node.outputs[position]]

    def type(self, node: Node, position: int = 0) -> OperandCode:
        """The operand type of a result that is no code."""
        return _type(self.source.types[node.outputs[position]])

    def number(self, value: float, like: Value) -> Value:
        """A constant number in the precision of a value."""
        half = like.type == _C.TENSOR_FLOAT16
        return self.sketch.constant(torch.tensor(value, dtype=torch.half if half else torch.float))

    # Inside.

    def _floats(self, node: Node, position: int) -> bool:
        return self.source.types.get(node.inputs[position]) not in CODES

    def _held(self, array: Array, name: str) -> Value:
        type = _type(self.source.types[name])
        if type in (_C.TENSOR_QUANT8_ASYMM, _C.TENSOR_QUANT8_ASYMM_SIGNED):
            return self.sketch.constant(torch.from_numpy(array.copy()), Quant(type, 1.0, 0))
        return self.sketch.constant(torch.from_numpy(np.array(array)))

    def _place(self, name: str) -> None:
        source = self.source
        try:
            type = _type(source.types[name])
        except Refusal as refusal:
            self._missing[name] = f"input {name} is {refusal}"
            return
        if 0 in source.shapes[name]:
            self._missing[name] = f"input {name}, which is empty"
            return
        quant = self._read_as(name) if source.types[name] in CODES else None
        shape = source.shapes[name]
        last = self.last and len(shape) == 4 and not self._turned_at_once(name)
        self.values[name] = self.sketch.input(shape, type, last, name, quant)

    def _turned_at_once(self, name: str) -> bool:
        """Whether all that reads an input makes it channels first: then it lies channels last."""
        users = self.source.users.get(name, [])
        return bool(users) and all(
            user.kind == "Transpose" and tuple(user.attributes.get("perm", ())) == LAST_FIRST
            for user in users
        )

    def _read_as(self, name: str) -> Quant:
        """How the codes of an input are read: as its first DequantizeLinear says."""
        for node in self.source.users.get(name, []):
            if node.kind == "DequantizeLinear" and (quant := self.quant(node)):
                return quant
        return Quant(TYPES[self.source.types[name]], 1.0, 0)

    def _absent(self, node: Node) -> None:
        """Raise Refusal if the node reads, or gives, what nobody can hold."""
        for name in node.reads:
            if name in self._missing:
                raise Refusal(f"it reads {self._missing[name]}")
        for name in filter(None, node.outputs):
            if name in self.source.outputs or name in self.source.users:
                if name not in self.source.shapes:
                    raise Refusal("the shape of its result is not known before it runs")
                if 0 in self.source.shapes[name]:
                    raise Refusal("its result is empty")

    def _leave(self, node: Node, reason: str) -> None:
        """A node stays on the CPU: cut the graph around it."""
        source = self.source
        macs = _work(node, source)
        self.left.append(Left(len(self.sketch.operations), node.label, reason, macs))
        for name in node.reads:
            value = self.values.get(name)
            fed = value is not None and value.operand in self.sketch.inputs
            if value is not None and value.constant is None and not fed:
                self.read.append(name)
        for name in filter(None, node.outputs):
            if name not in source.users:
                continue  # the end of the model, or nothing
            shape = source.shapes.get(name)
            if shape is None or 0 in shape:
                self._missing[name] = f"{name}, whose size only the CPU knows"
                continue
            self._place(name)
            if name in self.values:
                self.cut.append(name)


_FUSED_LIMITS = ((0.0, None), (0.0, 6.0), (-1.0, 1.0))


def _type(element: int) -> OperandCode:
    if element not in TYPES:
        name = TensorProto.DataType.Name(element).lower()
        raise Refusal(f"{name}, and NNAPI has float32, float16, int32, bool and 8-bit codes")
    return TYPES[element]


def _work(node: Node, source: Source) -> int:
    """Multiply-accumulates of a node, for shares of a model."""
    if node.kind not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
        return 0
    shapes = [source.shapes.get(name) for name in (*node.inputs[:2], node.outputs[0])]
    if None in shapes or not all(shapes):
        return 0
    first, weight, result = (shape or () for shape in shapes)
    if node.kind == "Conv":
        return math.prod(result) * math.prod(weight[1:])
    if node.kind == "ConvTranspose":
        return math.prod(first) * math.prod(weight[1:])
    return math.prod(result) * first[0 if node.attributes.get("transA") else -1]


def fed_order(last: bool, shape: Sequence[int]) -> Sequence[int]:
    """The order of dimensions in which an input's or output's data are held."""
    return NHWC if last and len(shape) == 4 else range(len(shape))
