"""A valid case and edits of its model: what refusal cases are made of."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from nnapi_testkit.cases.build import ALL_OUTPUTS, Variant, build_case, plan_slots
from nnapi_testkit.catalog import operation
from nnapi_testkit.model.case import Case
from nnapi_testkit.model.types import Lifetime, Model, Operand, Operation
from nnapi_testkit.op.declare import Cell, Op, Sample
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import DTYPE, is_quantized, is_tensor


@dataclass(frozen=True, slots=True)
class Base:
    """The valid case that an edit breaks in one place.

    Args:
        case: a model of one operation with constant weights and attributes.
        names: what the operation's inputs are called, in order (`inputs[0]` for a list).
        declared: the declared operand that each is, or is one tensor of.
    """

    case: Case
    names: tuple[str, ...]
    declared: tuple[str, ...]

    @property
    def model(self) -> Model:
        """Its model."""
        return self.case.model

    @property
    def operation(self) -> Operation:
        """The operation under test, the last of the main graph."""
        return self.model.main.operations[-1]

    def operand(self, name: str) -> int:
        """Index of the operand that is the operation's input `name`; the first of a list."""
        if name not in self.names:
            name = f"{name}[0]"
        return self.operation.inputs[self.names.index(name)]

    def output(self, position: int) -> int:
        """Index of the operation's output at this position."""
        return self.operation.outputs[position]


Edit = Callable[[Base], Model]
PLAIN = Variant()


@lru_cache(maxsize=8)
def base_of(op_name: str, cell_name: str, sample_name: str) -> Base:
    """The base of an operation's sample; neighbouring refusals share it."""
    op, cell, sample = find(op_name, cell_name, sample_name)
    variant = base_variant(op)
    slots, _ = plan_slots(op, cell, sample, variant, 0)
    case = build_case(op, cell, sample, variant, base_id(op, cell_name, sample_name), 0)
    return Base(case, tuple(s.key for s in slots), tuple(s.spec.name for s in slots))


def base_variant(op: Op) -> Variant:
    """The variant that refusals of the operation begin with: all its outputs are there."""
    levels = [output.level for output in op.outputs if output.optional]
    return Variant((ALL_OUTPUTS,), level=max(levels)) if levels else PLAIN


def base_id(op: Op, cell_name: str, sample_name: str) -> str:
    """The id of the case that is broken, in the suite too."""
    return f"{op.name}[{'-'.join((cell_name, *base_variant(op).words, sample_name))}]"


def find(op_name: str, cell_name: str, sample_name: str) -> tuple[Op, Cell, Sample]:
    """What the names stand for."""
    op = operation(op_name)
    cell = next(cell for cell in op.cells if cell.name == cell_name)
    return op, cell, next(s for s in op.samples_for(cell) if s.name == sample_name)


def with_main(model: Model, **changes: Any) -> Model:
    """The model with fields of its main graph replaced."""
    return replace(model, main=replace(model.main, **changes))


def with_operand(model: Model, index: int, **changes: Any) -> Model:
    """The model with fields of one operand replaced; a constant keeps a value that fits.

    An operand that stops being an input is no longer identified as one.
    """
    main = model.main
    old = main.operands[index]
    new = replace(old, **changes)
    if new.lifetime == Lifetime.CONSTANT and "value" not in changes:
        new = replace(new, value=_resized(old.value, new))
    operands = (*main.operands[:index], new, *main.operands[index + 1 :])
    inputs = main.inputs
    if new.lifetime != Lifetime.INPUT:
        inputs = tuple(i for i in inputs if i != index)
    return with_main(model, operands=operands, inputs=inputs)


def _resized(value: bytes, operand: Operand) -> bytes:
    dtype = DTYPE[OperandCode(operand.type)]
    size = dtype.itemsize * math.prod(operand.dims)
    return (value * (size // max(1, len(value)) + 1))[:size] if value else bytes(size)


def add_operand(model: Model, operand: Operand) -> tuple[Model, int]:
    """The model with one more operand, and its index."""
    operands = (*model.main.operands, operand)
    return with_main(model, operands=operands), len(operands) - 1


def with_operation(
    model: Model,
    *,
    inputs: Sequence[int] | None = None,
    outputs: Sequence[int] | None = None,
    code: int | None = None,
) -> Model:
    """The model with the operation under test changed."""
    *others, last = model.main.operations
    last = Operation(
        last.code if code is None else code,
        last.inputs if inputs is None else tuple(inputs),
        last.outputs if outputs is None else tuple(outputs),
    )
    return with_main(model, operations=(*others, last))


def replaced(indexes: Sequence[int], old: int, new: int) -> tuple[int, ...]:
    """The indexes with the first `old` replaced."""
    found = list(indexes)
    found[found.index(old)] = new
    return tuple(found)


def scalar(type: OperandCode, value: float) -> Operand:
    """A constant scalar."""
    data = np.asarray(value, dtype=DTYPE[type]).tobytes()
    return Operand(type, lifetime=Lifetime.CONSTANT, value=data)


def retyped(operand: Operand, type: OperandCode) -> dict[str, Any]:
    """The changes that make a tensor one of another type, sound in itself."""
    changes: dict[str, Any] = {"type": type, "scale": 0.0, "zero_point": 0, "channel_quant": None}
    if is_quantized(type):
        changes["scale"] = operand.scale or 0.5
    assert is_tensor(type)
    return changes


def beyond_rank(name: str, tensor: str, more: int, above: bool, base: Base) -> Model:
    """The model whose axis (or first of the axes) is one outside [-rank, rank) of the tensor."""
    operands = base.model.main.operands
    rank = len(operands[base.operand(tensor)].dims) + more
    index = base.operand(name)
    values = np.frombuffer(operands[index].value, "<i4").copy()
    values[0] = rank if above else -rank - 1
    return with_operand(base.model, index, value=values.tobytes())


def without_output_shapes(model: Model) -> Model:
    """The model whose outputs leave their rank open, so that no input contradicts them."""
    for index in model.main.outputs:
        if is_tensor(OperandCode(model.main.operands[index].type)):
            model = with_operand(model, index, dims=())
    return model


def input_count(count: int, base: Base) -> Model:
    """The operation with so many inputs: the last ones go first, scalars are added."""
    model, inputs = base.model, list(base.operation.inputs)
    while len(inputs) < count:
        model, index = add_operand(model, scalar(OperandCode.INT32, 0))
        inputs.append(index)
    # The last ones go first; of a list and an axis, the list goes.
    return with_operation(model, inputs=inputs[:count])


def output_count(count: int, base: Base) -> Model:
    """The operation with so many outputs, at least one more than it has; or one with none."""
    model, outputs = base.model, list(base.operation.outputs)
    if not count:
        # Beside the operation that writes the model's outputs, one that writes nothing.
        mute = replace(base.operation, outputs=())
        return with_main(model, operations=(*model.main.operations, mute))
    count = max(count, len(outputs) + 1)
    first = model.main.operands[outputs[0]]
    while len(outputs) < count:
        model, index = add_operand(model, replace(first, lifetime=Lifetime.TEMPORARY))
        outputs.append(index)
    return with_operation(model, outputs=outputs[:count])


def tie_parts(tie: str) -> tuple[str, int, tuple[str, ...]]:
    """`bias.0=filter.0`: the operand and axis that a refusal changes, and the other operands."""
    left, _, right = tie.partition("=")
    name, _, axis = left.rpartition(".")
    return name, int(axis), tuple(re.findall(r"[a-z_]{2,}|\b[a-z]\b", right.removeprefix("rank")))
