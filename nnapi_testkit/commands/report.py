"""`nnapi-testkit report`: render a report again, or compare two."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from nnapi_testkit.commands import diff
from nnapi_testkit.commands.screen import closing_line, summary_lines
from nnapi_testkit.errors import KitError
from nnapi_testkit.report.accounts import Accounts, judged_accounts, read_summary
from nnapi_testkit.report.apart import apart_facts, observed_facts
from nnapi_testkit.report.files import write_whole
from nnapi_testkit.report.formats import FORMATS, TEXT
from nnapi_testkit.report.plain import plain
from nnapi_testkit.report.summary import retried_facts
from nnapi_testkit.report.text import details, matrix_lines
from nnapi_testkit.session.closing import shown
from nnapi_testkit.session.ledger import Conclusion

__all__ = ["add", "main"]


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.add_argument(
        "folder",
        type=Path,
        metavar="DIR",
        help="a folder that run --report wrote, or a results.jsonl",
    )
    parser.add_argument(
        "--format",
        choices=tuple(FORMATS),
        default=TEXT,
        help="; ".join(f"{name}: {form.about}" for name, form in FORMATS.items())
        + f" (default: {TEXT})",
    )
    parser.add_argument("-o", "--output", type=Path, help="where the file goes (default: into DIR)")
    parser.add_argument(
        "--diff",
        type=Path,
        metavar="OTHER",
        help="what has changed from OTHER to DIR, as diff OTHER DIR tells it",
    )
    parser.add_argument(
        "--anyway", action="store_true", help="with --diff: although conditions differ"
    )


def main(options: argparse.Namespace) -> int:
    """Execute the command; returns its exit code. Raises KitError.

    What is not the whole of a run that has ended is rendered too, and is an error.
    """
    folder: Path = options.folder
    if options.diff:
        return _diff(options)
    if options.anyway:
        raise KitError("--anyway belongs to --diff OTHER")
    accounts = judged_accounts(folder)
    summary = _summary(accounts, read_summary(folder) if folder.is_dir() else {})
    code = accounts.exit_code
    if options.format == TEXT:
        _text(accounts, summary)
        return int(code)
    form = FORMATS[options.format]
    text = form.render(accounts.records, summary)
    if not form.file:
        print(text)
        return int(code)
    base = folder if folder.is_dir() else folder.parent
    output: Path = options.output or base / form.file
    write_whole(output, text)
    print(plain(str(output)))
    if accounts.unfinished:
        print(f"UNFINISHED: {accounts.unfinished}")
    return int(code)


def _diff(options: argparse.Namespace) -> int:
    """`report NEW --diff OLD` is `diff OLD NEW`, and takes the options of a report."""
    if not FORMATS[options.format].compares:
        *most, last = (name for name, form in FORMATS.items() if form.compares)
        raise KitError(
            f"{options.format} tells no comparison: choose --format {', '.join(most)} or {last}"
        )
    output: Path | None = options.output
    if options.format == "html" and output is None:
        raise KitError("the page of a comparison belongs to neither report: name it with -o FILE")
    return diff.main(
        argparse.Namespace(
            reports=[str(options.diff), str(options.folder)],
            format=FORMATS[options.format].compares,
            output=output,
            anyway=options.anyway,
            all=False,
        )
    )


def _summary(accounts: Accounts, summary: dict[str, Any]) -> dict[str, Any]:
    """Return the summary as the results confirm it: what they say themselves counts."""
    records, beginning, end = accounts.records, accounts.beginning, accounts.end
    known: dict[str, Any] = {
        "devices": sorted({record.device for record in records if record.device}),
        "target": records[0].target,
        "operations": len({record.operation for record in records}),
        "cells": len({(record.operation, record.cell) for record in records}),
    }
    if beginning is not None:
        known |= {
            "planned": beginning.planned, "selected": beginning.selected,
            "selection": beginning.selection, "profile": beginning.profile,
            "oracle": beginning.oracle, "seed": beginning.seed, "started": beginning.started,
        }  # fmt: skip
    known["retried"] = retried_facts(records)
    known |= {"apart": apart_facts(records), "observed": observed_facts(records)}
    known |= summary
    known["cases"] = len(records)
    known["problems"] = list(end.problems) if end else []
    known["faults"] = list(end.faults) if end else []
    if end is not None:
        known |= {"how": end.how.value, "stop_after": end.stop_after, "suite": end.suite}
    if accounts.unfinished:
        known["outcome"] = Conclusion.UNFINISHED.value
        known["problems"].append(f"UNFINISHED: {accounts.unfinished}")
    return known


def _text(accounts: Accounts, summary: dict[str, Any]) -> None:
    unfinished = summary.get("outcome") == Conclusion.UNFINISHED
    ledger = shown(
        accounts.records,
        map(str, summary["problems"]),
        map(str, summary["faults"]),
        unfinished=unfinished,
    )
    for record in accounts.records:
        if record.verdict.is_bad:
            print("\n".join(details(record)))
    print("\n".join(map(plain, matrix_lines(ledger.cells.values()))))
    print("\n".join(summary_lines(ledger, summary)))
    print(closing_line(ledger, summary))
