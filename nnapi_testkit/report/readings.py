"""The table of readings: of each contested question, which answer a device gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from nnapi_testkit.judge.readings import NEITHER, agreeing

__all__ = ["Row", "readings", "readings_json", "readings_line", "readings_lines"]


class Asked(Protocol):
    """What the table needs of a record."""

    @property
    def id(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def operation(self) -> str: ...
    @property
    def topic(self) -> str: ...
    @property
    def reading(self) -> str: ...


@dataclass(slots=True)
class Row:
    """One question of an operation, as one device answers it.

    Args:
        follows: cases by the reading they follow; cases in which all readings agree are not here.
        agreed: cases in which all readings agree.
        neither: cases that follow none.
        first: the first case of each reading.
    """

    device: str
    operation: str
    topic: str
    follows: Counter[str] = field(default_factory=Counter)
    agreed: int = 0
    neither: int = 0
    first: dict[str, str] = field(default_factory=dict)

    @property
    def word(self) -> str:
        """The reading, `mixed`, `neither`, or `open` where no case could tell."""
        if self.neither:
            return NEITHER
        if len(self.follows) > 1:
            return "mixed"
        return next(iter(self.follows), "open")

    @property
    def finding(self) -> str:
        """What is wrong with the answers, or ""."""
        if self.neither:
            return f"follows no reading in {self.neither} of {self.cases} cases"
        if len(self.follows) > 1:
            told = ", ".join(f"{name} in {count}" for name, count in self.follows.items())
            return f"inconsistent: follows {told} of {self.cases} cases"
        return ""

    @property
    def cases(self) -> int:
        """Cases that say something."""
        return self.follows.total() + self.agreed + self.neither


def readings(records: Iterable[Asked]) -> list[Row]:
    """Return the rows in the order in which questions come."""
    rows: dict[tuple[str, str, str], Row] = {}
    for record in records:
        if not record.topic or not record.reading:
            continue
        key = (record.device, record.operation, record.topic)
        row = rows.setdefault(key, Row(*key))
        row.first.setdefault(record.reading, record.id)
        if record.reading == NEITHER:
            row.neither += 1
        elif len(agreeing(record.reading)) > 1:
            row.agreed += 1
        else:
            row.follows[record.reading] += 1
    return list(rows.values())


def readings_json(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return the table as JSON values."""
    return [
        {
            "device": row.device,
            "operation": row.operation,
            "topic": row.topic,
            "reading": row.word,
            "cases": row.cases,
            "follows": dict(row.follows),
            **({"finding": row.finding, "first": row.first} if row.finding else {}),
        }
        for row in rows
    ]


def readings_line(rows: Iterable[Row]) -> str:
    """Return the table in one line: `readings: of 40 contested questions 38 field, 2 mixed`."""
    return f"readings: {readings_words(rows)}"


def readings_words(rows: Iterable[Row]) -> str:
    """Return the same without the word before it."""
    counts = Counter(row.word for row in rows)
    told = ", ".join(f"{count} {word}" for word, count in counts.most_common())
    total = counts.total()
    return f"of {total} contested question{'' if total == 1 else 's'} {told}"


def readings_lines(rows: Iterable[Row]) -> Iterator[str]:
    """Yield the findings as plain text."""
    for row in rows:
        if row.finding:
            first = ", ".join(f"{name}: {case}" for name, case in row.first.items())
            yield f"{row.operation} {row.topic}: {row.finding} ({first})"
