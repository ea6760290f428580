"""Verdicts: what a result has to look like to earn each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.judge.judge import judge
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.model.builder import Builder
from nnapi_testkit.model.case import (
    Answer,
    Case,
    Ending,
    Execution,
    Expected,
    OutputResult,
    Result,
    SetResult,
    Stage,
)
from nnapi_testkit.model.kinds import Kind


def add_case() -> Case:
    b = Builder()
    x, y = b.input("TENSOR_FLOAT32", (2,)), b.input("TENSOR_FLOAT32", (2,))
    b.operation("ADD", (x, y, b.constant("INT32", 0)), (b.output("TENSOR_FLOAT32", (2,)),))
    ones = np.ones(2, dtype=np.float32)
    return Case("ADD[test]", b.build(), (Execution((ones, ones), ((2,),)),))


CASE = add_case()
REF = CaseRef("ADD[test]", "ADD", "float32", 1, Kind.POSITIVE, add_case)
ANSWER = Answer(((Expected(np.full(2, 2.0), np.full(2, 1e-7)),),))
RIGHT = OutputResult((2,), np.full(2, 2.0, dtype="<f4").tobytes(), 0)
DONE = Result(0, Ending.COMPLETED, Stage.DONE, device="d", executions=(SetResult(0, (RIGHT,)),))


def verdict(result: Result, case: Case = CASE, answer: Answer | None = ANSWER) -> Verdict:
    return judge(REF, case, answer, result).verdict


def with_output(**changes: object) -> Result:
    output = replace(RIGHT, **changes)  # type: ignore[arg-type]
    return replace(DONE, executions=(SetResult(0, (output,)),))


def stopped(stage: Stage, code: int) -> Result:
    return Result(0, Ending.STOPPED, stage, code)


def test_the_right_answer_passes_with_evidence() -> None:
    record = judge(REF, CASE, ANSWER, DONE)
    assert record.verdict == Verdict.PASS
    assert record.evidence.compared == 2
    assert record.evidence.dims_checked == 1
    assert record.evidence.status_checked == 1
    assert record.device == "d"


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (with_output(data=np.array([2.0, 3.0], dtype="<f4").tobytes()), Verdict.MISMATCH),
        (with_output(data=np.array([2.0, np.nan], dtype="<f4").tobytes()), Verdict.NAN_MISMATCH),
        (with_output(dims=(1, 2)), Verdict.DIMENSIONS),
        (with_output(unwritten=8), Verdict.UNWRITTEN),
        (with_output(overrun=4), Verdict.MISMATCH),
        (stopped(Stage.MODEL, 4), Verdict.REFUSED),
        (stopped(Stage.COMPILATION, 4), Verdict.REFUSED),
        (stopped(Stage.EXECUTION, 5), Verdict.EXEC_ERROR),
        (stopped(Stage.LOAD, 0), Verdict.INFRA),
        (Result(0, Ending.CRASHED, Stage.EXECUTION, 11), Verdict.CRASH_RUNNER),
        (Result(0, Ending.EXITED, Stage.EXECUTION, 3), Verdict.CRASH_RUNNER),
        (Result(0, Ending.OUT_OF_MEMORY, Stage.EXECUTION), Verdict.CRASH_RUNNER),
        (Result(0, Ending.TIMED_OUT, Stage.EXECUTION), Verdict.TIMEOUT),
        (Result(0, Ending.UNSUPPORTED, Stage.SUPPORT), Verdict.UNSUPPORTED),
        (Result(0, Ending.BAD_CASE, Stage.LOAD), Verdict.INFRA),
        (replace(DONE, executions=()), Verdict.INFRA),
        (replace(DONE, executions=(SetResult(5, ()),)), Verdict.EXEC_ERROR),
        (
            replace(DONE, executions=(SetResult(0, (RIGHT,), modified_inputs=1),)),
            Verdict.MISMATCH,
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_each_fault_has_its_verdict(result: Result, expected: Verdict) -> None:
    assert verdict(result) == expected


@pytest.mark.parametrize(
    ("run", "expected", "dims"),
    [
        (SetResult(0, (replace(RIGHT, dims=None),)), Verdict.DIMENSIONS, 0),
        (SetResult(0, (replace(RIGHT, dims_code=3),)), Verdict.DIMENSIONS, 0),
        (SetResult(0, (replace(RIGHT, dims=None, dims_code=3),)), Verdict.DIMENSIONS, 0),
        (SetResult(0, ()), Verdict.INFRA, 0),
        (SetResult(0, (RIGHT, RIGHT)), Verdict.INFRA, 0),
        (SetResult(0, (replace(RIGHT, data=RIGHT.data[:4]),)), Verdict.INFRA, 0),
        (SetResult(0, (RIGHT,), untimed=True), Verdict.EXEC_ERROR, 1),
        (SetResult(0, (RIGHT,), hardware_ns=11, driver_ns=10), Verdict.MISMATCH, 1),
        (SetResult(0, (RIGHT,), hardware_ns=10, driver_ns=10), Verdict.PASS, 1),
        (SetResult(0, (RIGHT,), hardware_ns=10, driver_ns=-1), Verdict.PASS, 1),
    ],
)
def test_what_was_not_seen_is_no_evidence(run: SetResult, expected: Verdict, dims: int) -> None:
    record = judge(REF, replace(CASE, measure=True), ANSWER, replace(DONE, executions=(run,)))
    assert record.verdict is expected, record
    assert record.evidence.dims_checked == dims


def test_a_library_without_dimensions_has_none_checked() -> None:
    """Below feature level 3 there is no function that tells them, and no device with a name."""
    bare = replace(with_output(dims=None), device="")
    record = judge(REF, CASE, ANSWER, bare)
    assert (record.verdict, record.evidence.dims_checked) == (Verdict.PASS, 0)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_fewer_repetitions_than_asked_do_not_pass(count: int) -> None:
    case = replace(CASE, repetitions=3)
    record = judge(REF, case, ANSWER, replace(DONE, executions=(SetResult(0, (RIGHT,)),) * count))
    assert record.verdict is Verdict.INFRA
    assert record.message == f"{count} executions came back, 3 were asked for"


def test_other_bits_for_the_same_input_are_nondeterministic() -> None:
    other = replace(RIGHT, data=np.array([2.0, np.float32(2.0000002)], dtype="<f4").tobytes())
    wide = Answer(((Expected(np.full(2, 2.0), np.full(2, 1e-3)),),))
    twice = replace(CASE, repetitions=2)
    result = replace(DONE, executions=(SetResult(0, (RIGHT,)), SetResult(0, (other,))))
    assert verdict(result, twice, wide) == Verdict.NONDETERMINISTIC
    same = replace(DONE, executions=(SetResult(0, (RIGHT,)),) * 2)
    assert verdict(same, twice, wide) == Verdict.PASS


def test_an_output_left_wholly_open_is_observed_not_passed() -> None:
    answer = Answer(((Expected(np.zeros(2), np.zeros(2), np.ones(2, dtype=bool)),),))
    assert verdict(DONE, CASE, answer) == Verdict.OBSERVED


def test_refusals() -> None:
    invalid = replace(CASE, expect=Stage.COMPILATION)
    assert verdict(stopped(Stage.MODEL, 4), invalid, None) == Verdict.PASS
    assert verdict(stopped(Stage.EXECUTION, 4), invalid, None) == Verdict.ACCEPTED_INVALID
    assert verdict(DONE, invalid, None) == Verdict.ACCEPTED_INVALID
    crash = Result(0, Ending.CRASHED, Stage.MODEL, 6)
    assert verdict(crash, invalid, None) == Verdict.CRASH_RUNNER


def test_differences_name_the_first_wrong_elements() -> None:
    data = np.array([2.0, 3.0], dtype="<f4").tobytes()
    record = judge(REF, CASE, ANSWER, with_output(data=data))
    (found,) = record.differences
    assert (found.index, found.actual, found.expected) == ((1,), 3.0, 2.0)
    assert found.error == 1.0
    assert record.mismatched == 1
    assert record.evidence.minimum_tolerance == 1.0
