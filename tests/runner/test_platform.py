"""Who did it: what fails before a driver is asked is the platform's, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from nnapi_testkit.cases.ref import Broken, CaseRef, Constraint
from nnapi_testkit.judge.judge import judge
from nnapi_testkit.judge.platform import before_the_driver
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.model.case import Case, Ending, OutputResult, Result, SetResult, Stage
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.spec.codes import ResultCode
from nnapi_testkit.targets import parse_target

BAD_DATA, BAD_STATE, FAILED = ResultCode.BAD_DATA, ResultCode.BAD_STATE, ResultCode.OP_FAILED


def ended(function: str, code: int, stage: Stage, ending: Ending = Ending.STOPPED) -> Result:
    return Result(0, ending, stage, code, function=f"ANeuralNetworks{function}")


PLATFORM = [
    ended("Model_addOperation", BAD_DATA, Stage.MODEL),
    ended("Model_addOperation", 6, Stage.MODEL, Ending.CRASHED),
    ended("Compilation_createForDevices", BAD_DATA, Stage.COMPILATION),
    ended("Memory_createFromDesc", FAILED, Stage.EXECUTION),
    ended("Execution_setInput", BAD_DATA, Stage.EXECUTION),
    ended("Execution_startComputeWithDependencies", BAD_DATA, Stage.EXECUTION),
    ended("Execution_compute", BAD_STATE, Stage.EXECUTION),
]
DRIVER = [
    ended("Model_getSupportedOperationsForDevices", FAILED, Stage.SUPPORT),
    ended("Compilation_finish", FAILED, Stage.COMPILATION),
    ended("Compilation_finish", 11, Stage.COMPILATION, Ending.CRASHED),
    ended("Execution_compute", BAD_DATA, Stage.EXECUTION),
    ended("Execution_compute", 11, Stage.EXECUTION, Ending.CRASHED),
    ended("Execution_startComputeWithDependencies", FAILED, Stage.EXECUTION),
]


@pytest.mark.parametrize("result", PLATFORM, ids=lambda r: f"{r.function}-{r.ending.name}")
def test_what_a_runtime_does_alone(result: Result, make_case: Callable[..., Case]) -> None:
    case = make_case()
    ref = CaseRef(case.id, "ADD", "float32", 3, Kind.POSITIVE, lambda: case)
    assert before_the_driver(result)
    assert judge(ref, case, None, result, between=True).verdict is Verdict.PLATFORM
    assert judge(ref, case, None, result).verdict.is_failure


@pytest.mark.parametrize("result", DRIVER, ids=lambda r: f"{r.function}-{r.ending.name}")
def test_what_stays_the_drivers(result: Result, make_case: Callable[..., Case]) -> None:
    case = make_case()
    ref = CaseRef(case.id, "ADD", "float32", 3, Kind.POSITIVE, lambda: case)
    assert not before_the_driver(result)
    assert judge(ref, case, None, result, between=True).verdict.is_failure


@pytest.mark.parametrize(
    ("target", "between"),
    [("host", False), ("lib:/a.so", False), ("sl:/a.so", True), ("adb:serial", True)],
)
def test_targets_declare_it(target: str, between: bool) -> None:
    assert parse_target(target).between is between


def test_a_target_of_another_package_is_taken_for_one_with_a_runtime(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from nnapi_testkit.session.services import standard

    @dataclass
    class Farm:
        name: str = "farm:1"

    monkeypatch.setattr("nnapi_testkit.targets.spokesman", lambda text: Farm())
    assert standard().traits("farm:1").between is True


def test_the_message_says_how_far_an_invalid_model_came(make_case: Callable[..., Case]) -> None:
    case = make_case()
    ref = CaseRef(
        case.id,
        "ADD",
        "float32",
        3,
        Kind.REFUSAL,
        lambda: case,
        broken=Broken(Constraint("rank-a", "5")),
    )
    late = replace(case, expect=Stage.EXECUTION)
    ran = Result(
        0,
        Ending.COMPLETED,
        Stage.DONE,
        executions=(
            SetResult(0, (OutputResult((1,), b"1234", 0), OutputResult((1,), b"1234", 4))),
        ),
    )
    record = judge(ref, late, None, ran)
    assert record.verdict is Verdict.ACCEPTED_INVALID
    assert record.message.endswith("accepted, compiled, executed: 1 output written")
    record = judge(ref, replace(late, sets=()), None, Result(0, Ending.COMPLETED, Stage.DONE))
    assert "executed:" not in record.message
    assert record.message.endswith("compiled, and not executed")
    refused = ended("Execution_compute", FAILED, Stage.EXECUTION)
    assert "at the execution" in judge(ref, late, None, refused).message
