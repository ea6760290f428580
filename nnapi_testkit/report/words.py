"""What is said of a run beside its verdicts: that it is a part, was stopped, or has waivers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = [
    "badge",
    "cells_word",
    "fault_lines",
    "partial_line",
    "partial_words",
    "retried_line",
    "run_notes",
    "shortened",
    "stopped_line",
]

MOST_WORDS = 12  # of a selection that is printed whole; of a longer one fewer are shown
SHOWN_WORDS = 4


def partial_line(summary: Mapping[str, Any]) -> str:
    """Return a line about a run of a part of the suite; "" for a whole one."""
    words = partial_words(summary)
    return f"PARTIAL: {words}" if words else ""


def partial_words(summary: Mapping[str, Any]) -> str:
    """Return the same without the word before it."""
    selected, suite = summary.get("selected", 0), summary.get("suite", 0)
    if not 0 < selected < suite:
        return ""
    how = shortened(str(summary.get("selection", "")))
    share = 100 * selected / suite
    return f"{selected} of {suite} cases were selected ({share:.0f} %)".replace(
        "(0 %)", "(< 1 %)"
    ) + (f": {how}" if how else "")


def shortened(selection: str) -> str:
    """Return the first words of a selection that names many cases, and how many follow.

    The report's file and page have all of them.
    """
    words = selection.split(" ")
    if len(words) <= MOST_WORDS:
        return selection
    return f"{' '.join(words[:SHOWN_WORDS])} and {len(words) - SHOWN_WORDS} more words"


def stopped_line(summary: Mapping[str, Any]) -> str:
    """Return a line about a run that was told to stop after failures; "" for another."""
    if summary.get("how") != "stopped":
        return ""
    after = summary.get("stop_after", 0)
    left = summary.get("planned", 0) - summary.get("cases", 0)
    return (
        f"stopped after {after} failure{'' if after == 1 else 's'}: {left} of"
        f" {summary.get('planned', 0)} cases were not run"
    )


def retried_line(summary: Mapping[str, Any]) -> str:
    """Return a line about cases that were run again after a failure; "" where none was."""
    counts = summary.get("retried") or {}
    cases, mended = counts.get("cases", 0), counts.get("mended", 0)
    if not cases:
        return ""
    line = f"RETRIED: {cases} case{'' if cases == 1 else 's'} that had failed, {mended} of them"
    line += " did not fail again"
    return line + (": the driver has changed, or does not always do the same" if mended else "")


def run_notes(summary: Mapping[str, Any]) -> list[str]:
    """Return what a reader must know before the verdicts."""
    lines = [*fault_lines(summary), retried_line(summary)]
    lines += [stopped_line(summary), partial_line(summary)]
    return [line for line in lines if line]


def fault_lines(summary: Mapping[str, Any]) -> list[str]:
    """Return what the driver did wrong outside any case, which fails a run as a case does."""
    return [f"CRASH_RUNNER outside the cases: {fault}" for fault in summary.get("faults", ())]


def cells_word(summary: Mapping[str, Any]) -> str:
    """Return what the cells of the honesty table are called."""
    return "selected cells" if partial_line(summary) else "documented cells"


def badge(summary: Mapping[str, Any]) -> tuple[str, str]:
    """Return a run in a few words, and their colour: never that of a pass where one is waived."""
    outcome = str(summary.get("outcome", ""))
    words, colour = outcome.upper(), outcome
    waived = summary.get("verdicts", {}).get("WAIVED", 0)
    if isinstance(waived, int) and waived > 0:
        words += f", {waived} WAIVED"
        colour = "waived" if outcome == "pass" else outcome
    if partial_line(summary):
        words += ", PARTIAL"
        colour = "partial" if colour == "pass" else colour
    return words, colour
