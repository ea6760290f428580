"""Mutants of the driver's kernels: does a case notice?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nnapi_testkit.power.explained import explanation
from nnapi_testkit.power.rules import Outcome, Switches

__all__ = ["try_mutants"]


def try_mutants(
    ways: Sequence[Switches],
    operations: Sequence[str],
    most: int,
    told: Callable[[str], None],
) -> list[Outcome]:
    """Switch on each mutant in turn and run the cases that reach it until one notices.

    Args:
        ways: in which the driver computes, as `ways_of` gives them.
        operations: whose cases are run.
        most: how many mutants, in the order in which they were drawn; 0 for all.
    """
    mutants = ways[0].build.of("mutant")
    if most:
        mutants = dict(list(mutants.items())[:most])
    left = dict(mutants)
    done: dict[int, Outcome] = {}
    tried: dict[int, int] = {}
    for switches in ways:
        bench = switches.bench
        for operation in operations if left else ():
            found = switches.look(operation)
            cases = bench.cases(operation)
            for number in [n for n in found.reached if n in left]:
                places = _spread(found.reached[number])
                tried[number] = tried.get(number, 0) + len(places)
                kills = bench.switched(number, operation, [cases[p] for p in places], first=True)
                if kills:
                    by = next(iter(kills))
                    done[number] = Outcome(mutants[number], "killed", by, tried[number])
                    del left[number]
            told(f"{operation}: {len(done)} of {len(mutants)} mutants noticed")
            bench.forget(operation)
    for number, site in left.items():
        why = explanation(site)
        status = "explained" if why else "survived" if number in tried else "unreached"
        done[number] = Outcome(site, status, why, tried.get(number, 0))
    return [done[number] for number in mutants]


def _spread(places: list[int]) -> list[int]:
    """A few from everywhere first: neighbours are alike, and one of any kind may notice."""
    step = max(1, len(places) // 20)
    first = places[::step]
    chosen = set(first)
    return first + [place for place in places if place not in chosen]
