"""What a model computes: eager PyTorch in float64, with a bound for every element."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import torch

from nnapi_testkit.model.case import Answer, Case, Execution, Expected
from nnapi_testkit.model.types import Graph, Lifetime, Model, Operand, Operation
from nnapi_testkit.op.declare import Output
from nnapi_testkit.op.readings import Contest, Reading
from nnapi_testkit.oracle.arguments import arguments
from nnapi_testkit.oracle.bind import OracleError, bind
from nnapi_testkit.oracle.bounding import Terms, precision_of, situate, terms_of
from nnapi_testkit.oracle.control import run_if, run_while
from nnapi_testkit.oracle.value import Value, constant, decode, decoded, drawn, expected, result_of
from nnapi_testkit.spec.codes import OperationCode
from nnapi_testkit.spec.kinds import OutputKind
from nnapi_testkit.spec.levels import NEWEST

# An operation that is read in another way than its declaration, and how.
Read = tuple[OperationCode, Reading]


# Who wants to know the terms of every operation that is evaluated in this context.
WATCH: ContextVar[Callable[[Graph, Operation, Terms], None] | None] = ContextVar(
    "WATCH", default=None
)


def answer_case(case: Case, level: int = NEWEST, read: Read | None = None) -> Answer:
    """The expected result of every input set of a case.

    Args:
        level: the feature level of the devices it is for: what newer rules decide is exempt.
        read: how an operation is to be read, where that is contested.

    Raises:
        OracleError: the model uses something that no op file declares.
    """
    sets = (answer_set(case.model, execution, level, read) for execution in case.sets)
    return Answer(tuple(sets))


def answer_contested(case: Case, level: int, code: OperationCode, contest: Contest) -> Answer:
    """The answers to a contested case, one for each reading; `sets` is that of the last."""
    found = tuple(
        (reading.name, None if reading.refuses else answer_case(case, level, (code, reading)).sets)
        for reading in contest.readings
    )
    computed = [sets for _, sets in found if sets is not None]
    return Answer(computed[-1], readings=found)


def answer_set(
    model: Model, execution: Execution, level: int = NEWEST, read: Read | None = None
) -> tuple[Expected, ...]:
    """The expected result of each output for one input set."""
    inputs = []
    for index, array in zip(model.main.inputs, execution.inputs, strict=True):
        operand = model.main.operands[index]
        inputs.append(Value(None) if array is None else decode(operand, array))
    outputs = run_graph(model, model.main, inputs, level, read)
    found = []
    for index, value in zip(model.main.outputs, outputs, strict=True):
        found.append(expected(model.main.operands[index], value))
    return tuple(found)


def run_graph(
    model: Model,
    graph: Graph,
    inputs: list[Value],
    level: int = NEWEST,
    read: Read | None = None,
) -> list[Value]:
    """The values of the graph's outputs; operations run as their inputs become known."""
    values: dict[int, Value] = dict(zip(graph.inputs, inputs, strict=True))
    for index, operand in enumerate(graph.operands):
        if operand.lifetime == Lifetime.CONSTANT:
            values[index] = constant(operand)
        elif operand.lifetime == Lifetime.OMITTED:
            values[index] = Value(None)
        elif operand.lifetime == Lifetime.SUBGRAPH:
            values[index] = Value(model.subgraphs[operand.subgraph])
    waiting = list(graph.operations)
    while waiting:
        ready = next((o for o in waiting if all(i in values for i in o.inputs)), None)
        if ready is None:
            raise OracleError("the model's operations depend on each other in a circle")
        waiting.remove(ready)
        results = operation_values(
            model, graph, ready, [values[i] for i in ready.inputs], level, read
        )
        values.update(zip(ready.outputs, results, strict=True))
    return [values[index] for index in graph.outputs]


def operation_values(
    model: Model,
    graph: Graph,
    operation: Operation,
    inputs: list[Value],
    level: int = NEWEST,
    read: Read | None = None,
) -> list[Value]:
    """The values of an operation's outputs. Raises OracleError for what no op file declares."""
    if operation.code == OperationCode.IF:
        return run_if(lambda g, v: run_graph(model, g, v, level, read), inputs)
    if operation.code == OperationCode.WHILE:
        results = run_while(lambda g, v: run_graph(model, g, v, level, read), inputs)
        return results[: len(operation.outputs)]
    operands = [graph.operands[i] for i in operation.inputs]
    outputs = [graph.operands[i] for i in operation.outputs]
    binding = bind(
        operation.code,
        tuple(int(o.type) for o in operands),
        tuple(int(o.type) for o in outputs),
    )
    if read is not None and read[0] == operation.code:
        binding = binding.read(read[1])
    args, errors, channels_first = arguments(binding, operands, inputs)
    precision = precision_of(binding, outputs[0], model.relaxed)
    specs, situation = situate(binding, args, precision, operands, outputs, model.relaxed)
    flips = tuple(spec.spatial and not channels_first for spec in specs)
    terms, exempt = terms_of(binding, situation, errors, flips, level)
    watch = WATCH.get()
    if watch is not None:
        watch(graph, operation, terms)
    return [
        _output(
            specs[min(position, len(specs) - 1)],
            operand,
            situation.outputs[position],
            (terms.whole[position], exempt[position]),
            flips[min(position, len(flips) - 1)],
        )
        for position, operand in enumerate(outputs)
    ]


def _output(spec: Output, operand: Operand, found: Any, told: tuple[Any, Any], flip: bool) -> Value:
    """What the reference found for an output, with its bound and what is open of it."""
    bound, open_ = told
    if spec.kind == OutputKind.DRAWS:
        return drawn(found, bound)
    value = decoded(spec, operand, found)
    if spec.opaque:
        open_ = torch.ones_like(value, dtype=torch.bool)
    result = result_of(operand, value, bound, open_, flip)
    return replace(result, kind=spec.kind)
