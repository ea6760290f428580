"""`nnapi-testkit ops`, `devices`, `where`."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Sequence

from nnapi_testkit import paths
from nnapi_testkit.cases.kept import kept_index
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.report.columns import in_order
from nnapi_testkit.report.facts import device_line
from nnapi_testkit.report.plain import plain
from nnapi_testkit.report.text import counted
from nnapi_testkit.session.plan import Selection, select

__all__ = ["devices", "ops", "where"]


def ops(names: Sequence[str], cases: bool, *, as_json: bool = False) -> int:
    """List operations with their cells, or the ids of their cases."""
    refs: Sequence[CaseRef] = kept_index()
    if names:
        refs = select(refs, Selection(names=tuple(names)))
    if as_json:
        _print_json(_cases_json(refs) if cases else _operations_json(refs))
        return 0
    if cases:
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


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=1))


def _columns() -> int:
    """How wide lines may be: the terminal, without limit where programs read."""
    return max(shutil.get_terminal_size().columns, 80) if sys.stdout.isatty() else sys.maxsize


def devices(target: str, *, as_json: bool = False) -> int:
    """List what the target's library offers."""
    from nnapi_testkit.targets import parse_target
    from nnapi_testkit.targets.session import DEVICE_TYPES

    with parse_target(target).open(isolate=False) as runner:
        found = runner.devices()
    if as_json:
        _print_json(
            [
                {
                    "name": device.name,
                    "type": DEVICE_TYPES.get(device.type, ""),
                    "version": device.version,
                    "feature_level": device.feature_level,
                }
                for device in found
            ]
        )
        return 0
    for device in found:
        kind = DEVICE_TYPES.get(device.type, "")
        print(plain(device_line(device.name, kind, device.version, device.feature_level)))
    if not found:
        print(f"{plain(target)} lists no device: below feature level 3 there is no way to ask")
    return 0


def where(what: str | None, *, as_json: bool = False) -> int:
    """Print paths of the parts that are not Python modules."""
    known = {
        "driver": paths.driver_library,
        "runner": paths.runner,
        "golden": paths.golden_dir,
        "op_tests": paths.op_tests_dir,
    }
    if as_json:
        _print_json({name: str(path()) for name, path in known.items() if what in (None, name)})
        return 0
    if what:
        print(known[what]())
        return 0
    for name, path in known.items():
        print(f"{name + ':':<9} {path()}")
    return 0
