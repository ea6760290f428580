"""What every front end needs: a graph in the making, without a word about where it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.errors import KitError
from nnapi_testkit.model.program import InputSet, Left
from nnapi_testkit.model.types import ChannelQuant, Graph, Lifetime, Operand, Operation
from nnapi_testkit.op.declare import Tensor
from nnapi_testkit.oracle.bind import OracleError, bind
from nnapi_testkit.spec.codes import OperandCode, OperationCode
from nnapi_testkit.spec.operands import CODE_RANGE, DTYPE, is_quantized

__all__ = [
    "Draft",
    "Quant",
    "Refusal",
    "quantized",
    "random_set",
    "refused",
    "staying",
    "undocumented",
]

_SHAPE_HELP = "write SHAPE, as in 1,224,224,3"
# What users call the types of inputs; int64 is fed as int32.
_CALLED = {
    "float32": OperandCode.TENSOR_FLOAT32,
    "float16": OperandCode.TENSOR_FLOAT16,
    "int32": OperandCode.TENSOR_INT32,
    "int64": OperandCode.TENSOR_INT32,
    "bool": OperandCode.TENSOR_BOOL8,
    "uint8": OperandCode.TENSOR_QUANT8_ASYMM,
    "quint8": OperandCode.TENSOR_QUANT8_ASYMM,
    "int8": OperandCode.TENSOR_QUANT8_ASYMM_SIGNED,
    "qint8": OperandCode.TENSOR_QUANT8_ASYMM_SIGNED,
}


class Refusal(KitError):
    """A node that NNAPI cannot express; the message says why, and what would cure it."""


@dataclass(frozen=True)
class Quant:
    """Quantization of a value: its type, scale and zero point; scales of channels for filters."""

    type: OperandCode
    scale: float
    zero_point: int = 0
    channels: ChannelQuant | None = None


class Draft:
    """Operands and operations of one graph; methods that add an operand return its index.

    Args:
        new: once there is a graph, where its operands come from: its indexes by the draft's.
        names: what operands are called. origins: where each operation came from; `origin` is
            that of the next ones.
    """

    def __init__(self) -> None:
        self.operands: list[Operand] = []
        self.operations: list[Operation] = []
        self.origins: list[str] = []
        self.names: dict[int, str] = {}
        self.inputs: list[int] = []
        self.origin = ""
        self.new: dict[int, int] = {}

    def add(self, operand: Operand, name: str = "") -> int:
        """Any operand."""
        self.operands.append(operand)
        at = len(self.operands) - 1
        if operand.lifetime == Lifetime.INPUT:
            self.inputs.append(at)
        if name:
            self.names[at] = name
        return at

    def scalar(self, type: OperandCode, value: float | int | bool) -> int:
        """A scalar constant."""
        data = np.asarray(value, DTYPE[type]).tobytes()
        return self.add(Operand(type, lifetime=Lifetime.CONSTANT, value=data))

    def int32(self, value: int) -> int:
        """An INT32 scalar."""
        return self.scalar(OperandCode.INT32, value)

    def flag(self, value: bool) -> int:
        """A BOOL scalar."""
        return self.scalar(OperandCode.BOOL, value)

    def ints(self, values: Any) -> int:
        """A TENSOR_INT32 constant."""
        return self.array(np.asarray(values, np.int32), OperandCode.TENSOR_INT32)

    def array(self, array: NDArray[Any], type: OperandCode, quant: Quant | None = None) -> int:
        """A constant tensor as it is."""
        data = np.ascontiguousarray(array, DTYPE[type])
        operand = Operand(type, data.shape, lifetime=Lifetime.CONSTANT, value=data.tobytes())
        return self.add(quantized(operand, quant))

    def omitted(self, type: OperandCode, dims: Sequence[int] = ()) -> int:
        """An optional operand without a value."""
        return self.add(Operand(type, tuple(dims), lifetime=Lifetime.OMITTED))

    def operation(self, code: str, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        """One operation over operands that exist."""
        self.operations.append(Operation(int(OperationCode[code]), tuple(inputs), tuple(outputs)))
        self.origins.append(self.origin)

    def graph(self, outputs: Sequence[int]) -> Graph:
        """The graph with these operands as its outputs, without operands that nobody uses.

        `names` follows: from here on it is about the operands of what is returned.
        """
        shown = set(outputs)
        operands = [
            replace(operand, lifetime=Lifetime.OUTPUT)
            if at in shown and operand.lifetime == Lifetime.TEMPORARY
            else operand
            for at, operand in enumerate(self.operands)
        ]
        used = {at for o in self.operations for at in (*o.inputs, *o.outputs)}
        used |= {*self.inputs, *outputs}
        kept = [at for at in range(len(operands)) if at in used]
        new = self.new = {at: position for position, at in enumerate(kept)}
        self.names = {new[at]: name for at, name in self.names.items() if at in new}
        return Graph(
            tuple(operands[at] for at in kept),
            tuple(
                Operation(o.code, tuple(new[i] for i in o.inputs), tuple(new[i] for i in o.outputs))
                for o in self.operations
            ),
            tuple(new[at] for at in self.inputs),
            tuple(new[at] for at in outputs),
        )


def undocumented(operation: Operation, operands: Sequence[Operand]) -> str | None:
    """What the NNAPI reference does not allow in an operation, None where nothing is known.

    By the op files: types that go together, ranks, scales and zero points that have to be shared,
    fixed or products of others. A driver refuses such an operation rightly, so a front end has to
    see it first.
    """
    if operation.code in (OperationCode.IF, OperationCode.WHILE):
        return None  # of any types: their graphs are looked at by themselves
    taken = [operands[at] for at in operation.inputs]
    made = [operands[at] for at in operation.outputs]
    try:
        types = [tuple(int(operand.type) for operand in row) for row in (taken, made)]
        binding = bind(operation.code, types[0], types[1])
    except OracleError as error:
        return str(error)
    by_name: dict[str, Operand] = {}
    for spec, operand in zip(binding.specs, taken, strict=True):
        by_name.setdefault(spec.name, operand)
        if not isinstance(spec, Tensor) or operand.lifetime == Lifetime.OMITTED:
            continue
        if problem := _ranked(spec, operand):
            return problem
        if spec.like and (problem := _same(spec.name, operand, spec.like, by_name[spec.like])):
            return problem
    for position, operand in enumerate(made):
        out = binding.op.outputs[min(position, len(binding.op.outputs) - 1)]
        if out.like and (problem := _same("the result", operand, out.like, by_name[out.like])):
            return problem
        name = OperandCode(operand.type).name
        if isinstance(out.quant, Mapping) and name in out.quant:
            scale, zero_point = out.quant[name]
            if (np.float32(scale), zero_point) != (np.float32(operand.scale), operand.zero_point):
                return (
                    f"the result has scale {operand.scale:g} and zero point {operand.zero_point},"
                    f" NNAPI has {scale:g} and {zero_point} alone"
                )
    return None


def _ranked(spec: Tensor, operand: Operand) -> str | None:
    low, high = spec.rank
    # Where samples end above 4, the documentation names no limit.
    if not operand.dims or low <= len(operand.dims) <= (high if high <= 4 else 8):
        return None
    return f"{spec.name} has {len(operand.dims)} dimensions, NNAPI has {low} to {high}"


def _same(name: str, operand: Operand, other: str, like: Operand) -> str | None:
    if not is_quantized(OperandCode(operand.type)):
        return None
    mine = (np.float32(operand.scale), operand.zero_point)
    if mine == (np.float32(like.scale), like.zero_point):
        return None
    return f"{name} has another scale or zero point than {other}: NNAPI has them the same"


def quantized(operand: Operand, quant: Quant | None) -> Operand:
    """The operand with these quantization parameters, and the type that goes with them."""
    if quant is None:
        return operand
    return replace(
        operand,
        type=quant.type,
        scale=quant.scale,
        zero_point=quant.zero_point,
        channel_quant=quant.channels,
    )


def refused(name: str, what: str, refusals: Sequence[str]) -> str:
    """The one line that names everything of a model that NNAPI cannot express."""
    count = len(refusals)
    return f"{name}: NNAPI cannot express {count} {what}{'s' if count > 1 else ''}: " + "; ".join(
        refusals
    )


def staying(left: Sequence[Left], what: str = "node") -> tuple[str, ...]:
    """The note of a report about what of a source stays on the CPU; none if nothing does."""
    if not left:
        return ()
    listed = "; ".join(f"{item.name}: {item.reason}" for item in left)
    several = f"{len(left)} {what}s stay" if len(left) > 1 else f"1 {what} stays"
    return (f"{several} on the CPU: {listed}",)


def random_set(
    graph: Graph,
    texts: Sequence[str] = (),
    sizes: Mapping[int, Sequence[int]] | None = None,
    seed: int = 0,
) -> InputSet:
    """Random data for each input of a graph, the same at every call.

    float: from -1 to 1, int32: 0 to 9, quantized: any code, bool: either.

    Args:
        texts: `SHAPE[:TYPE]` for each input, or none. The type is the graph's own: another one
            is an error.
        sizes: a shape for inputs, by position, whose dimensions the graph leaves open.

    Raises KitError: a text of another form, another number of them, or dimensions left open.
    """
    if texts and len(texts) != len(graph.inputs):
        raise KitError(f"the model has {len(graph.inputs)} inputs, {len(texts)} were given")
    generator = np.random.default_rng(seed)
    found = []
    for position, at in enumerate(graph.inputs):
        operand = graph.operands[at]
        shape = tuple((sizes or {}).get(position, operand.dims))
        if texts:
            shape = _shape(texts[position], position, operand)
        if 0 in shape or not shape:
            raise KitError(
                f"input {position} has open dimensions {list(operand.dims)}: give it by --input,"
                f" {_SHAPE_HELP}"
            )
        found.append(_random(generator, operand, shape))
    return tuple(found)


def _shape(text: str, position: int, operand: Operand) -> tuple[int, ...]:
    plain, _, kind = text.partition(":")
    named = kind.partition("@")[0]
    if kind and _CALLED.get(named) != operand.type:
        own = OperandCode(operand.type).name
        raise KitError(f"input {position} is {own} in the model, not {named}: leave the type out")
    sizes = plain.split(",")
    if not all(size.strip().isdecimal() and int(size) > 0 for size in sizes):
        raise KitError(f"{text!r} is no input: {_SHAPE_HELP}")
    return tuple(int(size) for size in sizes)


def _random(
    generator: np.random.Generator, operand: Operand, shape: tuple[int, ...]
) -> NDArray[np.generic]:
    code = OperandCode(operand.type)
    kind = np.dtype(DTYPE[code])
    if is_quantized(code):
        low, high = CODE_RANGE[code]
        return generator.integers(low, high, shape, endpoint=True).astype(kind)
    if kind.kind == "f":
        return generator.uniform(-1, 1, shape).astype(kind)
    return generator.integers(0, 2 if code == OperandCode.TENSOR_BOOL8 else 10, shape).astype(kind)
