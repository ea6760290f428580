"""Tables of what is not charged (PLATFORM, KNOWN, CONTESTED, WAIVED) and of what is left open."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from nnapi_testkit.judge.verdict import APART, Record, Verdict
from nnapi_testkit.report.plain import plain, plain_markdown

__all__ = ["apart_facts", "apart_lines", "apart_properties", "apart_tables", "observed_facts"]

SHOWN = 6  # rows of each verdict that a terminal shows
TABLED = 25  # rows of each table in Markdown
_LONGEST = 100  # letters of what was observed
_NUMBER = re.compile(r"\d+(\.\d+)?(e[-+]?\d+)?")


def apart_facts(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Return the rows as JSON values, by verdict, then by number of cases.

    Keys: `verdict`; `operation`; `what`, the entry of known platforms, the waiver, or the stage and
    result code where it ended; `cases`; `first`, the id of one of them; `message` of that one.
    """
    apart = (
        (record, record.known or record.waiver or _ended(record))
        for record in records
        if record.verdict.is_apart
    )
    order = [verdict.value for verdict in APART]
    return sorted(_rows(apart), key=lambda r: (order.index(r["verdict"]), -r["cases"], r["first"]))


def _ended(record: Record) -> str:
    stage = record.stage.name.lower() if record.stage is not None else ""
    return f"{stage}, code {record.code}"


def observed_facts(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Return rows of the same form for OBSERVED, which proves nothing and charges nobody.

    `what` is the question with the reading that the device follows, or what was left open, with
    its numbers as `N`.
    """
    found = ((r, _observed(r)) for r in records if r.verdict is Verdict.OBSERVED)
    return sorted(_rows(found), key=lambda r: (-r["cases"], r["first"]))


def _observed(record: Record) -> str:
    if record.topic:
        return f"{record.topic}: {record.reading}"
    said = " ".join(record.message.split()) or "left open by the documentation"
    return _NUMBER.sub("N", said)[:_LONGEST]


def _rows(found: Iterable[tuple[Record, str]]) -> list[dict[str, Any]]:
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for record, what in found:
        key = (record.verdict.value, record.operation, what)
        row = rows.setdefault(
            key,
            {
                "verdict": key[0],
                "operation": key[1],
                "what": what,
                "cases": 0,
                "first": record.id,
                "message": record.message,
            },
        )
        row["cases"] += 1
    return list(rows.values())


def apart_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the table as text, the largest rows of each verdict."""
    for verdict in dict.fromkeys(row["verdict"] for row in rows):
        members = [row for row in rows if row["verdict"] == verdict]
        total = sum(row["cases"] for row in members)
        yield f"not charged, {verdict}: {total} case{'s' if total != 1 else ''}"
        for row in members[:SHOWN]:
            yield f"  {row['cases']:>6}  {plain(row['operation'])}  {plain(row['what'])}"
        if len(members) > SHOWN:
            yield f"          ... and {len(members) - SHOWN} more kinds (summary.json, `apart`)"


def apart_tables(summary: Mapping[str, Any]) -> list[str]:
    """Return the tables of a summary in Markdown; nothing where all was charged or passed."""
    lines: list[str] = []
    for title, rows in (
        ("Not charged to the driver", summary.get("apart") or ()),
        ("Left open by the documentation", summary.get("observed") or ()),
    ):
        if not rows:
            continue
        lines += ["", f"### {title}", ""]
        lines += ["| verdict | operation | what | cases | for example |", "|---|---|---|---:|---|"]
        for row in rows[:TABLED]:
            cells = (row["verdict"], row["operation"], row["what"])
            told = " | ".join(plain_markdown(str(cell)) for cell in cells)
            lines.append(f"| {told} | {row['cases']} | `{plain(row['first'])}` |")
        if len(rows) > TABLED:
            left = sum(row["cases"] for row in rows[TABLED:])
            lines += [
                "",
                f"and {left} more cases of {len(rows) - TABLED} kinds, see `summary.json`",
            ]
    return lines


def apart_properties(records: Iterable[Record]) -> dict[str, list[tuple[str, str]]]:
    """Return the rows of each operation as properties of its JUnit suite: name and value."""
    kept = list(records)
    found: dict[str, list[tuple[str, str]]] = {}
    for row in (*apart_facts(kept), *observed_facts(kept)):
        cases = f"{row['cases']} case{'' if row['cases'] == 1 else 's'}"
        value = f"{row['what']}: {cases}, first {row['first']}"
        found.setdefault(row["operation"], []).append((row["verdict"], value))
    return found
