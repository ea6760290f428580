"""`nnapi-testkit ops`: operations, their cells and cases."""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Sequence

from nnapi_testkit.cases.kept import kept_index
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.commands.parser import add_json, print_json
from nnapi_testkit.report.columns import in_order
from nnapi_testkit.report.text import counted
from nnapi_testkit.session.plan import Selection, select

__all__ = ["add", "main"]


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.add_argument("names", nargs="*", metavar="OP")
    parser.add_argument("--cases", action="store_true", help="list the ids of the cases")
    add_json(parser)


def main(options: argparse.Namespace) -> int:
    """List operations with their cells, or the ids of their cases; 0. Raises KitError."""
    refs: Sequence[CaseRef] = kept_index()
    if options.names:
        refs = select(refs, Selection(names=tuple(options.names)))
    if options.json:
        print_json(_cases_json(refs) if options.cases else _operations_json(refs))
        return 0
    if options.cases:
        for ref in refs:
            print(ref.id)
        return 0
    operations: dict[str, Counter[str]] = {}
    level: dict[str, int] = {}
    for ref in refs:
        operations.setdefault(ref.operation, Counter())[ref.cell] += 1
        level[ref.operation] = min(level.get(ref.operation, ref.level), ref.level)
    wide = max(map(len, operations))
    for operation, cells in sorted(operations.items()):
        words = ", ".join(f"{cell}\xa0{cells[cell]}" for cell in in_order(cells))
        head = f"{operation:<{wide}}  level {level[operation]}  {cells.total():>5} cases: "
        rest = " " * len(head)
        # A type and its count stay together; names with signs in them are not torn.
        lines = textwrap.wrap(
            words, _columns() - len(head), break_long_words=False, break_on_hyphens=False
        )
        print((head + f"\n{rest}".join(lines)).replace("\xa0", " "))
    cells_total = sum(len(cells) for cells in operations.values())
    print(
        f"{counted(len(operations), 'operation')}, {counted(cells_total, 'cell')},"
        f" {counted(len(refs), 'case')}"
    )
    return 0


def _cases_json(refs: Sequence[CaseRef]) -> list[dict[str, object]]:
    """Each case: `id`, `operation`, `cell`, `level`, `kind`."""
    keys = ("id", "operation", "cell", "level", "kind")
    return [{key: getattr(ref, key) for key in keys} for ref in refs]


def _operations_json(refs: Sequence[CaseRef]) -> list[dict[str, object]]:
    """Each operation: `operation`, `level`, `cases`, and the number of these in each of `cells`."""
    members: dict[str, list[CaseRef]] = {}
    for ref in refs:
        members.setdefault(ref.operation, []).append(ref)
    found: list[dict[str, object]] = []
    for operation, cases in sorted(members.items()):
        counts = Counter(ref.cell for ref in cases)
        found.append(
            {
                "operation": operation,
                "level": min(ref.level for ref in cases),
                "cases": len(cases),
                "cells": {cell: counts[cell] for cell in in_order(counts)},
            }
        )
    return found


def _columns() -> int:
    """How wide lines may be: the terminal, without limit where programs read."""
    return max(shutil.get_terminal_size().columns, 80) if sys.stdout.isatty() else sys.maxsize
