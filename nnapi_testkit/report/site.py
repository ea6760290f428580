"""A history as static pages: runs taken in, each compared with the one before it, pages written.

A site grows: what it has taken stays, under the same addresses, when it is made again with other
reports. Folders `runs/ID` that are deleted are forgotten.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import json
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from nnapi_testkit.errors import KitError
from nnapi_testkit.report.board import changes_by_operation
from nnapi_testkit.report.diff import Change, compare
from nnapi_testkit.report.files import write_whole
from nnapi_testkit.report.history import Run, load, outcomes_of, run_id, take
from nnapi_testkit.report.outcomes import Outcome
from nnapi_testkit.report.sides import named
from nnapi_testkit.report.site_pages import Entry, changes_page, device_page, index, overview, slug

__all__ = ["Made", "make_site"]

INDEX = "index.json"
MOST_WORKERS = 8
# Between runs of other cases, or judged by another measure, a difference says nothing.
COMPARABLE = ("profile", "selection", "shard", "seed")
T = TypeVar("T")


@dataclass(frozen=True)
class Made:
    """What was made.

    Args:
        devices, runs: how many the site has.
        taken: ids of the runs that were read for it now.
        partial: a line for each run that is not whole.
    """

    devices: int
    runs: int
    taken: Sequence[str]
    partial: Sequence[str]


def make_site(reports: Sequence[str], site: Path, jobs: int | None = None) -> Made:
    """Write the site, or add to it. Raises KitError.

    Args:
        reports: `DIR` or `RELEASE=DIR` each.
        jobs: processes that read; as many as there are processors by default, at most 8.
    """
    with _held(site):
        wanted = _wanted(reports, site)
        jobs = jobs or min(MOST_WORKERS, len(os.sched_getaffinity(0)))
        _each(_take, wanted, jobs)
        _outcomes.cache_clear()  # of a site that was made before
        runs = [run for folder in _folders(site) if (run := load(folder)) is not None]
        if not runs:
            raise KitError(f"{site} holds no run: name reports that run --report wrote")
        entries = _entries(runs)
        work = [(site, entry) for chain in entries.values() for entry in chain if entry.before]
        changes = dict(
            zip(
                (entry.key for _, entry in work),
                _each(_changes, work, jobs),
                strict=True,
            )
        )
        for chain in entries.values():
            for entry in chain:
                entry.changes = changes.get(entry.key)
        _write(site, entries)
    return Made(
        len(entries),
        len(runs),
        [Path(folder).name for _, _, folder in wanted],
        [f"{run.id}: {run.partial}" for run in runs if run.partial],
    )


@contextlib.contextmanager
def _held(site: Path) -> Iterator[None]:
    """Keep other processes from writing the same site meanwhile. Raises KitError."""
    try:
        site.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in site.iterdir()}
        descriptor = os.open(site, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise KitError(
            f"{site} cannot be used ({error.strerror}): choose another folder"
        ) from error
    try:
        if names and "runs" not in names:
            raise KitError(f"{site} holds {min(names)} and is no site: choose an empty folder")
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _wanted(reports: Sequence[str], site: Path) -> list[tuple[Path, str, Path]]:
    """Return (report, label, folder) of what the site has not taken as it is."""
    found: dict[str, tuple[Path, str, Path]] = {}
    sizes: dict[str, int] = {}
    for text in reports:
        label, path = named(text)
        name, size = run_id(path)
        folder = site / "runs" / name
        known = load(folder) if folder.is_dir() else None
        same = known is not None and known.size == size and known.label == (label or known.label)
        # Of two states of one run the longer one is the later.
        if not same and size >= sizes.get(name, 0):
            found[name] = path, label or (known.label if known else ""), folder
            sizes[name] = size
    return list(found.values())


def _folders(site: Path) -> list[Path]:
    folder = site / "runs"
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _entries(runs: Iterable[Run]) -> dict[str, list[Entry]]:
    """Return the history of each device, by name: oldest first, each with the one before it."""
    found: dict[str, list[Entry]] = {}
    for run in sorted(runs, key=lambda run: (run.started, run.id)):
        several = len(run.parts) > 1
        for at, part in enumerate(run.parts):
            found.setdefault(part.device, []).append(Entry(run, at, part, several))
    for chain in found.values():
        for place, entry in enumerate(chain):
            earlier = (one for one in reversed(chain[:place]) if _comparable(one.run, entry.run))
            entry.before = next(earlier, None)
    return dict(sorted(found.items()))


def _comparable(old: Run, new: Run) -> bool:
    if old.partial or new.partial:
        return False
    return all(old.conditions.get(name) == new.conditions.get(name) for name in COMPARABLE)


def _each(work: Callable[[Any], T], items: Sequence[Any], jobs: int) -> list[T]:
    """Return the results in order; of several processes, if there is work for them."""
    if min(jobs, len(items)) < 2:
        return [work(item) for item in items]
    # Forked, as nothing here has threads: a fresh interpreter would import everything again.
    context = multiprocessing.get_context("fork")
    # Records hold no cycles, and looking for some among 30,000 takes a fifth of the time.
    # Neighbours go to one process, which has one of the two runs that it compares already.
    pieces = max(1, len(items) // (2 * jobs))
    with ProcessPoolExecutor(
        min(jobs, len(items)), mp_context=context, initializer=gc.disable
    ) as pool:
        return list(pool.map(work, items, chunksize=pieces))


def _take(item: tuple[Path, str, Path]) -> None:
    path, label, folder = item
    take(path, label, folder)


def _changes(item: tuple[Path, Entry]) -> dict[str, Any]:
    """Compare a run with the one before it, write the page of that, and return the counts."""
    site, entry = item
    before = entry.before
    assert before is not None
    folder = site / "runs" / entry.run.id
    kept = folder / f"changes-{slug(entry.part.device)}.json"
    against = [before.run.id, before.run.size]
    try:
        found: dict[str, Any] = json.loads(kept.read_text("utf-8"))
        if found["against"] == against and (folder / entry.changes_name).is_file():
            return found
    except (OSError, ValueError, KeyError, TypeError):
        pass
    old = _outcomes(site / "runs" / before.run.id, before.at)
    comparison = compare(old, _outcomes(folder, entry.at))
    found = {
        "against": against,
        "worse": comparison.worse,
        "counts": {change.value: comparison.counts[change] for change in Change},
        "operations": {
            name: {change.value: count for change, count in counts.items()}
            for name, counts in changes_by_operation(comparison).items()
        },
    }
    write_whole(folder / entry.changes_name, changes_page(entry, before, comparison))
    write_whole(kept, json.dumps(found) + "\n")
    return found


@lru_cache(maxsize=2)
def _outcomes(folder: Path, at: int) -> list[Outcome]:
    return outcomes_of(folder, at)


def _write(site: Path, entries: dict[str, list[Entry]]) -> None:
    devices = site / "devices"
    try:
        devices.mkdir(exist_ok=True)
        names = {f"{slug(device)}.html" for device in entries}
        for path in devices.glob("*.html"):
            if path.name not in names:
                path.unlink()  # of a device whose runs were all deleted
    except OSError as error:
        raise KitError(
            f"{devices} cannot be written ({error.strerror}): choose another folder"
        ) from error
    for device, chain in entries.items():
        write_whole(devices / f"{slug(device)}.html", device_page(device, chain))
    # Without indents json's own C encoder writes it, ten times as fast.
    text = json.dumps(index(entries), ensure_ascii=False, allow_nan=False) + "\n"
    write_whole(site / INDEX, text)
    write_whole(site / "index.html", overview(entries))
