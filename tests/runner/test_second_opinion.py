"""Failures of a driver are repeated on the platform's own reference: contested, or stronger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.judge.judge import judge
from nnapi_testkit.judge.second import contested
from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.model.case import Answer, Case, Ending, OutputResult, Result, SetResult, Stage
from nnapi_testkit.paths import driver_library
from nnapi_testkit.session.lane import Lane
from nnapi_testkit.session.services import Services, standard
from nnapi_testkit.session.settings import OracleMode, Settings

DEVICES = """
[npu]
type = accelerator

[broken]
type = accelerator
fails = execution
"""


@pytest.fixture
def devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "devices"
    path.write_text(DEVICES, "utf-8")
    monkeypatch.setenv("NNAPI_REFERENCE_DEVICES", str(path))


def wrong(*args: Any, **options: Any) -> Record:
    """A judge to whom everything is wrong, so that driver and reference fail alike."""
    return replace(judge(*args, **options), verdict=Verdict.MISMATCH, message="wrong")


def records(target: str, services: Services, profile: str = "standard") -> list[Record]:
    refs = [ref for ref in case_index(("FLOOR",)) if ref.kind == "positive"][:4]
    settings = Settings(target=target, oracle=OracleMode.LIVE, profile=profile)
    with Lane(settings, services) as lane:
        return list(lane.run(refs))


def test_a_driver_that_fails_where_the_reference_is_right_is_told_so(devices: None) -> None:
    for record in records(f"lib:{driver_library()}#broken", standard()):
        assert record.verdict is Verdict.EXEC_ERROR
        assert "nnapi-reference beside it is right" in record.message


def test_what_the_reference_fails_too_is_contested(devices: None) -> None:
    target, services = f"lib:{driver_library()}#npu", replace(standard(), judge=wrong)
    for record in records(target, services):
        assert record.verdict is Verdict.CONTESTED
        assert record.message.startswith("MISMATCH: wrong; the platform's reference computes")
    assert {record.verdict for record in records(target, services, "strict")} == {Verdict.MISMATCH}


def test_the_reference_is_no_witness_of_itself(devices: None) -> None:
    services = replace(standard(), judge=wrong)
    for record in records(f"lib:{driver_library()}#nnapi-reference", services):
        assert record.verdict is Verdict.MISMATCH


def _outputs(case: Case, values: Iterable[float]) -> Result:
    given = np.array(list(values), "<f4")
    runs = tuple(
        SetResult(0, (OutputResult(dims, np.resize(given, dims).tobytes(), 0),))
        for each in case.sets
        for dims in each.output_dims
        for _ in range(max(1, case.repetitions))
    )
    return Result(0, Ending.COMPLETED, Stage.DONE, executions=runs, device="npu")


def test_outputs_have_to_agree_within_both_bounds() -> None:
    ref = next(r for r in case_index(("FLOOR",)) if r.id == "FLOOR[float32-rank1]")
    case = ref.make()
    answer: Answer = standard().live()(ref, case)
    far, same, other = (_outputs(case, [v]) for v in (1e6, 1e6, 2e6))
    record = judge(ref, case, answer, far)
    assert record.verdict is Verdict.MISMATCH
    mismatch = Verdict.MISMATCH
    assert contested(case, answer, record, (far, same), mismatch)
    assert not contested(case, answer, record, (far, other), mismatch)
    assert not contested(case, answer, record, (far, same), Verdict.PASS)
    assert not contested(case, answer, record, (far, same), Verdict.NONDETERMINISTIC)


@pytest.mark.parametrize(
    ("function", "code", "same"),
    [("Execution_compute", 5, True), ("Execution_compute", 4, False), ("Event_wait", 5, False)],
)
def test_refusals_have_to_agree_in_function_and_code(function: str, code: int, same: bool) -> None:
    ref = next(r for r in case_index(("FLOOR",)) if r.id == "FLOOR[float32-rank1]")
    case = ref.make()
    ours = Result(0, Ending.STOPPED, Stage.EXECUTION, 5, function="Execution_compute")
    theirs = Result(0, Ending.STOPPED, Stage.EXECUTION, code, function=function)
    record = judge(ref, case, None, ours)
    assert bool(contested(case, None, record, (ours, theirs), Verdict.EXEC_ERROR)) is same
    crashed = replace(ours, service="vendor.npu")
    assert not contested(case, None, record, (crashed, ours), Verdict.CRASH_SERVICE)
