"""The first screen: what is broken, in words and a picture, and what else a reader must know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from nnapi_testkit.judge.verdict import APART, FAILURES, Record, Verdict
from nnapi_testkit.report.columns import column_of, in_order
from nnapi_testkit.report.plain import plain
from nnapi_testkit.report.text import counted
from nnapi_testkit.report.words import partial_line, partial_words, stopped_line
from nnapi_testkit.session.ledger import Conclusion

__all__ = ["Broken", "Picture", "State", "broken", "headline", "link", "picture", "states"]

# Worst first: the class of a square is that of its worst verdict; what is open beside what passed
# is no finding.
COLOURS = ("fail", "error", "waived", "apart", "pass", "other")
_STEP = 8  # units of the picture between two squares, which are one less wide


@dataclass(slots=True)
class Broken:
    """An operation that breaks a promise.

    Args:
        failed, asked: failing cases, of those that the device did not leave out.
        verdicts: how often each kind of failure.
        types: of the failing cells.
        first: the id of the first failing case.
    """

    operation: str
    failed: int = 0
    asked: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    types: dict[str, None] = field(default_factory=dict)
    first: str = ""

    @property
    def share(self) -> float:
        """Failing cases in percent, never rounded to nothing."""
        return max(100 * self.failed / max(self.asked, 1), 1.0)

    @property
    def words(self) -> str:
        """How it fails, and in which types."""
        kinds = ", ".join(f"{count} {name}" for name, count in self.verdicts.most_common())
        few = list(self.types)[:4]
        more = f" and {len(self.types) - len(few)} more types" if len(self.types) > 4 else ""
        return f"{kinds}; {', '.join(few)}{more}"

    @property
    def link(self) -> str:
        """Where the page shows its failing cases."""
        return link(operation="=" + self.operation, verdict=",".join(self.verdicts))


@dataclass(frozen=True, slots=True)
class State:
    """One thing to know before the numbers: a word, what it means here, where its cases are."""

    word: str
    colour: str
    text: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """Operations side by side, a row for each column of types: paths of squares by colour.

    Args:
        width, height: of the drawing, in its own units.
        paths: (colour, SVG path).
        rows: the names of the rows.
        operations: from left to right.
        words: what it shows.
    """

    width: int
    height: int
    paths: tuple[tuple[str, str], ...]
    rows: tuple[str, ...]
    operations: tuple[str, ...]
    words: str


def link(**chosen: str) -> str:
    """Return the part of an address that makes the page show these cases."""
    return "#" + urlencode(chosen)


def broken(records: Iterable[Record]) -> list[Broken]:
    """Return the operations that break a promise, the one with most failing cases first."""
    rows: dict[str, Broken] = {}
    for record in records:
        operation = plain(record.operation)
        row = rows.setdefault(operation, Broken(operation))
        row.asked += record.verdict.is_word
        if record.verdict.is_failure:
            row.failed += 1
            row.verdicts[record.verdict.value] += 1
            row.types.setdefault(plain(record.cell))
            row.first = row.first or plain(record.id)
    failing = [row for row in rows.values() if row.failed]
    return sorted(failing, key=lambda row: (-row.failed, row.operation))


def headline(records: Sequence[Record], summary: Mapping[str, Any], rows: Sequence[Broken]) -> str:
    """Return in one sentence what is broken."""
    if not records:
        return "Nothing was run."
    asked = len({r.operation for r in records if not r.verdict.meaning.unclaimed})
    faults = len(summary.get("faults", ()))
    words = []
    if rows:
        failed = sum(row.failed for row in rows)
        verb = "breaks" if len(rows) == 1 else "break"
        words.append(
            f"{len(rows)} of {counted(asked, 'operation')} {verb} a promise, in"
            f" {failed} of {counted(sum(r.verdict.is_word for r in records), 'case')}"
        )
    if faults:
        words.append(f"the driver crashed {counted(faults, 'time')} outside the cases")
    if words:
        text = "; ".join(words)
        return text[0].upper() + text[1:] + "."
    if not any(r.verdict.meaning.computed for r in records):
        return "Nothing was judged: no case was computed and compared."
    held = "Every promise that was asked for was kept"
    apart = sum(record.verdict.is_apart for record in records)
    held += f", but for {counted(apart, 'case')} that are not charged" if apart else ""
    return held + (" in the part that was run." if _part(summary) else ".")


def states(records: Iterable[Record], summary: Mapping[str, Any]) -> list[State]:
    """Return what stands beside the outcome, the worst first; each links to its cases."""
    counts = Counter(record.verdict for record in records)
    found = []
    failed = sum(counts[verdict] for verdict in FAILURES)
    if failed:
        names = ",".join(v.value for v in Verdict if v.is_failure and counts[v])
        text = f"{counted(failed, 'case')} broke a promise of the driver"
        found.append(State("FAIL", "fail", text, link(verdict=names)))
    if summary.get("outcome") == Conclusion.UNFINISHED:
        found.append(State("UNFINISHED", "error", "the run has no end: what is missing is unknown"))
    errors = [verdict for verdict in Verdict if verdict.is_error and counts[verdict]]
    if errors:
        kinds = ", ".join(f"{counts[verdict]} {verdict.value}" for verdict in errors)
        where = link(verdict=",".join(verdict.value for verdict in errors))
        found.append(State("ERROR", "error", f"{kinds}: nothing can be said of the driver", where))
    stopped, partial = stopped_line(summary), partial_words(summary)
    if stopped:
        found.append(State("STOPPED", "partial", stopped))
    if partial:
        found.append(State("PARTIAL", "partial", partial))
    for verdict in APART:
        if counts[verdict]:
            text = f"{counted(counts[verdict], 'case')}, {verdict.meaning.why}"
            colour = verdict.meaning.colour
            found.append(State(verdict.value, colour, text, link(verdict=verdict.value)))
    return found


def picture(records: Iterable[Record]) -> Picture:
    """Draw every operation and column of types as a square in the colour of its worst verdict."""
    worst: dict[tuple[str, str], int] = {}
    for record in records:
        place = (plain(record.operation), column_of(record.cell))
        rank = COLOURS.index(record.verdict.meaning.colour)
        worst[place] = min(worst.get(place, len(COLOURS)), rank)
    rows = in_order({row for _, row in worst})
    ranks: dict[str, int] = {}
    for (operation, _), rank in worst.items():
        ranks[operation] = min(ranks.get(operation, rank), rank)
    operations = sorted(ranks, key=lambda name: (ranks[name], name))
    paths: dict[str, list[str]] = {}
    side = _STEP - 1
    for (operation, row), rank in sorted(worst.items()):
        x, y = operations.index(operation) * _STEP, rows.index(row) * _STEP
        paths.setdefault(COLOURS[rank], []).append(f"M{x} {y}h{side}v{side}h-{side}z")
    squares = Counter(COLOURS[rank] for rank in worst.values())
    told = ", ".join(
        f"{squares[colour]} {_SQUARES[colour]}" for colour in COLOURS if squares[colour]
    )
    words = f"{counted(len(operations), 'operation')} by {counted(len(rows), 'type')}: {told}"
    return Picture(
        max(len(operations) * _STEP - 1, 1),
        max(len(rows) * _STEP - 1, 1),
        tuple((colour, "".join(paths[colour])) for colour in COLOURS if colour in paths),
        tuple(rows),
        tuple(operations),
        words,
    )


_SQUARES = {
    "fail": "broken",
    "error": "with errors of the run",
    "waived": "waived",
    "apart": "not charged",
    "other": "open or not claimed",
    "pass": "without a finding",
}


def _part(summary: Mapping[str, Any]) -> bool:
    return bool(partial_line(summary) or stopped_line(summary)) or (
        summary.get("outcome") == Conclusion.UNFINISHED
    )
