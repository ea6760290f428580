"""The records as the page carries them: columns, runs of equal values, texts once.

Thirty thousand records fit into few megabytes so. `page.js` reads what stands here; a test reads it
back and compares.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType
from typing import Any

from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.report.claim_audit import ClaimAudit, claim_audit
from nnapi_testkit.report.columns import column_of, in_order
from nnapi_testkit.report.plain import plain
from nnapi_testkit.report.text import details

__all__ = ["page_data"]

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_LONGEST = 36 * 36 - 1  # a shared beginning is told in two digits of base 36


class _Words(dict[str, int]):
    """A table of words, each with its number."""

    def put(self, word: str) -> int:
        return self.setdefault(plain(word), len(self))


def page_data(
    records: Sequence[Record], clusters: Mapping[str, int] = MappingProxyType({})
) -> dict[str, Any]:
    """Return what the page shows, compactly.

    Keys: `verdicts`, (word, class) each; `tables`, the words that columns number; `order`,
    `columns` and `column`, the types in reading order and the matrix column of each; `ids`, a line
    each: two digits of base 36, how much it shares with the line above, and the rest; `runs`,
    (value, how often) in turn; `margins`, `compared` and `micros`, a number a record; `again`, how
    the command goes on after the id, and `repros`, where it is another; `honesty`.

    Args:
        clusters: by id of a failing case the number of its cluster, from 1.

    Details are kept only for records that did not simply pass, and equal ones once.
    """
    names = ("operation", "cell", "kind", "device", "oracle", "text")
    tables = {name: _Words() for name in names}
    place = {verdict: at for at, verdict in enumerate(Verdict)}
    target = plain(records[0].target) if records else ""
    ends = [_end(record) for record in records]
    usual = Counter(end for end in ends if end).most_common(1)
    again = usual[0][0] if usual else f" --target {shlex.quote(target)}"
    of_each: dict[str, Callable[[Record], int]] = {
        "operation": lambda record: tables["operation"].put(record.operation),
        "cell": lambda record: tables["cell"].put(record.cell),
        "kind": lambda record: tables["kind"].put(record.kind),
        "device": lambda record: tables["device"].put(record.device),
        "oracle": lambda record: tables["oracle"].put(record.evidence.oracle.value),
        "level": lambda record: record.level,
        "verdict": lambda record: place[record.verdict],
        "text": lambda record: _text(record, tables["text"]),
        "cluster": lambda record: clusters.get(record.id, 0),
    }
    runs = {name: _runs(map(number, records)) for name, number in of_each.items()}
    kept = _honest(records, tables)
    cells = list(tables["cell"])
    columns = in_order({column_of(cell) for cell in cells})
    return {
        "verdicts": [[verdict.value, verdict.meaning.colour] for verdict in Verdict],
        "tables": {name: list(words) for name, words in tables.items()},
        "order": [cells.index(cell) for cell in in_order(cells)],
        "columns": columns,
        "column": [columns.index(column_of(cell)) for cell in cells],
        "ids": _shared(plain(record.id) for record in records),
        "runs": runs,
        "margins": [_margin(record.evidence.margin) for record in records],
        "compared": [record.evidence.compared for record in records],
        "micros": [record.nanoseconds // 1000 for record in records],
        "again": again,
        "repros": {
            at: plain(records[at].repro) for at, end in enumerate(ends) if end not in ("", again)
        },
        "honesty": kept,
    }


def _text(record: Record, table: _Words) -> int:
    """Return the number of a record's details, -1 where there are none."""
    text = _told(record)
    return table.setdefault(text, len(table)) if text else -1


def _told(record: Record) -> str:
    """Return the details without id and command, which the page has."""
    if record.verdict.is_pass:
        return ""
    again = f"  again: {plain(record.repro)}"
    lines = [line for line in list(details(record))[1:] if line != again]
    return "\n".join(line.removeprefix("  ") for line in lines)


def _end(record: Record) -> str:
    """Return how the command goes on after the id; the whole, where it begins otherwise."""
    command = plain(record.repro)
    return command.removeprefix(f"nnapi-testkit run {shlex.quote(plain(record.id))}")


def _margin(margin: float) -> float | str:
    short = float(f"{margin:.3g}")
    if short - short != 0:  # JSON has no infinity
        return str(short)
    return int(short) if short == int(short) else short


def _runs(values: Iterable[int]) -> list[int]:
    found: list[int] = []
    for value, members in groupby(values):
        found += (value, sum(1 for _ in members))
    return found


def _shared(ids: Iterable[str]) -> str:
    lines, last = [], ""
    for name in ids:
        same = 0
        most = min(len(name), len(last), _LONGEST)
        while same < most and name[same] == last[same]:
            same += 1
        lines.append(f"{_DIGITS[same // 36]}{_DIGITS[same % 36]}{name[same:]}")
        last = name
    return "\n".join(lines)


def _honest(records: Sequence[Record], tables: dict[str, _Words]) -> list[list[Any]]:
    return [
        [
            tables["operation"].put(row.operation),
            tables["cell"].put(row.cell),
            tables["device"].put(row.device),
            row.documented,
            row.claimed,
            row.compiled,
            row.correct,
            list(row.findings),
            [plain(first) for first in row.first.values()],
            row.waived,
        ]
        for row in sorted(claim_audit(records), key=_rank)
    ]


def _rank(row: ClaimAudit) -> tuple[bool, bool, str]:
    """Findings first, then what is waived or claimed only in part, then the rest, by name."""
    part = 0 < row.claimed < row.documented
    return not row.findings, not (row.waived or part), row.operation
