"""One more operation: a sample of an op file, its operands joined to values of the graph.

The sample proposes shapes and attributes, other seeds' rules move them (`cases.vary`), and sizes
are renamed after the value that is to be read, in all operands alike. What does not fit is led
there by other operations (`fit`), or is data of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nnapi_testkit.cases.build import (
    ALL_OUTPUTS,
    PER_CHANNEL,
    Slot,
    Variant,
    choose_signature,
    draw,
    plan_outputs,
    plan_slots,
)
from nnapi_testkit.cases.derive import renamed
from nnapi_testkit.cases.draw import key_of
from nnapi_testkit.cases.slots import Regime
from nnapi_testkit.cases.vary import Dice, propose
from nnapi_testkit.model.types import Lifetime, Operand
from nnapi_testkit.op.declare import Choice, Facts, Output, Sample, Scalar, Tensor
from nnapi_testkit.random_graphs.fit import fit, tamed
from nnapi_testkit.random_graphs.growth import MOST_ELEMENTS, Growth, NotGrown, Result, Value
from nnapi_testkit.random_graphs.parts import Part
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.kinds import OutputKind
from nnapi_testkit.spec.operands import FLOATS, is_quantized

__all__ = ["splice"]

I32, B8 = OperandCode.TENSOR_INT32, OperandCode.TENSOR_BOOL8
# What a shape rule or a declaration raises for shapes that it does not know.
UNFIT = (ValueError, IndexError, KeyError, ZeroDivisionError, ArithmeticError, TypeError)
PLANS = 3  # that are tried
LOOKS = 5  # at values of the graph, for one that an operation can read as it is
Planned = tuple[Output, OperandCode, tuple[int, ...], tuple[float, int]]


@dataclass(frozen=True)
class _Plan:
    """A sample as it is to be placed."""

    part: Part
    sample: Sample
    variant: Variant
    seed: int
    slots: list[Slot]
    facts: Facts
    outputs: list[Planned]


def splice(growth: Growth, part: Part, dice: Dice) -> tuple[Value, ...]:
    """Append the part's operation. Raises NotGrown; the graph is then as it was."""
    with growth.attempt():
        plan, primary = _chosen(growth, part, dice)
        joined: dict[str, Value] = {}
        if primary is not None:
            slot, value = primary
            quant = None if _free(plan, slot) else slot.quant
            led = fit(growth, value, slot.code, slot.shape, quant, _domain(slot), dice)
            joined[slot.key] = led
            plan = _requantized(plan, joined)
        for slot in plan.slots:
            if slot.key not in joined and _joinable(slot) and dice.chance(0.65):
                found = _another(growth, plan, slot, dice)
                if found is not None:
                    joined[slot.key] = found
                    plan = _requantized(plan, joined)
        made = _emit(growth, plan, joined, dice)
    for value in made:
        _tame(growth, value, dice)
    return made


def _tame(growth: Growth, value: Value, dice: Dice) -> None:
    """Bring floats back that have become too large or too small to be read."""
    if value.readable or growth.room < 1 or not value.operand.dims or dice.below(2):
        return
    try:
        with growth.attempt():
            tamed(growth, value, dice)
    except NotGrown:
        return


# ---- the plan ----


def _planned(part: Part, level: int, dice: Dice) -> _Plan:
    op, cell = part.op, part.cell
    sample = part.samples[dice.below(len(part.samples))]
    signature = choose_signature(op, sample)
    names = {spec.name for spec in signature}
    words: list[str] = []
    flag = any(isinstance(s, Scalar) and s.name == "nchw" and s.level <= level for s in signature)
    if flag and "nchw" not in sample.operands and dice.below(4) == 0:
        words.append("nchw")
    more = [out.level for out in op.outputs if out.optional]
    if more and max(more) <= level and dice.below(2):
        words.append(ALL_OUTPUTS)
    fused = None
    if "activation" in names and cell.main != I32 and not sample.operands.get("activation"):
        fused = dice.below(4)
    variant = Variant(tuple(words), activation=fused)
    seed = 1 + dice.below(1 << 24)
    plans = []
    if "*" not in op.fixed and dice.chance(0.6):
        try:
            moved = propose(op, cell, sample, signature, dice, 0.6, only_grow=dice.below(3) == 0)
            plans.append(_plan(part, moved, variant, seed))
        except (*UNFIT, NotGrown):
            pass  # the sample as it is
    return plans[0] if plans else _plan(part, sample, variant, seed)


