"""From a graph of `torch.export` to a graph of NNAPI's: one rule for each kind of ATen node.

A rule is a function that is handed the lowering and the node, and returns the node's value (or
values). Rules live in the family files beside this one and register by the node's target.

Quantized graphs say in floats what is computed in codes: dequantize, operator, quantize
(`nnapi_testkit/frontends/coded.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch.fx import Node

from nnapi_testkit.frontends.coded import CodedSteps, Codes
from nnapi_testkit.frontends.draft import Quant
from nnapi_testkit.frontends.export.sizes import Sizes
from nnapi_testkit.frontends.export.work import multiply_accumulates
from nnapi_testkit.frontends.sketch import TYPES, Refusal, Value, operand_type
from nnapi_testkit.model.program import Left
from nnapi_testkit.model.types import Graph
from nnapi_testkit.spec.codes import OperandCode

__all__ = ["RULES", "Lowering", "Rule", "lowers", "place"]

Rule = Callable[["Lowering", Node], Any]
RULES: dict[str, Rule] = {}
CODED: set[str] = set()  # for which NNAPI's operation exists for codes
MOVES: set[str] = set()  # that only move elements, or choose among them: rounding commutes with it
QUANTIZES = (
    "quantized_decomposed.quantize_per_tensor.default",
    "quantized_decomposed.quantize_per_tensor.tensor",
    "quantized_decomposed.quantize_per_channel.default",
    "torchao.quantize_affine.default",
)
DEQUANTIZES = tuple(name.replace(".quantize", ".dequantize") for name in QUANTIZES)
_STATIC = "NNAPI's scales are fixed when the model is made: quantize statically"
CURES: dict[str, str] = {
    "aten.gelu.default": "use approximate='tanh': NNAPI has no error function",
    "aten.gru.input": "use nn.LSTM: NNAPI has no gated recurrent unit",
    "aten.einsum.default": "write it as matmul and permute",
    "quantized_decomposed.choose_qparams.tensor": _STATIC,
    "quantized_decomposed.choose_qparams_symmetric.tensor": _STATIC,
    "torchao.choose_qparams_affine.default": _STATIC,
    "aten.rand.default": "NNAPI computes the same for the same inputs: make it an input",
}


# How the quantization that such a node rounds to is read from it; registered as rules are.
QUANTS: dict[str, Callable[[Lowering, Node], Quant | None]] = {}


def lowers(*targets: str, quantized: bool = False, moves: bool = False) -> Callable[[Rule], Rule]:
    """Register a rule for nodes of these targets, as `aten.relu.default`.

    Args:
        quantized: NNAPI has the operation for codes. moves: elements are moved as they are held.
    """

    def register(rule: Rule) -> Rule:
        for target in targets:
            RULES[target] = rule
        CODED.update(targets if quantized else ())
        MOVES.update(targets if moves else ())
        return rule

    return register


def target_name(node: Node) -> str:
    """What a node calls, without PyTorch's prefix."""
    text = str(node.target)
    return text if node.op == "call_function" else node.op


