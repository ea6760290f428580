"""Regimes of quantization: multipliers of 1 and above, powers of two and far below; zero points at
both ends of the type; codes at the limits, so that narrow accumulators overflow; biases beyond 16
bits; channel scales over four orders of magnitude with a channel of zeros.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nnapi_testkit.cases.derive import Base, Plan, free_quants, shape_of
from nnapi_testkit.cases.quant import float_32
from nnapi_testkit.op.declare import Codes, Sample, Tensor
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import CODE_RANGE, is_quantized

PER_CHANNEL = OperandCode.TENSOR_QUANT8_SYMM_PER_CHANNEL
INT32 = OperandCode.TENSOR_INT32
# Real intermediate results of these are quantized in ways of their own.
OWN = {"QUANTIZED_LSTM", "QUANTIZED_16BIT_LSTM", "LSH_PROJECTION"}
# Equal elements have no order.
ORDERED = {"ARGMAX", "ARGMIN"}
# Whose output is a sum of products of both.
PRODUCTS = {"MUL": ("a", "b"), "BATCH_MATMUL": ("x", "y"), "PRELU": ("input", "alpha")}
MULTIPLIERS = {"1": 1.0, "2": 2.0, "3": 3.0, "half": 0.5, "2e-8": 2.0**-8, "2e-24": 2.0**-24}
BIG_BIAS = 40_000
CHANNEL_SCALES = (1e-4, 1.0, 0.01, 0.1, 1e-3)
MOST_WRITTEN = 1_500


def quant_probes(base: Base) -> Iterator[Sample]:
    """The probes of a quantized cell."""
    if not is_quantized(base.cell.main) or base.op.name in OWN | ORDERED:
        return
    chosen = _chosen(base)
    for sample, plan in chosen:
        for where in ("low", "high", "ends"):
            yield _filled(sample, plan, where)
    if not chosen:
        return
    sample, plan = chosen[0]
    yield from _zero_points(base, sample, plan)
    yield from _multipliers(base, sample, plan)
    yield from _channels(sample, plan)


def _chosen(base: Base) -> list[tuple[Sample, Plan]]:
    """The first sample, and the one with the most elements for each output."""
    found = [
        (sample, plan)
        for sample in base.samples
        if not sample.like
        and (plan := base.plan(sample)) is not None
        and plan.written <= MOST_WRITTEN
        and _data(plan)
    ]
    if not found:
        return []
    deepest = max(found, key=lambda item: item[1].read / max(1, item[1].written))
    return found[:1] if deepest[0] is found[0][0] else [found[0], deepest]


def _data(plan: Plan) -> list[str]:
    """Quantized operands whose data are generated."""
    return [
        slot.key
        for slot in plan.slots
        if isinstance(slot.spec, Tensor)
        and is_quantized(slot.code)
        and not slot.omitted
        and "[" not in slot.key
        and (slot.value is None or shape_of(slot.value) is not None)
    ]


def _fill(sample: Sample, plan: Plan, where: str) -> dict[str, Any]:
    filled = {name: Codes(plan.facts.shape(name), where) for name in _data(plan)}
    return {**sample.operands, **filled}


def _filled(sample: Sample, plan: Plan, where: str) -> Sample:
    name = f"codes-{where}-{sample.name}"
    return sample.derived(name, _fill(sample, plan, where), variations=())


def _output(base: Base) -> str:
    """The first output, where its scale and zero point are free."""
    output = base.op.outputs[0]
    free = output.like is None and output.quant is None and output.span is not None
    return output.name if free and is_quantized(base.cell.type_of(output.name, output.type)) else ""


def _zero_points(base: Base, sample: Sample, plan: Plan) -> Iterator[Sample]:
    free = free_quants(plan)
    low, high = CODE_RANGE[base.cell.main]
    out = _output(base)
    for word, zero in (("low", low), ("high", high)):
        quants: dict[str, Any] = {name: (quant[0], zero) for name, quant in free.items()}
        if out:
            span = base.op.outputs[0].span
            assert span is not None
            reach = max(map(abs, span(plan.facts)))
            # One sign of the results alone has codes: the zero point of the other end.
            quants[out] = (float_32(reach / (high - low)), low + high - zero)
        if quants:
            name = f"zero-point-{word}-{sample.name}"
            yield sample.derived(name, sample.operands, quants=quants, variations=())


def _unit(base: Base, plan: Plan) -> tuple[str, ...]:
    """The operands whose scales multiply to the scale of a sum."""
    for slot in plan.slots:
        if isinstance(slot.spec, Tensor) and slot.spec.bias_of and slot.code == INT32:
            return slot.spec.bias_of
    if base.op.name in PRODUCTS:
        return PRODUCTS[base.op.name]
    free = list(free_quants(plan))
    return tuple(free[:1])


def _multipliers(base: Base, sample: Sample, plan: Plan) -> Iterator[Sample]:
    out = _output(base)
    unit = _unit(base, plan)
    if not out or not unit or any(name not in plan.facts.quants for name in unit):
        return
    quants = _plain_scales(plan, unit)
    code = base.cell.type_of(base.op.outputs[0].name, base.op.outputs[0].type)
    middle = sum(CODE_RANGE[code], 1) // 2
    product = 0.5 ** len(unit)
    # "The output's scale is greater than the product" of the inputs' scales in MUL.
    most = 1.0 if base.op.name == "MUL" else float("inf")
    biased = next((s for s in plan.slots if isinstance(s.spec, Tensor) and s.spec.bias_of), None)
    for word, multiplier in MULTIPLIERS.items():
        if multiplier >= most:
            continue
        # Small numbers where they grow, large ones where they shrink.
        where = "near" if multiplier >= 1 else "far"
        scaled = {**quants, out: (float_32(product / multiplier), middle)}
        name = f"multiplier{word}-{sample.name}"
        # Before level 3 an output's scale had to be above the product of the inputs'.
        level = 3 if multiplier >= 1 and biased is not None else 1
        operands = _fill(sample, plan, where)
        yield sample.derived(name, operands, quants=scaled, variations=(), level=level)
    if biased is not None and biased.code == INT32:
        count = biased.shape[0]
        bias = [float(BIG_BIAS * (1 - 2 * (i % 2)) + 7 * i) for i in range(count)]
        operands = {**_fill(sample, plan, "near"), biased.key: bias}
        scaled = {**quants, out: (float_32(product * 512.0), middle)}
        yield sample.derived(
            f"bias-beyond-16-bits-{sample.name}", operands, quants=scaled, variations=()
        )


def _plain_scales(plan: Plan, unit: tuple[str, ...]) -> dict[str, Any]:
    """The scale of one half for each operand whose scale is free, its zero point as it was."""
    found: dict[str, Any] = {name: (0.5, quant[1]) for name, quant in free_quants(plan).items()}
    if any(slot.code == PER_CHANNEL for slot in plan.slots):
        found[unit[1]] = (0.5,)
    return found


def _channels(sample: Sample, plan: Plan) -> Iterator[Sample]:
    for slot in plan.slots:
        if slot.code == PER_CHANNEL and "[" not in slot.key:
            channels = slot.channel_quant
            assert channels is not None
            hollow = Codes(slot.shape, "hollow-first" if channels.dim == 0 else "hollow-last")
            yield sample.derived(
                f"channel-scales-{sample.name}",
                {**sample.operands, slot.key: hollow},
                quants={slot.key: CHANNEL_SCALES},
                variations=(),
            )
