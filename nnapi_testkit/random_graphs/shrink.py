"""The smallest failing model, in few round trips.

Where the judge names the operation that is wrong, the operation alone on its own inputs is the
first candidate; with its neighbours, if it is wrong only among them. All such candidates travel
together. Where nothing is named, because a model is refused, crashes, or fails only while nobody
looks, every operation is a candidate, and then the graph is halved (A. Zeller and R. Hildebrandt,
Simplifying and Isolating Failure-Inducing Input, 2002), all parts of all sizes in one batch. What
is left loses sizes and values (`reduce`), again many at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from nnapi_testkit.judge.verdict import Record
from nnapi_testkit.model.case import Case, Result
from nnapi_testkit.random_graphs.graph import RandomGraph
from nnapi_testkit.random_graphs.pieces import clusters, inlined, piece, size_of
from nnapi_testkit.random_graphs.reduce import reductions
from nnapi_testkit.random_graphs.trial import (
    Outcome,
    group,
    judged,
    trial,
)
from nnapi_testkit.targets.base import Runner

__all__ = ["MOST_TRIPS", "Shrunk", "Trips", "shrink", "suspicion"]

# After the one that found the failure and, where only bits differ, one for the part that is wrong.
MOST_TRIPS = 7
SMALL = 3  # operations: what is not larger is not cut further
MOST_CANDIDATES = 160  # graphs of one trip


class Trips:
    """A runner that counts how often it was sent for: a batch of cases is one round trip."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.count = 0

    def run(self, cases: Sequence[Case]) -> list[Result]:
        """Run the cases in one batch."""
        self.count += 1
        return list(self._runner.run(cases))


@dataclass(frozen=True)
class Shrunk:
    """The smallest failing model that was found.

    Args:
        outcome: what came of it. trips: round trips that it took.
        first: of the graph that it was cut from.
    """

    outcome: Outcome
    first: Outcome
    trips: int

    @property
    def graph(self) -> RandomGraph:
        """The model with its inputs."""
        return self.outcome.trial.graph

    @property
    def record(self) -> Record:
        """The verdict on it."""
        return self.outcome.record


def shrink(found: Outcome, trips: Trips, profile: str, most: int = MOST_TRIPS) -> Shrunk:
    """Cut a failing graph down, in at most `most` round trips."""
    begun = trips.count
    best = found
    search = _Search(found, trips, profile)

    def left() -> int:
        return most - (trips.count - begun)

    best = search.better(best, _around(best))
    while best is not None and left() > 2 and best.trial.graph.operations > SMALL:
        smaller = search.better(best, _halves(best))
        if smaller is best:
            break
        best = smaller
    if left() > 0 and best.trial.graph.operations > 1:
        best = search.better(best, _around(best))
    if left() > 0:
        flat = inlined(best.trial.graph)
        singles = [piece(f.model, f.values, (at,)) for f in flat for at in range(f.operations)]
        best = search.better(best, [*flat, *filter(None, singles)])
    while left() > 1:  # each goes there and back twice
        smaller = search.reduced(best)
        if smaller is best:
            break
        best = smaller
    return Shrunk(best, found, trips.count - begun)


def suspicion(found: Outcome, trips: Trips, profile: str) -> Outcome | None:
    """Of a graph that `differs`, the smallest part that is wrong; None if none of them is.

    Two or three operations are judged without a look at what is between them: their bounds are
    narrow where those of the whole graph are not.
    """
    search = _Search(found, trips, profile)
    failing = [one for _, one in search.failing(_around(found)[:MOST_CANDIDATES])]
    return min(failing, key=lambda one: size_of(one.trial.graph), default=None)


class _Search:
    """Sends candidates and keeps the smallest that fails in the same way."""

    def __init__(self, found: Outcome, trips: Trips, profile: str) -> None:
        self._name = found.trial.name
        self._kind = group(found.record.verdict) if found.failed else "result"
        self._trips = trips
        self._profile = profile

    def better(self, best: Outcome, candidates: Sequence[RandomGraph]) -> Outcome:
        """The smallest failing candidate, or `best` if none is smaller."""
        failing = [one for _, one in self.failing(candidates[:MOST_CANDIDATES])]
        return min((best, *failing), key=lambda one: size_of(one.trial.graph))

    def failing(self, candidates: Sequence[RandomGraph]) -> Iterator[tuple[int, Outcome]]:
        """Yield the candidates that fail as the graph does, with their positions."""
        if not candidates:
            return
        tries = [trial(graph, f"{self._name}-{at}") for at, graph in enumerate(candidates)]
        results = self._trips.run([case for one in tries for case in one.cases])
        for at, one in enumerate(tries):
            outcome = judged(one, results[2 * at : 2 * at + 2], self._profile)
            if outcome.failed and group(outcome.record.verdict) == self._kind:
                yield at, outcome

    def reduced(self, best: Outcome) -> Outcome:
        """What is left when sizes and values go, all that may go one by one and together."""
        ways = reductions(best.trial.graph)
        made = [way(best.trial.graph) for way in ways]
        there = [(way, graph) for way, graph in zip(ways, made, strict=True) if graph is not None]
        there = there[:MOST_CANDIDATES]
        failing = list(self.failing([graph for _, graph in there]))
        if not failing:
            return best
        together = _together(best.trial.graph, [there[at][0] for at, _ in failing])
        smallest = [one for _, one in failing]
        smallest += [one for _, one in self.failing(together)]
        return min((best, *smallest), key=lambda one: _weight(one.trial.graph))


def _together(
    graph: RandomGraph, ways: Sequence[Callable[[RandomGraph], RandomGraph | None]]
) -> list[RandomGraph]:
    """The first one, two, ... of the reductions, one upon the other."""
    found = []
    for way in ways:
        smaller = way(graph)
        if smaller is not None:
            graph = smaller
            found.append(graph)
    return found[1:]


def _weight(graph: RandomGraph) -> tuple[int, int, int]:
    """Size, and how many different bytes its data have: zeros and ones are simple."""
    model = graph.model
    data = [graph.values[at].tobytes() for at in model.main.inputs]
    data += [operand.value for operand in model.main.operands]
    return *size_of(graph), sum(len(set(each)) for each in data)


def _around(found: Outcome) -> list[RandomGraph]:
    """The operations that are wrong, or all, alone and with their neighbours."""
    graph = found.trial.graph
    suspects = found.wrong or tuple(range(graph.operations))
    model, values = graph.model, found.values
    chosen: dict[tuple[int, ...], None] = {}
    for at in suspects[:8] if found.wrong else suspects:
        chosen |= dict.fromkeys(clusters(model.main, at))
    small = sorted(chosen, key=len)
    made = [piece(model, values, part) for part in small if len(part) < graph.operations]
    return [one for one in made if one is not None]


def _halves(found: Outcome) -> list[RandomGraph]:
    """The graph without each of its halves, quarters, ..., and each of these alone."""
    graph = found.trial.graph
    every = list(range(graph.operations))
    parts = 2
    made: dict[tuple[int, ...], None] = {}
    while True:
        width = max(1, len(every) // parts)
        for first in range(0, len(every), width):
            part = every[first : first + width]
            rest = tuple(at for at in every if at not in part)
            for one in (tuple(part), rest):
                if 0 < len(one) < len(every):
                    made[one] = None
        if width == 1:
            break
        parts *= 2
    ordered = sorted(made, key=len)
    pieces = [piece(graph.model, found.values, one) for one in ordered]
    return [one for one in pieces if one is not None]
