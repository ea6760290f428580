"""Verdicts on what a driver has to refuse: whether, in time, and with the documented code."""

from __future__ import annotations

from nnapi_testkit.cases.ref import Broken
from nnapi_testkit.judge.codes import Rule, of_arguments, rule_for, spoken
from nnapi_testkit.judge.verdict import (
    Evidence,
    Verdict,
    code_name,
)
from nnapi_testkit.model.case import Case, Ending, Result, Stage
from nnapi_testkit.model.kinds import Source

__all__ = ["refusal"]


def refusal(
    case: Case, broken: Broken, level: int, result: Result, *, between: bool
) -> tuple[Verdict, str, Evidence]:
    """Verdict, message and evidence for a case that ended without a crash or a timeout.

    Args:
        broken: what is wrong with the case.
        level: the feature level that a model which is too new needs.
        between: a runtime stands between kit and driver, and is not what is judged: a driver is
            not charged for what the runtime answers.
    """
    evidence = Evidence(status_checked=1, oracle=Source.REFUSAL)
    what = f"a model of feature level {level}" if broken.newer else "an invalid model"
    if of_arguments(broken):
        what = f"an execution with a wrong {broken.rule}"
    if result.ending is Ending.UNSUPPORTED:
        return Verdict.PASS, f"{what} is not claimed by the older device", evidence
    if result.ending is not Ending.STOPPED:
        older = " by an older device" if broken.newer else ""
        text = f"{what} was accepted{older}, {_went(case, result)}"
        if between and _asks_runtime(broken):
            return Verdict.PLATFORM, f"the runtime, not the driver: {text}", evidence
        return Verdict.ACCEPTED_INVALID, text, evidence
    said = f"{result.function} gave {code_name(result.code)}"
    if result.stage > case.expect:
        text = f"refused only at {result.stage.name}, with {code_name(result.code)}"
        return Verdict.ACCEPTED_INVALID, text, evidence
    if of_arguments(broken) and result.stage < Stage.EXECUTION:
        return Verdict.REFUSED, f"the valid model before {what}: {said}", evidence
    named = [
        (rule, function, code)
        for function, code in spoken(result)
        if (rule := rule_for(broken, function)) is not None
    ]
    for rule, function, code in named:
        if code not in rule.codes:
            return *_wrong_code(rule, function, code, between), evidence
    # Up to Model_finish only the runtime has seen the model.
    by = "runtime" if result.stage <= Stage.MODEL else "driver"
    when = " at the execution" if result.stage == Stage.EXECUTION else ""
    if named:
        evidence = Evidence(status_checked=1 + len(named), oracle=Source.CODE)
    return Verdict.PASS, f"refused by the {by}{when}: {said}", evidence


def _wrong_code(rule: Rule, function: str, code: int, between: bool) -> tuple[Verdict, str]:
    due = " or ".join(code_name(right) for right in sorted(rule.codes))
    text = f'{function} gave {code_name(code)} where {due} is due: "{rule.sentence}"'
    if rule.runtime and between:
        return Verdict.PLATFORM, f"the runtime, not the driver: {text}"
    return Verdict.WRONG_CODE, text


def _went(case: Case, result: Result) -> str:
    """How far an invalid model came: nothing is called executed that was only compiled."""
    if not case.sets or not result.executions:
        return "compiled, and not executed"
    written = sum(
        len(output.data) > 0 and output.unwritten <= 0
        for run in result.executions
        for output in run.outputs
    )
    return f"compiled, executed: {written} output{'s' if written != 1 else ''} written"


def _asks_runtime(broken: Broken) -> bool:
    """Whether the check is one of an execution function's own arguments."""
    return of_arguments(broken) and broken.rule not in ("output-size", "loop-timeout")
