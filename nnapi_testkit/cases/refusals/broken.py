"""Models that break a declared relation between operands (`nnapi_testkit.op.rules`).

The broken model is executed where it compiles: what contradicts by values and shapes need not be
found before. Each way to break a rule comes in up to three forms: with outputs of the dimensions
that the shape rule still gives (a driver that rounds down does not stumble over them), with
outputs of unknown rank (`-open`), and with all that may be known at the execution alone given
there (`-fed`). Ids read `SPLIT[float32-refused-splits-divide-axis.one-more-fed]`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import numpy as np

from nnapi_testkit.cases.build import (
    PER_CHANNEL,
    Slot,
    choose_signature,
    draw,
    emptied,
    level_of,
    plan_outputs,
    plan_slots,
)
from nnapi_testkit.cases.draw import key_of
from nnapi_testkit.cases.edits import base_id, base_variant, find
from nnapi_testkit.cases.given import given_rules
from nnapi_testkit.cases.ref import Broken, CaseRef, Constraint
from nnapi_testkit.cases.slots import Regime
from nnapi_testkit.model.builder import Builder
from nnapi_testkit.model.case import Case, Execution, Stage
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.op.declare import Cell, Facts, Input, Op, Sample, Scalar, Tensor
from nnapi_testkit.op.rules import Quantized, Rule
from nnapi_testkit.spec.operands import DTYPE, Array, is_tensor

# Outputs of unknown rank are offered this much at least: room is never what a driver lacks.
ROOM = 4096
MOST_ELEMENTS = 1 << 16
UNKNOWN_LEVEL = 3  # since when dimensions may be left to the execution
# No rule of an operation has more cases than this.
MOST_EACH = 10


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule, one way to break it in a cell, and the form in which that is asked."""

    rule: Rule
    how: str
    form: str
    sample: Sample

    @property
    def constraint(self) -> Constraint:
        """`splits-divide-axis.one-more-fed`."""
        return Constraint(self.rule.name, f"{self.how}{self.form}")


