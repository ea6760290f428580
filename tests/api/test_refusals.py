"""Every declared constraint makes cases, all of them are refused, and a lax driver is told."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from nnapi_testkit.cases.edits import base_of
from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.mutations import MUTATIONS
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.cases.refusals import MOST_EACH, covering, refusals, tie_parts
from nnapi_testkit.catalog import catalog
from nnapi_testkit.judge.judge import judge
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.model.case import Case, Ending, Result, Stage
from nnapi_testkit.op.declare import Scalar
from nnapi_testkit.targets import parse_target

WANTED_PAIRS = 1_500


@pytest.fixture(scope="module")
def refs() -> list[CaseRef]:
    return [ref for ref in case_index() if ref.kind == "refusal"]


def pair(ref: CaseRef) -> tuple[str, str]:
    """(operation, constraint)."""
    name = ref.id.partition("-refused-")[2].removesuffix("]")
    return ref.operation, name.partition(".")[0]


def test_enough_pairs_and_none_counted_too_often(refs: list[CaseRef]) -> None:
    counted = Counter(map(pair, refs))
    assert len(counted) >= WANTED_PAIRS
    assert max(counted.values()) <= MOST_EACH


def test_every_declared_constraint_is_broken(refs: list[CaseRef]) -> None:
    """Looks at the declarations themselves, not at the code that makes the cases."""
    broken = defaultdict(set)
    for ref in refs:
        broken[ref.operation].add(pair(ref)[1])
    missing = []
    for op in catalog().values():
        if op.graphs is not None:
            continue
        used = {n for cell in op.cells for _, names in covering(op, cell) for n in names}
        wanted = {"inputs", "outputs"}
        for spec in (spec for signature in op.signatures for spec in signature):
            if spec.name not in used:
                continue
            if not spec.optional:
                wanted.add(f"missing-{spec.name}")
            if isinstance(spec, Scalar):
                wanted.add(f"tensor-{spec.name}")
                if spec.allowed is not None or spec.minimum is not None:
                    wanted.add(f"value-{spec.name}")
                continue
            wanted.add(f"scalar-{spec.name}")
            if spec.rank[0] > 1 or spec.rank[1] <= 4:
                wanted.add(f"rank-{spec.name}")
            if spec.bias_of and any(c.name.startswith("quant8") for c in op.cells):
                wanted |= {f"scale-{spec.name}", f"zero-point-{spec.name}"}
            if spec.like and any(c.name.startswith("quant8") for c in op.cells):
                wanted |= {f"scale-{spec.name}", f"zero-point-{spec.name}"}
        missing += [(op.name, name) for name in sorted(wanted - broken[op.name])]
    assert not missing


def test_each_mutation_meets_many_operations(refs: list[CaseRef]) -> None:
    counted = Counter(ref.id.partition("-refused-")[2].removesuffix("]") for ref in refs)
    for name in MUTATIONS:
        least = 3 if name.startswith("channel") else 30
        assert counted[name] >= least, name


def test_neighbours_are_in_the_suite_and_differ(refs: list[CaseRef]) -> None:
    """What is broken is a model that the suite also runs unbroken."""
    positive = {ref.id: ref for ref in case_index() if ref.computes}
    for op in catalog().values():
        for cell in op.cells[:1]:
            for sample, _ in covering(op, cell):
                base = base_of(op.name, cell.name, sample.name)
                assert base.case.id in positive
                assert base.case.model == positive[base.case.id].make().model
                for refusal in refusals(op, cell):
                    if refusal.sample is sample:
                        assert refusal.edit(base) != base.model, refusal.name


def test_driver_refuses_all(refs: list[CaseRef], driver_library: Path) -> None:
    """The reference driver refuses every broken model in time, and survives it."""
    cases = [ref.make() for ref in refs]
    wrong = []
    with parse_target(f"lib:{driver_library}").open() as runner:
        for ref, case, result in zip(refs, cases, runner.run(cases), strict=True):
            record = judge(ref, case, None, result)
            if record.verdict is not Verdict.PASS:
                wrong.append((ref.id, record.verdict.value, record.message))
    assert not wrong


def test_ties_hold_in_the_unbroken_models() -> None:
    """What a refusal makes unequal is equal before: both sides of each declared tie."""
    seen = 0
    for op in catalog().values():
        for cell in op.cells[:1] if op.ties else ():
            samples = [sample for sample, _ in covering(op, cell)]
            for tie in op.ties:
                name, axis, others = tie_parts(tie)
                used = [
                    s
                    for s in samples
                    if all(s.operands.get(other) is not None for other in (name, *others))
                ]
                assert used, (op.name, tie)
                base = base_of(op.name, cell.name, used[0].name)
                operands = base.model.main.operands
                left = operands[base.operand(name)].dims[axis]
                if "rank(" in tie:
                    right = len(operands[base.operand(others[0])].dims)
                else:
                    where = int(tie.rpartition(".")[2])
                    right = operands[base.operand(others[0])].dims[where]
                assert left == right, (op.name, tie)
                seen += 1
    assert seen >= 50


CASE = Case("ADD[x]", base_of("ADD", "float32", "rank1").model, (), expect=Stage.COMPILATION)
REF = CaseRef("ADD[x]", "ADD", "float32", 1, "refusal", lambda: CASE)


@pytest.mark.parametrize(
    ("result", "expect", "verdict"),
    [
        (Result(0, Ending.STOPPED, Stage.MODEL, 4), Stage.COMPILATION, Verdict.PASS),
        (Result(0, Ending.STOPPED, Stage.COMPILATION, 4), Stage.COMPILATION, Verdict.PASS),
        (Result(0, Ending.STOPPED, Stage.EXECUTION, 4), Stage.EXECUTION, Verdict.PASS),
        (
            Result(0, Ending.STOPPED, Stage.EXECUTION, 4),
            Stage.COMPILATION,
            Verdict.ACCEPTED_INVALID,
        ),
        (Result(0, Ending.COMPLETED, Stage.DONE), Stage.EXECUTION, Verdict.ACCEPTED_INVALID),
        (Result(0, Ending.CRASHED, Stage.MODEL, 11), Stage.COMPILATION, Verdict.CRASH_RUNNER),
        (Result(0, Ending.TIMED_OUT, Stage.MODEL), Stage.COMPILATION, Verdict.TIMEOUT),
    ],
)
def test_verdict_of_a_broken_model(result: Result, expect: Stage, verdict: Verdict) -> None:
    assert judge(REF, replace(CASE, expect=expect), None, result).verdict is verdict


def test_record_says_who_refused() -> None:
    by_runtime = judge(REF, CASE, None, Result(0, Ending.STOPPED, Stage.MODEL, 4))
    by_driver = judge(REF, CASE, None, Result(0, Ending.STOPPED, Stage.COMPILATION, 4))
    assert "runtime" in by_runtime.message
    assert "driver" in by_driver.message
