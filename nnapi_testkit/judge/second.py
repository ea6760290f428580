"""A second opinion: whether the platform's own reference fails a case as the driver does."""

from __future__ import annotations

import numpy as np

from nnapi_testkit.judge.compare import Comparison, compare
from nnapi_testkit.judge.profiles import profile as profile_called
from nnapi_testkit.judge.rows import in_expected_order, writers_of
from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.model.case import Answer, Case, Ending, Result

__all__ = ["contested"]


def contested(
    case: Case,
    answer: Answer | None,
    record: Record,
    results: tuple[Result, Result],
    verdict: Verdict,
    *,
    profile: str = "standard",
) -> str:
    """Return why a failure is contested: the reference does the same; "" where it does not.

    Args:
        record: of the driver.
        results: what driver and reference said to the same case.
        verdict: of the reference.
    """
    ours, theirs = results
    if not verdict.is_failure or ours.service or theirs.service:
        return ""
    if ours.ending is not theirs.ending:
        return ""
    if ours.ending is not Ending.COMPLETED:
        same = (ours.function, ours.code) == (theirs.function, theirs.code)
        return f"the platform's reference ends so too, at {ours.function}" if same else ""
    if record.verdict is not verdict:
        return ""
    if answer is None:
        return "the platform's reference accepts it too"
    if not _same_codes(ours, theirs) or not _agree(case, answer, ours, theirs, profile):
        return ""
    return "the platform's reference computes the same, within both bounds"


def _same_codes(ours: Result, theirs: Result) -> bool:
    return [run.code for run in ours.executions] == [run.code for run in theirs.executions]


def _agree(case: Case, answer: Answer, ours: Result, theirs: Result, profile: str) -> bool:
    """Whether all outputs have the same dimensions, and elements within both bounds."""
    operands = [case.model.main.operands[i] for i in case.model.main.outputs]
    writers = writers_of(case.model.main)
    step = max(1, case.repetitions)
    if not ours.executions or len(ours.executions) != len(theirs.executions):
        return False
    for number, expected in enumerate(answer.sets):
        runs = (ours.executions[number * step], theirs.executions[number * step])
        first, second = (
            in_expected_order(operands, expected, run.outputs, writers) if run.outputs else ()
            for run in runs
        )
        if len(first) != len(second):
            return False
        for operand, want, one, other in zip(operands, expected, first, second, strict=False):
            if one.dims != other.dims or (one.unwritten > 0) != (other.unwritten > 0):
                return False
            # Other dimensions than expected cannot be compared by element: only bytes can.
            if one.dims is not None and one.dims != want.value.shape:
                if one.data != other.data:
                    return False
                continue
            how = profile_called(profile)
            pair = [compare(operand, want, x.data, how, case.model.relaxed) for x in (one, other)]
            if not _near(*pair):
                return False
    return True


def _near(one: Comparison, other: Comparison) -> bool:
    equal = (one.actual == other.actual) | (np.isnan(one.actual) & np.isnan(other.actual))
    with np.errstate(invalid="ignore", over="ignore"):
        near = np.abs(one.actual - other.actual) <= one.allowed + other.allowed
    return bool(np.all(equal | near))
