"""A model taken apart: every value visible, and each operation as a model of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.model.case import OutputResult
from nnapi_testkit.model.types import Graph, Lifetime, Model, Operand, Operation
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import DTYPE

__all__ = ["array_of", "exposed", "in_order", "single"]

Array = NDArray[np.generic]


def exposed(model: Model) -> tuple[Model, tuple[int, ...]]:
    """Return the model with every temporary of the main graph as an output.

    The second value lists the operands behind its outputs: the model's own first, then the
    temporaries that an operation writes, in the order of their indexes.
    """
    graph = model.main
    written = {at for operation in graph.operations for at in operation.outputs}
    hidden = tuple(
        at
        for at, operand in enumerate(graph.operands)
        if operand.lifetime == Lifetime.TEMPORARY and at in written
    )
    shown = set(hidden)
    operands = tuple(
        replace(operand, lifetime=Lifetime.OUTPUT) if at in shown else operand
        for at, operand in enumerate(graph.operands)
    )
    outputs = (*graph.outputs, *hidden)
    return replace(model, main=replace(graph, operands=operands, outputs=outputs)), outputs


def in_order(graph: Graph) -> list[int]:
    """Return the indexes of the operations in an order in which each finds its inputs."""
    known = {
        at
        for at, operand in enumerate(graph.operands)
        if operand.lifetime not in (Lifetime.TEMPORARY, Lifetime.OUTPUT)
    }
    waiting = list(range(len(graph.operations)))
    order = []
    while waiting:
        ready = next((i for i in waiting if known.issuperset(graph.operations[i].inputs)), None)
        if ready is None:
            raise ValueError("the model's operations depend on each other in a circle")
        waiting.remove(ready)
        order.append(ready)
        known.update(graph.operations[ready].outputs)
    return order


def single(model: Model, index: int) -> tuple[Model, tuple[int, ...]]:
    """Return operation `index` of the main graph alone, and the operands it takes as inputs.

    Constants, omitted operands and subgraphs stay what they are; whatever is computed or fed
    at run time becomes an input. Operands that appear twice stay one.
    """
    graph = model.main
    operation = graph.operations[index]
    used = tuple(dict.fromkeys((*operation.inputs, *operation.outputs)))
    new = {at: position for position, at in enumerate(used)}
    results = set(operation.outputs)
    operands = []
    inputs = []
    for at in used:
        operand = graph.operands[at]
        if at in results:
            operands.append(replace(operand, lifetime=Lifetime.OUTPUT))
            continue
        if operand.lifetime in (Lifetime.INPUT, Lifetime.TEMPORARY, Lifetime.OUTPUT):
            operand = replace(operand, lifetime=Lifetime.INPUT)
            inputs.append(at)
        operands.append(operand)
    alone = Graph(
        tuple(operands),
        (
            Operation(
                operation.code,
                tuple(new[at] for at in operation.inputs),
                tuple(new[at] for at in operation.outputs),
            ),
        ),
        tuple(new[at] for at in inputs),
        tuple(new[at] for at in operation.outputs),
    )
    return replace(model, main=alone), tuple(inputs)


def array_of(operand: Operand, output: OutputResult, dims: tuple[int, ...]) -> Array:
    """Return the bytes of an output as an array of the operand's type."""
    kind = np.dtype(DTYPE[OperandCode(operand.type)])
    shape = dims if output.dims is None else output.dims
    count = int(np.prod(shape, dtype=np.int64))
    return np.frombuffer(output.data, kind, count).reshape(shape)
