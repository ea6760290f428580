"""From a graph of LiteRT's to a graph of NNAPI's: one rule for each kind of operator.

A rule is a function that is handed the lowering and the node, and emits operations that write the
node's results. Rules live in the family files beside this one and register by the operator's name.
Both formats have channels last, the same padding schemes and the same fused activations, so most
rules only bring operands into NNAPI's order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.frontends.draft import Draft, Quant, Refusal, quantized, undocumented
from nnapi_testkit.frontends.tflite.file import TYPES, Graph, Node, Tensor
from nnapi_testkit.frontends.tflite.reasons import REASONS
from nnapi_testkit.model.program import Left
from nnapi_testkit.model.types import ChannelQuant, Lifetime, Operand
from nnapi_testkit.spec.codes import OperandCode

__all__ = ["RULES", "Lowering", "Rule", "lowers", "needed", "operand_of"]

_C = OperandCode
Rule = Callable[["Lowering", Node], None]
RULES: dict[str, Rule] = {}
PLAIN = {
    "FLOAT32": _C.TENSOR_FLOAT32,
    "FLOAT16": _C.TENSOR_FLOAT16,
    "INT32": _C.TENSOR_INT32,
    "BOOL": _C.TENSOR_BOOL8,
}
RELU_CODES = (0, 1, 2, 3)  # NONE, RELU, RELU_N1_TO_1, RELU6: the numbers are NNAPI's
TANH = 4
# What a rule runs into where a damaged file's shapes and options do not go together.
_MISFITS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def lowers(*kinds: str) -> Callable[[Rule], Rule]:
    """Register a rule for operators of these kinds, as `CONV_2D`."""

    def register(rule: Rule) -> Rule:
        for kind in kinds:
            RULES[kind] = rule
        return rule

    return register


def needed(node: Node, position: int, what: str = "an input") -> Tensor:
    """An input that cannot be left out."""
    found = node.input(position)
    if found is None:
        raise Refusal(f"{what} is left out")
    return found


def operand_of(tensor: Tensor, lifetime: Lifetime = Lifetime.TEMPORARY) -> Operand:
    """The operand that goes with a tensor: type, dimensions, quantization."""
    dims = tensor.shape or (1,)  # NNAPI has no tensor without dimensions
    if tensor.type in PLAIN:
        # A scale of int32 tells how biases are read; elsewhere NNAPI has none.
        return Operand(PLAIN[tensor.type], dims, lifetime=lifetime)
    if tensor.type == "INT16" and len(tensor.scales) == 1 and not tensor.zero_point:
        # For states of a quantized LSTM; no other operation takes it.
        return Operand(_C.TENSOR_QUANT16_SYMM, dims, tensor.scale, 0, lifetime)
    _are_codes(tensor)
    if len(tensor.scales) > 1:
        channels = _channels(tensor)
        code = _C.TENSOR_QUANT8_SYMM_PER_CHANNEL
        return Operand(code, dims, lifetime=lifetime, channel_quant=channels)
    code = _C.TENSOR_QUANT8_ASYMM if tensor.type == "UINT8" else _C.TENSOR_QUANT8_ASYMM_SIGNED
    if not tensor.scales:  # plain numbers, as the pixels of an image
        return Operand(code, dims, 1.0, 0, lifetime)
    return Operand(code, dims, tensor.scale, tensor.zero_point, lifetime)


def _are_codes(tensor: Tensor) -> None:
    """Refuse a tensor that holds no codes of 8 bits, or none that mean a number."""
    if tensor.type == "INT64":
        raise Refusal(f"{tensor.name} is int64: NNAPI has int32")
    if tensor.type not in ("UINT8", "INT8"):
        raise Refusal(f"{tensor.name} is {tensor.type.lower()}: NNAPI has no such type here")
    if not all(0 < scale < float("inf") for scale in tensor.scales):
        raise Refusal(f"{tensor.name} has a scale that is no positive number")
    low = 0 if tensor.type == "UINT8" else -128
    if not all(low <= zero <= low + 255 for zero in tensor.zero_points):
        raise Refusal(f"{tensor.name} has a zero point that is no code")


def _channels(tensor: Tensor) -> ChannelQuant:
    """The scales by channel, where NNAPI has such."""
    if any(tensor.zero_points) or tensor.type == "UINT8":
        raise Refusal(f"{tensor.name} has zero points by channel: NNAPI has symmetric ones")
    count = len(tensor.scales)
    if not 0 <= tensor.channel < tensor.rank or tensor.shape[tensor.channel] != count:
        raise Refusal(f"{tensor.name} has {count} scales for another shape")
    return ChannelQuant(tensor.channel, tensor.scales)


@dataclass
class State:
    """A tensor that the source keeps between runs: what the model takes and gives in its place.

    Args:
        taken, given: operands. memory: NNAPI forgets the oldest of as many values behind a run,
            LiteRT before the next one.
    """

    tensor: Tensor
    taken: int
    given: int = -1
    memory: int = 0

    def expected(self, real: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the model gives, from what LiteRT keeps."""
        if not self.memory:
            return real
        rows = real.reshape(-1, self.memory)
        moved = np.concatenate([rows[:, 1:], np.zeros((len(rows), 1))], 1)
        return moved.reshape(real.shape)