def _plan(part: Part, sample: Sample, variant: Variant, seed: int) -> _Plan:
    """What a sample comes to. Raises NotGrown where its shapes or attributes are not allowed."""
    op, cell = part.op, part.cell
    try:
        slots, facts = plan_slots(op, cell, sample, variant, seed)
        if op.valid is not None and not op.valid(facts):
            raise NotGrown("the operation does not allow these attributes together")
        outputs = plan_outputs(op, cell, facts, sample, variant, seed)
    except UNFIT as error:
        raise NotGrown(str(error)) from error
    for slot in slots:
        spec = slot.spec
        if isinstance(spec, Scalar) or slot.omitted:
            continue
        if not spec.rank[0] <= len(slot.shape) <= spec.rank[1]:
            raise NotGrown("the operation takes no such rank")
    shapes = [shape for _, _, shape, _ in outputs]
    shapes += [slot.shape for slot in slots if not slot.omitted]
    if any(min(shape, default=1) < 1 for shape in shapes):
        raise NotGrown("a tensor is empty")
    if sum(map(math.prod, shapes)) > MOST_ELEMENTS:
        raise NotGrown("the tensors are large")
    return _Plan(part, sample, variant, seed, slots, facts, outputs)


def _requantized(plan: _Plan, joined: Mapping[str, Value]) -> _Plan:
    """The plan with scales and zero points of the values that it reads."""
    quants = {key: value.quant for key, value in joined.items() if is_quantized(value.code)}
    lists = {slot.key: slot.spec.name for slot in plan.slots if slot.at is not None}
    for key in list(quants):
        if key in lists:
            # Tensors of a list share what the first one that was joined has.
            same = [other for other, name in lists.items() if name == lists[key]]
            quants |= dict.fromkeys(same, quants[key])
    if not quants:
        return plan
    sample = _with(plan.sample, plan.sample.operands, quants)
    return _plan(plan.part, sample, plan.variant, plan.seed)


def _with(sample: Sample, operands: Mapping[str, Any], quants: Mapping[str, Any]) -> Sample:
    return Sample(
        sample.name,
        level=sample.level,
        large=sample.large,
        variations=sample.variations,
        like=sample.like,
        quants={**sample.quants, **quants},
        **operands,
    )


def _resized(plan: _Plan, slot: Slot, value: Value) -> _Plan:
    """The plan with its sizes named after the value's, where that is allowed."""
    have, want = value.operand.dims, slot.shape
    if len(have) != len(want) or have == want or "*" in plan.part.op.fixed:
        return plan
    sizes: dict[int, int] = {}
    for mine, theirs in zip(want, have, strict=True):
        if sizes.setdefault(mine, theirs) != theirs:
            return plan
    try:
        operands = renamed(plan.sample, sizes, plan.part.op.fixed)
        return _plan(plan.part, _with(plan.sample, operands, {}), plan.variant, plan.seed)
    except (*UNFIT, NotGrown):
        return plan


# ---- what is read ----


def _joinable(slot: Slot) -> bool:
    """Whether any value of the slot's type, in its range, will do."""
    spec = slot.spec
    if isinstance(spec, Scalar) or slot.omitted or spec.weight or spec.bias_of:
        return False
    if slot.code == PER_CHANNEL or not slot.shape:
        return False
    if slot.value is None:
        return slot.code in FLOATS or is_quantized(slot.code) or slot.code in (I32, B8)
    return spec.type == "T" and isinstance(slot.value, Choice) and slot.code == I32


def _domain(slot: Slot) -> tuple[float, float] | None:
    spec = slot.spec
    assert isinstance(spec, Tensor)
    if isinstance(slot.value, Choice):
        return slot.value.low, slot.value.high
    if spec.domain is None and slot.code == I32:
        return (-100, 100) if spec.type != "T" else None
    if spec.domain is not None and slot.code == I32:
        return spec.domain[0], spec.domain[1]
    return spec.domain


def _free(plan: _Plan, slot: Slot) -> bool:
    """Whether the slot takes any scale and zero point."""
    spec = slot.spec
    assert isinstance(spec, Tensor)
    like = spec.like or plan.sample.like.get(spec.name) or plan.sample.like.get(slot.key)
    named = slot.key in plan.sample.quants
    return not like and not named and spec.quant is None


def _near(
    growth: Growth, dice: Dice, code: OperandCode | None = None, rank: int = 0
) -> Value | None:
    """A readable value of a type, and of a rank if there is one; recent ones rather than old."""
    found = [v for v in growth.values if v.readable and (code is None or v.code == code)]
    if not found:
        return None
    if dice.below(8):
        # What an operation has computed, so that graphs become deep.
        found = [v for v in found if v.index not in growth.data] or found
    found = [v for v in found if len(v.operand.dims) == rank] or found
    reach = dice.below(1 << 20) / (1 << 20)
    return found[len(found) - 1 - int(len(found) * reach * reach)]