@dataclass
class Lowering(CodedSteps):
    """One graph on its way.

    Args:
        module: holds the graphs that conditions and loops refer to.
        graphs: finished subgraphs of the model.
        sizes: numbers for symbolic dimensions.
        values: what each node stands for; a tuple for nodes with several results.
        codes: constants that are held as codes, by the node of their real values.
        refusals: what NNAPI cannot express. left: the same, and what hangs on it, as nodes that
            stay in PyTorch. cut: results of those that are fed to the model, in the order of the
            inputs that stand for them, with a position among several results or None. read: nodes
            whose values they read.
    """

    module: torch.fx.GraphModule
    graphs: list[Graph]
    sizes: Sizes = field(default_factory=dict)
    values: dict[Node, Any] = field(default_factory=dict)
    codes: dict[Node, Codes] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    cut: list[tuple[Node, int | None]] = field(default_factory=list)
    read: list[Node] = field(default_factory=list)

    def run(self, nodes: Sequence[Node]) -> None:
        """Lower nodes in order; what cannot be stays in PyTorch, and the graph is cut around it."""
        for node in nodes:
            if node in self.values or node.op in ("placeholder", "output", "get_attr"):
                continue
            read = [arg for arg in node.all_input_nodes if arg.op != "get_attr"]
            missing = [arg.name for arg in read if arg not in self.values]
            if missing:  # an earlier refusal has been told already
                if isinstance(node.meta.get("val"), torch.Tensor | tuple | list):
                    self._leave(node, f"it reads {missing[0]}, which is no operand of NNAPI's")
                continue  # else a check of a size
            graphs = len(self.graphs)
            try:
                self.values[node] = self.one(node)
            except Refusal as refusal:
                del self.graphs[graphs:]  # of a branch before the one that is refused
                self.refusals.append(f"{target_name(node)}{place(node)}: {refusal}")
                self._leave(node, str(refusal))

    def _leave(self, node: Node, reason: str) -> None:
        """A node stays in PyTorch: what it gives is an input, what it reads an output."""
        name = f"{target_name(node)}{place(node)}"
        macs = multiply_accumulates(node)
        self.left.append(Left(len(self.sketch.operations), name, reason, macs))
        for arg in node.all_input_nodes:
            value = self.values.get(arg)
            if not isinstance(value, Value) or value.constant is not None:
                continue
            if value.operand not in self.sketch.inputs and arg not in self.read:
                self.read.append(arg)
        made = node.meta.get("val")
        if isinstance(made, tuple | list):
            self.values[node] = tuple(self._fed(node, part, at) for at, part in enumerate(made))
        elif (value := self._fed(node, made, None)) is not None:
            self.values[node] = value

    def _fed(self, node: Node, made: Any, at: int | None) -> Value | None:
        """An input for a result of PyTorch's; None if no operand holds it."""
        if not isinstance(made, torch.Tensor) or made.dtype in (torch.uint8, torch.int8):
            return None
        shape = tuple(made.shape)
        if made.dtype not in TYPES or not all(isinstance(size, int) and size for size in shape):
            return None
        self.cut.append((node, at))
        name = node.name if at is None else f"{node.name}.{at}"
        wide = self.last and len(shape) == 4
        return self.sketch.input(shape, TYPES[made.dtype], wide, name)

    def one(self, node: Node) -> Any:
        """Lower one node."""
        name = target_name(node)
        rule = RULES.get(name)
        if rule is None:
            cure = CURES.get(name)
            raise Refusal(f"NNAPI has nothing for it{f'; {cure}' if cure else ''}")
        self.sketch.origin = f"{name}{place(node)}"
        quant = self.unit(node) if name in CODED else None
        made = self.in_codes_or_reals(quant, lambda: rule(self, node))
        # What moved is no longer where an activation could be fused for its reader alone.
        return replace(made, fused=None) if name in MOVES and isinstance(made, Value) else made

    def unit(self, node: Node) -> Quant | None:
        """The quantization that a node's result is rounded to, if that alone reads it.

        Activations and moves between commute with rounding to codes: they are looked through.
        """
        while True:
            users = list(node.users)
            if users and all(target_name(user) in QUANTIZES for user in users):
                found = {QUANTS[target_name(user)](self, user) for user in users}
                return found.pop() if len(found) == 1 else None
            if len(users) != 1 or users[0].args[:1] != (node,):
                return None
            if not self.moves(users[0]) and limits(users[0]) not in FUSED:
                return None
            node = users[0]

    def moves(self, node: Node) -> bool:
        """Whether a node only moves elements of its first argument."""
        return target_name(node) in MOVES

    def value(self, given: Any) -> Value:
        """The value behind an argument: codes while the rule is asked for codes, else reals."""
        found = self.raw(given)
        if self.mode is None:
            if found.quant is not None and given.meta["val"].dtype in (torch.uint8, torch.int8):
                raise Refusal("whole numbers of 8 bits: NNAPI's are codes of real numbers")
            return self.real(found)
        if found.constant is not None:
            return self.coded(self.held(given))
        if found.quant is None:
            raise Refusal("an input is not quantized")
        return found

    def raw(self, given: Any) -> Value:
        """The value behind an argument as it is held: a node, or a number: a constant then."""
        if isinstance(given, Node):
            found = self.values[given]
            if not isinstance(found, Value):
                raise Refusal("it takes a result that is no single tensor")
            return found
        if isinstance(given, bool):
            return self.sketch.constant(torch.tensor(given))
        if isinstance(given, int | float):
            return self.sketch.constant(torch.tensor(float(given)))
        if isinstance(given, torch.Tensor):
            return self.sketch.constant(given)
        raise Refusal(f"it takes {type(given).__name__}, which is no tensor")

    def constant(self, given: Any) -> torch.Tensor:
        """The data of an argument that has to be constant; real values of quantized ones."""
        value = self.raw(given)
        if value.constant is None:
            raise Refusal("an operand has to be constant, and is computed or an input")
        return value.constant

    def held(self, given: Any) -> Codes | None:
        """The codes behind an argument, where it is a constant of codes."""
        return self.codes.get(given) if isinstance(given, Node) else None

    def keeps(self, value: Value) -> Quant | None:
        """The quantization of a result that has to be its input's; Refusal if another is asked."""
        if self.mode is not None and value.quant != self.mode:
            raise Refusal("the operation keeps scale and zero point, the graph changes them")
        return value.quant

    def shape(self, node: Node) -> tuple[int, ...]:
        """The shape of a node's result."""
        shape = node.meta["val"].shape
        if not all(isinstance(size, int) for size in shape):
            raise Refusal("its size depends on data, and NNAPI has few such operations")
        return tuple(shape)

    def type(self, node: Node) -> OperandCode:
        """The type of a node's result."""
        return operand_type(node.meta["val"].dtype)

    def activated(self, node: Node, value: Value, activation: int, code: str) -> Value:
        """An activation: fused into the operation before it if nobody else reads that."""
        source = node.args[0]
        if value.fused is not None and isinstance(source, Node) and len(source.users) == 1:
            return self.sketch.fuse(value, activation)
        return self.unary(code, value)


