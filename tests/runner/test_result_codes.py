"""Documented result codes: a driver that refuses with another one is told, by its sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from nnapi_testkit.cases.ref import Broken, CaseRef, Constraint
from nnapi_testkit.judge.codes import RULES
from nnapi_testkit.judge.judge import judge
from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.model.case import Case, Ending, OutputResult, Result, SetResult, Stage
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.spec.codes import ResultCode
from nnapi_testkit.targets import RunnerSession

FINISH, COMPILE, SET_INPUT, COMPUTE = 9060, 9062, 9063, 9064  # where the toy gives OP_FAILED
UNCLAIMED, NO_ROOM, GOOD = 9106, 9108, 0
VALID = Stage.EXECUTION  # of a valid model only the execution may fail


def judged(case: Case, result: Result, broken: Broken, *, between: bool = False) -> Record:
    ref = CaseRef(case.id, "ADD", "float32", 3, Kind.REFUSAL, lambda: case, broken=broken)
    return judge(ref, case, None, result, between=between)


@pytest.mark.parametrize(
    ("code", "constraint", "expect", "verdict"),
    [
        (SET_INPUT, Constraint("input-length", "short"), VALID, Verdict.WRONG_CODE),
        (COMPUTE, Constraint("loop-timeout", "compute"), VALID, Verdict.WRONG_CODE),
        (COMPUTE, Constraint("output-size"), VALID, Verdict.WRONG_CODE),
        (NO_ROOM, Constraint("output-size"), VALID, Verdict.PASS),
        (COMPUTE, Constraint("fenced-dims"), VALID, Verdict.PASS),  # no code is named
        (COMPUTE, Constraint("dimension-out", "first"), VALID, Verdict.PASS),
        (COMPILE, Constraint("rank-input", "5"), Stage.COMPILATION, Verdict.PASS),
        (FINISH, Constraint("rank-input", "5"), Stage.COMPILATION, Verdict.PASS),
        (FINISH, Constraint("output-size"), VALID, Verdict.REFUSED),
        (COMPILE, Constraint("input-length", "long"), VALID, Verdict.REFUSED),
        (GOOD, Constraint("output-length", "short"), VALID, Verdict.ACCEPTED_INVALID),
    ],
)
def test_what_the_toy_gives(
    session: RunnerSession,
    make_case: Callable[..., Case],
    code: int,
    constraint: Constraint,
    expect: Stage,
    verdict: Verdict,
) -> None:
    case = replace(make_case(code), expect=expect)
    (result,) = session.run([case])
    record = judged(case, result, Broken(constraint))
    assert record.verdict is verdict, record.message
    if verdict is Verdict.WRONG_CODE:
        rule = next(rule for rule in RULES if rule.broken == constraint.rule)
        assert rule.sentence in record.message
        assert record.evidence.oracle == "expected-refusal"
    if code == NO_ROOM:
        assert record.evidence.oracle == "documented-code"


@pytest.mark.parametrize(
    ("code", "newer", "verdict"),
    [
        (UNCLAIMED, True, Verdict.PASS),
        (UNCLAIMED, False, Verdict.UNSUPPORTED),
        (COMPILE, True, Verdict.PASS),
        (FINISH, True, Verdict.PASS),
        (GOOD, True, Verdict.ACCEPTED_INVALID),
    ],
)
def test_what_is_newer_may_be_refused_or_left_unclaimed(
    session: RunnerSession,
    make_case: Callable[..., Case],
    code: int,
    newer: bool,
    verdict: Verdict,
) -> None:
    case = replace(make_case(code), sets=(), expect=Stage.COMPILATION)
    (result,) = session.run([case])
    record = judged(case, result, Broken(Constraint("level-type"), newer=newer))
    assert record.verdict is verdict, record.message


def given(function: str, code: ResultCode, stage: Stage = Stage.EXECUTION) -> Result:
    """A refusal by this function."""
    return Result(0, Ending.STOPPED, stage, code, function=f"ANeuralNetworks{function}")


# Of every rule, what breaks it.
CAUSES = {rule.broken: Broken(Constraint(rule.broken)) for rule in RULES} | {
    "invalid model": Broken(Constraint("rank-input", "5"))
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.broken)
def test_each_function_of_each_rule(rule, make_case: Callable[..., Case]) -> None:  # type: ignore[no-untyped-def]
    stage = Stage.COMPILATION if rule.broken == "invalid model" else Stage.EXECUTION
    case = replace(make_case(), expect=stage)
    for function in rule.functions:
        for code in set(ResultCode) - {ResultCode.NO_ERROR}:
            record = judged(case, given(function, code, stage), CAUSES[rule.broken])
            right = code in rule.codes
            assert record.verdict is (Verdict.PASS if right else Verdict.WRONG_CODE)
        # Models that are too new are valid ones: no code is named for them.
        newer = judged(
            replace(case, expect=Stage.EXECUTION),
            given(function, ResultCode.OP_FAILED, stage),
            Broken(Constraint(rule.broken), newer=True),
        )
        assert newer.verdict is not Verdict.WRONG_CODE


def test_a_code_of_the_runtime_is_not_held_against_the_driver(
    make_case: Callable[..., Case],
) -> None:
    case = replace(make_case(), expect=Stage.EXECUTION)
    told = given("Execution_setOutput", ResultCode.OP_FAILED)
    record = judged(case, told, Broken(Constraint("output-length", "short")), between=True)
    assert record.verdict is Verdict.PLATFORM
    assert "runtime" in record.message
    # The deadline of a loop is the driver's.
    late = given("Execution_compute", ResultCode.OP_FAILED)
    assert (
        judged(case, late, Broken(Constraint("loop-timeout")), between=True).verdict
        is Verdict.WRONG_CODE
    )


def test_the_outputs_tell_it_even_if_the_execution_says_otherwise(
    make_case: Callable[..., Case],
) -> None:
    """What the execution returns for want of room is not named; what the getter returns is."""
    case = replace(make_case(), expect=Stage.EXECUTION)

    def after(code: int) -> Verdict:
        run = SetResult(ResultCode.OP_FAILED, (OutputResult((6,), b"", dims_code=code),))
        result = replace(given("Execution_compute", ResultCode.OP_FAILED), executions=(run,))
        return judged(case, result, Broken(Constraint("output-size"))).verdict

    assert after(ResultCode.OUTPUT_INSUFFICIENT_SIZE) is Verdict.PASS
    assert after(ResultCode.NO_ERROR) is Verdict.WRONG_CODE
    assert after(ResultCode.BAD_STATE) is Verdict.WRONG_CODE
