"""What has been tried of the mutants, kept in a file while it is found.

A draw takes an hour or more. The file has a line for each mutant that met the cases of an
operation, written at once: a run that was ended goes on where it stood.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnapi_testkit.errors import KitError

__all__ = ["Progress"]


class Progress:
    """Which mutants were tried on which operation, and who noticed them.

    Args:
        by: the case that noticed a mutant, by number.
        tried: (way, operation, mutant) with the number of cases that reach it.
        finished: (way, operation) whose mutants were all tried.
    """

    def __init__(self) -> None:
        self.by: dict[int, str] = {}
        self.tried: dict[tuple[int, str, int], int] = {}
        self.finished: set[tuple[int, str]] = set()
        self._file: Path | None = None

    @classmethod
    def kept(cls, file: Path, setting: Mapping[str, Any], resume: bool) -> Progress:
        """Progress that is noted in a file.

        Args:
            setting: what outcomes depend on: the build, the profile, the cases taken.
            resume: go on with what the file has; otherwise it is begun anew.

        Raises KitError where the file was written by another setting.
        """
        progress = cls()
        if resume and file.is_file():
            progress._read(file, setting)
        else:
            file.write_text(json.dumps(dict(setting)) + "\n")
        progress._file = file
        return progress

    def cases(self, number: int) -> int:
        """How many cases a mutant has met."""
        return sum(cases for (_, _, one), cases in self.tried.items() if one == number)

    def note(self, way: int, operation: str, number: int, cases: int, by: str) -> None:
        """A mutant met cases of an operation; `by` is the one that noticed, "" if none did."""
        self._take(way, operation, number, cases, by)
        self._write(
            {"way": way, "operation": operation, "mutant": number, "cases": cases, "by": by}
        )

    def finish(self, way: int, operation: str) -> None:
        """All mutants that an operation reaches were tried."""
        self.finished.add((way, operation))
        self._write({"way": way, "operation": operation})

    def _take(self, way: int, operation: str, number: int, cases: int, by: str) -> None:
        self.tried[way, operation, number] = cases
        if by:
            self.by.setdefault(number, by)

    def _write(self, row: Mapping[str, Any]) -> None:
        if self._file is not None:
            with self._file.open("a") as out:
                out.write(json.dumps(dict(row)) + "\n")

    def _read(self, file: Path, setting: Mapping[str, Any]) -> None:
        text = file.read_text()
        whole = text[: text.rfind("\n") + 1]
        head, *rows = [json.loads(line) for line in whole.splitlines()] or [None]
        if head != dict(setting):
            raise KitError(
                f"{file} is of another build, profile or choice of cases: leave out --resume to"
                " begin anew"
            )
        if whole != text:
            file.write_text(whole)  # the line in which a run was ended
        for row in rows:
            if "mutant" in row:
                self._take(row["way"], row["operation"], row["mutant"], row["cases"], row["by"])
            else:
                self.finished.add((row["way"], row["operation"]))
