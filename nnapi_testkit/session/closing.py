"""How a run ends: the one place that says whether it is whole, what it has failed, its exit code.

A run that has just executed, several reports that are merged, and a report that is shown again all
come here with their records: `run` and the pytest plugin by `Run.close`, `merge` by `close`,
`report` by `shown`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.session.floors import Floors
from nnapi_testkit.session.ledger import Exit, Ledger
from nnapi_testkit.session.record import Beginning, End, How, utc
from nnapi_testkit.session.waivers import Known, Waivers

__all__ = [
    "Terms",
    "close",
    "exit_of_report",
    "lacking",
    "settled",
    "shown",
    "why_partial",
    "why_unfinished",
]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a run is held to.

    Args:
        waivers, floors: as of `Run`.
        known: the cases that waivers can be held to.
        lacking: why it is not the whole of what it was to be, a line each; and other problems that
            it comes with.
        unjudged: the problem that it is where nothing was judged.
    """

    waivers: Waivers
    floors: Floors | None
    known: Known
    lacking: Sequence[str]
    unjudged: str


class Line(Protocol):
    """What counting needs of a record."""

    @property
    def verdict(self) -> Verdict: ...


def close(ledger: Ledger, how: How, terms: Terms, *, stop_after: int = 0, suite: int = 0) -> End:
    """Check what a run is held to; fills the problems of its accounts.

    Args:
        ledger: holds every record and what the driver did wrong outside any case.
        how: it ended.
        stop_after, suite: as of `End`.

    Returns the last line of the results.
    """
    ledger.problems += terms.lacking
    if ledger.judged == 0:
        ledger.problems.append(terms.unjudged)
    ledger.problems += terms.waivers.problems(ledger.records, terms.known)
    if terms.floors is not None:
        ledger.problems += terms.floors.problems(ledger.records)
    return End(
        how=how,
        cases=len(ledger.records),
        exit_code=int(ledger.exit_code()),
        verdicts={v.value: count for v, count in ledger.verdicts.items() if count},
        stop_after=stop_after if how is How.STOPPED else 0,
        suite=suite,
        problems=tuple(ledger.problems),
        faults=tuple(ledger.faults),
        ended=utc(time.time()),
    )


def settled(how: How, ledger: Ledger) -> How:
    """Return how a run has ended: one without a failure has no reason to be stopped, or short."""
    return How.FINISHED if how is How.STOPPED and not ledger.bad else how


def lacking(how: How, count: int, planned: int) -> list[str]:
    """Return why a run that has `count` of its `planned` records is not whole.

    One that was told to stop after failures may leave cases out.
    """
    if how is How.INTERRUPTED:
        return [f"the run was interrupted after {count} of {planned} cases"]
    if how is How.FINISHED and count < planned:
        return [f"{planned - count} of {planned} cases were not run"]
    return []


def shown(
    records: Iterable[Record], problems: Iterable[str], faults: Iterable[str], *, unfinished: bool
) -> Ledger:
    """Return the accounts of a run that was closed before, as its report tells them."""
    ledger = Ledger()
    for record in records:
        ledger.add(record)
    ledger.problems += problems
    ledger.faults += faults
    ledger.unfinished = unfinished
    return ledger


def exit_of_report(records: Sequence[Line], beginning: Beginning | None, end: End | None) -> Exit:
    """Return the exit code of showing a report: an error unless its run has come to its end.

    It does not repeat the one of the run, which `End.exit_code` keeps.
    """
    interrupted = end is not None and end.how is How.INTERRUPTED
    return Exit.ERROR if interrupted or why_unfinished(records, beginning, end) else Exit.PASS


def why_unfinished(records: Sequence[Line], beginning: Beginning | None, end: End | None) -> str:
    """Return why these are not the whole of a run that has ended; "" if they are."""
    count = len(records)
    if beginning is None:
        return f"{count} records, and no first line that says how many were planned"
    planned = beginning.planned
    if end is None:
        return f"{count} of {planned} planned cases have a record, and the run did not end"
    told = Counter(record.verdict.value for record in records)
    if end.cases != count or Counter(end.verdicts) != told:
        return f"{count} records, where its last line counts {end.cases}"
    if end.how is How.FINISHED and count != planned:
        return f"{count} of {planned} planned cases have a record"
    return ""


def why_partial(records: Sequence[Line], beginning: Beginning | None, end: End | None) -> str:
    """Return why planned cases are missing: unfinished, stopped or interrupted; "" if none is."""
    unfinished = why_unfinished(records, beginning, end)
    if unfinished or end is None or end.how is How.FINISHED:
        return unfinished
    planned = beginning.planned if beginning else 0
    return f"{end.how.value} after {end.cases} of {planned} planned cases"
