"""The end of a run, for command line and pytest alike: summary, groups of failures, report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nnapi_testkit.commands.repro import save_clusters
from nnapi_testkit.report.store import Store
from nnapi_testkit.report.summary import RunFacts, summarize
from nnapi_testkit.session.record import End, How
from nnapi_testkit.session.run import Run

__all__ = ["Accounted", "close_accounts", "write_report"]


@dataclass(frozen=True, slots=True)
class Accounted:
    """A run that has ended.

    Args:
        end: the last line of its results.
        summary: as JSON values.
        notes: for the user.
    """

    end: End
    summary: dict[str, Any]
    notes: list[str]


def close_accounts(
    run: Run,
    how: How | None,
    *,
    process_started: float,
    device: Mapping[str, object],
    selection: str,
) -> Accounted:
    """Close a run: its last line, and its summary.

    Args:
        how: it ended; None where nothing has interrupted it.
        process_started, device, selection: as of `RunFacts`.
    """
    ended = time.time()
    end = run.close(how or run.how)
    facts = RunFacts(
        settings=run.settings,
        jobs=run.session.jobs,
        oracle=run.session.oracle.value,
        started=run.started,
        first_verdict=run.first_verdict,
        ended=ended,
        process_started=process_started,
        device=device,
        selection=selection,
        planned=len(run.planned),
        selected=run.selected,
        suite=end.suite,
        how=end.how,
        stop_after=end.stop_after,
        kept=run.kept,
    )
    return Accounted(end, summarize(run.ledger, facts), [])


def write_report(run: Run, found: Accounted, store: Store) -> None:
    """Write the report of a run that is closed: what could not be saved becomes notes.

    Raises KitError where the report cannot be written; summary and notes are there all the same.
    """
    records = run.ledger.records
    summary, settings = found.summary, run.settings
    found.notes.extend(save_clusters(store.folder, summary, run.planned, records, settings))
    store.finish(records, found.summary, found.end)
