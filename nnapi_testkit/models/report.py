"""What a check of a model found: plain frozen data, its text and its JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.model.case import Case
from nnapi_testkit.report.plain import plain
from nnapi_testkit.report.text import counted, difference_line, number

__all__ = ["EndReport", "ModelReport", "StepReport"]

MOST_SHOWN = 10


@dataclass(frozen=True)
class StepReport:
    """One operation of the main graph, judged alone.

    Args:
        index: its position in the main graph. label: number, kind and origin.
        record: verdict and evidence. case: the operation as a model of its own, with the inputs
            that the device computed; what reproduces a failure.
    """

    index: int
    label: str
    record: Record
    case: Case

    @property
    def verdict(self) -> Verdict:
        """Whether the operation is right."""
        return self.record.verdict


@dataclass(frozen=True)
class EndReport:
    """One output of the model as a whole.

    Args:
        set, output: which input set and output. name: of the operand.
        error: the largest distance from the float64 value. tolerance: what rounding may do.
        range: of the float64 values. where: index of the largest error.
        same: whether the bits are those of the run that shows every value, whose operations were
            judged one by one.
    """

    set: int
    output: int
    name: str
    verdict: Verdict
    error: float
    tolerance: float
    range: float
    where: tuple[int, ...] = ()
    same: bool = True

    def text(self) -> str:
        """One line."""
        place = f"[{', '.join(map(str, self.where))}]" if self.where else ""
        also = "" if self.same else "; other bits than with every value visible"
        return (
            f"{self.verdict.value} set {self.set} output {self.output} ({self.name}): largest error"
            f" {number(self.error)} at {place or 'no element'}, tolerance {number(self.tolerance)},"
            f" range {number(self.range)}{also}"
        )


@dataclass(frozen=True)
class ModelReport:
    """What a check found.

    Args:
        name: of the model. device: that ran it. profile: how it was judged.
        steps: one for each operation, in the order in which they run; empty if the model did not
            run, and then `record` says why.
        ends: one for each output of each input set.
        conversion: where the model computes other than the source it was converted from.
        nanoseconds: the fastest whole run as the runner saw it. seconds: the whole check.
    """

    name: str
    device: str
    profile: str
    steps: tuple[StepReport, ...] = ()
    ends: tuple[EndReport, ...] = ()
    record: Record | None = None
    conversion: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    nanoseconds: int = 0
    seconds: float = 0.0

    @property
    def first_wrong(self) -> StepReport | None:
        """The first operation that is wrong, in the order in which they run."""
        return next((step for step in self.steps if step.verdict.is_failure), None)

    @property
    def wrong(self) -> tuple[StepReport, ...]:
        """All operations that are wrong by themselves."""
        return tuple(step for step in self.steps if step.verdict.is_failure)

    @property
    def verdict(self) -> Verdict:
        """The first wrong operation's verdict, then the ends'; OBSERVED if anything was not judged.

        The end is proved by the operations where its bits are theirs; a sampled tolerance that is
        too wide to judge then takes nothing away.
        """
        if self.record is not None:
            return self.record.verdict
        if self.first_wrong is not None:
            return self.first_wrong.verdict
        ends = [end.verdict for end in self.ends]
        failed = next((verdict for verdict in ends if verdict.is_failure), None)
        if failed is not None:
            return failed
        steps = [step.verdict for step in self.steps]
        for verdict in steps:
            if verdict.is_error:
                return verdict
        if self.conversion:
            return Verdict.ORACLE_DISPUTE
        unproved = any(end.verdict is Verdict.OBSERVED and not end.same for end in self.ends)
        return Verdict.OBSERVED if unproved or Verdict.OBSERVED in steps else Verdict.PASS

    @property
    def passed(self) -> bool:
        """Whether every operation and the end were judged and are right."""
        return self.verdict.is_pass

    def text(self) -> str:
        """The report for people: what was judged, what is wrong, the verdict last."""
        return "\n".join(map(plain, self._lines()))

    def _lines(self) -> Iterator[str]:
        yield f"{self.name} on {self.device or 'an unattributed device'}, profile {self.profile}"
        for note in self.notes:
            yield f"note: {note}"
        if self.record is not None:
            yield f"{self.verdict.value}: {self.record.message}"
            return
        counts = Counter(step.verdict.value for step in self.steps)
        told = ", ".join(f"{count} {name}" for name, count in counts.most_common())
        margin = max((step.record.evidence.margin for step in self.steps), default=0.0)
        elements = sum(step.record.evidence.compared for step in self.steps)
        yield (
            f"{counted(len(self.steps), 'operation')} judged one by one on the device's own values:"
            f" {told}; {elements} elements, worst error / bound {number(margin)}"
        )
        wrong = self.wrong
        for step in wrong[:MOST_SHOWN]:
            yield f"{step.verdict.value} {step.label}: {step.record.message}"
            yield from (f"    {difference_line(item)}" for item in step.record.differences[:4])
        if len(wrong) > MOST_SHOWN:
            yield f"and {len(wrong) - MOST_SHOWN} more operations that are wrong"
        for step in self.steps:
            if step.verdict.is_undecided:
                yield f"{step.verdict.value} {step.label}: {step.record.message}"
        yield from (end.text() for end in self.ends)
        yield from (f"conversion: {line}" for line in self.conversion)
        if self.nanoseconds:
            yield f"time: {self.nanoseconds / 1e6:.2f} ms a run, the check {self.seconds:.1f} s"
        if self.first_wrong is not None:
            yield f"{self.verdict.value}: the first wrong operation is {self.first_wrong.label}"
        elif self.verdict.is_failure:
            yield (
                f"{self.verdict.value}: each operation is right while its values are visible, the"
                " model as a whole is not: the device computes it in another way then (fusion)"
            )
        elif self.conversion and self.verdict is Verdict.ORACLE_DISPUTE:
            yield (
                f"{self.verdict.value}: the device computes the converted model rightly, but the"
                " converter made another model of the source"
            )
        else:
            yield self.verdict.value

    def json(self) -> dict[str, object]:
        """The report as JSON values."""
        first = self.first_wrong
        return {
            "model": self.name,
            "device": self.device,
            "profile": self.profile,
            "verdict": self.verdict.value,
            "message": self.record.message if self.record else "",
            "first_wrong": first.label if first else None,
            "operations": [
                {
                    "index": step.index,
                    "label": step.label,
                    "operation": step.record.operation,
                    "verdict": step.verdict.value,
                    "margin": step.record.evidence.margin,
                    "compared": step.record.evidence.compared,
                    "message": step.record.message,
                }
                for step in self.steps
            ],
            "ends": [
                {
                    "set": end.set,
                    "output": end.output,
                    "verdict": end.verdict.value,
                    "error": end.error,
                    "tolerance": end.tolerance,
                    "range": end.range,
                    "same_bits": end.same,
                }
                for end in self.ends
            ],
            "conversion": list(self.conversion),
            "nanoseconds": self.nanoseconds,
            "notes": list(self.notes),
        }