def limits(node: Node) -> tuple[float | None, float | None] | None:
    """The limits of an activation that cuts off, None for one that is open; None for others."""
    kind = target_name(node).split(".")[1].rstrip("_") if "." in target_name(node) else ""
    if kind in ("relu", "relu6"):
        return 0, 6 if kind == "relu6" else None
    if kind not in ("hardtanh", "clamp"):
        return None
    hard = kind == "hardtanh"
    low: Any = node.args[1] if len(node.args) > 1 else node.kwargs.get("min", -1 if hard else None)
    high: Any = node.args[2] if len(node.args) > 2 else node.kwargs.get("max", 1 if hard else None)
    return low, high


# Activations that NNAPI can fuse, by their limits: the number, and the operation by itself.
FUSED: dict[tuple[float | None, float | None] | None, tuple[int, str]] = {
    (0, None): (1, "RELU"),
    (-1, 1): (2, "RELU1"),
    (0, 6): (3, "RELU6"),
}


def place(node: Node) -> str:
    """Where a node comes from, as ` (in features.3.conv, net.py:12)`; empty if unknown."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [path for path, _ in stack.values() if path]
    found = [f"in {paths[-1]}"] if paths else []
    trace = node.meta.get("stack_trace") or ""
    lines = [line for line in trace.splitlines() if line.strip().startswith("File ")]
    own = [line for line in lines if "/torch/" not in line]
    if own:
        path, _, rest = own[-1].strip()[6:].partition('"')
        number = rest.partition("line ")[2].partition(",")[0]
        found.append(f"{path.rsplit('/', 1)[-1]}:{number}")
    return f" ({', '.join(found)})" if found else ""
