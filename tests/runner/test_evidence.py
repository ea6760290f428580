"""What a driver does not show is no evidence: from the driver through the runner to the verdict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.judge.judge import judge
from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.model.case import Answer, Case, Expected, Result
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.targets import RunnerSession

from .conftest import MakeCase


def _judged(case: Case, result: Result) -> Record:
    first, second = case.sets[0].inputs
    assert first is not None and second is not None
    value = np.asarray(first, np.float64) + second
    ref = CaseRef(case.id, "ADD", "float32", 1, Kind.POSITIVE, lambda: case)
    answer = Answer(((Expected(value, np.full(value.shape, 1e-6)),),) * len(case.sets))
    return judge(ref, case, answer, result)


@pytest.mark.parametrize(
    ("code", "expected", "words"),
    [
        (0, Verdict.PASS, ""),
        (9065, Verdict.DIMENSIONS, "asking for its rank and dimensions gave OP_FAILED"),
        (9107, Verdict.DIMENSIONS, "asking for its rank and dimensions gave BAD_DATA"),
        (9120, Verdict.EXEC_ERROR, "ANeuralNetworksExecution_getDuration failed"),
        (9121, Verdict.MISMATCH, "2000 ns on hardware are more than 1000 ns in the driver"),
    ],
)
def test_what_was_not_seen_does_not_pass(
    session: RunnerSession, make_case: MakeCase, code: int, expected: Verdict, words: str
) -> None:
    case = replace(make_case(code, repetitions=2), measure=True)
    (result,) = session.run([case])
    record = _judged(case, result)
    assert record.verdict is expected, record
    assert words in record.message
    assert record.evidence.dims_checked == (0 if expected is Verdict.DIMENSIONS else 1)
    if expected is Verdict.PASS:
        assert [(run.hardware_ns, run.driver_ns) for run in result.executions] == [(1000, 1000)] * 2


def test_durations_that_nobody_asked_for_are_not_judged(
    session: RunnerSession, make_case: MakeCase
) -> None:
    case = make_case(9120)
    (result,) = session.run([case])
    assert _judged(case, result).verdict is Verdict.PASS
