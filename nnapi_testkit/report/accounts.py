"""Reading a report folder: whole, or by name what is wrong with it."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.session.closing import exit_of_report, why_partial, why_unfinished
from nnapi_testkit.session.ledger import Exit
from nnapi_testkit.session.record import Beginning, End, decode_line

__all__ = [
    "HTML",
    "JUNIT",
    "RESULTS",
    "SUMMARY",
    "Accounts",
    "read_accounts",
    "read_lines",
    "read_records",
    "read_summary",
]

RESULTS = "results.jsonl"
SUMMARY = "summary.json"
JUNIT = "junit.xml"
HTML = "index.html"

# What the parts of a summary are, where something is read from it.
_SHAPES: dict[str, type | tuple[type, ...]] = {
    "device": dict, "devices": list, "older_devices": list, "problems": list, "faults": list,
    "versions": dict, "verdicts": dict, "honesty": list, "readings": list, "apart": list,
    "observed": list, "clusters": list,
    "seconds": (int, float), "jobs": int, "seed": int, "operations": int, "cells": int,
    "cases": int, "kept": int, "retried": dict,
    "selected": int, "suite": int,
    "order_dependent": int, "order_causes": dict,
    "stop_after": int, "waived": int, "target": str, "profile": str,
    "oracle": str, "selection": str, "outcome": str, "how": str, "started": str,
}  # fmt: skip


class Line(Protocol):
    """What reading needs of the record that a line holds."""

    @property
    def id(self) -> str: ...
    @property
    def verdict(self) -> Verdict: ...
    @property
    def device(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def newer(self) -> bool: ...


L = TypeVar("L", bound=Line)


@dataclass(frozen=True, slots=True)
class Accounts:
    """What a `results.jsonl` holds.

    Args:
        path: of the folder or file, as it was named.
        beginning, end: its first and last line; `None` where they are missing.
    """

    path: Path
    records: Sequence[Record]
    beginning: Beginning | None = None
    end: End | None = None

    @property
    def unfinished(self) -> str:
        """Why this is not the whole of a run that has ended, with counts; "" if it is."""
        return why_unfinished(self.records, self.beginning, self.end)

    @property
    def partial(self) -> str:
        """Why cases are missing that were planned: unfinished, stopped or interrupted."""
        return why_partial(self.records, self.beginning, self.end)

    @property
    def exit_code(self) -> Exit:
        """Of showing this: an error unless it is the whole of a run that came to its end."""
        return exit_of_report(self.records, self.beginning, self.end)


def read_accounts(path: Path) -> Accounts:
    """Read a report folder or a JSONL file. Raises KitError with the line that is damaged.

    The last line of a run that was killed may be cut off; it is left out.
    """
    return Accounts(path, *read_lines(path, decode_line))


def judged_accounts(path: Path) -> Accounts:
    """The same of a report that holds something. Raises KitError for one without a record."""
    accounts = read_accounts(path)
    if not accounts.records:
        what = f"UNFINISHED: {accounts.unfinished}: " if accounts.beginning else ""
        raise KitError(
            f"{what}{path} holds no record: was the run interrupted before its first verdict?"
        )
    return accounts


def read_lines(
    path: Path, decode: Callable[[str], L | Beginning | End]
) -> tuple[list[L], Beginning | None, End | None]:
    """Return records, first and last line, each as `decode` reads it; see `read_accounts`."""
    file = path / RESULTS if path.is_dir() else path
    records: list[L] = []
    seen: set[tuple[str, str, str]] = set()
    beginning: Beginning | None = None
    end: End | None = None
    try:
        if stat.S_ISFIFO(file.stat().st_mode):
            raise KitError(f"{file} is a pipe: name a folder that run --report wrote")
        with file.open("rb") as stream:
            for at, raw in enumerate(stream, 1):
                if not raw.endswith(b"\n"):
                    break
                try:
                    line = decode(raw[:-1].decode("utf-8"))
                except UnicodeDecodeError as error:
                    raise KitError(f"{file} is not a results.jsonl: {error.reason}") from error
                except KitError as error:
                    raise KitError(f"{file} line {at}: {error}") from error
                if end is not None:
                    raise KitError(f"{file} line {at}: it stands behind the end of the run")
                if isinstance(line, End):
                    end = line
                elif isinstance(line, Beginning):
                    if at > 1:
                        raise KitError(f"{file} line {at}: another run begins in this file")
                    beginning = line
                else:
                    key = (line.id, line.device, line.target)
                    if key in seen:
                        raise KitError(f"{file} line {at}: {line.id} has a record already")
                    seen.add(key)
                    records.append(line)
    except OSError as error:
        raise KitError(
            f"{file} cannot be read ({error.strerror}): name a folder that run --report wrote"
        ) from error
    return records, beginning, end


def read_records(path: Path) -> Sequence[Record]:
    """Return the records of a report folder or a JSONL file, ended or not. Raises KitError."""
    return read_accounts(path).records


def read_summary(path: Path) -> dict[str, Any]:
    """Return the summary of a report folder; empty for a run that did not end.

    Raises KitError if it is damaged.
    """
    file = path / SUMMARY
    try:
        summary = json.loads(file.read_text("utf-8"))
    except OSError:
        return {}
    except (ValueError, RecursionError) as error:
        raise _damaged(file, str(error) or type(error).__name__) from error
    if not isinstance(summary, dict):
        raise _damaged(file, "it is no object")
    for name, kind in _SHAPES.items():
        value = summary.get(name)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise _damaged(file, f"{name} is {type(value).__name__}")
    return summary


def _damaged(file: Path, why: str) -> KitError:
    return KitError(f"{file} is damaged ({why}): delete it, {RESULTS} says the same")