def broken_refs(op: Op) -> Iterator[CaseRef]:
    """The refusal cases that follow from the rules of an operation."""
    for rule in (*op.rules, *given_rules(op)):
        found: dict[tuple[str, str], list[tuple[Cell, Breach]]] = {}
        for cell in op.cells:
            for breach in _breaches(op, cell, rule):
                found.setdefault((breach.how, breach.form), []).append((cell, breach))
        if len(found) > MOST_EACH:  # outputs without dimensions only where others are not known
            found = {
                key: v for key, v in found.items() if key[1] != "-open" or (key[0], "") not in found
            }
        each = max(1, MOST_EACH // max(1, len(found)))
        for number, usable in enumerate(found.values()):
            step = max(1, len(usable) // each)
            chosen = {(number + i * step) % len(usable) for i in range(min(each, 2))}
            for position in sorted(chosen):
                yield _ref(op, *usable[position])


def _ref(op: Op, cell: Cell, breach: Breach) -> CaseRef:
    case_id = f"{op.name}[{cell.name}-refused-{breach.constraint}]"
    sample = breach.sample
    level = max(
        level_of(op, cell, sample, choose_signature(op, sample)),
        base_variant(op).level,
        breach.rule.level,
        UNKNOWN_LEVEL if breach.form else 1,
    )
    names = op.name, cell.name, sample.name
    control = base_id(op, cell.name, sample.name)
    return CaseRef(
        case_id,
        op.name,
        cell.name,
        level,
        Kind.REFUSAL,
        partial(_make, *names, breach.rule, breach.how, breach.form, case_id),
        broken=Broken(breach.constraint, control, open=breach.rule.open),
    )


def _breaches(op: Op, cell: Cell, rule: Rule) -> Iterator[Breach]:
    if (rule.only and cell.name not in rule.only) or cell.name in rule.skip:
        return
    sample = _sample(op, cell, rule)
    if sample is None:
        return
    before = plan_slots(op, cell, sample, base_variant(op), 0)[1]
    for how, change in rule.breaks.items():
        plain = _Broken(op, cell, sample, change, before)
        possible = {
            "": plain.dims is not None,
            "-open": not plain.quantized,
            "-fed": plain.feedable,
        }
        for form in rule.forms:
            if possible[form]:
                yield Breach(rule, how, form, sample)


def _sample(op: Op, cell: Cell, rule: Rule) -> Sample | None:
    outputs = {output.name for output in op.outputs}
    wanted = [name for name in rule.operands if name not in outputs]
    for sample in op.samples_for(cell):
        if rule.sample:
            if sample.name == rule.sample:
                return sample
        elif not sample.large and all(
            sample.operands.get(name) is not None or name == "activation" for name in wanted
        ):
            return sample
    return None


class _Broken:
    """A broken sample: its operands, and what its outputs would be.

    Args:
        before: facts about the sample as it was; planned where they are not at hand.
    """

    def __init__(
        self,
        op: Op,
        cell: Cell,
        sample: Sample,
        change: Mapping[str, Any],
        before: Facts | None = None,
    ) -> None:
        variant = base_variant(op)
        if before is None:
            before = plan_slots(op, cell, sample, variant, 0)[1]
        values = {name: v(before) if callable(v) else v for name, v in change.items()}
        names = [output.name for output in op.outputs]
        self.quants = {name: v for name, v in values.items() if isinstance(v, Quantized)}
        self.quantized = set(self.quants) == set(values)
        self.outputs = [
            planned
            for planned in plan_outputs(op, cell, before, sample, variant, 0)
            if values.get(planned[0].name, ()) is not None
        ]
        of_outputs = {name: v for name, v in values.items() if name in names}
        self.shapes = {name: v for name, v in of_outputs.items() if isinstance(v, tuple)}
        changed = {
            name: v
            for name, v in values.items()
            if name not in of_outputs and name not in self.quants
        }
        operands = {**sample.operands, **changed}
        self.sample = sample.derived(sample.name, operands)
        slots, after = plan_slots(op, cell, self.sample, variant, 0)
        # What a rule leaves out is not there, whatever its default.
        absent = [name for name, value in changed.items() if value is None]
        self.slots = [
            slot._replace(value=None, omitted=True) if slot.key in absent else slot
            for slot in slots
        ]
        self.changed = set(changed)
        self.reranked = _reranked(self.changed, before, after)
        self.dims = self._dims(op, after)

    @property
    def feedable(self) -> bool:
        """Whether what is broken may be known at the execution alone."""
        return any(slot.spec.name in self.changed and not slot.omitted for slot in self.slots)

    def _dims(self, op: Op, after: Facts) -> list[tuple[int, ...]] | None:
        """Dimensions of the outputs as the shape rule has them; None where it does not know."""
        if self.quantized:
            return [shape for _, _, shape, _ in self.outputs]
        found = []
        for spec, _, _, _ in self.outputs:
            if spec.name in self.shapes:
                found.append(self.shapes[spec.name])
                continue
            try:
                shape = tuple(int(n) for n in spec.shape(after))
            except (ValueError, IndexError, KeyError, ZeroDivisionError, TypeError):
                return None
            if spec.counted or min(shape, default=0) < 1 or math.prod(shape) > MOST_ELEMENTS:
                return None
            if spec.spatial and after.get("nchw"):
                shape = (shape[0], shape[3], shape[1], shape[2])
            found.append(shape)
        return found


def _reranked(names: set[str], before: Facts, after: Facts) -> set[str]:
    """The operands whose rank is another one than it was."""
    return {
        name
        for name in names & set(before.shapes) & set(after.shapes)
        if _ranks_of(before.shapes[name]) != _ranks_of(after.shapes[name])
    }


def _ranks_of(shape: Sequence[Any]) -> list[int]:
    """The rank of a shape, or of each of a list of shapes."""
    return [len(part) for part in (shape if isinstance(shape, list) else [shape])]


def _make(op: str, cell: str, sample: str, rule: Rule, how: str, form: str, case_id: str) -> Case:
    found, before = _sound(op, cell, sample)
    broken = _Broken(*found, rule.breaks[how], before)
    return broken_case(found[0], broken, form, case_id)


@lru_cache(maxsize=64)
def _sound(op: str, cell: str, sample: str) -> tuple[tuple[Op, Cell, Sample], Facts]:
    """A sample as it is before a rule is broken; those of an operation come up again and again."""
    found = find(op, cell, sample)
    return found, plan_slots(*found, base_variant(found[0]), 0)[1]


def broken_case(op: Op, broken: _Broken, form: str, case_id: str) -> Case:
    """The broken model with its inputs, in one of `nnapi_testkit.op.rules.FORMS`."""
    builder = Builder()
    indexes: list[int] = []
    fed: list[Array] = []
    for slot in broken.slots:
        index, data = _operand(builder, broken, slot, form, case_id)
        indexes.append(index)
        if data is not None:
            fed.append(data)
    if not fed:  # a model needs an input, even if no operation reads it
        builder.input("TENSOR_FLOAT32", (1,))
        fed.append(np.zeros(1, dtype="<f4"))
    outputs, offered = [], []
    dims: list[tuple[int, ...]] = []
    for position, (output, code, shape, quant) in enumerate(broken.outputs):
        given = () if form or broken.dims is None else broken.dims[position]
        other = broken.quants.get(output.name)
        if other is not None:
            quant = _changed(quant, other)
        outputs.append(builder.output(code, given, *quant))
        size = int(np.prod(shape, dtype=np.int64)) * DTYPE[code].itemsize
        offered.append(None if given else max(ROOM, 4 * size))
        dims.append(given or shape)
    builder.operation(op.code, indexes, outputs)
    sets = (Execution(tuple(fed), tuple(dims), tuple(offered)),)
    return Case(case_id, builder.build(), sets, expect=Stage.EXECUTION)


def _operand(
    builder: Builder, broken: _Broken, slot: Slot, form: str, case_id: str
) -> tuple[int, Array | None]:
    """The index of a slot's operand, and what an execution feeds it with; None for nothing."""
    quant, channel = _quant(slot, broken.quants)
    spec: Input = slot.spec
    if slot.omitted or (isinstance(spec, Scalar) and slot.value is None):
        rank = spec.rank[0] if isinstance(spec, Tensor) else 0
        return builder.omitted(slot.code, (0,) * rank, *quant), None
    key = key_of(0, case_id, slot.key, 0)
    name = spec.name
    if isinstance(spec, Scalar):
        data = np.asarray(slot.value, dtype=DTYPE[slot.code])
        constant = form != "-fed" or name not in broken.changed
    else:
        data = draw(slot, key, Regime.UNIFORM)
        constant = spec.weight and (form != "-fed" or slot.code == PER_CHANNEL)
    if 0 in slot.shape:
        index = emptied(builder, slot)
        return index, draw(
            slot._replace(shape=tuple(n or 1 for n in slot.shape)), key, Regime.UNIFORM
        )
    if constant:
        return builder.constant(slot.code, data, *quant, channel_quant=channel), None
    known = form != "-fed" or slot.code == PER_CHANNEL or not is_tensor(slot.code)
    told = data.shape if known else (0,) * data.ndim
    if name in broken.reranked and not known:
        told = ()
    return builder.input(slot.code, told, *quant, channel_quant=channel), data


def _quant(slot: Slot, quants: Mapping[str, Quantized]) -> tuple[tuple[float, int], Any]:
    other = quants.get(slot.spec.name)
    # Of a list, the last tensor is another one.
    if slot.at == 0:
        other = None
    if other is None:
        return slot.quant, slot.channel_quant
    channel = slot.channel_quant
    if channel is not None and other.channel_dim is not None:
        count = slot.shape[other.channel_dim]
        channel = replace(channel, dim=other.channel_dim, scales=(channel.scales * count)[:count])
    return _changed(slot.quant, other), channel


def _changed(quant: tuple[float, int], other: Quantized) -> tuple[float, int]:
    return (
        quant[0] if other.scale is None else other.scale,
        quant[1] if other.zero_point is None else other.zero_point,
    )
