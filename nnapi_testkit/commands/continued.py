"""The report that a run writes: a new one, or one that `--resume` or `--retry` continues."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Record
from nnapi_testkit.report.resume import earlier, readable, resumed
from nnapi_testkit.report.store import Store
from nnapi_testkit.session.record import utc
from nnapi_testkit.session.run import Run

__all__ = ["Report"]


@dataclass(frozen=True)
class Report:
    """An open report folder, nothing of it changed yet.

    Args:
        store: to be closed whatever happens.
        continued: it holds a run that is to be continued.
        retry: what failed in it runs again.
    """

    store: Store
    continued: bool = False
    retry: bool = False

    @classmethod
    def open(
        cls, report: Path | None, resume: Path | None, retry: Path | None, *, overwrite: bool
    ) -> Report | None:
        """Open the folder that was named, if any; None without. Raises KitError."""
        there = resume or retry
        if there is None:
            return cls(Store(report, overwrite=overwrite)) if report else None
        if report or overwrite or (resume and retry):
            raise KitError(
                "--resume DIR and --retry DIR write into DIR: use one of them, and leave out"
                " --report and --overwrite"
            )
        readable(there)
        return cls(Store(there), continued=True, retry=retry is not None)

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.store.folder

    def begin(self, run: Run, words: str) -> list[Record]:
        """Write the first line of a run that has its plan, and what stays of its earlier parts.

        Returns the records that stay; the run knows of them, and a note says how many.

        Args:
            words: how cases were chosen.

        Raises KitError if the report there is that of another run.
        """
        beginning = run.beginning(words)
        if not self.continued:
            self.store.begin(beginning)
            return []
        found = earlier(self.folder, beginning, run.planned, retry=self.retry)
        kept = run.resume(found.records, found.retried, found.faults)
        self.store.resume(resumed(found, beginning, utc(run.started)), kept)
        all_, left = len(run.planned), len(run.planned) - len(kept)
        run.notes.append(f"{len(kept)} of {all_} cases have a record in {self.folder}, {left} run")
        return kept
