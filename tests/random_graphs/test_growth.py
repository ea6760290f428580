"""Random graphs: every operation and type, connected, with values that mean something."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, find, given, settings

from nnapi_testkit.model.case import Case
from nnapi_testkit.model.types import Lifetime
from nnapi_testkit.model.wire import encode_batch
from nnapi_testkit.random_graphs.graph import RandomGraph, grown, sampled
from nnapi_testkit.random_graphs.parts import names
from nnapi_testkit.random_graphs.strategy import graphs
from nnapi_testkit.spec.codes import OperandCode, OperationCode
from nnapi_testkit.spec.levels import NEWEST
from nnapi_testkit.spec.operands import FLOATS, is_quantized

COUNT = 150


@pytest.fixture(scope="module")
def many() -> list[RandomGraph]:
    made = [grown(sampled(number, 0)) for number in range(COUNT)]
    return [graph for graph in made if graph.operations]


def test_all_operations_and_types(many: list[RandomGraph]) -> None:
    operations: set[str] = set()
    types: Counter[OperandCode] = Counter()
    for graph in many:
        for part in (graph.model.main, *graph.model.subgraphs):
            operations |= {OperationCode(o.code).name for o in part.operations}
            types.update(OperandCode(operand.type) for operand in part.operands)
    assert operations == set(names(NEWEST))
    # The unsigned scalar is the runtime's own; no operation takes it.
    assert set(types) == set(OperandCode) - {OperandCode.UINT32}


def test_sizes_and_forms(many: list[RandomGraph]) -> None:
    sizes = [graph.operations for graph in many]
    assert min(sizes) == 1 and max(sizes) == 40 and 15 < np.mean(sizes) < 25
    assert len(many) > 0.95 * COUNT
    outputs = Counter(len(graph.model.main.outputs) for graph in many)
    assert len(outputs) > 8
    assert any(graph.model.relaxed for graph in many)
    assert sum(bool(graph.model.subgraphs) for graph in many) > 10
    reads: Counter[int] = Counter()  # how many operations read one value
    twice = shown = 0
    for graph in many:
        main = graph.model.main
        read = Counter(at for o in main.operations for at in set(o.inputs))
        reads.update(
            min(count, 4)
            for at, count in read.items()
            if main.operands[at].lifetime != Lifetime.CONSTANT
        )
        twice += any(
            len({at for at in o.inputs if main.operands[at].dims})
            < sum(bool(main.operands[at].dims) for at in o.inputs)
            for o in main.operations
        )
        shown += any(at in read for at in main.outputs)
    assert reads[2] > 100 and reads[3] > 30
    assert twice > 10  # an operation that reads a value twice
    assert shown > 20  # an output that an operation reads


def test_operations_are_listed_in_any_order(many: list[RandomGraph]) -> None:
    """Some before what they read: the order of a list is no order of execution."""
    early = 0
    for graph in many:
        main = graph.model.main
        made = {at for o in main.operations for at in o.outputs}
        known: set[int] = set()
        before = False
        for operation in main.operations:
            before |= bool(made.intersection(operation.inputs) - known)
            known.update(operation.outputs)
        early += before
    assert 5 < early < len(many) / 4


def test_graphs_are_connected(many: list[RandomGraph]) -> None:
    """Most operations read what another one has computed."""
    chained = total = 0
    for graph in many:
        written = {at for o in graph.model.main.operations for at in o.outputs}
        chained += sum(bool(written.intersection(o.inputs)) for o in graph.model.main.operations)
        total += graph.operations
    # Boxes and keys are the op files' own, and each graph begins somewhere.
    assert chained > 0.6 * total


def test_values_mean_something(many: list[RandomGraph]) -> None:
    """What operations hand on is finite, of a size that every type can hold, and differs."""
    flat = odd = total = 0
    for graph in many:
        main = graph.model.main
        written = {at for o in main.operations for at in o.outputs}
        for at in written & {at for o in main.operations for at in o.inputs}:
            code = OperandCode(main.operands[at].type)
            if not (code in FLOATS or is_quantized(code)):
                continue
            array = graph.values[at]
            if code in FLOATS:
                assert np.isfinite(array).all()
                odd += not 1e-3 <= np.abs(array).max() <= 200
            if array.size > 1:
                total += 1
                flat += bool((array == array.flat[0]).all())
    assert total > 500
    assert flat < 0.01 * total
    # What is scaled back is read once, by the MUL that does it.
    assert odd < 0.05 * total


def test_a_plan_makes_the_same_graph(many: list[RandomGraph]) -> None:
    for graph in many[:20]:
        assert graph.plan is not None
        again = grown(graph.plan)
        one, other = (
            encode_batch([Case("", each.model, (each.execution,))]) for each in (graph, again)
        )
        assert one == other


def test_seeds_differ() -> None:
    assert sampled(0, 0) != sampled(0, 1) != sampled(1, 1)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(graphs(most=5))
def test_the_strategy_gives_graphs_that_hold(graph: RandomGraph) -> None:
    assert 1 <= graph.operations <= 5
    main = graph.model.main
    assert main.inputs and main.outputs
    assert all(array is not None for array in graph.execution.inputs)


def test_hypothesis_finds_a_small_one() -> None:
    """Shrinking by Hypothesis itself leaves out operations."""
    found = find(
        graphs(most=12, operations=("ABS", "NEG", "SIN")),
        lambda graph: any(o.code == OperationCode.NEG for o in graph.model.main.operations),
        settings=settings(max_examples=200, deadline=None, database=None),
    )
    assert found.operations <= 3
