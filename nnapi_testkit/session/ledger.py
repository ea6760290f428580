"""The accounts of a run: counts, worst margins, its conclusion and exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, IntEnum

from nnapi_testkit.judge.verdict import Record, Verdict

__all__ = ["CellTally", "Conclusion", "Exit", "Ledger", "exit_of"]


class Exit(IntEnum):
    """Exit codes of the command line."""

    PASS = 0
    FAIL = 1  # the driver broke a promise
    ERROR = 2  # usage, infrastructure, floors, waivers, or nothing judged


class Conclusion(str, Enum):
    """What a run comes to: the first word of its closing line, and `outcome` of its summary."""

    PASS = "pass"
    FAIL = "fail"
    ERROR = "error"
    UNFINISHED = "unfinished"  # an error: parts of it are missing, or it has no end


def exit_of(verdicts: Iterable[Verdict], *, problems: object = (), faults: object = ()) -> Exit:
    """Return the exit code of a run with these verdicts; errors weigh more than failures.

    Args:
        verdicts: each that occurs, once at least.
        problems: of the run as a whole; true if there are any.
        faults: of the driver outside any case; true if there are any.
    """
    found = set(verdicts)
    if problems or any(verdict.is_error for verdict in found):
        return Exit.ERROR
    if faults or any(verdict.is_failure for verdict in found):
        return Exit.FAIL
    return Exit.PASS


@dataclass(slots=True)
class CellTally:
    """What a run says about one cell at one feature level."""

    operation: str
    cell: str
    level: int
    verdicts: Counter[Verdict]
    margin: float = 0.0
    margin_id: str = ""

    @property
    def cases(self) -> int:
        """Cases of the cell."""
        return self.verdicts.total()


class Ledger:
    """Takes the records of a run one by one, waivers already applied."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.verdicts: Counter[Verdict] = Counter()
        self.cells: dict[tuple[str, str, int], CellTally] = {}
        self.compared = 0
        self.elements = 0
        self.problems: list[str] = []
        self.faults: list[str] = []  # of the driver, outside any case
        self.unfinished = False  # what it tells of is not the whole of a run that has ended

    def add(self, record: Record) -> None:
        """Enter a record."""
        self.records.append(record)
        verdict = record.verdict
        self.verdicts[verdict] += 1
        key = (record.operation, record.cell, record.level)
        cell = self.cells.get(key)
        if cell is None:
            cell = self.cells[key] = CellTally(*key, verdicts=Counter())
        cell.verdicts[verdict] += 1
        evidence = record.evidence
        if evidence.compared:
            self.compared += 1
            self.elements += evidence.compared
            margin = evidence.margin
            # Not `>`: a margin that is no number is worse than any.
            if not cell.margin_id or not margin <= cell.margin:
                cell.margin, cell.margin_id = margin, record.id

    @property
    def executed(self) -> int:
        """Cases with a word about the driver."""
        return sum(count for verdict, count in self.verdicts.items() if not verdict.is_error)

    @property
    def judged(self) -> int:
        """Cases that say anything about what the driver computes or refuses."""
        return sum(count for verdict, count in self.verdicts.items() if verdict.is_word)

    @property
    def bad(self) -> int:
        """Cases that broke a promise, or of which nothing can be said."""
        return sum(count for verdict, count in self.verdicts.items() if verdict.is_bad)

    def exit_code(self) -> Exit:
        """Return what the run ends with."""
        return exit_of(self.verdicts, problems=self.problems, faults=self.faults)

    @property
    def conclusion(self) -> Conclusion:
        """What the run comes to."""
        if self.unfinished:
            return Conclusion.UNFINISHED
        return Conclusion[self.exit_code().name]

    def worst(self) -> Sequence[CellTally]:
        """Return the compared cells with their feature levels joined, worst margin first."""
        joined: dict[tuple[str, str], CellTally] = {}
        for cell in self.cells.values():
            if not cell.margin_id:
                continue
            key = (cell.operation, cell.cell)
            other = joined.get(key)
            if other is None:
                joined[key] = replace(cell, verdicts=cell.verdicts.copy())
                continue
            other.verdicts.update(cell.verdicts)
            other.level = min(other.level, cell.level)
            if not cell.margin <= other.margin:
                other.margin, other.margin_id = cell.margin, cell.margin_id
        return sorted(joined.values(), key=lambda cell: (-cell.margin, cell.operation, cell.cell))
