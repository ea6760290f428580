"""Every cell by every way; outputs of two ways are compared, and a difference is told."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from nnapi_testkit.cases.edits import base_of
from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.paths import MEMORIES, PATHS, PathConfiguration, path_configurations
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.catalog import catalog
from nnapi_testkit.judge.agreement import Agreement
from nnapi_testkit.judge.judge import judge
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.model.case import (
    Answer,
    Case,
    Ending,
    ExecutionPath,
    Expected,
    MemoryKind,
    OutputResult,
    Result,
    SetResult,
    Stage,
)
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.oracle.evaluate import answer_case

CELLS = [f"{op.name} {cell.name}" for op in catalog().values() for cell in op.cells]


def levels(configuration: PathConfiguration) -> list[tuple[str, object]]:
    """The factors of a way and their levels."""
    names = ("path", "memory", "cache", "padding", "unknown", "told", "timing", "twice")
    return [(name, getattr(configuration, name)) for name in names]


def test_every_cell_meets_every_level() -> None:
    for cell in CELLS:
        found = path_configurations(cell)
        assert {configuration.path for configuration in found} == set(PATHS), cell
        *others, hardware, unaligned = found
        assert {configuration.memory for configuration in others} == set(MEMORIES), cell
        assert hardware.memory == MemoryKind.AHARDWARE_BUFFER, cell
        assert [configuration.unaligned for configuration in found] == [False] * 6 + [True], cell
        assert unaligned.memory in MEMORIES, cell
        caches = [configuration.cache for configuration in found if configuration.cache]
        assert caches[0] == "cold", cell
        assert "warm" in caches[1:], cell
        for flag in ("padding", "unknown", "timing", "twice"):
            assert {getattr(configuration, flag) for configuration in found} == {False, True}, (
                cell,
                flag,
            )


def test_every_two_factors_meet() -> None:
    met: dict[tuple[str, str], set[tuple[object, object]]] = defaultdict(set)
    values: dict[str, set[object]] = defaultdict(set)
    for cell in CELLS:
        for configuration in path_configurations(cell):
            for name, level in levels(configuration):
                values[name].add(level)
            for (a, x), (b, y) in itertools.combinations(levels(configuration), 2):
                met[a, b].add((x, y))
    impossible: dict[tuple[str, str], set[tuple[object, object]]] = {
        ("unknown", "told"): {(False, True)},
        ("path", "twice"): {(ExecutionPath.REUSABLE, False)},
        # They come last, when the cell has been compiled.
        ("memory", "cache"): {(MemoryKind.AHARDWARE_BUFFER, "cold")},
    }
    for a, b in met:
        wanted = set(itertools.product(values[a], values[b])) - impossible.get((a, b), set())
        assert wanted <= met[a, b], (a, b, wanted - met[a, b])


def test_index_has_the_paths_of_each_cell() -> None:
    refs = case_index()
    ids = {ref.id for ref in refs}
    owners = defaultdict(list)
    for ref in refs:
        if ref.kind == "path":
            owners[ref.operation, ref.cell].append(ref)
            assert ref.answer_id in ids
            assert not ref.has_golden
    assert {f"{op} {cell}" for op, cell in owners} == set(CELLS)
    assert all(len(found) == 7 for found in owners.values())
    hardware = [found[-2] for found in owners.values()]
    assert {ref.make().memory for ref in hardware} == {MemoryKind.AHARDWARE_BUFFER}
    assert all(ref.needs == "hardware_buffers" for ref in hardware)
    assert all(found[-1].make().extra.unaligned for found in owners.values())


def test_every_fence_is_told_the_dimensions_or_refused() -> None:
    """What the documentation demands, rows that the data count included."""
    fenced = refused = 0
    for ref in case_index():
        if ref.kind == "path" and "-fenced-" in ref.id:
            case = ref.make()
            main = case.model.main
            open_ = any(0 in main.operands[i].dims for i in main.outputs)
            assert not open_ or all(s.set_output_dims for s in case.sets), ref.id
            fenced += 1
        if ref.broken is not None and ref.broken.rule == "fenced-dims":
            case = ref.make()
            main = case.model.main
            assert any(0 in main.operands[i].dims for i in main.outputs), ref.id
            assert not any(s.set_output_dims for s in case.sets), ref.id
            assert (case.path, case.expect) == (ExecutionPath.FENCED, Stage.EXECUTION)
            refused += 1
    assert fenced >= 424
    assert refused >= 400  # no constraint of an operation has more than ten cases


def test_rows_that_data_count_are_those_of_the_sample() -> None:
    """Memory and executions that are told how many rows there will be are told the truth."""
    told = 0
    for op in (op for op in catalog().values() if any(out.counted for out in op.outputs)):
        for ref in case_index([op.name]):
            if ref.kind != "path":
                continue
            case = ref.make()
            if "-told-dims" not in ref.id:
                continue
            told += 1
            for wanted, run in zip(answer_case(case).sets, case.sets, strict=True):
                assert [e.value.shape for e in wanted] == list(run.output_dims), ref.id
    assert told >= 8


def test_path_case_is_its_base_case_entered_otherwise() -> None:
    refs = {ref.id: ref for ref in case_index(["ADD"])}
    for ref in refs.values():
        if ref.kind != "path":
            continue
        case, base = ref.make(), refs[ref.answer_id].make()
        assert (case.path, case.memory, case.repetitions, case.padding) != (
            base.path,
            base.memory,
            base.repetitions,
            base.padding,
        ) or case.cache_token
        for got, want in zip(case.sets, base.sets, strict=True):
            for x, y in zip(got.inputs, want.inputs, strict=True):
                assert x is not None
                assert y is not None
                assert np.array_equal(x, y)


CASE = base_of("ADD", "float32", "rank1").case
SHAPE = CASE.sets[0].output_dims[0]
REF = CaseRef("ADD[float32-path-x]", "ADD", "float32", 3, Kind.PATH, lambda: CASE, CASE.id)


def answer(exempt: bool = False, kind: str = "") -> Answer:
    """Zeros within one."""
    mask = np.ones(SHAPE, dtype=bool) if exempt else None
    expected = Expected(np.zeros(SHAPE), np.ones(SHAPE), mask, kind)
    return Answer(((expected,),) * len(CASE.sets))


def result(value: float, case: Case = CASE) -> Result:
    """A run that left `value` everywhere."""
    data = np.full(SHAPE, value, dtype="<f4").tobytes()
    run = SetResult(0, (OutputResult(SHAPE, data, 0),))
    count = len(case.sets) * case.repetitions
    return Result(0, Ending.COMPLETED, Stage.DONE, device="d", executions=(run,) * count)


def verdict_of(agreement: Agreement, ref: CaseRef, told: Answer, value: float) -> Verdict:
    got = result(value)
    record = judge(ref, CASE, told, got)
    return agreement.check(ref, CASE, told, got, record).verdict


def test_two_ways_that_differ_are_told_though_both_are_right() -> None:
    agreement = Agreement()
    other = replace(REF, id="ADD[float32-path-y]")
    assert verdict_of(agreement, REF, answer(), 0.25) is Verdict.PASS
    assert verdict_of(agreement, other, answer(), 0.25) is Verdict.PASS
    assert verdict_of(agreement, other, answer(), 0.5) is Verdict.NONDETERMINISTIC


def test_other_answers_devices_and_failures_are_not_compared() -> None:
    agreement = Agreement()
    assert verdict_of(agreement, REF, answer(), 0.25) is Verdict.PASS
    stranger = replace(REF, answer_id="ADD[float32-other]")
    assert verdict_of(agreement, stranger, answer(), 0.5) is Verdict.PASS
    plain = replace(REF, answer_id="")
    assert verdict_of(agreement, plain, answer(), 0.5) is Verdict.PASS
    assert verdict_of(agreement, REF, answer(), 8.0) is Verdict.MISMATCH


@pytest.mark.parametrize("told", [answer(exempt=True)])
def test_what_the_documentation_leaves_open_is_not_compared(told: Answer) -> None:
    agreement = Agreement()
    record = replace(judge(REF, CASE, told, result(0.25)), verdict=Verdict.PASS)
    for value in (0.25, 0.5):
        checked = agreement.check(REF, CASE, told, result(value), record)
        assert checked.verdict is Verdict.PASS
