"""Several reports as one: the shards of a CI matrix, or a run and its repetition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.report.store import read_records, read_summary
from nnapi_testkit.session.record import encode

__all__ = ["Part", "merge_records", "read_parts", "shard_problems"]

# They say nothing of the driver: any other word on the same case replaces them.
SILENT = (Verdict.NOT_RUN, Verdict.INFRA)
# What is neither failure nor error, from the best.
MILD = (Verdict.PASS, Verdict.OBSERVED, Verdict.WAIVED, Verdict.UNSUPPORTED)
AGREED = ("profile", "seed")  # what parts of one run have in common


@dataclass(frozen=True)
class Part:
    """One report: its folder, records, and summary (empty for a run that did not end)."""

    folder: Path
    records: Sequence[Record]
    summary: Mapping[str, Any]

    @property
    def shard(self) -> tuple[int, int] | None:
        """(i, n) of `--shard i/n`, None for a run without."""
        words = str(self.summary.get("selection", "")).split()
        if "--shard" not in words:
            return None
        at, of = words[words.index("--shard") + 1].split("/")
        return int(at), int(of)

    @property
    def selection(self) -> str:
        """How cases were chosen, the shard left out."""
        words = str(self.summary.get("selection", "")).split()
        if "--shard" in words:
            at = words.index("--shard")
            del words[at : at + 2]
        return " ".join(words)


def read_parts(folders: Iterable[Path]) -> list[Part]:
    """Read reports. Raises KitError for what is none, or does not belong together."""
    parts = [Part(path, list(read_records(path)), read_summary(path)) for path in folders]
    for part in parts:
        for key in (*AGREED, "selection"):
            values = [
                one.selection if key == "selection" else one.summary.get(key)
                for one in (parts[0], part)
            ]
            if part.summary and parts[0].summary and values[0] != values[1]:
                raise KitError(
                    f"{part.folder} and {parts[0].folder} are parts of different runs: {key} is"
                    f" {values[1]!r} and {values[0]!r}"
                )
    return parts


def merge_records(parts: Iterable[Part]) -> list[Record]:
    """Return one record for each case and device, whatever the order of the parts.

    Of several the worst stays, so that no repetition turns a wrong answer into a pass; INFRA and
    NOT_RUN give way to any verdict on the driver.
    """
    best: dict[tuple[str, str], Record] = {}
    silent: dict[str, Record] = {}
    for part in parts:
        for record in part.records:
            if record.verdict in SILENT:
                # Whom it would have been run on is not always known.
                _keep(silent, record.id, record)
            else:
                _keep(best, (record.id, record.device), record)
    spoken = {name for name, _ in best}
    kept = [*best.values(), *(one for name, one in silent.items() if name not in spoken)]
    return sorted(kept, key=lambda record: (record.id, record.device))


def _keep(records: dict[Any, Record], key: object, record: Record) -> None:
    other = records.get(key)
    if other is None or _rank(record) > _rank(other):
        records[key] = record


def _rank(record: Record) -> tuple[int, str]:
    verdict = record.verdict
    severity = (
        len(MILD) + 1
        if verdict.is_failure
        else len(MILD)
        if verdict.is_error
        else MILD.index(verdict)
    )
    return severity, encode(record)  # the second only makes the choice a fixed one


def shard_problems(parts: Sequence[Part]) -> list[str]:
    """Return a line for each part of the run that is missing or did not end."""
    problems = [
        f"{part.folder}: the run did not end, its cases are not all here"
        for part in parts
        if not part.summary
    ]
    totals = {part.shard[1] for part in parts if part.shard}
    if len(totals) > 1:
        problems.append(f"shards of different cuts: of {', '.join(map(str, sorted(totals)))}")
    for total in totals if len(totals) == 1 else ():
        present = {part.shard[0] for part in parts if part.shard}
        if all(part.shard for part in parts if part.summary):
            missing = [f"{at}/{total}" for at in range(1, total + 1) if at not in present]
            problems += [f"shard {name} is missing" for name in missing]
    for part in parts:
        problems += [f"{part.folder}: {text}" for text in part.summary.get("problems", ())]
    return problems
