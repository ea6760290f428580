"""Edges: inputs whose results are open, while a crash, a hang or a stray write is not.

NaN, infinities and the largest numbers fill one float operand after the other, weights too, and
all of them together; float scalars take what no formula expects; and each operation has inputs of
its own where integers overflow, divisors are zero, regions leave the map and nothing is selected
(`nnapi_testkit/cases/edge_data.py`). There is no answer: what is judged is that the execution
ends in time, in a living process, with every output written and nothing else touched
(`nnapi_testkit/judge/edges.py`). Where the documentation leaves it to a device whether such an
input is one at all, an error of the execution is an answer too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import numpy as np

from nnapi_testkit.cases.build import Slot, Variant, build_case, level_of, plan_slots
from nnapi_testkit.cases.derive import Base, base_for, free_quants
from nnapi_testkit.cases.edge_data import SCALAR, UNSCALED, edges_of, region_like
from nnapi_testkit.cases.edits import base_variant
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.cases.slots import Regime
from nnapi_testkit.cases.special import special_values
from nnapi_testkit.catalog import operation
from nnapi_testkit.model.case import Case, Execution
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.op.declare import Cell, Op, Sample, Scalar, Tensor
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import FLOATS, Array

__all__ = ["edge_refs"]

# What fills an operand, set by set; None stands for all special values in turn.
FILLS = (np.nan, np.inf, -np.inf, None)
ALL = "all"
SCALARS = {"nan": np.nan, "inf": np.inf, "below": -np.inf, "zero": 0.0, "minus-one": -1.0}
# Scales at both ends of what float32 holds; products and quotients of two leave it.
SCALES = {"tiny": 2.0**-126, "subnormal": 2.0**-149, "huge": 2.0**120}
FED = Variant(("inputs",), regimes=(Regime.UNIFORM,) * len(FILLS))


def edge_refs(op: Op) -> Iterator[CaseRef]:
    """The edge cases of an operation, in each of its cells."""
    if op.graphs is not None:
        return
    for cell in op.cells:
        base = base_for(op, cell)
        samples = [s for s in base.samples if base.plan(s) is not None]
        if not samples:
            continue
        yield from _filled(base, samples)
        yield from _scalars(base, samples[0])
        yield from _scaled(base, samples[0])
        for edge in edges_of(op.name, cell.name):
            sample = edge.sample(samples)
            if sample is not None and base.plan(sample) is not None:
                yield _ref(op, cell, sample, edge.refusable)


# ---- floats ----


def _filled(base: Base, samples: list[Sample]) -> Iterator[CaseRef]:
    """A case for each float operand, in the first sample and where others have more operands."""
    op, cell = base.op, base.cell
    seen: set[str] = set()
    for sample in samples:
        plan = base.plan(sample)
        assert plan is not None, "only such samples are asked for"
        fresh = [slot for slot in plan.slots if _is_float(slot) and slot.key not in seen]
        new = [slot.key for slot in fresh]
        if not new:
            continue
        first, seen = not seen, seen | set(new)
        for key in [*new, *([ALL] if first and len(new) > 1 else [])]:
            word = f"{Kind.EDGE}-nonfinite-{key.replace('[', '').replace(']', '')}"
            case_id = f"{op.name}[{cell.name}-{word}-{sample.name}]"
            make = partial(_fill, op.name, cell.name, sample, key, case_id)
            filled = [slot.spec.name for slot in fresh if key in (ALL, slot.key)]
            why = region_like(filled)
            yield _case(op, cell, sample, case_id, make, why)


def _is_float(slot: Slot) -> bool:
    return (
        isinstance(slot.spec, Tensor)
        and slot.code in FLOATS
        and not slot.omitted
        and slot.at in (None, 0, 1)  # of a long list its first two
    )


def _fill(op_name: str, cell_name: str, sample: Sample, key: str, case_id: str) -> Case:
    """The sample with one operand, or all of them, filled; weights are inputs."""
    case, found = _unfilled(op_name, cell_name, sample)
    places = {place for name, place in found.items() if key in (ALL, name)}
    assert places, f"{case_id}: the operand is no input"
    sets = tuple(
        _with(execution, places, fill) for execution, fill in zip(case.sets, FILLS, strict=True)
    )
    return replace(case, id=case_id, sets=sets)


@lru_cache(maxsize=8)
def _unfilled(op_name: str, cell_name: str, sample: Sample) -> tuple[Case, dict[str, int]]:
    """The case whose operands are filled in turn, and which model input each of them is."""
    op = operation(op_name)
    cell = next(cell for cell in op.cells if cell.name == cell_name)
    variant = base_variant(op)
    variant = replace(FED, words=(*FED.words, *variant.words), level=variant.level)
    slots, _ = plan_slots(op, cell, sample, variant, 0)
    case = build_case(op, cell, sample, variant, f"{op_name}[{cell_name}-{Kind.EDGE}]", 0)
    main = case.model.main
    places = {
        slot.key: main.inputs.index(index)
        for slot, index in zip(slots, main.operations[-1].inputs, strict=True)
        if _is_float(slot) and index in main.inputs
    }
    return case, places


def _with(execution: Execution, places: set[int], fill: float | None) -> Execution:
    def filled(array: Array) -> Array:
        if fill is not None:
            return np.full_like(array, fill)
        half = array.dtype == np.dtype("<f2")
        code = OperandCode.TENSOR_FLOAT16 if half else OperandCode.TENSOR_FLOAT32
        values = special_values(code)
        found: Array = np.resize(values, array.shape).astype(array.dtype)
        return found

    inputs = tuple(
        filled(array) if place in places and array is not None else array
        for place, array in enumerate(execution.inputs)
    )
    return replace(execution, inputs=inputs)


def _scalars(base: Base, sample: Sample) -> Iterator[CaseRef]:
    """Each float scalar with what no formula expects of it."""
    for spec in base.signature(sample):
        if not isinstance(spec, Scalar) or sample.operands.get(spec.name) is None:
            continue
        if base.cell.type_of(spec.name, spec.type) not in FLOATS:
            continue
        for word, value in SCALARS.items():
            operands = {**sample.operands, spec.name: float(value)}
            changed = sample.derived(f"{spec.name}-{word}-{sample.name}", operands)
            if base.plan(changed) is not None:
                yield _ref(base.op, base.cell, changed, SCALAR)


def _scaled(base: Base, sample: Sample) -> Iterator[CaseRef]:
    """Scales so small and so large that what is computed with them leaves float32."""
    plan = base.plan(sample)
    if plan is None or any(s.spec.bias_of for s in plan.slots if isinstance(s.spec, Tensor)):
        return  # the scale of a bias is a product that has to be a number
    free = free_quants(plan)
    if not free:
        return
    for word, scale in SCALES.items():
        quants: dict[str, Any] = {name: (scale, zero) for name, (_, zero) in free.items()}
        changed = sample.derived(f"scale-{word}-{sample.name}", sample.operands, quants=quants)
        for output in base.op.outputs:
            # A span may come to no scale at all: the output keeps the sample's.
            if output.span is not None and output.like is None and output.quant is None:
                changed.quants[output.name] = (2.0**-7, 0)
        if base.op.name != "MUL" and base.plan(changed) is not None:
            yield _ref(base.op, base.cell, changed, UNSCALED)


# ---- all ----


def _ref(op: Op, cell: Cell, sample: Sample, refusable: str) -> CaseRef:
    case_id = f"{op.name}[{cell.name}-{Kind.EDGE}-{sample.name}]"
    make = partial(_make, op.name, cell.name, sample, case_id)
    return _case(op, cell, sample, case_id, make, refusable)


def _make(op_name: str, cell_name: str, sample: Sample, case_id: str) -> Case:
    op = operation(op_name)
    cell = next(cell for cell in op.cells if cell.name == cell_name)
    with np.errstate(over="ignore", invalid="ignore"):
        return build_case(op, cell, sample, base_variant(op), case_id, 0)


def _case(
    op: Op, cell: Cell, sample: Sample, case_id: str, make: partial[Case], refusable: str
) -> CaseRef:
    level = max(
        level_of(op, cell, sample, Base(op, cell).signature(sample)), base_variant(op).level
    )
    return CaseRef(case_id, op.name, cell.name, level, Kind.EDGE, make, refusable=refusable)
