"""Runs as a site keeps them: each in a folder of its own, whose name never changes.

`runs/ID` holds the page of the run, its summary, `run.json` (what pages of a site are made of) and
`cases.json.gz` (what runs are compared by). So a site needs no report again that it has taken.
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.report.accounts import (
    HTML,
    RESULTS,
    SUMMARY,
    read_lines,
    read_records,
    read_summary,
)
from nnapi_testkit.report.files import write_whole
from nnapi_testkit.report.glance import Glance, glance
from nnapi_testkit.report.html import html
from nnapi_testkit.report.outcomes import Outcome, Tally, tallies
from nnapi_testkit.report.readings import readings
from nnapi_testkit.report.sides import conditions_of, side_facts, split
from nnapi_testkit.session.closing import why_partial
from nnapi_testkit.session.ledger import Conclusion

__all__ = ["RUN", "Part", "Run", "load", "outcomes_of", "run_id", "take"]

SCHEMA = 1
RUN = "run.json"
CASES = "cases.json.gz"
REPRO = "repro"  # what the page of a run links to
_LEVEL = 3  # of gzip: 5 % larger than the best, in a tenth of the time
_HEAD = 1 << 16


@dataclass(frozen=True)
class Part:
    """What one device did in a run.

    Args:
        facts: as of `Side`.
        verdicts: how many cases of each.
        margins: median, 95th percentile and maximum over the cases that passed; none without one.
        tallies: counts by operation and type.
        readings: of each (operation, contested question) the reading that is followed.
    """

    target: str
    facts: Mapping[str, str]
    verdicts: Mapping[str, int]
    margins: tuple[float, ...] = ()
    tallies: Mapping[str, Mapping[str, Tally]] = field(default_factory=dict)
    readings: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @property
    def device(self) -> str:
        """The name under which its history is kept: of the device, and of its model."""
        name = self.facts.get("device") or "unattributed"
        model = self.facts.get("model")
        return f"{name} ({model})" if model else name


@dataclass(frozen=True)
class Run:
    """A run that a site has taken.

    Args:
        id: the name of its folder.
        size: of its results, in bytes: other ones are taken anew.
        label: the release, as it was named.
        partial: why it is not whole, "" if it is.
        parts: one for each device.
    """

    id: str
    size: int
    label: str = ""
    started: str = ""
    conditions: Mapping[str, str] = field(default_factory=dict)
    partial: str = ""
    parts: Sequence[Part] = ()

    def release(self, part: Part) -> str:
        """What a reader knows the tested driver by."""
        return self.label or part.facts.get("release") or self.started[:10] or self.id


def run_id(path: Path) -> tuple[str, int]:
    """Return the permanent name of a run, and the size of its results in bytes.

    The name comes from when it began and from its first two lines: what it set out to do, and its
    first case with its time. A run that goes on later keeps it. Raises KitError.
    """
    file = path / RESULTS if path.is_dir() else path
    try:
        with file.open("rb") as stream:
            head = stream.read(_HEAD)
        size = file.stat().st_size
    except OSError as error:
        raise KitError(
            f"{file} cannot be read ({error.strerror}): name a folder that run --report wrote"
        ) from error
    lines = b"\n".join(head.split(b"\n")[:2])
    began = re.search(rb'"started":"([0-9T:-]{10,19})Z?"', lines.partition(b"\n")[0])
    day = began[1].decode().replace("-", "").replace(":", "") if began else "undated"
    return f"{day}-{blake2b(lines, digest_size=4).hexdigest()}", size


def take(path: Path, label: str, folder: Path) -> None:
    """Read a report and write what a site keeps of it. Raises KitError."""
    name, size = run_id(path)
    records, beginning, end = read_lines(path, glance)
    if not records:
        raise KitError(f"{path} holds no record: leave it out")
    summary = read_summary(path) if path.is_dir() else {}
    parts = split(records)
    run = Run(
        name,
        size,
        label,
        beginning.started if beginning else "",
        conditions_of(beginning),
        why_partial(records, beginning, end),
        [
            _part(target, members, side_facts(summary, members, device))
            for (target, device), members in parts.items()
        ],
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RUN).unlink(missing_ok=True)  # what stops here is taken again
        for old in folder.glob("changes-*"):
            old.unlink()
        _page(path, run, summary, folder)
        columns = [_pack([member.outcome for member in members]) for members in parts.values()]
        packed = json.dumps(columns, separators=(",", ":")).encode()
        (folder / CASES).write_bytes(gzip.compress(packed, _LEVEL, mtime=0))
    except OSError as error:
        raise KitError(
            f"{folder} cannot be written ({error.strerror}): choose another folder"
        ) from error
    write_whole(folder / RUN, json.dumps(_run_json(run), indent=1, allow_nan=False) + "\n")


def _part(target: str, members: Sequence[Glance], facts: dict[str, str]) -> Part:
    told = [member.outcome for member in members]
    passing = sorted(
        outcome.margin
        for outcome in told
        if outcome.compared and outcome.verdict.is_pass and outcome.margin >= 0
    )
    margins: tuple[float, ...] = ()
    if passing:
        last = len(passing) - 1
        margins = tuple(passing[round(last * share)] for share in (0.5, 0.95, 1.0))
    verdicts = Counter(outcome.verdict for outcome in told)
    return Part(
        target,
        facts,
        {verdict.value: verdicts[verdict] for verdict in Verdict if verdicts[verdict]},
        margins,
        tallies(told),
        {(row.operation, row.topic): row.word for row in readings(members)},
    )


def _page(path: Path, run: Run, summary: dict[str, Any], folder: Path) -> None:
    """Copy the page, the summary and the reproductions; render the page of one that has none."""
    page = path / HTML
    if path.is_dir() and (path / REPRO).is_dir():
        shutil.copytree(path / REPRO, folder / REPRO, dirs_exist_ok=True)
    if path.is_dir() and page.is_file():
        shutil.copyfile(page, folder / HTML)
    else:
        known = {**run.conditions, "started": run.started, **summary}
        if run.partial:
            problems = [*known.get("problems", ()), f"UNFINISHED: {run.partial}"]
            known |= {"outcome": Conclusion.UNFINISHED.value, "problems": problems}
        write_whole(folder / HTML, html(read_records(path), known))
    if path.is_dir() and (path / SUMMARY).is_file():
        shutil.copyfile(path / SUMMARY, folder / SUMMARY)


def _run_json(run: Run) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "id": run.id,
        "size": run.size,
        "label": run.label,
        "started": run.started,
        "conditions": dict(run.conditions),
        "partial": run.partial,
        "parts": [
            {
                "target": part.target,
                "facts": dict(part.facts),
                "verdicts": dict(part.verdicts),
                "margins": list(map(_real, part.margins)),
                "tallies": {
                    name: {cell: _tally_json(tally) for cell, tally in cells.items()}
                    for name, cells in part.tallies.items()
                },
                "readings": [[*key, word] for key, word in part.readings.items()],
            }
            for part in run.parts
        ],
    }


def _tally_json(tally: Tally) -> list[Any]:
    counts = [tally.cases, tally.passed, tally.failed, tally.errors, tally.apart, tally.others]
    return [*counts, _real(tally.margin), _real(tally.passing)]


def load(folder: Path) -> Run | None:
    """Return a run that a site has taken; `None` where it was not taken whole. Raises KitError."""
    file = folder / RUN
    try:
        found = json.loads(file.read_text("utf-8"))
        if found["schema"] != SCHEMA:
            return None
        parts = [
            Part(
                str(part["target"]),
                _words(part["facts"]),
                {str(Verdict(name).value): int(n) for name, n in part["verdicts"].items()},
                tuple(map(float, part["margins"])),
                {
                    str(name): {str(cell): _tally(row) for cell, row in cells.items()}
                    for name, cells in part["tallies"].items()
                },
                {(str(op), str(topic)): str(word) for op, topic, word in part["readings"]},
            )
            for part in found["parts"]
        ]
        return Run(
            str(found["id"]),
            int(found["size"]),
            str(found["label"]),
            str(found["started"]),
            _words(found["conditions"]),
            str(found["partial"]),
            parts,
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError) as error:
        raise _damaged(file, error) from error


def _words(found: Mapping[Any, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in found.items()}


def _tally(row: Sequence[Any]) -> Tally:
    cases, passed, failed, errors, apart, others = map(int, row[:6])
    margin, passing = map(float, row[6:])
    return Tally(cases, passed, failed, errors, apart, others, margin, passing)


def _pack(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return outcomes as columns, of which most compress to almost nothing."""
    cells: dict[tuple[str, str], int] = {}
    devices: dict[str, int] = {}
    verdicts = {verdict: at for at, verdict in enumerate(Verdict)}
    return {
        "verdicts": [verdict.value for verdict in Verdict],
        "id": [outcome.id for outcome in outcomes],
        "cell": [
            cells.setdefault((outcome.operation, outcome.cell), len(cells)) for outcome in outcomes
        ],
        "verdict": [verdicts[outcome.verdict] for outcome in outcomes],
        "margin": [_real(outcome.margin) for outcome in outcomes],
        "compared": [outcome.compared for outcome in outcomes],
        "bits": [outcome.bits for outcome in outcomes],
        "device": [devices.setdefault(outcome.device, len(devices)) for outcome in outcomes],
        "message": {at: told.message for at, told in enumerate(outcomes) if told.message},
        "cells": list(cells),
        "devices": list(devices),
    }