def _chosen(growth: Growth, part: Part, dice: Dice) -> tuple[_Plan, tuple[Slot, Value] | None]:
    """A plan, and the operand that ties it to the graph with the value that it reads.

    Samples that can take over the sizes of a value come first; others need operations between.
    """
    for _ in range(PLANS):
        plan = _planned(part, growth.level, dice)
        slots = [slot for slot in plan.slots if _joinable(slot)]
        if not slots or dice.below(20) == 0:
            return plan, None
        slot = slots[0] if dice.below(3) else slots[dice.below(len(slots))]
        for _ in range(LOOKS):
            value = _near(growth, dice, slot.code, len(slot.shape))
            if value is None:
                break
            sized = _resized(plan, slot, value)
            mine = next(s for s in sized.slots if s.key == slot.key)
            if mine.shape == value.operand.dims:
                return sized, (mine, value)
    if growth.room < 4 or dice.below(4) == 0:
        return plan, None
    other = _near(growth, dice, None if dice.below(3) == 0 else slot.code)
    return plan, None if other is None else (slot, other)


def _another(growth: Growth, plan: _Plan, slot: Slot, dice: Dice) -> Value | None:
    """A value that the slot can read as it is; sometimes one that is led there."""
    free = _free(plan, slot)
    domain = _domain(slot)
    fitting = [
        value
        for value in growth.values
        if value.readable
        and value.code == slot.code
        and value.operand.dims == slot.shape
        and (free or value.quant == slot.quant)
        and (domain is None or (domain[0] <= value.low and value.high <= domain[1]))
    ]
    if fitting:
        return fitting[dice.below(len(fitting))]
    source = _near(growth, dice, slot.code)
    if source is None or growth.room < 4 or dice.below(8):
        return None
    try:
        with growth.attempt():
            quant = None if free else slot.quant
            return fit(growth, source, slot.code, slot.shape, quant, domain, dice)
    except NotGrown:
        return None


# ---- into the graph ----


def _emit(
    growth: Growth, plan: _Plan, joined: Mapping[str, Value], dice: Dice
) -> tuple[Value, ...]:
    inputs = []
    for slot in plan.slots:
        if slot.key in joined:
            inputs.append(joined[slot.key].index)
        else:
            inputs.append(_own(growth, plan, slot, dice))
    results = []
    for spec, code, shape, quant in plan.outputs:
        named = spec.name in plan.sample.quants or spec.name in plan.sample.like or spec.like
        free = is_quantized(code) and spec.span is not None and not named and spec.quant is None
        readable = not (spec.opaque or spec.kind != OutputKind.EACH or spec.counted)
        operand = Operand(code, shape, *quant)
        results.append(Result(operand, free, readable, spec.counted))
    return growth.emit(plan.part.op.code, inputs, results, dice, _least(growth, plan))


def _least(growth: Growth, plan: _Plan) -> float:
    """What the scale of a result has to exceed, by the documentation."""
    if plan.part.op.name == "MUL":
        return math.prod(slot.quant[0] for slot in plan.slots[:2])
    biases = [s for s in plan.slots if isinstance(s.spec, Tensor) and s.spec.bias_of]
    # Until level 3 the scale of a sum of products has to exceed theirs.
    return biases[0].quant[0] if biases and growth.level < 3 else 0.0


def _own(growth: Growth, plan: _Plan, slot: Slot, dice: Dice) -> int:
    """An operand with data of its own."""
    spec = slot.spec
    if isinstance(spec, Scalar):
        if slot.value is None:
            return growth.add(Operand(slot.code, lifetime=Lifetime.OMITTED))
        return growth.number(slot.code, slot.value)
    if slot.omitted:
        rank = (0,) * spec.rank[0]
        return growth.add(Operand(slot.code, rank, *slot.quant, lifetime=Lifetime.OMITTED))
    operand = Operand(slot.code, slot.shape, *slot.quant, channel_quant=slot.channel_quant)
    plain = slot.value is None and slot.channel_quant is None
    if plain and spec.weight and slot.code != I32 and dice.below(3) == 0:
        shared = _shared(growth, operand, _domain(slot))
        if shared is not None:
            return shared
    data = draw(slot, key_of("random", plan.seed, plan.part.name, slot.key), Regime.UNIFORM)
    if spec.weight and ((slot.code == I32 and not spec.bias_of) or dice.below(8)):
        return growth.constant(operand, data)
    if growth.inputs and not spec.weight and plain and dice.below(8) == 0:
        return growth.constant(operand, data)
    return growth.bring(operand, data)


def _shared(growth: Growth, operand: Operand, domain: tuple[float, float] | None) -> int | None:
    """A constant of the same kind that another operation reads already."""
    for known in growth.constants:
        if replace(known.operand, lifetime=operand.lifetime, value=b"") != operand:
            continue
        if domain is None or (domain[0] <= known.low and known.high <= domain[1]):
            return known.index
    return None
