"""Every declared constraint makes cases, all of them are refused, and a lax driver is told."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from nnapi_testkit.cases.covering import covering
from nnapi_testkit.cases.edits import base_of, tie_parts
from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.ref import Broken, CaseRef, Constraint
from nnapi_testkit.cases.refusals.constraints import MOST_EACH, refusals
from nnapi_testkit.cases.refusals.mutations import MUTATIONS
from nnapi_testkit.catalog import catalog
from nnapi_testkit.judge.judge import judge
from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.model.case import Case, Ending, Result, Stage
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.op.declare import Input, Op, Scalar, Tensor
from nnapi_testkit.report.refusals import refusal_facts
from nnapi_testkit.session.engine import Session
from nnapi_testkit.session.plan import Selection, select, within
from nnapi_testkit.session.services import standard as services
from nnapi_testkit.session.settings import OracleMode, Settings
from nnapi_testkit.spec.operands import is_quantized, is_tensor
from nnapi_testkit.targets import parse_target

WANTED_PAIRS = 1_500


@pytest.fixture(scope="module")
def refs() -> list[CaseRef]:
    return [ref for ref in case_index() if ref.kind == "refusal"]


def pair(ref: CaseRef) -> tuple[str, str]:
    """(operation, constraint)."""
    assert ref.broken is not None
    return ref.operation, ref.broken.rule


def test_enough_pairs_and_none_counted_too_often(refs: list[CaseRef]) -> None:
    counted = Counter(map(pair, refs))
    assert len(counted) >= WANTED_PAIRS
    assert max(counted.values()) <= MOST_EACH


def test_every_declared_constraint_is_broken(refs: list[CaseRef]) -> None:
    """Looks at the declarations themselves, not at the code that makes the cases."""
    broken = defaultdict(set)
    for ref in refs:
        broken[ref.operation].add(pair(ref)[1])
    declared = {op.name: constraints(op) for op in catalog().values()}
    missing = [(name, each) for name in declared for each in declared[name] - broken[name]]
    assert not missing
    assert sum(map(len, declared.values())) >= WANTED_PAIRS


def constraints(op: Op) -> set[str]:
    """What an operation's declaration forbids, and what a feature level added to it."""
    if op.graphs is not None:
        return _of_models(op)
    wanted = {"inputs", "outputs", "input-length"}
    quantized = [cell for cell in op.cells if cell.name.startswith("quant8")]
    for spec in _used(op):
        wanted |= _of_input(op, spec, bool(quantized))
    wanted |= {f"value-{name}" for name in op.axes}
    for tie in op.ties:
        wanted.add("dimension-" + tie.partition("=")[0].rpartition(".")[0])
    for output in op.outputs:
        wanted.add(f"type-{output.name}")
        if not any(is_tensor(cell.type_of(output.name, output.type)) for cell in op.cells):
            continue
        wanted |= {f"scalar-{output.name}", f"dimension-{output.name}", f"rank-{output.name}"}
        if output.like and any(
            is_quantized(cell.type_of(output.name, output.type)) for cell in quantized
        ):
            wanted |= {f"scale-{output.name}", f"zero-point-{output.name}"}
    if not op.outputs[0].counted:
        wanted.add("output-size")
        wanted.add("output-length")
    else:
        wanted.discard("input-length")
    return wanted | _levels(op)


def _of_models(op: Op) -> set[str]:
    """The operands of IF and WHILE are models; what they have to be is common to all cells."""
    models = {"IF": (1, 2), "WHILE": (0, 1)}[op.name]
    own = {"condition-type", "condition-shape", "condition-scalar", "condition-missing"}
    common = {f"model-{position}" for position in models} | {"level-operation"}
    common |= {"inputs", "outputs", "argument-type", "argument-shape"}
    common |= {"result-type", "result-shape"}
    return common | (own if op.name == "IF" else {"models-swapped", "loop-timeout"})


def _of_input(op: Op, spec: Input, quantized: bool) -> set[str]:
    """What an operand must not be."""
    wanted = set() if spec.optional else {f"missing-{spec.name}"}
    # RANK takes every type of tensor.
    if not (isinstance(spec, Tensor) and spec.any_type) and op.name != "RANK":
        wanted.add(f"type-{spec.name}")
    if isinstance(spec, Scalar):
        wanted.add(f"tensor-{spec.name}")
        if spec.allowed is not None or spec.minimum is not None:
            wanted.add(f"value-{spec.name}")
        return wanted
    wanted.add(f"scalar-{spec.name}")
    if spec.rank[0] > 1 or spec.rank[1] <= 4:
        wanted.add(f"rank-{spec.name}")
    if (spec.bias_of or spec.like) and quantized:
        wanted |= {f"scale-{spec.name}", f"zero-point-{spec.name}"}
    return wanted