def outcomes_of(folder: Path, at: int) -> list[Outcome]:
    """Return the outcomes of a run's part number `at`. Raises KitError if they are damaged."""
    file = folder / CASES
    try:
        found = json.loads(gzip.decompress(file.read_bytes()))[at]
        verdicts = [Verdict(name) for name in found["verdicts"]]
        cells = [(str(operation), str(cell)) for operation, cell in found["cells"]]
        messages, devices = found["message"], found["devices"]
        columns = ("id", "cell", "verdict", "margin", "compared", "bits", "device")
        return [
            Outcome(
                name, cells[cell][0], cells[cell][1], verdicts[verdict], float(margin), compared,
                bits, devices[device], messages.get(str(place), ""),
            )
            for place, (name, cell, verdict, margin, compared, bits, device) in enumerate(
                zip(*(found[column] for column in columns), strict=True)
            )
        ]  # fmt: skip
    except (
        OSError, EOFError, zlib.error, ValueError, KeyError, IndexError, TypeError, AttributeError,
        RecursionError,
    ) as error:  # fmt: skip
        raise _damaged(file, error) from error


def _real(value: float) -> float | str:
    value = float(value)
    return value if value - value == 0 else str(value)


def _damaged(file: Path, error: Exception) -> KitError:
    why = f"{type(error).__name__}: {error}"[:120]
    return KitError(f"{file} is damaged ({why}): delete its folder and give the report again")
