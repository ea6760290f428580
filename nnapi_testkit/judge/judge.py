"""From Answer and Result to a Record."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nnapi_testkit.cases.ref import Broken, CaseRef, Constraint
from nnapi_testkit.judge.bits import bits_of
from nnapi_testkit.judge.edges import edge, refused
from nnapi_testkit.judge.leaks import leak
from nnapi_testkit.judge.outputs import Found, bare, by_outputs
from nnapi_testkit.judge.platform import before_the_driver
from nnapi_testkit.judge.profiles import profile as profile_called
from nnapi_testkit.judge.readings import by_ending, by_readings
from nnapi_testkit.judge.refusals import refusal
from nnapi_testkit.judge.verdict import Record, Verdict, code_name
from nnapi_testkit.model.case import (
    Answer,
    Case,
    Ending,
    Expected,
    Result,
    Stage,
)
from nnapi_testkit.model.kinds import Kind


def judge(
    ref: CaseRef,
    case: Case,
    answer: Answer | None,
    result: Result,
    *,
    profile: str = "standard",
    target: str = "",
    between: bool = False,
) -> Record:
    """The verdict on one case, with its evidence.

    Args:
        answer: the expected result; None for cases that only ask whether a model is refused, and
            for edges.
        profile: `strict`, `standard` or `cts`.
        between: a runtime stands between kit and driver, and is not what is judged.
    """
    if ref.contest is not None:
        how = {"profile": profile, "target": target, "between": between}
        return _by_readings(ref, case, answer, result, how)
    found = _by_ending(case, result, newer=ref.broken is not None and ref.broken.newer)
    if found is None and case.expect != Stage.DONE:
        found = _refusal(ref, case, result, between, strict=profile == "strict")
    if found is None and ref.kind == Kind.EDGE:
        found = (*edge(ref, case, result), (), 0)
    if found is None:
        assert answer is not None
        found = by_outputs(case, answer, result, profile_called(profile))
    found = _allowed(ref, case, result, found, between)
    verdict, message, evidence, differences, mismatched = found
    if between and verdict.is_failure and before_the_driver(result):
        verdict, message = Verdict.PLATFORM, f"the runtime, not the driver: {message}"
    return Record(
        id=ref.id,
        operation=ref.operation,
        cell=ref.cell,
        level=ref.level,
        verdict=verdict,
        evidence=evidence,
        device=result.device,
        target=target,
        kind=ref.kind,
        message=message,
        differences=differences,
        mismatched=mismatched,
        stage=result.stage,
        code=result.code,
        nanoseconds=result.nanoseconds,
        text=result.text,
        control=ref.broken.control if ref.broken else "",
        rule=ref.broken.rule if ref.broken else "",
        newer=ref.broken is not None and ref.broken.newer,
        bits=bits_of(result),
    )


def _by_readings(
    ref: CaseRef,
    case: Case,
    answer: Answer | None,
    result: Result,
    how: dict[str, Any],
) -> Record:
    """The verdict on a contested case: which reading the device follows."""
    assert ref.contest is not None
    agreed = replace(ref, contest=None)
    if answer is None:
        record = judge(agreed, case, None, result, **how)
        return by_ending(ref.contest, result, record)

    def by(sets: tuple[tuple[Expected, ...], ...]) -> Record:
        told = replace(answer, sets=sets, readings=())
        return judge(agreed, case, told, result, **how)

    return by_readings(ref.contest, answer, result, by)


def _allowed(ref: CaseRef, case: Case, result: Result, found: Found, between: bool) -> Found:
    """The verdict with what a device may refuse, what it must not keep, and who is asked."""
    verdict, text, evidence, differences, mismatched = found
    verdict, text, evidence = refused(ref, verdict, text, evidence)
    kept = leak(result)
    if kept and not verdict.is_failure and not verdict.is_error:
        verdict, text = Verdict.LEAK, kept
    if between and case.extra.orphan and verdict.is_failure:
        # By the reference it is the application that keeps a model for the runtime.
        verdict, text = Verdict.PLATFORM, f"the runtime uses the model itself: {text}"
    return verdict, text, evidence, differences, mismatched


def _by_ending(case: Case, result: Result, newer: bool) -> Found | None:
    """The verdicts that need no look at outputs."""
    where = f"at {result.function or result.stage.name.lower()}"
    if result.service:
        return bare(Verdict.CRASH_SERVICE, f"the driver's service {result.service} crashed {where}")
    if result.ending == Ending.CRASHED:
        return bare(Verdict.CRASH_RUNNER, f"the driver crashed with signal {result.code} {where}")
    if result.ending == Ending.EXITED:
        return bare(
            Verdict.CRASH_RUNNER, f"the driver ended the process with status {result.code} {where}"
        )
    if result.ending == Ending.OUT_OF_MEMORY:
        return bare(Verdict.CRASH_RUNNER, f"the driver grew past the memory limit {where}")
    if result.ending == Ending.TIMED_OUT:
        return bare(Verdict.TIMEOUT, f"no answer within {case.deadline_ms} ms {where}")
    # What an older device has to refuse it may leave unclaimed; a missing function says nothing.
    if result.ending == Ending.UNSUPPORTED and (not newer or result.function):
        why = f"not available at this level: the library has no {result.function}"
        if result.function and result.code:
            code = code_name(result.code)
            why = f"{result.function} gave {code}: a device need not have memory of unknown size"
        unclaimed = "the device does not claim this operation"
        return bare(Verdict.UNSUPPORTED, why if result.function else unclaimed, 1)
    if result.ending == Ending.BAD_CASE:
        return bare(Verdict.INFRA, f"the runner could not read the case: {result.text}")
    if result.ending == Ending.STOPPED and case.expect == Stage.DONE:
        verdict = Verdict.EXEC_ERROR if result.stage >= Stage.EXECUTION else Verdict.REFUSED
        if result.stage <= Stage.DEVICE:
            verdict = Verdict.INFRA
        return bare(
            verdict, f"{result.function or result.stage.name} gave {code_name(result.code)}", 1
        )
    return None


def _refusal(ref: CaseRef, case: Case, result: Result, between: bool, *, strict: bool) -> Found:
    """A model that breaks a documented rule: refused in time, or wrongly accepted."""
    broken = ref.broken or Broken(Constraint(""))
    verdict, text, evidence = refusal(case, broken, ref.level, result, between=between)
    if broken.open and verdict is Verdict.ACCEPTED_INVALID and not strict:
        verdict, text = Verdict.OBSERVED, f"{text}; {broken.open}"
    return verdict, text, evidence, (), 0