def _used(op: Op) -> list[Input]:
    """The operands that a sample uses."""
    names = {n for cell in op.cells for _, names in covering(op, cell) for n in names}
    specs = [spec for signature in op.signatures for spec in signature]
    return [spec for spec in specs if spec.name in names]


def _levels(op: Op) -> set[str]:
    """What was added to the operation after feature level 1."""
    wanted = {"level-operation"} if op.since > 1 else set()
    if any(cell.since > op.since for cell in op.cells):
        wanted.add("level-type")
    first = min(cell.since for cell in op.cells)
    for signature in op.signatures:
        later_ones = [spec.name for spec in signature if spec.level > first]
        if "nchw" in later_ones:
            wanted.add("level-nchw")
        # Of operands that came together the last one stands for all.
        wanted |= {f"level-{name}" for name in later_ones[-1:]}
    later = [out.name for out in op.outputs if out.optional and out.level > max(first, op.since)]
    return wanted | {f"level-{name}" for name in later[:1]}


def test_each_mutation_meets_many_operations(refs: list[CaseRef]) -> None:
    counted = Counter(ref.broken.constraint for ref in refs if ref.broken)
    for constraint in MUTATIONS:
        least = 3 if constraint.rule == "channel-quantization" else 30
        assert counted[constraint] >= least, constraint


def test_neighbours_are_in_the_suite_and_differ(refs: list[CaseRef]) -> None:
    """What is broken is a model that the suite also runs unbroken."""
    positive = {ref.id: ref for ref in case_index() if ref.computes}
    for ref in refs:
        assert ref.broken is not None
        control = positive[ref.broken.control]
        assert (control.operation, control.cell) == (ref.operation, ref.cell)
        # Whatever device has to refuse it has to compute the control case.
        assert control.level <= ref.level, ref.id
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
    own = [ref for ref in refs if ref.broken and not ref.broken.newer]
    assert not not_passed(own, f"lib:{driver_library}")


def _fine(ref: CaseRef, record: Record) -> bool:
    # What no sentence forbids may be accepted.
    return record.verdict is Verdict.PASS or bool(ref.broken and ref.broken.open)


def not_passed(refs: list[CaseRef], target: str) -> list[tuple[str, str, str]]:
    """Id, verdict and message of what the driver does not refuse as it should."""
    cases = [ref.make() for ref in refs]
    wrong = []
    with parse_target(target).open() as runner:
        for ref, case, result in zip(refs, cases, runner.run(cases), strict=True):
            record = judge(ref, case, None, result)
            if not _fine(ref, record):
                wrong.append((ref.id, record.verdict.value, record.message))
    return wrong


def test_devices_refuse_what_is_newer(refs: list[CaseRef], driver_library: Path) -> None:
    """Each addition is refused by a device of the level before it, and taken at its own."""
    newer = [ref for ref in refs if ref.broken and ref.broken.newer]
    assert len({pair(ref) for ref in newer}) >= 150
    for level in {ref.level for ref in newer}:
        added = [ref for ref in newer if ref.level == level]
        older = services().older("host", level)
        assert older == f"host#nnapi-level-{level - 1}"
        assert not not_passed(added, older)
        same = not_passed(added, f"host#nnapi-level-{level}" if level < 8 else "host")
        assert {verdict for _, verdict, _ in same} == {"ACCEPTED_INVALID"}
        assert len(same) == len(added)


@pytest.mark.parametrize("pattern", ["CONV_2D[*refused*]", "WHILE[*refused*]"])
def test_a_partial_run_computes_the_neighbours(pattern: str) -> None:
    session = Session(Settings(oracle=OracleMode.GOLDEN, operations=(pattern.partition("[")[0],)))
    chosen = select(session.refs(), Selection(names=(pattern,)), controls=True)
    planned = within(chosen, session.describe(), older=session.older)
    records = {record.id: record for record in session.run(planned)}
    refused = [record for record in records.values() if record.kind == "refusal"]
    assert len(refused) > 50
    for record in refused:
        assert record.verdict is Verdict.PASS, record.message
        control = records[record.control]
        assert control.verdict is Verdict.PASS
        assert control.evidence.compared
    facts = refusal_facts(records.values())
    assert facts["refused"] == facts["neighbour_computed"] == len(refused)


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
REF = CaseRef(
    "ADD[x]", "ADD", "float32", 1, Kind.REFUSAL, lambda: CASE, broken=Broken(Constraint("rank-x"))
)


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