@dataclass
class Lowering:
    """One graph on its way.

    Args:
        values: what the source computes for a tensor that depends on constants alone.
        draft: the NNAPI graph. held: operands of tensors, by the tensor's index.
        folded: constants that are computed while lowering, by the tensor's index.
        fed: tensors behind the model's inputs, by operand. states: tensors that the source keeps
            between runs.
        left: nodes that stay on the CPU. asked: what those read. cpu: what those give.
        hybrid: 8-bit weights beside float data, by index: NNAPI computes with their real values.
        unlike: why the source computes another thing than NNAPI with the same operands.
    """

    graph: Graph
    values: Callable[[Tensor], NDArray[Any]]
    draft: Draft = field(default_factory=Draft)
    held: dict[int, int] = field(default_factory=dict)
    folded: dict[int, NDArray[Any]] = field(default_factory=dict)
    fed: dict[int, Tensor] = field(default_factory=dict)
    states: dict[int, State] = field(default_factory=dict)
    left: list[Left] = field(default_factory=list)
    asked: list[Tensor] = field(default_factory=list)
    cpu: set[int] = field(default_factory=set)
    hybrid: set[int] = field(default_factory=set)
    unlike: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Lower every node; what cannot be stays on the CPU, with the reason."""
        for at in self.graph.inputs:
            self.cpu.add(at)
            with suppress(Refusal):  # told where it is read
                self.read(self.graph.tensors[at])
        for node in self.graph.nodes:
            if self._whole(node) and self._folded(node):
                continue
            mark = (len(self.draft.operands), len(self.draft.operations))
            try:
                self.one(node)
            except Refusal as refusal:
                self._back(mark)
                if not self._folded(node):
                    self._leave(node, str(refusal))

    def _foldable(self, node: Node) -> bool:
        """Whether a node's results follow from the file alone."""
        if node.kind == "SHAPE":
            return 0 not in needed(node, 0).shape
        given = [tensor for tensor in node.inputs if tensor is not None]
        return bool(given) and all(
            tensor.index in self.folded or (tensor.constant and tensor.sparse is None)
            for tensor in given
        )

    def _whole(self, node: Node) -> bool:
        """Whether a node computes sizes or places rather than data."""
        return all(tensor.type in ("INT32", "INT64") for tensor in node.outputs)

    def _folded(self, node: Node) -> bool:
        """Make a node's results constants, if they follow from the file alone."""
        if not self._foldable(node):
            return False
        try:
            self.folded |= {tensor.index: self.values(tensor) for tensor in node.outputs}
        except Refusal:  # LiteRT does not run the file
            return False
        return True

    def _leave(self, node: Node, reason: str) -> None:
        """A node stays on the CPU: what it gives is fed to the model, what it reads is asked."""
        self.left.append(Left(len(self.draft.operations), node.label, reason))
        self.cpu |= {tensor.index for tensor in node.outputs}
        self.asked += [tensor for tensor in node.inputs if tensor is not None]

    def _back(self, mark: tuple[int, int]) -> None:
        """Forget what a refused node added."""
        operands, operations = mark
        draft = self.draft
        del draft.operands[operands:], draft.operations[operations:], draft.origins[operations:]
        draft.inputs = [at for at in draft.inputs if at < operands]
        draft.names = {at: name for at, name in draft.names.items() if at < operands}
        self.held = {index: at for index, at in self.held.items() if at < operands}
        self.fed = {at: tensor for at, tensor in self.fed.items() if at < operands}
        self.states = {
            index: state
            for index, state in self.states.items()
            if max(state.taken, state.given) < operands
        }

    def one(self, node: Node) -> None:
        """Lower one node."""
        rule = RULES.get(node.kind)
        if rule is None:
            raise Refusal(reason(node))
        self.draft.origin = node.label
        try:
            rule(self, node)
        except _MISFITS as error:
            raise Refusal("its operands or options do not fit together") from error

    # Tensors of the file

    def data(self, tensor: Tensor) -> NDArray[Any] | None:
        """The data of a tensor that is constant, or was folded into one."""
        if tensor.index in self.folded:
            return self.folded[tensor.index]
        if not tensor.constant:
            return None
        if tensor.type not in TYPES:
            raise Refusal(f"{tensor.name} is {tensor.type.lower()}: NNAPI has no such type")
        if tensor.sparse is not None:
            raise Refusal(f"{tensor.name} is stored sparsely: only DENSIFY reads that")
        return tensor.array

    def constant(self, tensor: Tensor, what: str = "an operand") -> NDArray[Any]:
        """The data of a tensor that has to be constant."""
        found = self.data(tensor)
        if found is None:
            raise Refusal(f"{what} ({tensor.name}) is computed, and has to be constant for NNAPI")
        return found

    def ints(self, tensor: Tensor, what: str) -> list[int]:
        """The same for a list of integers."""
        return [int(value) for value in self.constant(tensor, what).reshape(-1)]

    def read(self, tensor: Tensor) -> int:
        """The operand of a tensor."""
        if tensor.index in self.held:
            return self.held[tensor.index]
        data = self.data(tensor)
        if data is None:
            if tensor.index not in self.cpu:
                raise Refusal(f"{tensor.name} is read before anything writes it")
            at = self.draft.add(operand_of(tensor, Lifetime.INPUT), tensor.name)
            self.fed[at] = tensor
            self.held[tensor.index] = at
            return at
        if tensor.type == "INT64":
            data = _narrow(tensor, data)
            operand = Operand(_C.TENSOR_INT32, lifetime=Lifetime.CONSTANT)
        else:
            operand = operand_of(tensor, Lifetime.CONSTANT)
        value = np.ascontiguousarray(data).tobytes()
        operand = replace(operand, dims=data.shape or (1,), value=value)
        self.held[tensor.index] = self.draft.add(operand, tensor.name)
        return self.held[tensor.index]

    def write(self, tensor: Tensor) -> int:
        """A new operand for a tensor that an operation computes."""
        self.held[tensor.index] = self.draft.add(operand_of(tensor), tensor.name)
        return self.held[tensor.index]

    def operand(self, at: int) -> Operand:
        """The operand with an index."""
        return self.draft.operands[at]

    # Operands that the file does not have

    def temporary(self, like: int, dims: Sequence[int], type: OperandCode | None = None) -> int:
        """An operand between two operations of one node, quantized as another one."""
        operand = self.operand(like)
        if type is not None and type != operand.type:
            return self.draft.add(Operand(type, tuple(dims)))
        quant = Quant(OperandCode(operand.type), operand.scale, operand.zero_point)
        return self.draft.add(quantized(Operand(operand.type, tuple(dims)), quant))

    def real(self, value: float, like: int) -> int:
        """A float scalar of the precision that goes with an operand."""
        half = self.operand(like).type == _C.TENSOR_FLOAT16
        return self.draft.scalar(_C.FLOAT16 if half else _C.FLOAT32, value)

    # Operations

    def emit(self, code: str, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        """One operation, if the NNAPI reference has it so."""
        self.draft.operation(code, inputs, outputs)
        problem = undocumented(self.draft.operations[-1], self.draft.operands)
        if problem is not None:
            raise Refusal(problem)

    def plain(self, node: Node, code: str, inputs: Sequence[int]) -> None:
        """One operation whose outputs are the node's."""
        self.emit(code, inputs, [self.write(tensor) for tensor in node.outputs])

    def fused(
        self, node: Node, code: str, inputs: Sequence[int], after: Sequence[int] = ()
    ) -> None:
        """The same with a fused activation behind `inputs`, and `after` behind that.

        NNAPI fuses ReLUs; TANH becomes an operation of its own, as the source computes it.
        """
        wanted = int(node.option("fusedActivationFunction"))
        if wanted in RELU_CODES:
            self.plain(node, code, [*inputs, self.draft.int32(wanted), *after])
            return
        if wanted != TANH:
            raise Refusal(f"its fused activation {wanted}: NNAPI fuses ReLUs")
        out = self.write(node.outputs[0])
        before = self.temporary(out, self.operand(out).dims)
        self.emit(code, [*inputs, self.draft.int32(0), *after], [before])
        self.emit("TANH", [before], [out])

    def reshaped(self, at: int, dims: Sequence[int]) -> int:
        """The same elements in another shape; 0 for the one size that may be open."""
        if self.operand(at).dims == tuple(dims):
            return at
        made = self.temporary(at, dims)
        self.emit("RESHAPE", [at, self.sizes(dims)], [made])
        return made

    def sizes(self, dims: Sequence[int]) -> int:
        """The operand of a new shape; -1 for the one size that may be open."""
        if list(dims).count(0) > 1:
            raise Refusal(f"a shape with several open sizes, {list(dims)}: RESHAPE leaves one")
        return self.draft.ints([size or -1 for size in dims])

    def state(self, tensor: Tensor, shape: Sequence[int] = ()) -> State:
        """A tensor that the source keeps between runs, as an input of the model."""
        if tensor.index in self.states:
            return self.states[tensor.index]
        operand = operand_of(tensor, Lifetime.INPUT)
        taken = self.draft.add(operand, tensor.name)
        self.states[tensor.index] = State(tensor, taken)
        return self.states[tensor.index]


def reason(node: Node) -> str:
    """Why there is no rule for an operator."""
    if not node.builtin:
        return "a custom operator: NNAPI has nothing for it"
    if node.kind.startswith("STABLEHLO_"):
        return "an operator of StableHLO: convert the model to LiteRT's own operators"
    return REASONS.get(node.kind, "NNAPI has nothing for it")


def _narrow(tensor: Tensor, data: NDArray[Any]) -> NDArray[np.int32]:
    info = np.iinfo(np.int32)
    if data.size and not (info.min <= data.min() and data.max() <= info.max):
        raise Refusal(f"{tensor.name} is int64 and holds what int32 cannot")
    return data.astype(np.int32)


def outputs_of(lowering: Lowering) -> dict[int, Tensor]:
    """The operands that are outputs of the lowered graph, and the tensors that they hold.

    Results that the source shows, or that its CPU asks for, then its states. What is no operation's
    own result (a constant, an input, what the CPU computes) is no output of the model.
    """
    found: dict[int, Tensor] = {}
    shown = [lowering.graph.tensors[at] for at in lowering.graph.outputs]
    for tensor in (*shown, *lowering.asked):
        held = lowering.held.get(tensor.index, -1)
        if held >= 0 and lowering.operand(held).lifetime == Lifetime.TEMPORARY:
            found[held] = tensor
    return found | {state.given: state.tensor for state in lowering.states.values()}
