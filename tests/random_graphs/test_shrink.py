"""A failing graph of 40 operations becomes a model of three at most, in under 10 round trips."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache

import pytest

from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.model.types import Graph
from nnapi_testkit.random_graphs.graph import RandomGraph, grown, sampled
from nnapi_testkit.random_graphs.shrink import Shrunk, Trips, shrink, suspicion
from nnapi_testkit.random_graphs.trial import judged, trial
from nnapi_testkit.spec.codes import OperationCode
from nnapi_testkit.targets.base import Runner
from tests.random_graphs.wrong import Spoils, Wrong, after, alone, crashed, refused, unseen

MOST_TRIPS = 9
MOST_LEFT = 3


@cache
def forty(number: int) -> RandomGraph:
    """A graph of exactly 40 operations."""
    plans = [sampled(number + 1000 * part, 3) for part in range(6)]
    steps = tuple(step for plan in plans for step in plan.steps)
    graph = grown(replace(plans[0], size=40, steps=steps))
    assert graph.operations == 40
    return graph


def shrunk(graph: RandomGraph, driver: Wrong) -> tuple[Shrunk, int]:
    """What is left, and round trips, the first one among them."""
    trips = Trips(driver)  # type: ignore[arg-type]
    one = trial(graph, "forty")
    outcome = judged(one, trips.run(one.cases), "standard")
    if outcome.differs:
        outcome = suspicion(outcome, trips, "standard") or outcome
    assert outcome.failed, "the fault is not seen"
    return shrink(outcome, trips, "standard"), trips.count


def small(found: Shrunk, trips: int, driver: Wrong) -> None:
    assert trips == driver.batches <= MOST_TRIPS
    assert found.graph.operations <= MOST_LEFT


def codes(graph: RandomGraph) -> list[OperationCode]:
    return [OperationCode(o.code) for o in graph.model.main.operations]


def neighbours(graph: Graph) -> Counter[tuple[OperationCode, OperationCode]]:
    writer = {at: o.code for o in graph.operations for at in o.outputs}
    return Counter(
        (OperationCode(writer[at]), OperationCode(o.code))
        for o in graph.operations
        for at in o.inputs
        if at in writer and writer[at] != o.code
    )


@pytest.mark.parametrize("number", range(6))
def test_an_operation_that_is_wrong_alone(runner: Runner, number: int) -> None:
    graph = forty(number)
    code = OperationCode(graph.model.main.operations[number * 6].code)
    driver = Wrong(runner, alone(code))
    found, trips = shrunk(graph, driver)
    small(found, trips, driver)
    assert codes(found.graph) == [code]
    assert found.record.verdict in (Verdict.MISMATCH, Verdict.NAN_MISMATCH)


def _shows(graph: RandomGraph, driver: Wrong) -> bool:
    """Whether the fault changes anything that a result shows."""
    one = trial(graph, "forty")
    outcome = judged(one, list(driver.run(one.cases)), "standard")
    return outcome.failed or outcome.differs


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("kind", [after, unseen])
def test_two_that_are_wrong_together(runner: Runner, kind: object, number: int) -> None:
    """Each of them alone is right; the second kind only while the value between is not shown."""
    graph = forty(number)
    pairs = [pair for pair, _ in neighbours(graph.model.main).most_common()]
    pair = next(pair for pair in pairs if _shows(graph, Wrong(runner, kind(*pair))))  # type: ignore[operator]
    driver = Wrong(runner, kind(*pair))  # type: ignore[operator]
    found, trips = shrunk(graph, driver)
    small(found, trips, driver)
    assert set(pair) <= set(codes(found.graph))
    assert found.outcome.hidden == (kind is unseen)


@pytest.mark.parametrize("ending", [crashed, refused])
def test_a_model_that_does_not_run(runner: Runner, ending: object) -> None:
    graph = forty(1)
    pair = neighbours(graph.model.main).most_common()[-1][0]
    driver = Wrong(runner, after(*pair), ending)  # type: ignore[arg-type]
    found, trips = shrunk(graph, driver)
    small(found, trips, driver)
    assert sorted(codes(found.graph)) == sorted(pair)
    wanted = Verdict.CRASH_RUNNER if ending is crashed else Verdict.REFUSED
    assert found.record.verdict is wanted


def test_what_needs_many_operations_is_halved(runner: Runner) -> None:
    """A fault of models with seven operations or more leaves seven."""

    def many(graph: Graph) -> set[int]:
        return set(graph.outputs) if len(graph.operations) >= 7 else set()

    driver = Wrong(runner, many, crashed)
    found, trips = shrunk(forty(2), driver)
    assert trips <= MOST_TRIPS
    assert found.graph.operations < 14


def test_values_and_sizes_shrink(runner: Runner) -> None:
    """What is left of a wrong operation has few elements, and they are simple."""
    graph = forty(3)
    for code in sorted(set(codes(graph)) - {OperationCode.RANDOM_MULTINOMIAL}):
        driver = Wrong(runner, alone(code))
        found, _ = shrunk(graph, driver)
        before = found.first.trial.graph
        elements = sum(array.size for array in found.graph.values.values())
        assert elements < sum(array.size for array in before.values.values()) / 4


def test_a_right_driver_is_not_shrunk(runner: Runner) -> None:
    never: Spoils = lambda graph: set()  # noqa: E731
    driver = Wrong(runner, never)
    one = trial(forty(0), "forty")
    assert not judged(one, list(driver.run(one.cases)), "strict").failed
