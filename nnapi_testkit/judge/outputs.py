"""The verdict on outputs: small judges of sets and outputs that add to one tally."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from nnapi_testkit.judge.compare import Comparison, compare
from nnapi_testkit.judge.glance import glance
from nnapi_testkit.judge.overflow import may_clamp, told
from nnapi_testkit.judge.profiles import Profile
from nnapi_testkit.judge.rows import in_expected_order, writers_of
from nnapi_testkit.judge.verdict import Difference, Evidence, Verdict, code_name
from nnapi_testkit.judge.whole import missing, shape_fault, timing_fault
from nnapi_testkit.model.case import Answer, Case, Expected, OutputResult, Result, SetResult
from nnapi_testkit.model.kinds import Source
from nnapi_testkit.model.types import Operand
from nnapi_testkit.spec.codes import ResultCode

__all__ = ["Found", "bare", "by_outputs"]

MOST_DIFFERENCES = 8
MOST_PROBLEMS = 3

Found = tuple[Verdict, str, Evidence, tuple[Difference, ...], int]


def bare(verdict: Verdict, message: str, checked: int = 0) -> Found:
    """A verdict that needed no look at outputs; `checked`: result codes looked at."""
    return verdict, message, Evidence(status_checked=checked), (), 0


def by_outputs(case: Case, answer: Answer, result: Result, profile: Profile) -> Found:
    """The verdict on a case whose executions have come back."""
    absent = missing(case, len(answer.sets), result)
    if absent is not None:
        return bare(*absent, int(absent[0].is_failure))
    tally = Tally(case, profile, named=bool(result.device))
    sets = list(_grouped(case, result.executions))
    with np.errstate(all="ignore"):
        for number, (runs, expected) in enumerate(zip(sets, answer.sets, strict=True)):
            tally.look_at_set(number, runs, expected)
    return tally.close(len(sets), answer.source)


def _grouped(case: Case, executions: tuple[SetResult, ...]) -> Iterator[tuple[SetResult, ...]]:
    step = max(1, case.repetitions)
    for start in range(0, len(executions), step):
        yield executions[start : start + step]


@dataclass
class Tally:
    """What has been seen of a case's outputs so far.

    Args:
        named: the device is known by name, so that it has to report dimensions.
    """

    case: Case
    profile: Profile
    named: bool
    problems: list[tuple[Verdict, str]] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    compared: int = 0
    exempt: int = 0
    clamped: int = 0
    mismatched: int = 0
    dims: int = 0
    margin: float = 0.0
    tolerance: float = 0.0
    bias: float | None = None
    nan: bool = False

    def __post_init__(self) -> None:
        main = self.case.model.main
        self.operands = [main.operands[i] for i in main.outputs]
        self.writers = writers_of(main)
        self.clamps = may_clamp(self.case)

    def look_at_set(
        self, number: int, runs: tuple[SetResult, ...], expected: tuple[Expected, ...]
    ) -> None:
        """Judge the repetitions of one input set."""
        place = f"set {number}"
        run = runs[0]
        for other in runs[1:]:
            if other.outputs != run.outputs or other.code != run.code:
                self.problem(Verdict.NONDETERMINISTIC, place, "same input, other bits")
        if run.code != ResultCode.NO_ERROR:
            self.problem(Verdict.EXEC_ERROR, place, code_name(run.code))
            return
        for fault in (timing_fault(self.case, each) for each in runs):
            if fault is not None:
                self.problem(fault[0], place, fault[1])
        if run.modified_inputs:
            self.problem(Verdict.MISMATCH, place, f"{run.modified_inputs} inputs were overwritten")
        ordered = in_expected_order(self.operands, expected, run.outputs, self.writers)
        outputs = zip(self.operands, expected, ordered, strict=True)
        for position, (operand, want, got) in enumerate(outputs):
            self.look_at_output(number, position, operand, want, got)

    def look_at_output(
        self, number: int, position: int, operand: Operand, want: Expected, got: OutputResult
    ) -> None:
        """Judge one output: its dimensions, what lies around it, its elements."""
        fault = shape_fault(operand, want, got, named=self.named)
        if fault:
            self.problem(fault[0], f"set {number}, output {position}", fault[1])
            return
        self.dims += got.dims is not None
        if got.overrun:
            text = f"{got.overrun} bytes beyond output {position} were overwritten"
            self.problem(Verdict.MISMATCH, f"set {number}", text)
        how = (operand, want, got.data, self.profile, self.case.model.relaxed)
        right = glance(*how)
        if right is not None:
            self.compared += right.compared
            self.exempt += right.exempt
            self.margin = max(self.margin, right.margin)
            self.tolerance = max(self.tolerance, right.tolerance)
            return
        found = compare(*how, self.clamps)
        self.add(found)
        if not found.ok:
            self.blame(number, position, want, found)

    def add(self, found: Comparison) -> None:
        """Count an output's comparison."""
        self.clamped += found.clamped
        self.compared += found.compared
        self.exempt += found.exempt
        self.margin = max(self.margin, found.margin)
        self.tolerance = max(self.tolerance, found.tolerance)
        if found.bias is not None and (self.bias is None or abs(found.bias) > abs(self.bias)):
            self.bias = found.bias

    def blame(self, number: int, position: int, want: Expected, found: Comparison) -> None:
        """Keep what is wrong with an output's elements."""
        self.mismatched += int(found.wrong.sum())
        self.nan = self.nan or bool(found.nan.any())
        self.differences.extend(_differences(number, position, want, found))
        if not found.wrong.any():
            text = (
                f"the errors are biased: mean {found.bias:+.4f} codes over {found.compared}"
                f" outputs, allowed {found.bias_limit:.4f}"
            )
            self.problems.append((Verdict.MISMATCH, text))

    def problem(self, verdict: Verdict, place: str, text: str) -> None:
        """Keep a problem and where it was seen."""
        self.problems.append((verdict, f"{place}: {text}"))

    def close(self, sets: int, source: Source) -> Found:
        """The verdict on all that was seen."""
        evidence = Evidence(
            compared=self.compared,
            exempt=self.exempt,
            exempt_why="left open by the documentation" if self.exempt else "",
            dims_checked=self.dims,
            status_checked=sets,
            margin=self.margin,
            minimum_tolerance=self.tolerance,
            bias=self.bias,
            oracle=source,
        )
        if self.mismatched:
            verdict = Verdict.NAN_MISMATCH if self.nan else Verdict.MISMATCH
            text = f"{self.mismatched} of {self.compared} elements are outside their bounds"
            self.problems.append((verdict, text))
        if self.problems:
            self.problems.sort(key=lambda item: item[0].meaning.told)
            text = "; ".join(message for _, message in self.problems[:MOST_PROBLEMS])
            worst = self.problems[0][0]
            kept = tuple(self.differences[:MOST_DIFFERENCES])
            return worst, text, evidence, kept, self.mismatched
        if self.compared == 0 and self.exempt:
            why = "the documentation leaves every element open"
            return Verdict.OBSERVED, why, evidence, (), 0
        if self.clamped:
            return Verdict.OBSERVED, told(self.clamped), evidence, (), 0
        return Verdict.PASS, "", evidence, (), 0


def _differences(
    number: int, position: int, want: Expected, found: Comparison
) -> Iterator[Difference]:
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
