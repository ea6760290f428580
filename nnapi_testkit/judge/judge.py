"""From Answer and Result to a Record."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from nnapi_testkit.cases.ref import Broken, CaseRef
from nnapi_testkit.judge.compare import Comparison, compare
from nnapi_testkit.judge.profiles import Profile
from nnapi_testkit.judge.profiles import profile as profile_called
from nnapi_testkit.judge.refusals import refusal
from nnapi_testkit.judge.rows import in_expected_order
from nnapi_testkit.judge.verdict import Difference, Evidence, Record, Verdict, code_name
from nnapi_testkit.model.case import (
    Answer,
    Case,
    Ending,
    Expected,
    Output,
    Result,
    SetResult,
    Stage,
)
from nnapi_testkit.spec.codes import ResultCode

MOST_DIFFERENCES = 8


def judge(
    ref: CaseRef,
    case: Case,
    answer: Answer | None,
    result: Result,
    *,
    profile: str = "standard",
    target: str = "",
) -> Record:
    """The verdict on one case, with its evidence.

    Args:
        answer: the oracle's word; None for cases that only ask whether a model is refused.
        profile: `strict`, `standard` or `cts`.
    """
    found = _by_ending(case, result, newer=ref.broken is not None and ref.broken.newer)
    if found is None and case.expect != Stage.DONE:
        found = _refusal(ref, case, result, target)
    if found is None:
        assert answer is not None
        found = _by_outputs(case, answer, result, profile_called(profile))
    verdict, message, evidence, differences, mismatched = found
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
        stage=result.stage.name,
        code=result.code,
        nanoseconds=result.nanoseconds,
        text=result.text,
        neighbour=ref.broken.neighbour if ref.broken else "",
    )


Found = tuple[Verdict, str, Evidence, tuple[Difference, ...], int]


def _bare(verdict: Verdict, message: str, checked: int = 0) -> Found:
    return verdict, message, Evidence(status_checked=checked), (), 0


def _by_ending(case: Case, result: Result, newer: bool) -> Found | None:
    """The verdicts that need no look at outputs."""
    where = f"at {result.function or result.stage.name.lower()}"
    if result.service:
        return _bare(
            Verdict.CRASH_SERVICE, f"the driver's service {result.service} crashed {where}"
        )
    if result.ending == Ending.CRASHED:
        return _bare(Verdict.CRASH_RUNNER, f"the driver crashed with signal {result.code} {where}")
    if result.ending == Ending.EXITED:
        return _bare(
            Verdict.CRASH_RUNNER, f"the driver ended the process with status {result.code} {where}"
        )
    if result.ending == Ending.OUT_OF_MEMORY:
        return _bare(Verdict.CRASH_RUNNER, f"the driver grew past the memory limit {where}")
    if result.ending == Ending.TIMED_OUT:
        return _bare(Verdict.TIMEOUT, f"no answer within {case.deadline_ms} ms {where}")
    # What an older device has to refuse it may leave unclaimed; a missing function says nothing.
    if result.ending == Ending.UNSUPPORTED and (not newer or result.function):
        why = f"not available at this level: the library has no {result.function}"
        unclaimed = "the device does not claim this operation"
        return _bare(Verdict.UNSUPPORTED, why if result.function else unclaimed, 1)
    if result.ending == Ending.BAD_CASE:
        return _bare(Verdict.INFRA, f"the runner could not read the case: {result.text}")
    if result.ending == Ending.STOPPED and case.expect == Stage.DONE:
        verdict = Verdict.EXEC_ERROR if result.stage >= Stage.EXECUTION else Verdict.REFUSED
        if result.stage <= Stage.DEVICE:
            verdict = Verdict.INFRA
        return _bare(
            verdict, f"{result.function or result.stage.name} gave {code_name(result.code)}", 1
        )
    return None


def _refusal(ref: CaseRef, case: Case, result: Result, target: str) -> Found:
    """A model that breaks a documented rule: refused in time, or wrongly accepted."""
    broken = ref.broken or Broken("")
    verdict, text, evidence = refusal(case, broken, ref.level, result, target)
    return verdict, text, evidence, (), 0


def _by_outputs(case: Case, answer: Answer, result: Result, profile: Profile) -> Found:
    operands = [case.model.main.operands[i] for i in case.model.main.outputs]
    compared = exempt = dims = mismatched = 0
    margin = tolerance = 0.0
    bias: float | None = None
    nan = False
    differences: list[Difference] = []
    problems: list[tuple[Verdict, str]] = []
    sets = list(_grouped(case, result.executions))
    failed = next((run for run in result.executions if run.code != ResultCode.NO_ERROR), None)
    if failed is not None and len(sets) < len(case.sets):
        return _bare(Verdict.EXEC_ERROR, f"the execution gave {code_name(failed.code)}", 1)
    if len(sets) != len(case.sets) or len(answer.sets) != len(case.sets):
        return _bare(Verdict.INFRA, f"{len(sets)} input sets came back, {len(case.sets)} were sent")
    for number, (runs, expected) in enumerate(zip(sets, answer.sets, strict=True)):
        for run in runs[1:]:
            if run.outputs != runs[0].outputs or run.code != runs[0].code:
                problems.append((Verdict.NONDETERMINISTIC, f"set {number}: same input, other bits"))
        run = runs[0]
        if run.code != ResultCode.NO_ERROR:
            problems.append((Verdict.EXEC_ERROR, f"set {number}: {code_name(run.code)}"))
            continue
        if run.modified_inputs:
            text = f"set {number}: {run.modified_inputs} inputs were overwritten"
            problems.append((Verdict.MISMATCH, text))
        for position, (operand, want, got) in enumerate(
            zip(operands, expected, in_expected_order(operands, expected, run.outputs), strict=True)
        ):
            fault = _shape_fault(want, got)
            if fault:
                problems.append((fault[0], f"set {number}, output {position}: {fault[1]}"))
                continue
            dims += 1
            if got.overrun:
                text = f"{got.overrun} bytes beyond output {position} were overwritten"
                problems.append((Verdict.MISMATCH, f"set {number}: {text}"))
            found = compare(operand, want, got.data, profile, case.model.relaxed)
            compared += found.compared
            exempt += found.exempt
            margin = max(margin, found.margin)
            tolerance = max(tolerance, found.tolerance)
            if found.bias is not None and (bias is None or abs(found.bias) > abs(bias)):
                bias = found.bias
            if found.ok:
                continue
            mismatched += int(found.wrong.sum())
            nan = nan or bool(found.nan.any())
            differences.extend(_differences(number, position, want, found))
            if not found.wrong.any():
                problems.append(
                    (
                        Verdict.MISMATCH,
                        f"the errors are biased: mean {found.bias:+.4f} codes over "
                        f"{found.compared} outputs, allowed {found.bias_limit:.4f}",
                    )
                )
    evidence = Evidence(
        compared=compared,
        exempt=exempt,
        exempt_why="left open by the documentation" if exempt else "",
        dims_checked=dims,
        status_checked=len(sets),
        margin=margin,
        minimum_tolerance=tolerance,
        bias=bias,
        oracle=answer.source,
    )
    if mismatched:
        verdict = Verdict.NAN_MISMATCH if nan else Verdict.MISMATCH
        problems.append((verdict, f"{mismatched} of {compared} elements are outside their bounds"))
    if problems:
        problems.sort(key=lambda item: _ORDER.index(item[0]))
        text = "; ".join(message for _, message in problems[:3])
        return problems[0][0], text, evidence, tuple(differences[:MOST_DIFFERENCES]), mismatched
    if compared == 0 and exempt:
        return Verdict.OBSERVED, "the documentation leaves every element open", evidence, (), 0
    return Verdict.PASS, "", evidence, (), 0


_ORDER = [
    Verdict.EXEC_ERROR,
    Verdict.DIMENSIONS,
    Verdict.UNWRITTEN,
    Verdict.NAN_MISMATCH,
    Verdict.MISMATCH,
    Verdict.NONDETERMINISTIC,
]


def _grouped(case: Case, executions: tuple[SetResult, ...]) -> Iterable[tuple[SetResult, ...]]:
    step = max(1, case.repetitions)
    for start in range(0, len(executions), step):
        yield executions[start : start + step]


def _shape_fault(want: Expected, got: Output) -> tuple[Verdict, str] | None:
    shape = want.value.shape
    if got.dims is not None and tuple(got.dims) != shape:
        return Verdict.DIMENSIONS, f"dimensions {list(got.dims)} instead of {list(shape)}"
    opaque = want.exempt is not None and bool(want.exempt.all())
    if got.unwritten > 0 and not opaque:
        return Verdict.UNWRITTEN, f"{got.unwritten} bytes were never written"
    return None


def _differences(
    number: int, position: int, want: Expected, found: Comparison
) -> Iterable[Difference]:
    for flat in np.flatnonzero(found.wrong)[:MOST_DIFFERENCES]:
        index = np.unravel_index(int(flat), found.wrong.shape)
        where = tuple(int(i) for i in index)
        actual, expected = float(found.actual[index]), float(want.value[index])
        legal = None
        if found.low is not None and found.high is not None:
            legal = (int(found.low[index]), int(found.high[index]))
        yield Difference(
            set=number,
            output=position,
            index=where,
            actual=actual,
            expected=expected,
            error=abs(actual - expected),
            bound=float(found.allowed[index]),
            actual_code=int(found.codes[index]) if found.codes is not None else None,
            legal_codes=legal,
        )
