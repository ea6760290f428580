"""`nnapi-testkit report`: render a report again, or compare two."""

from __future__ import annotations

import argparse
from pathlib import Path

from nnapi_testkit.commands.screen import closing_line, summary_lines
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Record
from nnapi_testkit.report.diff import compare
from nnapi_testkit.report.files import write_whole
from nnapi_testkit.report.html import html
from nnapi_testkit.report.junit import junit
from nnapi_testkit.report.store import HTML, JUNIT, read_records, read_summary
from nnapi_testkit.report.text import details, matrix_lines
from nnapi_testkit.session.ledger import Ledger

__all__ = ["report"]


def report(options: argparse.Namespace) -> int:
    """Execute the command; returns its exit code. Raises KitError."""
    folder: Path = options.folder
    records = _read(folder)
    if options.diff:
        changes = compare(_read(options.diff), records)
        print("\n".join(changes.lines()))
        return 1 if changes.worse else 0
    summary = read_summary(folder) if folder.is_dir() else {}
    if options.format == "text":
        _text(records, summary)
        return 0
    if options.format == "html":
        name, text = HTML, html(records, summary)
    else:
        name, text = JUNIT, junit(records, summary.get("problems", ()))
    base = folder if folder.is_dir() else folder.parent
    output: Path = options.output or base / name
    write_whole(output, text)
    print(output)
    return 0


def _read(path: Path) -> list[Record]:
    records = list(read_records(path))
    if not records:
        raise KitError(f"{path} holds no record: was the run interrupted before its first verdict?")
    return records


def _text(records: list[Record], summary: dict[str, object]) -> None:
    ledger = Ledger()
    for record in records:
        ledger.add(record)
        if record.verdict.is_failure or record.verdict.is_error:
            print("\n".join(details(record)))
    problems = summary.get("problems")
    if isinstance(problems, list):
        ledger.problems += [str(problem) for problem in problems]
    if not summary:
        devices = sorted({record.device for record in records if record.device})
        summary = {
            "devices": devices,
            "target": records[0].target,
            "operations": len({record.operation for record in records}),
            "cells": len({(record.operation, record.cell) for record in records}),
        }
    print("\n".join(matrix_lines(ledger.cells.values())))
    print("\n".join(summary_lines(ledger, summary)))
    print(closing_line(ledger, summary))
