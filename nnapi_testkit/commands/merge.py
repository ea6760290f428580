"""`nnapi-testkit merge`."""

from __future__ import annotations

import argparse
import time
from typing import Any

from nnapi_testkit.commands.screen import closing_line, summary_lines
from nnapi_testkit.errors import KitError
from nnapi_testkit.report.merge import Part, merge_records, read_parts, shard_problems
from nnapi_testkit.report.store import Store
from nnapi_testkit.report.summary import RunFacts, process_start, summarize
from nnapi_testkit.report.text import details
from nnapi_testkit.session.floors import Floors
from nnapi_testkit.session.ledger import Ledger
from nnapi_testkit.session.settings import Settings

__all__ = ["merge"]


def merge(options: argparse.Namespace) -> int:
    """Execute the command; returns its exit code. Raises KitError."""
    output = options.output.resolve()
    if output in {folder.resolve() for folder in options.folders}:
        raise KitError(f"{options.output} is one of the parts: name another folder with -o")
    parts = read_parts(options.folders)
    floors = Floors.read(options.floor) if options.floor else None
    records = merge_records(parts)
    ledger = Ledger()
    store = Store(options.output)
    try:
        for record in records:
            ledger.add(record)
            store.add(record)
    finally:
        store.close()
    ledger.problems += shard_problems(parts)
    if ledger.judged == 0:
        ledger.problems.append(f"nothing was judged in {len(parts)} reports")
    if floors is not None:
        ledger.problems += floors.problems(records)
    summary = _summary(parts, ledger)
    store.finish(records, summary)
    for record in records:
        if record.verdict.is_failure or record.verdict.is_error:
            print("\n".join(details(record)))
    print("\n".join(summary_lines(ledger, summary)))
    print(closing_line(ledger, summary))
    return int(ledger.exit_code())


def _summary(parts: list[Part], ledger: Ledger) -> dict[str, Any]:
    first = next((part.summary for part in parts if part.summary), {})
    targets = sorted({str(p.summary["target"]) for p in parts if "target" in p.summary})
    now = time.time()
    facts = RunFacts(
        settings=Settings(
            target=", ".join(targets),
            profile=first.get("profile", "standard"),
            seed=first.get("seed", 0),
        ),
        jobs=sum(int(part.summary.get("jobs", 1)) for part in parts),
        oracle=str(first.get("oracle", "")),
        started=now,
        first_verdict=None,
        ended=now,
        process_started=process_start(),
        device=first.get("device", {}),
        selection=parts[0].selection,
        planned=len(ledger.records),
    )
    summary = summarize(ledger, facts)
    summary["seconds"] = round(sum(float(p.summary.get("seconds", 0)) for p in parts), 3)
    summary["parts"] = [str(part.folder) for part in parts]
    return summary
