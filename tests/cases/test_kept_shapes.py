"""Values that are needed later: a driver that gives their memory away is noticed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import pytest

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.catalog import catalog
from nnapi_testkit.model.case import Case
from nnapi_testkit.model.types import Graph, Lifetime
from tests.cases.wrong_drivers import Judged, on_main, refs_of

OPERATIONS = ("ADD", "ARGMAX", "CONV_2D", "EQUAL", "LSTM", "REDUCE_ALL", "SOFTMAX", "TRANSPOSE")


def given_away(graph: Graph) -> Graph:
    """The last operation finds in the place of the value that was kept what took its memory."""
    last = graph.operations[-1]
    assert len(set(last.inputs[:2])) == 2
    assert all(graph.operands[i].lifetime == Lifetime.TEMPORARY for i in last.inputs[:2])
    last = replace(last, inputs=(last.inputs[0], last.inputs[0], *last.inputs[2:]))
    return replace(graph, operations=(*graph.operations[:-1], last))


def readers(graph: Graph) -> list[int]:
    """Which operations read the value that the last one needs once more."""
    kept = graph.operations[-1].inputs[1]
    return [at for at, operation in enumerate(graph.operations) if kept in operation.inputs]


@pytest.mark.parametrize("name", OPERATIONS)
def test_memory_that_is_given_away_after_the_first_reader(judged: Judged, name: str) -> None:
    judged.noticed(refs_of(name, "needed-after"), on_main(given_away))


def test_memory_that_is_given_away_around_control_flow(judged: Judged) -> None:
    for name in ("IF", "WHILE"):
        judged.noticed(refs_of(name, "graph-value-needed-after"), on_main(given_away))


@pytest.mark.parametrize("branch", [0, 1])
def test_memory_that_is_given_away_in_one_branch(judged: Judged, branch: int) -> None:
    def changed(case: Case) -> Case:
        graphs = list(case.model.subgraphs)
        graphs[branch] = given_away(graphs[branch])
        return replace(case, model=replace(case.model, subgraphs=tuple(graphs)))

    judged.noticed(refs_of("IF", "value-needed-in-branches"), changed)


def test_every_operation_that_can_be_asked_is() -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for ref in case_index():
        if "needed-" in ref.id:
            found[ref.operation].add(ref.id.split("-graph-")[1].partition("-needed")[0])
    # Draws are judged as a whole: what stands around them would be judged by them.
    assert set(catalog()) - set(found) == {"RANDOM_MULTINOMIAL"}


@pytest.mark.parametrize(("word", "steps"), [("after-2", 2), ("after-3", 3)])
def test_the_last_reader_is_as_far_away_as_the_name_says(word: str, steps: int) -> None:
    for ref in refs_of("SOFTMAX", f"result-needed-{word}"):
        first, last = readers(ref.make().model.main)
        assert last - first == steps
