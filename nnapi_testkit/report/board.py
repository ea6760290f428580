"""The matrix of runs: operations as rows, releases or devices as columns, each cell a link.

The manner is that of wpt.fyi. Pages of comparisons and of histories share it, its templates and
the style of a run's own page.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nnapi_testkit.report.columns import in_order
from nnapi_testkit.report.diff import Change, Comparison, Group
from nnapi_testkit.report.outcomes import Tally, joined
from nnapi_testkit.report.plain import plain
from nnapi_testkit.report.render import script_json, template
from nnapi_testkit.report.text import counted, number
from nnapi_testkit.report.versus import Versus, group_words, pair_line

if TYPE_CHECKING:
    import jinja2

__all__ = [
    "Column",
    "board",
    "change_sections",
    "changes_by_operation",
    "diff_page",
    "link",
    "margin_text",
    "render",
]

MOST_GROUPS = 200  # of a change that a page lists
MOST_CASES = 40  # of a group
_WORSE = (Change.FAILING, Change.VANISHED)


@dataclass(frozen=True)
class Column:
    """A run, or a device in it.

    Args:
        label, small: its heading, and what stands below in small letters.
        page: address of the run's page as seen from the page with the matrix, "" for none.
        tallies: counts by operation and type.
        changes: cases of each change by operation, against the column it is compared with.
        note: what makes its numbers doubtful.
        only: the device, where the page of the run shows several.
    """

    label: str
    tallies: Mapping[str, Mapping[str, Tally]]
    small: str = ""
    page: str = ""
    changes: Mapping[str, Mapping[Change, int]] = field(default_factory=dict)
    note: str = ""
    only: str = ""


def link(page: str, *, only: str = "", **filters: str) -> str:
    """Return the address of a run's page with its filters set, "" where there is no page."""
    if not page:
        return ""
    if only:
        filters["device"] = only
    told = [
        f"{name}={quote(value if name == 'open' else f'={value}', safe='')}"
        for name, value in filters.items()
    ]
    return f"{page}#{'&'.join(told)}" if told else page


def board(columns: Sequence[Column]) -> dict[str, Any]:
    """Return what the template `board.html.j2` draws: rows that changed or fail come first."""
    names = sorted({name for column in columns for name in column.tallies})
    rows = [_row(name, columns) for name in names]
    rows.sort(key=lambda row: row["rank"])
    types = {name: _types(name, columns) for name in names}
    return {
        "columns": [
            {
                "label": plain(column.label),
                "small": plain(column.small),
                "page": link(column.page, only=column.only),
                "note": plain(column.note),
            }
            for column in columns
        ],
        "rows": rows,
        "failing": sum("fail" in row["state"] for row in rows),
        "changed": sum("changed" in row["state"] for row in rows),
        "data": script_json(
            {
                "pages": [column.page for column in columns],
                "only": [column.only for column in columns],
                "types": types,
            }
        ),
    }


def _row(name: str, columns: Sequence[Column]) -> dict[str, Any]:
    cells = [_cell(name, column) for column in columns]
    worse = any(cell and cell["worse"] for cell in cells)
    changed = any(cell and (cell["worse"] or cell["better"] or cell["moved"]) for cell in cells)
    fails = any(cell and cell["colour"] in ("fail", "error") for cell in cells)
    states = (("fail", fails), ("changed", changed))
    return {
        "name": plain(name),
        "cells": cells,
        "state": " ".join(word for word, holds in states if holds),
        "rank": (not worse, not fails, not changed, name),
    }


def _cell(name: str, column: Column) -> dict[str, Any] | None:
    cells = column.tallies.get(name)
    if cells is None:
        return None
    tally = joined(cells)
    changes = column.changes.get(name, {})
    told = [f"{count} {change.value}" for change, count in changes.items()]
    return {
        "text": f"{tally.passed}/{tally.cases}",
        "colour": tally.colour,
        "small": margin_text(tally.margin),
        "href": link(column.page, only=column.only, operation=name),
        "worse": sum(changes.get(change, 0) for change in _WORSE),
        "better": changes.get(Change.FIXED, 0),
        "moved": any(count for change, count in changes.items() if change is not Change.DRIFTED),
        "title": "; ".join([tally_words(tally), *told]),
    }


def margin_text(margin: float) -> str:
    """Return a margin as a matrix shows it; "" where nothing was compared."""
    if margin == -1:
        return ""
    return "< 0.001" if 0 < margin < 0.001 else f"{margin:.3g}"


