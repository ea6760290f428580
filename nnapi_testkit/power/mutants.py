"""Mutants of the driver's kernels: does a case notice?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from nnapi_testkit.power.explained import explanation
from nnapi_testkit.power.instrument import Site
from nnapi_testkit.power.progress import Progress
from nnapi_testkit.power.rules import Outcome, Switches

__all__ = ["try_mutants"]


def try_mutants(
    ways: Sequence[Switches],
    operations: Sequence[str],
    most: int,
    told: Callable[[str], None],
    progress: Progress | None = None,
) -> list[Outcome]:
    """Switch on each mutant in turn and run the cases that reach it until one notices.

    Args:
        ways: in which the driver computes, as `ways_of` gives them.
        operations: whose cases are run.
        most: how many mutants, in the order in which they were drawn; 0 for all.
        progress: what earlier runs found, and where this one notes what it finds.
    """
    progress = progress or Progress()
    mutants = ways[0].build.mutants
    if most:
        mutants = dict(list(mutants.items())[:most])
    for way, switches in enumerate(ways):
        for operation in operations:
            if all(number in progress.by for number in mutants):
                break
            if (way, operation) in progress.finished:
                continue
            _try_operation(way, switches, operation, mutants, progress)
            switches.bench.forget(operation)
            noticed = sum(number in progress.by for number in mutants)
            told(f"{operation}: {noticed} of {len(mutants)} mutants noticed")
    return [_outcome(number, site, progress) for number, site in mutants.items()]


def _try_operation(
    way: int,
    switches: Switches,
    operation: str,
    mutants: Mapping[int, Site],
    progress: Progress,
) -> None:
    bench = switches.bench
    found = switches.look(operation)
    cases = bench.cases(operation)
    for number in found.reached:
        if number not in mutants or number in progress.by:
            continue
        if (way, operation, number) in progress.tried:
            continue
        places = _spread(found.reached[number])
        kills = bench.switched(number, operation, [cases[p] for p in places], first=True)
        progress.note(way, operation, number, len(places), next(iter(kills), ""))
    progress.finish(way, operation)


def _outcome(number: int, site: Site, progress: Progress) -> Outcome:
    cases = progress.cases(number)
    if number in progress.by:
        return Outcome(site, "killed", progress.by[number], cases)
    why = explanation(site)
    return Outcome(site, "explained" if why else "survived" if cases else "unreached", why, cases)


def _spread(places: list[int]) -> list[int]:
    """A few from everywhere first: neighbours are alike, and one of any kind may notice."""
    step = max(1, len(places) // 20)
    first = places[::step]
    chosen = set(first)
    return first + [place for place in places if place not in chosen]
