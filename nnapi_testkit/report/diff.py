"""Two runs side by side: newly failing, fixed, drifted, vanished, new."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from nnapi_testkit.judge.verdict import Record
from nnapi_testkit.report.text import number, one_line

__all__ = ["Changes", "compare"]

DRIFT_FACTOR = 1.5  # a margin that grows by more than this has drifted
DRIFT_FLOOR = 0.05  # margins below this are rounding noise


@dataclass(frozen=True, slots=True)
class Changes:
    """What has changed from an old run to a new one; pairs are (old, new).

    Args:
        failing: did not fail before.
        fixed: failed before and does not now.
        verdict: another verdict, neither newly failing nor fixed.
        drifted: the same verdict with a margin that grew.
        vanished: records of the old run only; `new`: of the new run only.
        unchanged: count of the rest.
    """

    failing: Sequence[tuple[Record, Record]]
    fixed: Sequence[tuple[Record, Record]]
    verdict: Sequence[tuple[Record, Record]]
    drifted: Sequence[tuple[Record, Record]]
    vanished: Sequence[Record]
    new: Sequence[Record]
    unchanged: int

    @property
    def worse(self) -> bool:
        """Whether anything fails that did not, or is no longer asked or computed."""
        lost = any(
            not after.verdict.is_failure
            and before.evidence.compared
            and not after.evidence.compared
            for before, after in self.verdict
        )
        new = any(_bad(record) for record in self.new)
        return bool(self.failing or self.vanished or lost or new)

    def lines(self) -> Iterator[str]:
        """Yield the comparison as text."""
        for title, pairs in (
            ("newly failing", self.failing),
            ("fixed", self.fixed),
            ("other verdict", self.verdict),
        ):
            for before, after in pairs:
                yield f"{title}: {one_line(after)} (was {before.verdict.value})"
        for before, after in self.drifted:
            yield (
                f"drifted: {after.id}: margin {number(before.evidence.margin)} ->"
                f" {number(after.evidence.margin)}"
            )
        for record in self.vanished:
            yield f"vanished: {one_line(record)}"
        for record in self.new:
            yield f"new: {one_line(record)}"
        yield (
            f"{len(self.failing)} newly failing, {len(self.fixed)} fixed, {len(self.verdict)}"
            f" other verdict, {len(self.drifted)} drifted, {len(self.vanished)} vanished,"
            f" {len(self.new)} new, {self.unchanged} unchanged"
        )


def compare(old: Iterable[Record], new: Iterable[Record]) -> Changes:
    """Compare by case id, and by device where a run has several.

    A run that lists a case twice counts its last word.
    """
    old, new = list(old), list(new)
    several = any(len({record.device for record in run} - {""}) > 1 for run in (old, new))
    before, after = (
        {(record.id, record.device if several else ""): record for record in run}
        for run in (old, new)
    )
    failing, fixed, verdict, drifted = [], [], [], []
    unchanged = 0
    for key, record in after.items():
        was = before.get(key)
        if was is None:
            continue
        pair = (was, record)
        if _bad(record) and not _bad(was):
            failing.append(pair)
        elif _bad(was) and not _bad(record):
            fixed.append(pair)
        elif was.verdict is not record.verdict:
            verdict.append(pair)
        elif _drifted(was, record):
            drifted.append(pair)
        else:
            unchanged += 1
    return Changes(
        failing,
        fixed,
        verdict,
        drifted,
        [record for key, record in before.items() if key not in after],
        [record for key, record in after.items() if key not in before],
        unchanged,
    )


def _bad(record: Record) -> bool:
    return record.verdict.is_failure or record.verdict.is_error


def _drifted(was: Record, now: Record) -> bool:
    if not (was.evidence.compared and now.evidence.compared):
        return False
    old, new = was.evidence.margin, now.evidence.margin
    return new > DRIFT_FLOOR and not new <= old * DRIFT_FACTOR
