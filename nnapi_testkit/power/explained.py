"""Survivors that change nothing, explained one by one in `nnapi_testkit/data/equivalent.json`.

An entry names the file, the line of code, what of it is changed (`code`) to what (`change`; ""
for a rule that is left out), and why no result can differ, or none that is documented. Line
numbers move, code does not. Where an entry of a rule names a `test` of the driver's own, the rule
is one that only a wrong call can break: no model does, and the runner makes each call as it has to
be made. Such an entry is no word to be taken: `power rules` leaves the rule out and runs the test.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from nnapi_testkit import paths
from nnapi_testkit.power.instrument import Site

__all__ = ["explanation", "holding_test"]

_FILE = Path(__file__).resolve().parent.parent / "data" / "equivalent.json"


@cache
def _known() -> dict[tuple[str, str, str, str], dict[str, str]]:
    rows = json.loads(_FILE.read_text())
    return {(row["file"], row["line"], row["code"], row["change"]): row for row in rows}


@cache
def _lines(file: str) -> tuple[str, ...]:
    root = paths.checkout()
    path = None if root is None else root / "emulator" / file
    return tuple(path.read_text().splitlines()) if path is not None and path.is_file() else ()


def explanation(site: Site) -> str:
    """Why leaving out this rule, or this mutant, changes nothing; "" if nobody has said."""
    return _entry(site).get("why", "")


def holding_test(site: Site) -> str:
    """The test of the driver's own that breaks this rule; "" where an entry names none."""
    return _entry(site).get("test", "")


def _entry(site: Site) -> dict[str, str]:
    lines = _lines(site.file)
    line = lines[site.line - 1].strip() if site.line <= len(lines) else ""
    return _known().get((site.file, line, site.text, site.change), {})
