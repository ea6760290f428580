"""What a run shows on the terminal: progress, failures as they come, the summary."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from nnapi_testkit.judge.verdict import Record
from nnapi_testkit.report.apart import apart_lines
from nnapi_testkit.report.claim_audit import claim_audit, claim_audit_line, claim_audit_lines
from nnapi_testkit.report.clusters import cluster_lines, clusters_of
from nnapi_testkit.report.excluded import excluded, excluded_lines
from nnapi_testkit.report.plain import plain
from nnapi_testkit.report.readings import readings, readings_line, readings_lines
from nnapi_testkit.report.text import count_line, counted, details, matrix_lines
from nnapi_testkit.report.words import cells_word, run_notes
from nnapi_testkit.session.ledger import CellTally, Exit, Ledger
from nnapi_testkit.waits import waited_for

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["Screen", "closing_line", "summary_lines"]

LIFE_SECONDS = 10.0  # between two signs of life where there is no terminal
_WORST = 5
# From so many cases on it is said which kinds of bug a run excludes: fewer than a tier has.
_TELLING = 150
_FINDINGS = 20  # rows of the honesty table that the screen shows
_OF_ONE = 3  # failures of one operation that are printed in full; the clusters count the others
_COLOURS = {Exit.PASS: "32", Exit.FAIL: "31", Exit.ERROR: "35"}


class Screen:
    """Progress bar on a terminal; elsewhere plain lines, one every ten seconds at least.

    Open it before anything that may take time. Colours follow the terminal and NO_COLOR.

    Args:
        show: failures that are printed in full.
    """

    def __init__(self, show: int = 10) -> None:
        self._total = 0
        self._show = show
        self._shown = 0
        self._bad = 0
        self._done = 0
        self._told: set[str] = set()
        self._of: Counter[str] = Counter()
        self._terminal = sys.stdout.isatty()
        self._colours = self._terminal and not os.environ.get("NO_COLOR")
        self._colours = self._colours and os.environ.get("TERM") != "dumb"
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._pending = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._pulse: threading.Thread | None = None
        self._doing = "preparing"

    def __enter__(self) -> Screen:
        if not self._terminal:
            self._pulse = threading.Thread(target=self._live, daemon=True)
            self._pulse.start()
        return self

    def begin(self, total: int) -> None:
        """Say how many cases are to come."""
        self._total = total
        self._doing = "waiting for the first verdict"
        if self._terminal:
            self._open()

    def _live(self) -> None:
        """Say every ten seconds where the run is, also while a device keeps it waiting."""
        started = time.monotonic()
        beat = 0
        while True:
            beat += 1
            wait = started + beat * LIFE_SECONDS - time.monotonic()
            if self._ended.wait(max(wait, 0.1)):
                return
            seconds = round(time.monotonic() - started)
            awaited = plain(waited_for())
            at = f"waiting for {awaited}" if awaited else self._doing
            if self._done:
                at = f"{self._done} of {self._total} cases" + (f", {at}" if awaited else "")
            bad = f", {self._bad} not passed" if self._bad else ""
            try:
                self._print(f"... {seconds} s: {at}{bad}")
            except (OSError, ValueError):
                return  # the run itself finds out, and says so

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[bad]}"),
            console=Console(file=sys.stdout),
            transient=True,
        )
        self._progress.start()
        self._task = self._progress.add_task("starting", total=self._total, bad="")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._pulse is not None:
            self._pulse.join(1.0)
            self._pulse = None
        if self._progress:
            self._progress.stop()
            self._progress = None

    def notice(self, text: str) -> None:
        """Say something before the run."""
        self._print(f"note: {plain(text)}")

    def add(self, record: Record) -> None:
        """Show a record."""
        verdict = record.verdict
        self._done += 1
        if verdict.is_bad:
            self._bad += 1
            # What is wrong with the run and not with a case, a damaged golden, is said once.
            known = verdict.is_error and record.message in self._told
            # Of an operation's failures a few: its others are in a cluster, told at the end.
            self._of[record.operation] += verdict.is_failure
            many = self._of[record.operation] > max(_OF_ONE, self._show // 3)
            known = known or (verdict.is_failure and many)
            if self._shown < self._show and not known:
                self._told.add(record.message)
                self._shown += 1
                self._print("\n".join(details(record)))
        self._pending += 1
        if self._progress and self._task is not None and self._pending >= 25:
            bad = f"[red]{self._bad} not passed" if self._bad else ""
            self._progress.update(
                self._task, advance=self._pending, description=plain(record.operation), bad=bad
            )
            self._pending = 0

    def _print(self, text: str) -> None:
        if self._progress:
            self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)
            return
        with self._lock:  # whole lines, whoever speaks
            sys.stdout.write(text + "\n")
            sys.stdout.flush()

    def finish(
        self, ledger: Ledger, summary: Mapping[str, Any], *, matrix: bool, report: Path | None
    ) -> None:
        """Print the summary of the run."""
        if self._bad > self._shown:
            print(
                f"... and {self._bad - self._shown} more that did not pass"
                + ("" if report else " (--report DIR keeps them all, --show N prints more)")
            )
        if matrix:
            print("\n".join(map(plain, matrix_lines(ledger.cells.values()))))
        for line in summary_lines(ledger, summary):
            print(line)
        if report:
            print(f"report: {plain(str(report / 'index.html'))}")
        print(self._colour(closing_line(ledger, summary), ledger.exit_code()))

    def _colour(self, text: str, code: Exit) -> str:
        return f"\x1b[1;{_COLOURS[code]}m{text}\x1b[0m" if self._colours else text


def summary_lines(ledger: Ledger, summary: Mapping[str, Any]) -> list[str]:
    """Return the lines before the closing one: what ran, worst margins, problems."""
    return [plain(line) for line in _summary_lines(ledger, summary)]


def _summary_lines(ledger: Ledger, summary: Mapping[str, Any]) -> list[str]:
    device = ", ".join(map(str, summary.get("devices", ()))) or "an unattributed device"
    lines = list(cluster_lines(clusters_of(ledger.records, summary)))
    lines += [
        f"{device} (target {summary.get('target', '?')}):"
        f" {counted(summary.get('operations', 0), 'operation')},"
        f" {counted(summary.get('cells', 0), 'cell')}, {counted(len(ledger.records), 'case')},"
        f" {ledger.elements} elements compared; profile {summary.get('profile', '?')},"
        f" oracle {summary.get('oracle', '?')}"
    ]
    lines += apart_lines(summary.get("apart", ()))
    worst: dict[str, CellTally] = {}
    for cell in ledger.worst():
        if not cell.margin <= 0:  # a margin that is no number is worse than any
            worst.setdefault(cell.operation, cell)
    if worst:
        lines.append(
            "worst margins (error / bound): "
            + ", ".join(
                f"{cell.operation} {cell.cell} {cell.margin:.3g}"
                for cell in list(worst.values())[:_WORST]
            )
        )
    table = claim_audit(ledger.records)
    if table:
        lines.append(claim_audit_line(table, cells_word(summary)))
        lines += [f"  {line}" for line in list(claim_audit_lines(table))[: _FINDINGS + 1]]
    contested = readings(ledger.records)
    if contested:
        lines.append(readings_line(contested))
        lines += [f"  {plain(line)}" for line in list(readings_lines(contested))[:_FINDINGS]]
    if len(ledger.records) >= _TELLING:
        lines += excluded_lines(excluded(ledger.records))
    dependent = summary.get("order_dependent", 0)
    if dependent:
        lines.append(f"{counted(dependent, 'failure')} ORDER-DEPENDENT: passed alone")
        causes = list(summary.get("order_causes", {}).items())
        lines += [f"  {count} after {plain(after)}" for after, count in causes[:_FINDINGS]]
    lines += [f"problem: {problem}" for problem in ledger.problems]
    return [*lines, *run_notes(summary)]


def closing_line(ledger: Ledger, summary: Mapping[str, Any]) -> str:
    """Return outcome, counts and seconds in one line."""
    seconds = summary.get("seconds")
    took = f" in {seconds:.1f} s" if isinstance(seconds, (int, float)) else ""
    return f"{ledger.conclusion.name}: {count_line(ledger.verdicts.items())}{took}"
