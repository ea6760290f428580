"""Parts of a graph as graphs of their own, fed with what is known of its values."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from nnapi_testkit.model.case import Case, Execution
from nnapi_testkit.model.types import Graph, Lifetime, Model, Operand, Operation
from nnapi_testkit.models.steps import in_order, single
from nnapi_testkit.oracle import answer
from nnapi_testkit.random_graphs.graph import RandomGraph
from nnapi_testkit.random_graphs.growth import stored
from nnapi_testkit.spec.codes import OperandCode, OperationCode
from nnapi_testkit.spec.operands import DTYPE, FLOATS, Array, is_quantized

__all__ = ["clusters", "inlined", "piece", "pruned", "size_of"]


def piece(
    model: Model, values: Mapping[int, Array], chosen: Collection[int], keep: Collection[int] = ()
) -> RandomGraph | None:
    """The operations `chosen` of the main graph; None where a value that they read is not known.

    Its outputs are the results that none of them reads, those of the model, and `keep`.
    """
    graph = model.main
    operations = [graph.operations[at] for at in sorted(chosen)]
    written = set(chain.from_iterable(operation.outputs for operation in operations))
    read = set(chain.from_iterable(operation.inputs for operation in operations))
    used = sorted(written | read)
    ends = written - (read - {*graph.outputs, *keep})
    operands = {at: _operand(graph.operands[at], at in written, at in ends) for at in used}
    inputs = [at for at in used if operands[at].lifetime == Lifetime.INPUT]
    if any(at not in values for at in inputs):
        return None
    if not inputs:
        # A model has an input: the first constant of real numbers becomes one.
        inputs = [at for at, operand in operands.items() if _may_be_fed(operand)][:1]
        if not inputs:
            return None
        values = {**values, inputs[0]: _data(operands[inputs[0]])}
        operands[inputs[0]] = replace(operands[inputs[0]], lifetime=Lifetime.INPUT, value=b"")
    new = {at: position for position, at in enumerate(used)}
    main = Graph(
        tuple(operands.values()),
        tuple(_moved(operation, new) for operation in operations),
        tuple(new[at] for at in inputs),
        tuple(new[at] for at in used if at in ends),
    )
    known = {new[at]: values[at] for at in used if at in values}
    return RandomGraph(pruned(replace(model, main=main)), known)


def _operand(operand: Operand, written: bool, end: bool) -> Operand:
    """An operand in its part: what the rest of the model computed comes from outside."""
    lifetime = operand.lifetime
    if written:
        lifetime = Lifetime.OUTPUT if end else Lifetime.TEMPORARY
    elif lifetime in (Lifetime.TEMPORARY, Lifetime.OUTPUT):
        lifetime = Lifetime.INPUT
    return replace(operand, lifetime=lifetime)


def _data(operand: Operand) -> Array:
    data = np.frombuffer(operand.value, DTYPE[OperandCode(operand.type)])
    return data.reshape(operand.dims)


def _may_be_fed(operand: Operand) -> bool:
    real = operand.type in FLOATS or is_quantized(OperandCode(operand.type))
    fixed = operand.lifetime != Lifetime.CONSTANT or operand.channel_quant is not None
    return real and bool(operand.dims) and not fixed


def _moved(operation: Operation, new: Mapping[int, int]) -> Operation:
    return replace(
        operation,
        inputs=tuple(new[at] for at in operation.inputs),
        outputs=tuple(new[at] for at in operation.outputs),
    )


def pruned(model: Model) -> Model:
    """The model without subgraphs that nothing refers to."""
    kept: list[int] = []

    def visit(graph: Graph) -> None:
        for operand in graph.operands:
            if operand.lifetime == Lifetime.SUBGRAPH and operand.subgraph not in kept:
                visit(model.subgraphs[operand.subgraph])
                kept.append(operand.subgraph)

    visit(model.main)
    order = sorted(kept)
    new = {at: position for position, at in enumerate(order)}

    def renumbered(graph: Graph) -> Graph:
        operands = tuple(
            replace(operand, subgraph=new[operand.subgraph])
            if operand.lifetime == Lifetime.SUBGRAPH
            else operand
            for operand in graph.operands
        )
        return replace(graph, operands=operands)

    subgraphs = tuple(renumbered(model.subgraphs[at]) for at in order)
    return replace(model, main=renumbered(model.main), subgraphs=subgraphs)


def clusters(graph: Graph, at: int) -> list[tuple[int, ...]]:
    """Operation `at` alone, with each neighbour, and with each two neighbours of it or of these."""
    writer = {i: number for number, o in enumerate(graph.operations) for i in o.outputs}
    near: dict[int, set[int]] = {number: set() for number in range(len(graph.operations))}
    for number, operation in enumerate(graph.operations):
        for i in operation.inputs:
            if i in writer and writer[i] != number:
                near[number].add(writer[i])
                near[writer[i]].add(number)
    pairs = [(at, other) for other in sorted(near[at])]
    triples = {
        tuple(sorted((*pair, third)))
        for pair in pairs
        for third in near[pair[0]] | near[pair[1]]
        if third not in pair
    }
    return [(at,), *(tuple(sorted(pair)) for pair in pairs), *sorted(triples)]


def inlined(graph: RandomGraph) -> list[RandomGraph]:
    """A graph of one IF or WHILE as the operations that its subgraphs run; none for other graphs.

    Each subgraph alone, on what the operation is given. What they compute is told by the reference.
    """
    main = graph.model.main
    if len(main.operations) != 1 or main.operations[0].code not in _FLOW:
        return []
    operation = main.operations[0]
    referred, given = operation.inputs[:2], operation.inputs[2:]
    if operation.code == OperationCode.IF:
        referred, given = operation.inputs[1:3], operation.inputs[3:]
    made = [_alone(graph, main.operands[at].subgraph, given) for at in referred]
    return [one for one in made if one is not None]


def _alone(graph: RandomGraph, number: int, given: Sequence[int]) -> RandomGraph | None:
    """A subgraph as a model of its own."""
    inner = graph.model.subgraphs[number]
    known = {own: _array(graph, at) for own, at in zip(inner.inputs, given, strict=False)}
    return computed(replace(graph.model, main=inner), known)


_FLOW = (OperationCode.IF, OperationCode.WHILE)


def _array(graph: RandomGraph, at: int) -> Array:
    if at in graph.values:
        return graph.values[at]
    operand = graph.model.main.operands[at]
    return np.frombuffer(operand.value, DTYPE[OperandCode(operand.type)]).reshape(operand.dims)


def computed(model: Model, known: Mapping[int, Array]) -> RandomGraph | None:
    """The model with the values and dimensions that the reference gives; None if it gives none."""
    graph = model.main
    values = dict(known)
    operands = list(graph.operands)
    try:
        for at in in_order(graph):
            alone, taken = single(replace(model, main=replace(graph, operands=tuple(operands))), at)
            fed = tuple(values[i] for i in taken)
            (told,) = answer(None, Case("piece", alone, (Execution(fed, ()),))).sets
            for i, expected in zip(graph.operations[at].outputs, told, strict=True):
                values[i] = stored(operands[i], expected.value)
                if operands[i].dims and all(operands[i].dims):
                    operands[i] = replace(operands[i], dims=expected.value.shape)
    except Exception:
        # Whatever a reference raises: what was cut does not belong together.
        return None
    used = {i for operation in graph.operations for i in (*operation.inputs, *operation.outputs)}
    inputs = tuple(at for at in graph.inputs if at in used)
    main = replace(graph, operands=tuple(operands), inputs=inputs)
    every = range(len(graph.operations))
    return piece(replace(model, main=main), values, every)


def size_of(graph: RandomGraph) -> tuple[int, int]:
    """Operations, those of subgraphs among them, and elements that the model holds or is fed."""
    model = graph.model
    operations = sum(len(each.operations) for each in (model.main, *model.subgraphs))
    held = sum(len(o.value) for g in (model.main, *model.subgraphs) for o in g.operands)
    return operations, held + sum(graph.values[at].size for at in model.main.inputs)
