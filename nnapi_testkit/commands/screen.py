"""What a run shows on the terminal: progress, failures as they come, the summary."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from nnapi_testkit.judge.verdict import Record
from nnapi_testkit.report.honesty import honesty, honesty_line, honesty_lines
from nnapi_testkit.report.text import count_line, counted, details, matrix_lines
from nnapi_testkit.session.ledger import Cell, Exit, Ledger

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["Screen"]

_WORST = 5
_FINDINGS = 20  # rows of the honesty table that the screen shows
_COLOURS = {Exit.PASS: "32", Exit.FAIL: "31", Exit.ERROR: "35"}


class Screen:
    """Progress bar on a terminal, plain lines elsewhere; colours follow the terminal.

    Args:
        total: cases to come.
        show: failures that are printed in full.
    """

    def __init__(self, total: int, show: int = 10) -> None:
        self._total = total
        self._show = show
        self._shown = 0
        self._bad = 0
        self._told: set[str] = set()
        self._terminal = sys.stdout.isatty()
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._pending = 0

    def __enter__(self) -> Screen:
        if self._terminal:
            self._open()
        return self

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
        if self._progress:
            self._progress.stop()
            self._progress = None

    def notice(self, text: str) -> None:
        """Say something before the run."""
        print(f"note: {text}")

    def add(self, record: Record) -> None:
        """Show a record."""
        verdict = record.verdict
        if verdict.is_failure or verdict.is_error:
            self._bad += 1
            # What is wrong with the run and not with a case, a damaged golden, is said once.
            known = verdict.is_error and record.message in self._told
            if self._shown < self._show and not known:
                self._told.add(record.message)
                self._shown += 1
                self._print("\n".join(details(record)))
        self._pending += 1
        if self._progress and self._task is not None and self._pending >= 25:
            bad = f"[red]{self._bad} not passed" if self._bad else ""
            self._progress.update(
                self._task, advance=self._pending, description=record.operation, bad=bad
            )
            self._pending = 0

    def _print(self, text: str) -> None:
        if self._progress:
            self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, flush=True)

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
            print("\n".join(matrix_lines(ledger.cells.values())))
        for line in summary_lines(ledger, summary):
            print(line)
        if report:
            print(f"report: {report / 'index.html'}")
        print(self._colour(closing_line(ledger, summary), ledger.exit_code()))

    def _colour(self, text: str, code: Exit) -> str:
        return f"\x1b[1;{_COLOURS[code]}m{text}\x1b[0m" if self._terminal else text


def summary_lines(ledger: Ledger, summary: Mapping[str, Any]) -> list[str]:
    """Return the lines before the closing one: what ran, worst margins, problems."""
    device = ", ".join(summary.get("devices", ())) or "an unattributed device"
    lines = [
        f"{device} (target {summary.get('target', '?')}):"
        f" {counted(summary.get('operations', 0), 'operation')},"
        f" {counted(summary.get('cells', 0), 'cell')}, {counted(len(ledger.records), 'case')},"
        f" {ledger.elements} elements compared; profile {summary.get('profile', '?')},"
        f" oracle {summary.get('oracle', '?')}"
    ]
    worst: dict[str, Cell] = {}
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
    table = honesty(ledger.records)
    if table:
        lines.append(honesty_line(table))
        lines += [f"  {line}" for line in list(honesty_lines(table))[: _FINDINGS + 1]]
    dependent = summary.get("order_dependent", 0)
    if dependent:
        lines.append(f"{counted(dependent, 'failure')} ORDER-DEPENDENT: passed alone")
    lines += [f"problem: {problem}" for problem in ledger.problems]
    return lines


def closing_line(ledger: Ledger, summary: Mapping[str, Any]) -> str:
    """Return outcome, counts and seconds in one line."""
    seconds = summary.get("seconds")
    took = f" in {seconds:.1f} s" if isinstance(seconds, (int, float)) else ""
    return f"{ledger.exit_code().name}: {count_line(ledger.verdicts.items())}{took}"
