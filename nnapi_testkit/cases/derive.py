"""What probes are derived from: an operation's small samples, and whether a change is sound."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

from nnapi_testkit.cases.build import Slot, Variant, choose_signature, plan_outputs, plan_slots
from nnapi_testkit.cases.covering import is_empty
from nnapi_testkit.op.declare import (
    Cell,
    Choice,
    Codes,
    Distinct,
    Facts,
    Floats,
    Input,
    Op,
    Reals,
    Sample,
    Shape,
    Tensor,
)
from nnapi_testkit.spec.operands import ASYMMETRIC

GENERATED = (Choice, Reals, Distinct, Codes, Floats)
PLAIN = Variant()


@dataclass(frozen=True)
class Base:
    """An operation in one of its cells."""

    op: Op
    cell: Cell
    _plans: dict[Sample, Plan | None] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def samples(self) -> list[Sample]:
        """Samples that are neither large nor empty; no contested ones where others are."""
        small = [s for s in self.op.samples_for(self.cell) if not s.large and not is_empty(s)]
        return [s for s in small if s.contest is None] or small

    def signature(self, sample: Sample) -> tuple[Input, ...]:
        """The operands of a sample."""
        return choose_signature(self.op, sample)

    def plan(self, sample: Sample) -> Plan | None:
        """What a sample comes to; None where a shape rule or the operation does not allow it."""
        if sample not in self._plans:
            self._plans[sample] = self._plan(sample)
        return self._plans[sample]

    def _plan(self, sample: Sample) -> Plan | None:
        try:
            slots, facts = plan_slots(self.op, self.cell, sample, PLAIN, 0)
            if self.op.valid is not None and not self.op.valid(facts):
                return None
            outputs = plan_outputs(self.op, self.cell, facts, sample, PLAIN, 0)
        except (ValueError, IndexError, KeyError, ZeroDivisionError, ArithmeticError, TypeError):
            return None
        shapes = [shape for _, _, shape, _ in outputs]
        for shape in shapes:
            if shape and min(shape) < 1:
                return None
        read = sum([math.prod(slot.shape) for slot in slots if not slot.omitted])
        return Plan(slots, facts, read, sum(map(math.prod, shapes)), shapes)


# The bases of the operation that was asked for last: the index has one after the other.
_LAST: dict[int, Base] = {}


def base_for(op: Op, cell: Cell) -> Base:
    """The base of an operation's cell, shared by all that look at the same operation."""
    if any(base.op is not op for base in _LAST.values()):
        _LAST.clear()
    known = _LAST.get(id(cell))
    if known is None:
        known = _LAST[id(cell)] = Base(op, cell)
    return known


@dataclass(frozen=True)
class Plan:
    """Operands and facts of a sample, elements read and written, and the outputs' shapes."""

    slots: list[Slot]
    facts: Facts
    read: int
    written: int
    shapes: list[Shape]


def shape_of(value: Any) -> Shape | None:
    """The shape of a tensor whose data are generated; None for other values."""
    if isinstance(value, tuple):
        for n in value:
            if not isinstance(n, int):
                return None
        return value
    return value.shape if isinstance(value, GENERATED) else None


@lru_cache(maxsize=256)
def shapes(sample: Sample, keep: frozenset[str] = frozenset()) -> tuple[Shape, ...]:
    """The shapes of a sample's generated tensors, those of a list too."""
    found = []
    for name, value in sample.operands.items():
        if name in keep:
            continue
        parts = value if isinstance(value, (list, tuple)) and shape_of(value) is None else (value,)
        found += [shape for part in parts if (shape := shape_of(part)) is not None]
    return tuple(found)


def renamed(
    sample: Sample, sizes: Mapping[int, int], keep: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """The operands with sizes of dimensions renamed, in all generated tensors alike."""
    return {
        name: value if name in keep else _resized(value, sizes)
        for name, value in sample.operands.items()
    }


def _resized(value: Any, sizes: Mapping[int, int]) -> Any:
    shape = shape_of(value)
    if shape is not None:
        other = tuple([sizes.get(n, n) for n in shape])
        return other if isinstance(value, tuple) else replace(value, shape=other)
    if isinstance(value, (list, tuple)) and any(shape_of(v) is not None for v in value):
        return [_resized(v, sizes) for v in value]
    return value


def free_quants(plan: Plan) -> dict[str, tuple[float, int]]:
    """Inputs of asymmetric codes whose scale and zero point the operation leaves free."""
    return {
        slot.key: slot.quant
        for slot in plan.slots
        if isinstance(slot.spec, Tensor)
        and slot.code in ASYMMETRIC
        and slot.spec.like is None
        and slot.spec.quant is None
        and not slot.omitted
        and "[" not in slot.key
    }
