"""The accounts of a run: counts, worst margins, and the exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.session.floors import Floors
from nnapi_testkit.session.record import How
from nnapi_testkit.session.waivers import Known, Waivers

__all__ = ["CellTally", "Exit", "Ledger"]


class Exit(IntEnum):
    """Exit codes of the command line."""

    PASS = 0
    FAIL = 1  # the driver broke a promise
    ERROR = 2  # usage, infrastructure, floors, waivers, or nothing judged


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
        return self.executed - self.verdicts[Verdict.UNSUPPORTED]

    def close(
        self, how: How, *, waivers: Waivers, floors: Floors | None, known: Known, planned: int
    ) -> None:
        """Check what a run must hold; fills `problems`.

        Args:
            how: it ended; one that was told to stop after a failure may leave cases out, and is
                not held to floors.
            waivers, floors: of the run.
            known: what it could choose from.
            planned: cases that were to be run.
        """
        count = len(self.records)
        if how is How.INTERRUPTED:
            self.problems.append(f"the run was interrupted after {count} of {planned} cases")
        elif count < planned and how is How.FINISHED:
            self.problems.append(f"{planned - count} of {planned} cases were not run")
        if self.judged == 0:
            self.problems.append(
                f"nothing was judged: {count} of {planned} cases have a record, none"
                " of them was computed or refused by the device"
            )
        self.problems += waivers.problems(self.records, known)
        if floors is not None and how is How.FINISHED:
            self.problems += floors.problems(self.records)

    def exit_code(self) -> Exit:
        """Return what the run ends with; errors weigh more than failures."""
        if self.problems or any(verdict.is_error for verdict in self.verdicts):
            return Exit.ERROR
        if self.faults or any(verdict.is_failure for verdict in self.verdicts):
            return Exit.FAIL
        return Exit.PASS

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
