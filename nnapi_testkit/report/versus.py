"""A comparison in words: for a terminal, for a pull request, for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnapi_testkit.report.diff import Change, Comparison, Group, Pair, compare
from nnapi_testkit.report.outcomes import Outcome, Tally, joined, tallies
from nnapi_testkit.report.plain import plain, plain_lines, plain_markdown
from nnapi_testkit.report.sides import Side, differing
from nnapi_testkit.report.text import counted, number

__all__ = ["Versus", "as_json", "markdown", "text_lines", "versus"]

SCHEMA = 1
MOST_GROUPS = 12  # of a change, unless everything is asked for
MOST_CASES = 3  # of a group
MOST_ROWS = 60  # of the table of a Markdown
# A comment on GitHub holds 65,536 characters; what is quoted around it has room too.
MOST_CHARACTERS = 60_000


@dataclass(frozen=True)
class Versus:
    """Several runs, each compared with the first.

    Args:
        comparisons: one for each side but the first.
        differing: conditions that are not alike, a line each.
        partial: a line for each run that is not whole.
        readings: of each contested question that sides answer differently, the answers.
        tallies: of each side, counts by operation and type.
    """

    sides: Sequence[Side]
    comparisons: Sequence[Comparison]
    differing: Sequence[str]
    partial: Sequence[str]
    readings: Mapping[tuple[str, str], Sequence[str]]
    tallies: Sequence[Mapping[str, Mapping[str, Tally]]]

    @property
    def worse(self) -> bool:
        """Whether any run is worse than the first."""
        return any(comparison.worse for comparison in self.comparisons)


def versus(sides: Sequence[Side]) -> Versus:
    """Compare every side with the first."""
    first = sides[0]
    questions = sorted({key for side in sides for key in side.readings})
    answers = {key: [side.readings.get(key, "") for side in sides] for key in questions}
    return Versus(
        sides,
        [compare(first.outcomes, side.outcomes) for side in sides[1:]],
        differing(sides),
        [plain(f"{side.label}: {side.partial}") for side in sides if side.partial],
        # Who was not asked gives no other answer.
        {key: words for key, words in answers.items() if len(set(words) - {""}) > 1},
        [tallies(side.outcomes) for side in sides],
    )


def text_lines(found: Versus, *, everything: bool = False) -> Iterator[str]:
    """Yield the comparison as text: what makes it doubtful comes first.

    Args:
        everything: list every group and case.
    """
    yield from (f"CONDITIONS DIFFER: {line}" for line in found.differing)
    yield from (f"UNFINISHED: {line}" for line in found.partial)
    yield from (side.line for side in found.sides)
    if len(found.sides) > 2:
        yield from _table(found)
    for side, comparison in zip(found.sides[1:], found.comparisons, strict=True):
        if len(found.sides) > 2:
            yield plain(f"{found.sides[0].label} -> {side.label}")
        for change in Change:
            if change.told and comparison.counts[change]:
                yield from _section(comparison, change, everything)
        yield from _readings(found, side)
        yield comparison.line


def _section(comparison: Comparison, change: Change, everything: bool) -> Iterator[str]:
    groups = comparison.of(change)
    cases = counted(comparison.counts[change], "case")
    yield f"{change.value}: {cases} of {counted(len(groups), 'type')}"
    shown = groups if everything else groups[:MOST_GROUPS]
    for group in shown:
        yield f"  {group_line(group)}"
        pairs = group.pairs if everything else group.pairs[:MOST_CASES]
        # One case of each type is enough of what is only gone, new or rounded otherwise.
        if not everything and change in (Change.VANISHED, Change.NEW, Change.DRIFTED):
            pairs = sorted(pairs, key=lambda pair: not pair.case.bad)[:1]
        for pair in pairs:
            yield f"    {pair_line(change, pair)}"
    if len(groups) > len(shown):
        rest = sum(len(group.pairs) for group in groups[len(shown) :])
        yield (
            f"  and {counted(rest, 'case')} of {counted(len(groups) - len(shown), 'type')} more:"
            " --all lists them"
        )


def group_words(group: Group) -> tuple[str, str]:
    """Return (operation and cell, counts and verdicts and how the margin moved)."""
    words = [f"{len(group.pairs)} of {counted(group.total, 'case')}"]
    if group.change is not Change.DRIFTED:
        words += [f"{count} {verdict}" for verdict, count in group.verdicts.most_common()]
    worst = group.pairs[0]
    if worst.was and worst.now and worst.growth > 0 and worst.now.compared:
        words.append(f"margin {number(worst.was.margin)} -> {number(worst.now.margin)}")
    elif group.change is Change.DRIFTED:
        words.append("no margin grew")
    return plain(f"{group.operation} {group.cell}"), plain(", ".join(words))


def group_line(group: Group) -> str:
    """Return the same in one line."""
    return ": ".join(group_words(group))


def pair_line(change: Change, pair: Pair) -> str:
    """Return a case in one line."""
    case = pair.case
    if change is Change.DRIFTED and pair.was and pair.now:
        old, new = number(pair.was.margin), number(pair.now.margin)
        moved = f"margin {old} -> {new}" if old != new else f"other bits, margin {new} as before"
        return f"{plain(case.id)}: {moved}"
    message = plain_lines(case.message)[0] if case.message else ""
    was = f" (was {pair.was.verdict.value})" if pair.was and pair.now else ""
    told = f": {message}" if message else ""
    return f"{case.verdict.value} {plain(case.id)}{told}{was}"


def _readings(found: Versus, side: Side) -> Iterator[str]:
    at = list(found.sides).index(side)
    for (operation, topic), words in found.readings.items():
        if words[0] and words[at] and words[0] != words[at]:
            yield plain(f"other reading: {operation} {topic}: {words[0]} -> {words[at]}")


def changed_operations(found: Versus) -> list[str]:
    """Return the operations that are not the same everywhere, by name."""
    names = sorted({name for side in found.tallies for name in side})
    moved = {group.operation for item in found.comparisons for group in item.groups}
    return [name for name in names if name in moved]


def cell_text(tally: Tally | None) -> str:
    """Return what a matrix shows of an operation in one run."""
    return "-" if tally is None else f"{tally.passed}/{tally.cases}"


def _rows(found: Versus) -> Iterator[list[str]]:
    for name in changed_operations(found):
        sides = [joined(side[name]) if name in side else None for side in found.tallies]
        yield [name, *map(cell_text, sides)]


def _table(found: Versus) -> Iterator[str]:
    head = ["passed / cases", *(plain(side.label) for side in found.sides)]
    rows = [head, *_rows(found)]
    if len(rows) == 1:
        return
    widths = [max(len(row[at]) for row in rows) for at in range(len(head))]
    for row in rows:
        padded = (text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True))
        yield f"{row[0].ljust(widths[0])}  {'  '.join(padded)}".rstrip()


def markdown(found: Versus) -> str:
    """Return the comparison for a pull request, under the limit of a comment."""
    verdict = "worse" if found.worse else "not worse"
    lines = [f"### NNAPI conformance: {verdict}", ""]
    for line in found.differing:
        lines.append(f"> **Conditions differ**: {plain_markdown(line)}")
    for line in found.partial:
        lines.append(f"> **Unfinished**: {plain_markdown(line)}")
    if found.differing or found.partial:
        lines.append("")
    lines += [f"- {plain_markdown(side.line)}" for side in found.sides]
    if len(found.sides) > 2:
        lines += ["", *_markdown_table(found)]
    for side, comparison in zip(found.sides[1:], found.comparisons, strict=True):
        title = plain_markdown(f"{found.sides[0].label} → {side.label}")
        lines += ["", f"**{title}**: {comparison.line}", *_markdown_groups(comparison)]
        readings = [plain_markdown(line) for line in _readings(found, side)]
        lines += ["", *(f"- {line}" for line in readings)] if readings else []
    text = "\n".join(lines) + "\n"
    if len(text) <= MOST_CHARACTERS:
        return text
    kept = text[:MOST_CHARACTERS].rpartition("\n")[0]
    ended = "\n</details>" if kept.count("<details") > kept.count("</details>") else ""
    return f"{kept}{ended}\n\nCut off here: `nnapi-testkit diff --format html` shows the rest.\n"


def _markdown_table(found: Versus) -> Iterator[str]:
    head = ["passed / cases", *(plain_markdown(side.label) for side in found.sides)]
    rows = list(_rows(found))
    yield "| " + " | ".join(head) + " |"
    yield "|---|" + "---:|" * len(found.sides)
    for row in rows[:MOST_ROWS]:
        yield "| " + " | ".join(map(plain_markdown, row)) + " |"
    if len(rows) > MOST_ROWS:
        yield f"| and {len(rows) - MOST_ROWS} more |" + " |" * len(found.sides)


def _markdown_groups(comparison: Comparison) -> Iterator[str]:
    for change in Change:
        groups = comparison.of(change) if change.told else []
        if not groups:
            continue
        cases = counted(comparison.counts[change], "case")
        title = f"{change.value}: {cases} of {counted(len(groups), 'type')}"
        # What asks for action is open, the rest unfolds.
        opened = " open" if change is Change.FAILING else ""
        yield from ("", f"<details{opened}><summary>{title}</summary>", "")
        yield from ("| operation and type | cases | first |", "|---|---|---|")
        for group in groups[:MOST_GROUPS]:
            cell, counts = group_words(group)
            first = plain_markdown(group.pairs[0].case.id)
            yield f"| {plain_markdown(cell)} | {plain_markdown(counts)} | {first} |"
        if len(groups) > MOST_GROUPS:
            yield f"| and {len(groups) - MOST_GROUPS} types more | | |"
        yield from ("", "</details>")


def as_json(found: Versus) -> dict[str, Any]:
    """Return the comparison as JSON values: every case that changed."""
    return {
        "schema": SCHEMA,
        "worse": found.worse,
        "conditions_differ": list(found.differing),
        "unfinished": list(found.partial),
        "sides": [
            {
                "label": side.label,
                "path": str(side.path),
                "conditions": dict(side.conditions),
                **{name: value for name, value in side.facts.items() if value},
            }
            for side in found.sides
        ],
        "readings": [
            {"operation": operation, "topic": topic, "follows": list(words)}
            for (operation, topic), words in found.readings.items()
        ],
        "comparisons": [
            {
                "old": found.sides[0].label,
                "new": side.label,
                "worse": comparison.worse,
                "counts": {change.value: comparison.counts[change] for change in Change},
                "groups": [_group_json(group) for group in comparison.groups],
            }
            for side, comparison in zip(found.sides[1:], found.comparisons, strict=True)
        ],
    }


def _group_json(group: Group) -> dict[str, Any]:
    return {
        "change": group.change.value,
        "operation": group.operation,
        "cell": group.cell,
        "cases_of_cell": group.total,
        "cases": [
            {
                "id": pair.case.id,
                **({"was": _half(pair.was)} if pair.was else {}),
                **({"now": _half(pair.now)} if pair.now else {}),
            }
            for pair in group.pairs
        ],
    }


def _half(outcome: Outcome) -> dict[str, Any]:
    margin = outcome.margin
    found = {
        "verdict": outcome.verdict.value,
        "margin": margin if margin - margin == 0 else str(margin),
    }
    if outcome.message:
        found["message"] = outcome.message
    return found
