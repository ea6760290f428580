"""`nnapi-testkit merge`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import nnapi_testkit
from nnapi_testkit.catalog import catalog
from nnapi_testkit.commands.repro import save_clusters
from nnapi_testkit.commands.screen import closing_line, summary_lines
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Record
from nnapi_testkit.process import process_start
from nnapi_testkit.report.merge import (
    Part,
    merge_records,
    missing_parts,
    planned,
    read_parts,
    shard_problems,
)
from nnapi_testkit.report.store import Store
from nnapi_testkit.report.summary import RunFacts, summarize
from nnapi_testkit.report.text import details
from nnapi_testkit.session.closing import Terms, close
from nnapi_testkit.session.floors import Floors
from nnapi_testkit.session.ledger import Ledger
from nnapi_testkit.session.record import Beginning, End, How, utc
from nnapi_testkit.session.services import load
from nnapi_testkit.session.settings import PROFILES, OracleMode, Settings
from nnapi_testkit.session.waivers import Known, Waivers

__all__ = ["add", "main"]


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.description = (
        "Join the reports of run --shard 1/N ... N/N into one, with the exit code that"
        " the whole run would have had. Of several verdicts on a case the worst stays; INFRA and"
        " NOT_RUN give way to any verdict on the driver. A missing shard is an error."
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--floor", type=Path, metavar="FILE", help="as of run, for the whole that is joined"
    )
    parser.add_argument("--waivers", type=Path, metavar="FILE", help="as of run, for the whole")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace another report in the folder of -o"
    )


def main(options: argparse.Namespace) -> int:
    """Execute the command; returns its exit code. Raises KitError."""
    output = options.output.resolve()
    if output in {folder.resolve() for folder in options.folders}:
        raise KitError(f"{options.output} is one of the parts: name another folder with -o")
    parts = read_parts(options.folders)
    floors = Floors.read(options.floor) if options.floor else None
    waivers = Waivers.read(options.waivers) if options.waivers else Waivers()
    records = [waivers.apply(record) for record in merge_records(parts)]
    missing = bool(missing_parts(parts))
    beginning = _beginning(parts, len(records), missing)
    ledger = Ledger()
    ledger.unfinished = missing
    store = Store(options.output, overwrite=options.overwrite)
    try:
        store.begin(beginning)
        for record in records:
            ledger.add(record)
            store.add(record)
        ledger.faults += dict.fromkeys(fault for part in parts for fault in part.faults)
        whole = not missing and not beginning.selection
        terms = Terms(
            waivers=waivers,
            floors=floors,
            # What no part knows of, a device does not have: of a whole run these are all there are.
            known=Known([record.id for record in records], None if whole else ()),
            lacking=shard_problems(parts),
            unjudged=f"nothing was judged in {len(parts)} reports",
        )
        how = How.INTERRUPTED if missing else How.FINISHED
        end = close(ledger, how, terms, suite=max(part.suite for part in parts))
        summary = _summary(parts, ledger, beginning, end)
        notes = list(_save_clusters(store, summary, records, beginning))
        store.finish(records, summary, end)
    finally:
        store.close()
    for note in notes:
        print(f"note: {note}")
    for record in records:
        if record.verdict.is_bad:
            print("\n".join(details(record)))
    print("\n".join(summary_lines(ledger, summary)))
    print(closing_line(ledger, summary))
    return int(ledger.exit_code())


def _beginning(parts: Sequence[Part], count: int, missing: bool) -> Beginning:
    first = next((part.beginning for part in parts if part.beginning), Beginning(planned=count))
    cases, selected = planned(parts)
    targets = sorted({part.beginning.target for part in parts if part.beginning})
    return Beginning(
        # Of several devices, or of repetitions on others, there are more records than cases.
        planned=max(count, cases) if missing else count,
        version=nnapi_testkit.__version__,
        selection=first.selection,
        selected=selected,
        target=", ".join(targets),
        profile=first.profile,
        oracle=first.oracle,
        seed=first.seed,
        started=utc(time.time()),
    )


def _summary(
    parts: Sequence[Part], ledger: Ledger, beginning: Beginning, end: End
) -> dict[str, Any]:
    first = next((part.summary for part in parts if part.summary), {})
    now = time.time()
    facts = RunFacts(
        settings=Settings(
            target=beginning.target,
            profile=beginning.profile or "standard",
            seed=beginning.seed,
        ),
        jobs=sum(int(part.summary.get("jobs", 1)) for part in parts),
        oracle=beginning.oracle,
        started=now,
        first_verdict=None,
        ended=now,
        process_started=process_start(),
        device=first.get("device", {}),
        selection=beginning.selection,
        planned=beginning.planned,
        selected=beginning.selected,
        suite=end.suite,
        how=end.how,
    )
    summary = summarize(ledger, facts)
    summary["seconds"] = round(sum(float(p.summary.get("seconds", 0)) for p in parts), 3)
    summary["parts"] = [str(part.folder) for part in parts]
    return summary


def _save_clusters(
    store: Store, summary: dict[str, Any], records: Sequence[Record], beginning: Beginning
) -> Iterator[str]:
    """Write the smallest case of each cluster as a folder, as `run` does; yield what could not be.

    Nothing runs again: the cases are built from the op files that are here, and the answers are
    those of the oracle that the parts were judged by, or goldens where it is not here.
    """
    failed = {record.operation for record in records if record.verdict.is_failure}
    known = sorted(failed & catalog().keys())
    profile = beginning.profile if beginning.profile in PROFILES else Settings().profile
    settings = Settings(profile=profile, seed=beginning.seed, oracle=OracleMode.GOLDEN)
    services = load(settings.services)
    if beginning.oracle == OracleMode.LIVE.value and services.has_live():
        settings = replace(settings, oracle=OracleMode.LIVE)
    refs = services.index(known, beginning.seed) if known else ()
    yield from save_clusters(store.folder, summary, refs, records, settings)
