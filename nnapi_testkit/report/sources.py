"""Where the sides of a comparison come from: reports, and runs that a site has kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nnapi_testkit.errors import KitError
from nnapi_testkit.report.accounts import RESULTS, judged_accounts, read_summary
from nnapi_testkit.report.history import RUN, Run, load, outcomes_of
from nnapi_testkit.report.outcomes import outcome_of
from nnapi_testkit.report.readings import readings
from nnapi_testkit.report.sides import Side, conditions_of, named, side_facts, split

__all__ = ["read_sides"]


def read_sides(texts: Sequence[str]) -> list[Side]:
    """Read the reports to compare. Raises KitError for what is none, or is nothing to compare.

    One report alone is compared device by device. A folder `runs/ID` of a site is as good as the
    report it was taken from.
    """
    reports = [named(text) for text in texts]
    if len(reports) == 1:
        path = reports[0][1]
        parts = _parts(path)
        if len(parts) < 2:
            raise KitError(f"{path} holds one device: name a second report to compare it with")
        labels = _labels([side.label for side in parts])
        return [replace(side, label=label) for side, label in zip(parts, labels, strict=True)]
    names = [label or _name(path) for label, path in reports]
    if len(set(names)) < len(names):
        names = [label or str(path) for label, path in reports]
    labels = _labels(names)
    return [_whole(path, label) for (_, path), label in zip(reports, labels, strict=True)]


def _kept(path: Path) -> Run | None:
    """The run, where this is the folder of one in a site."""
    return load(path) if (path / RUN).is_file() and not (path / RESULTS).exists() else None


def _whole(path: Path, label: str) -> Side:
    run = _kept(path)
    if run is None:
        accounts = judged_accounts(path)
        summary = read_summary(path) if path.is_dir() else {}
        facts = side_facts(summary, accounts.records, "")
        if accounts.beginning is not None and accounts.beginning.started:
            facts["started"] = accounts.beginning.started
        return Side(
            label,
            path,
            [outcome_of(record) for record in accounts.records],
            conditions_of(accounts.beginning),
            accounts.partial,
            facts,
            {(row.operation, row.topic): row.word for row in readings(accounts.records)},
        )
    parts = _of_run(path, run)
    outcomes = [outcome for part in parts for outcome in part.outcomes]
    told = {key: word for part in parts for key, word in part.readings.items()}
    return Side(
        label, path, outcomes, run.conditions, run.partial, parts[0].facts, told
    )  # fmt: skip


def _parts(path: Path) -> list[Side]:
    """A side for each device of a report."""
    run = _kept(path)
    if run is not None:
        return _of_run(path, run)
    accounts = judged_accounts(path)
    summary = read_summary(path) if path.is_dir() else {}
    started = accounts.beginning.started if accounts.beginning else ""
    return [
        Side(
            device or target,
            path,
            [outcome_of(record) for record in records],
            conditions_of(accounts.beginning),
            accounts.partial,
            {**side_facts(summary, records, device), "started": started},
            {(row.operation, row.topic): row.word for row in readings(records)},
            device,
        )
        for (target, device), records in split(accounts.records).items()
    ]


def _of_run(path: Path, run: Run) -> list[Side]:
    return [
        Side(
            part.facts.get("device") or part.target,
            path,
            outcomes_of(path, at),
            run.conditions,
            run.partial,
            {**part.facts, "release": run.release(part), "started": run.started},
            part.readings,
            part.facts.get("device", ""),
        )
        for at, part in enumerate(run.parts)
    ]


def _name(path: Path) -> str:
    folder = path if path.is_dir() else path.parent
    return folder.name or folder.resolve().name or str(path)


def _labels(labels: Sequence[str]) -> list[str]:
    """Return labels that differ."""
    seen: Counter[str] = Counter()
    found = []
    for label in labels:
        seen[label] += 1
        found.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return found