def tally_words(tally: Tally) -> str:
    """Return counts in words."""
    told = [f"{tally.cases} cases, {tally.passed} passed"]
    for count, word in (
        (tally.failed, "failed"),
        (tally.errors, "errors"),
        (tally.apart, "not charged"),
        (tally.others, "others"),
    ):
        if count:
            told.append(f"{count} {word}")
    if tally.margin != -1:
        told.append(f"worst margin {number(tally.margin)}")
    return ", ".join(told)


def _types(name: str, columns: Sequence[Column]) -> list[list[Any]]:
    cells = in_order({cell for column in columns for cell in column.tallies.get(name, {})})
    return [
        [cell, [_numbers(column.tallies.get(name, {}).get(cell)) for column in columns]]
        for cell in cells
    ]


def _numbers(tally: Tally | None) -> list[Any] | int:
    if tally is None:
        return 0
    counts = [tally.cases, tally.passed, tally.failed, tally.errors, tally.apart, tally.others]
    return [*counts, margin_text(tally.margin)]


def changes_by_operation(comparison: Comparison) -> dict[str, dict[Change, int]]:
    """Return how many cases of each operation changed in which way."""
    found: dict[str, Counter[Change]] = {}
    for group in comparison.groups:
        found.setdefault(group.operation, Counter())[group.change] += len(group.pairs)
    return {name: dict(counts) for name, counts in found.items()}


def change_sections(
    comparison: Comparison, old_page: str, new_page: str, only: str = ""
) -> list[dict[str, Any]]:
    """Return what the template lists of a comparison, each case a link into its run."""
    sections = []
    for change in Change:
        groups = comparison.of(change) if change.told else []
        if not groups:
            continue
        page = old_page if change is Change.VANISHED else new_page
        sections.append(
            {
                "title": change.value,
                "count": f"{counted(comparison.counts[change], 'case')} of"
                f" {counted(len(groups), 'type')}",
                "open": change is Change.FAILING,
                "groups": [_group(group, page, only) for group in groups[:MOST_GROUPS]],
                "more": max(0, len(groups) - MOST_GROUPS),
            }
        )
    return sections


def _group(group: Group, page: str, only: str) -> dict[str, Any]:
    cell, words = group_words(group)
    return {
        "cell": cell,
        "words": words,
        "href": link(page, only=only, operation=group.operation, cell=group.cell),
        "cases": [
            (pair_line(group.change, pair), link(page, open=pair.case.id))
            for pair in group.pairs[:MOST_CASES]
        ],
        "more": max(0, len(group.pairs) - MOST_CASES),
    }


def diff_page(found: Versus, base: Path) -> str:
    """Return the page of a comparison.

    Args:
        base: the folder it will stand in, from which it links into the runs.
    """
    pages = [_relative(side.page, base) for side in found.sides]
    columns = []
    for at, side in enumerate(found.sides):
        changes = changes_by_operation(found.comparisons[at - 1]) if at else {}
        columns.append(
            Column(
                side.label,
                found.tallies[at],
                small_line(side.facts),
                pages[at],
                changes,
                f"UNFINISHED: {side.partial}" if side.partial else "",
                side.only,
            )
        )
    comparisons = [
        {
            "title": f"{plain(found.sides[0].label)} → {plain(side.label)}",
            "line": comparison.line,
            "sections": change_sections(comparison, pages[0], pages[at], side.only),
        }
        for at, (side, comparison) in enumerate(
            zip(found.sides[1:], found.comparisons, strict=True), 1
        )
    ]
    readings = [
        (operation, topic, [word or "not asked" for word in words])
        for (operation, topic), words in found.readings.items()
    ]
    names = ", ".join(plain(side.label) for side in found.sides)
    return render(
        "diff.html.j2",
        title=f"NNAPI conformance compared: {names}",
        outcome="WORSE" if found.worse else "NOT WORSE",
        colour="fail" if found.worse else "pass",
        warnings=[
            *(f"CONDITIONS DIFFER: {line}" for line in found.differing),
            *(f"UNFINISHED: {line}" for line in found.partial),
        ],
        sides=[side.line for side in found.sides],
        board=board(columns),
        comparisons=comparisons,
        readings=readings,
        labels=[plain(side.label) for side in found.sides],
    )


def small_line(facts: Mapping[str, str]) -> str:
    """Return what stands below a column's heading: release, or device, and the day."""
    return ", ".join(
        filter(None, (facts.get("release") or facts.get("device"), facts.get("started", "")[:10]))
    )


def render(page: str, **words: Any) -> str:
    """Return a page made of one of the kit's templates."""
    return _template(page).render(**words)


@cache  # a site has a page for every run
def _template(name: str) -> jinja2.Template:
    return template(name)


def _relative(page: Path | None, base: Path) -> str:
    if page is None:
        return ""
    return quote(os.path.relpath(page.resolve(), base.resolve()))
