"""What runs are compared by: of each record the few fields that say how a case went.

A tuple and no dataclass: a history holds millions of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from nnapi_testkit.judge.verdict import Record, Verdict

__all__ = ["MOST_MESSAGE", "Outcome", "Tally", "joined", "outcome_of", "tallies"]

MOST_MESSAGE = 300  # characters


class Outcome(NamedTuple):
    """How one case went.

    `bits` is a digest of the outputs, "" where nothing ran or the report is older than digests;
    `compared` counts the elements that `margin` (error over bound) is the worst of.
    """

    id: str
    operation: str
    cell: str
    verdict: Verdict
    margin: float
    compared: int
    bits: str
    device: str
    message: str

    @property
    def bad(self) -> bool:
        """Whether the driver broke a promise, or nothing can be said about it."""
        return self.verdict.is_bad


def outcome_of(record: Record) -> Outcome:
    """Return the outcome of a record."""
    evidence = record.evidence
    passed = record.verdict.is_pass
    return Outcome(
        record.id,
        record.operation,
        record.cell,
        record.verdict,
        evidence.margin,
        evidence.compared,
        record.bits,
        record.device,
        "" if passed else record.message[:MOST_MESSAGE],
    )


@dataclass(slots=True)
class Tally:
    """Counts of cases, and the worst margin of those that were compared (-1 without one).

    `apart` counts what would be a failure and is not charged to the driver: waived, contested.
    """

    cases: int = 0
    passed: int = 0
    failed: int = 0
    errors: int = 0
    apart: int = 0
    others: int = 0
    margin: float = -1.0
    # The worst of those that passed: what a driver has left before it fails.
    passing: float = -1.0

    @property
    def colour(self) -> str:
        """The class of its cell on a page: the worst that is in it."""
        for count, name in (
            (self.failed, "fail"),
            (self.errors, "error"),
            (self.apart, "apart"),
            (self.passed, "pass"),
        ):
            if count:
                return name
        return "other"

    def add(self, outcome: Outcome) -> None:
        """Count a case."""
        self.cases += 1
        setattr(self, (part := _PART[outcome.verdict]), getattr(self, part) + 1)
        if outcome.compared:
            self.margin = _worse(self.margin, outcome.margin)
            if part == "passed":
                self.passing = _worse(self.passing, outcome.margin)

    def join(self, other: Tally) -> None:
        """Count the cases of another."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.margin = _worse(self.margin, other.margin)
        self.passing = _worse(self.passing, other.passing)


def _worse(one: float, other: float) -> float:
    """The larger margin; one that is no number is worse than any."""
    return one if one != one or other <= one else other


_NAMES = {
    "pass": "passed",
    "fail": "failed",
    "error": "errors",
    "waived": "apart",
    "apart": "apart",
    "other": "others",
}
_COUNTS = ("cases", "passed", "failed", "errors", "apart", "others")
_PART = {verdict: _NAMES.get(verdict.meaning.colour, "others") for verdict in Verdict}


def tallies(outcomes: Iterable[Outcome]) -> dict[str, dict[str, Tally]]:
    """Return the counts by operation, and in it by cell; both by name."""
    found: dict[str, dict[str, Tally]] = {}
    for outcome in outcomes:
        cells = found.setdefault(outcome.operation, {})
        tally = cells.get(outcome.cell)
        if tally is None:
            tally = cells[outcome.cell] = Tally()
        tally.add(outcome)
    return {name: dict(sorted(found[name].items())) for name in sorted(found)}


def joined(cells: Mapping[str, Tally]) -> Tally:
    """Return the counts of an operation."""
    whole = Tally()
    for tally in cells.values():
        whole.join(tally)
    return whole
