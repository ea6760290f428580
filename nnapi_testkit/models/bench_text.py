"""Figures of a model's speed as text with bars, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from nnapi_testkit.models.bench import Bench, Timing
from nnapi_testkit.report.plain import plain, plain_markdown

__all__ = ["markdown", "text"]

_HEADER = ("way", "prepare", "first", "p50", "p90", "p99", "driver", "hardware", "peak")
_WIDE = 30


def _ms(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e6:.3f}" if nanoseconds >= 0 else "-"


def _cells(timing: Timing) -> list[str]:
    if timing.failed:
        return [timing.way, timing.failed]
    figures = (
        timing.prepare_ns,
        timing.first_ns,
        timing.p50_ns,
        timing.p90_ns,
        timing.p99_ns,
        timing.driver_ns,
        timing.hardware_ns,
    )
    peak = f"{timing.peak_kib / 1024:.0f} MiB" if timing.peak_kib else "-"
    return [timing.way, *map(_ms, figures), peak]


def _bar(found: Bench, timing: Timing) -> str:
    """A median's bar against the longest of all; empty if there is none."""
    if timing.failed:
        return ""
    longest = max(other.p50_ns for other in found.timings) or 1
    return "█" * max(1, round(_WIDE * timing.p50_ns / longest))


def text(found: Bench) -> str:
    """A table in milliseconds, with a bar for each median."""
    rows = [list(_HEADER), *(_cells(timing) for timing in found.timings)]
    # A row of two says why there are no figures.
    widths = [max(len(row[i]) for row in rows if len(row) > 2 or i == 0) for i in range(9)]
    lines = [f"{found.model} on {found.device} ({found.target}), {found.runs} runs a way, in ms"]
    for number, row in enumerate(rows):
        line = row[0].ljust(widths[0])
        if len(row) == 2:
            lines.append(f"{line}  {row[1]}")
            continue
        line += "".join(
            cell.rjust(width + 2) for cell, width in zip(row[1:], widths[1:], strict=True)
        )
        if number:
            line += "  " + _bar(found, found.timings[number - 1])
        lines.append(line.rstrip())
    lines += list(_rest(found))
    return "\n".join(map(plain, lines))


def markdown(found: Bench) -> str:
    """The same table for a pull request."""
    what = f"{found.model} on {found.device} ({found.target}), {found.runs} runs, ms"
    lines = [f"### {plain_markdown(what)}", ""]
    lines.append("| " + " | ".join((*_HEADER, "p50")) + " |")
    lines.append("|" + "---|" * (len(_HEADER) + 1))
    for timing in found.timings:
        cells = _cells(timing)
        cells += [""] * (len(_HEADER) - len(cells)) + [_bar(found, timing)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *(f"- {plain_markdown(line)}" for line in _rest(found))])


def _rest(found: Bench) -> Iterator[str]:
    alone = found.timings[0].p50_ns or 1
    for count, p50 in found.at_once:
        told = f"{_ms(p50)} ms, {p50 / alone:.2f} of one alone" if p50 else "failed"
        yield f"{count} copies at once: median {told}"
    yield f"power: {found.power}"
