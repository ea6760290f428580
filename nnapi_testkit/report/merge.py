"""Several reports as one: the shards of a CI matrix, or a run and its repetition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Record
from nnapi_testkit.report.accounts import read_accounts, read_summary
from nnapi_testkit.session.record import Beginning, encode
from nnapi_testkit.session.settings import Shard

__all__ = [
    "Part",
    "merge_records",
    "missing_parts",
    "planned",
    "read_parts",
    "shard_problems",
]

AGREED = ("profile", "seed", "selection")  # what parts of one run have in common


@dataclass(frozen=True)
class Part:
    """One report: its folder, records, summary, and how its results begin.

    Args:
        summary: empty for a run that did not end.
        partial: why it is not the whole of what it was to be; "" if it is.
        suite: how many cases there are, chosen or not; 0 if that is not known.
        problems, faults: of the run as a whole, of the driver outside any case.
    """

    folder: Path
    records: Sequence[Record]
    summary: Mapping[str, Any]
    beginning: Beginning | None = None
    partial: str = ""
    suite: int = 0
    problems: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()

    @property
    def shard(self) -> tuple[int, int] | None:
        """(i, n) of `--shard i/n`, None for a run without."""
        if self.beginning is None or not self.beginning.shard:
            return None
        cut = Shard.parse(self.beginning.shard)
        return cut.index, cut.count


def read_parts(folders: Iterable[Path]) -> list[Part]:
    """Read reports. Raises KitError for what is none, or does not belong together."""
    parts = []
    for path in folders:
        accounts = read_accounts(path)
        summary = read_summary(path) if path.is_dir() else {}
        end = accounts.end
        parts.append(
            Part(
                path,
                accounts.records,
                summary,
                accounts.beginning,
                accounts.partial,
                end.suite if end else 0,
                end.problems if end else (),
                end.faults if end else (),
            )
        )
    first = next((part for part in parts if part.beginning), None)
    for part in parts:
        if first is None or part.beginning is None:
            continue
        for key in AGREED:
            one, other = getattr(part.beginning, key), getattr(first.beginning, key)
            if one != other:
                raise KitError(
                    f"{part.folder} and {first.folder} are parts of different runs: {key} is"
                    f" {one!r} and {other!r}"
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
            if record.verdict.meaning.silent:
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
    # The second only makes the choice a fixed one.
    return record.verdict.meaning.rank, encode(record)


def planned(parts: Iterable[Part]) -> tuple[int, int]:
    """Return how many cases the joined run was to execute, and how many were selected for it.

    Shards add up; repetitions of the same shard, or of the whole, do not.
    """
    cases: dict[object, tuple[int, int]] = {}
    for part in parts:
        if part.beginning is not None:
            pair = part.beginning.planned, part.beginning.selected
            cases[part.shard] = max(cases.get(part.shard, (0, 0)), pair)
    if None in cases:
        return cases[None]
    return sum(one for one, _ in cases.values()), sum(other for _, other in cases.values())


def missing_parts(parts: Sequence[Part]) -> list[str]:
    """Return a line for each part of the run that is missing or is not whole."""
    problems = [f"UNFINISHED: {part.folder}: {part.partial}" for part in parts if part.partial]
    totals = {part.shard[1] for part in parts if part.shard}
    if len(totals) > 1:
        problems.append(f"shards of different cuts: of {', '.join(map(str, sorted(totals)))}")
    for total in totals if len(totals) == 1 else ():
        present = {part.shard[0] for part in parts if part.shard}
        if all(part.shard for part in parts if part.beginning):
            missing = [f"{at}/{total}" for at in range(1, total + 1) if at not in present]
            problems += [f"shard {name} is missing" for name in missing]
    return problems


def shard_problems(parts: Sequence[Part]) -> list[str]:
    """Return what is missing, and the problems that parts had themselves."""
    problems = missing_parts(parts)
    for part in parts:
        problems += [f"{part.folder}: {text}" for text in part.problems]
    return problems
