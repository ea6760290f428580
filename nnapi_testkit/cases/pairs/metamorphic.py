"""Metamorphic pairs: one model computes the same thing in two ways, and both must agree.

Each case has twice the outputs of its operation: the first half by one way, the second by the
other. The relations: NHWC and NCHW, weights as constants and as inputs, a whole and a split batch,
an operation alone and between others, a quantized operation and its real one between DEQUANTIZE
and QUANTIZE (`relations`); n single steps and one sequence operation, WHILE and its unrolled body,
IF and its branch (`flow_pairs`). `judge.agreement` compares the halves with each other, and the
oracle judges both.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from nnapi_testkit.cases.build import choose_signature, level_of
from nnapi_testkit.cases.edits import base_of, base_variant, find
from nnapi_testkit.cases.pairs.relations import RELATIONS, Situation
from nnapi_testkit.cases.pairs.second import Second
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.model.case import Case
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.op.declare import Cell, Op, Sample
from nnapi_testkit.spec.kinds import OutputKind

# Outputs judged element by element; rows in any order and draws have no twins to compare with.
EACH = (OutputKind.EACH, OutputKind.TRUTH)


def pair_refs(op: Op, cell: Cell) -> Iterator[CaseRef]:
    """The pairs of an operation in one cell."""
    for name, situation in _relations(op, cell):
        sample = situation.sample
        case_id = f"{op.name}[{cell.name}-pair-{name}-{sample.name}]"
        level = level_of(op, cell, sample, choose_signature(op, sample))
        yield CaseRef(
            case_id,
            op.name,
            cell.name,
            max(level, base_variant(op).level, RELATIONS[name].level(situation)),
            Kind.PAIR,
            partial(_make, op.name, cell.name, sample.name, name, case_id),
            contest=sample.contest,
        )


def _make(op_name: str, cell_name: str, sample_name: str, relation: str, case_id: str) -> Case:
    op, cell, sample = find(op_name, cell_name, sample_name)
    second = Second(base_of(op_name, cell_name, sample_name))
    RELATIONS[relation].build(second, Situation(op, cell, sample))
    return second.case(case_id)


def _relations(op: Op, cell: Cell) -> Iterator[tuple[str, Situation]]:
    """Which relations fit, each with the first sample that it fits."""
    if op.graphs is not None or any(output.kind not in EACH for output in op.outputs):
        return
    samples = [
        Situation(op, cell, sample)
        for sample in sorted(op.samples_for(cell), key=_plainness)
        if not sample.large and not _empty(sample)
    ]
    for name, relation in RELATIONS.items():
        if name in op.unpaired:
            continue
        found = next((s for s in samples if relation.fits(s)), None)
        if found is not None:
            yield name, found


def _plainness(sample: Sample) -> tuple[bool, bool]:
    """What is agreed comes before what is contested."""
    return sample.contest is not None, bool(sample.like)


def _empty(sample: Sample) -> bool:
    return any(isinstance(v, tuple) and 0 in v for v in sample.operands.values())
