"""Pairs of control flow and of sequences: models that are written out for one operation each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from nnapi_testkit.cases.draw import key_of, uniform
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.model.builder import Builder
from nnapi_testkit.model.case import Case, Execution
from nnapi_testkit.model.types import Model
from nnapi_testkit.spec.operands import Array


def flow_refs(wanted: str) -> Iterator[CaseRef]:
    """The pairs of control flow and of sequences that are about an operation."""
    for operation, name, build, level in (
        ("IF", "branch", _if_pair, 4),
        ("WHILE", "unrolled", _while_pair, 4),
        ("UNIDIRECTIONAL_SEQUENCE_RNN", "steps", _rnn_pair, 3),
        ("UNIDIRECTIONAL_SEQUENCE_LSTM", "steps", _lstm_pair, 3),
    ):
        if operation != wanted:
            continue
        case_id = f"{operation}[float32-pair-{name}]"
        yield CaseRef(case_id, operation, "float32", level, "pair", partial(_flow, build, case_id))


def _flow(
    build: Callable[[Builder], tuple[list[Array], int, tuple[int, ...]]], case_id: str
) -> Case:
    builder = Builder()
    arrays, outputs, dims = build(builder)
    model: Model = builder.build()
    return Case(case_id, model, (Execution(tuple(arrays), (dims,) * outputs),))


def _data(name: str, *shape: int, size: float = 1.0) -> Array:
    reals = uniform(key_of("pair", name), int(np.prod(shape)), -size, size)
    data: Array = reals.astype("<f4").reshape(shape)
    return data


def _if_pair(b: Builder) -> tuple[list[Array], int, tuple[int, ...]]:
    """IF of SUB and MUL, and the branch that it takes."""
    shape = (3, 4)
    float32 = "TENSOR_FLOAT32"
    models = []
    for name in ("SUB", "MUL"):
        graph = b.subgraph()
        x, y = graph.input(float32, shape), graph.input(float32, shape)
        graph.operation(name, (x, y, graph.constant("INT32", 0)), (graph.output(float32, shape),))
        models.append(b.refer(graph))
    condition = b.input("TENSOR_BOOL8", (1,))
    x, y = b.input(float32, shape), b.input(float32, shape)
    b.operation("IF", (condition, *models, x, y), (b.output(float32, shape),))
    b.operation("MUL", (x, y, b.constant("INT32", 0)), (b.output(float32, shape),))
    return [np.zeros(1, "u1"), _data("x", *shape), _data("y", *shape)], 2, shape


def _while_pair(b: Builder) -> tuple[list[Array], int, tuple[int, ...]]:
    """Four rounds of x := x * y + y."""
    shape, rounds = (2, 3), 4
    float32, int32 = "TENSOR_FLOAT32", "TENSOR_INT32"

    def state(g: Builder) -> tuple[int, int, int]:
        return g.input(float32, shape), g.input(int32, (1,)), g.input(float32, shape)

    condition = b.subgraph()
    _, counter, _ = state(condition)
    limit = condition.constant(int32, [rounds])
    condition.operation("LESS", (counter, limit), (condition.output("TENSOR_BOOL8", (1,)),))
    body = b.subgraph()
    x, counter, y = state(body)
    product = body.tensor(float32, shape)
    none = body.constant("INT32", 0)
    body.operation("MUL", (x, y, none), (product,))
    body.operation("ADD", (product, y, none), (body.output(float32, shape),))
    body.operation("ADD", (counter, body.constant(int32, [1]), none), (body.output(int32, (1,)),))
    models = b.refer(condition), b.refer(body)
    x, y = b.input(float32, shape), b.input(float32, shape)
    b.operation("WHILE", (*models, x, b.constant(int32, [0]), y), (b.output(float32, shape),))
    none = b.constant("INT32", 0)
    value = x
    for number in range(rounds):
        product = b.tensor(float32, shape)
        last = number == rounds - 1
        total = b.output(float32, shape) if last else b.tensor(float32, shape)
        b.operation("MUL", (value, y, none), (product,))
        b.operation("ADD", (product, y, none), (total,))
        value = total
    return [_data("a", *shape), _data("b", *shape)], 2, shape


def _steps(b: Builder, x: int, shape: tuple[int, int, int]) -> list[int]:
    """The time steps of a time-major input, as 2-D tensors."""
    time, batch, size = shape
    found = []
    for number in range(time):
        part = b.tensor("TENSOR_FLOAT32", (1, batch, size))
        begin, count = [number, 0, 0], [1, batch, size]
        b.operation(
            "SLICE",
            (x, b.constant("TENSOR_INT32", begin), b.constant("TENSOR_INT32", count)),
            (part,),
        )
        flat = b.tensor("TENSOR_FLOAT32", (batch, size))
        b.operation("RESHAPE", (part, b.constant("TENSOR_INT32", [batch, size])), (flat,))
        found.append(flat)
    return found


def _joined(b: Builder, parts: list[int], shape: tuple[int, int, int]) -> None:
    flat = b.tensor("TENSOR_FLOAT32", (shape[0] * shape[1], shape[2]))
    b.operation("CONCATENATION", (*parts, b.constant("INT32", 0)), (flat,))
    out = b.output("TENSOR_FLOAT32", shape)
    b.operation("RESHAPE", (flat, b.constant("TENSOR_INT32", list(shape))), (out,))


def _rnn_pair(b: Builder) -> tuple[list[Array], int, tuple[int, ...]]:
    """Three steps of RNN and one UNIDIRECTIONAL_SEQUENCE_RNN."""
    time, batch, size, units = 3, 2, 3, 4
    float32 = "TENSOR_FLOAT32"
    x, state = b.input(float32, (time, batch, size)), b.input(float32, (batch, units))
    weights = [
        b.constant(float32, _data(name, *dims, size=0.5))
        for name, dims in (("w", (units, size)), ("r", (units, units)), ("b", (units,)))
    ]
    relu, major = b.constant("INT32", 1), b.constant("INT32", 1)
    shape = (time, batch, units)
    b.operation(
        "UNIDIRECTIONAL_SEQUENCE_RNN",
        (x, *weights, state, relu, major),
        (b.output(float32, shape),),
    )
    parts, hidden = [], state
    for step in _steps(b, x, (time, batch, size)):
        following, out = b.tensor(float32, (batch, units)), b.tensor(float32, (batch, units))
        b.operation("RNN", (step, *weights, hidden, relu), (following, out))
        hidden = following
        parts.append(out)
    _joined(b, parts, shape)
    return [_data("xs", time, batch, size), _data("h", batch, units)], 2, shape


def _lstm_pair(b: Builder) -> tuple[list[Array], int, tuple[int, ...]]:
    """Three steps of LSTM and one UNIDIRECTIONAL_SEQUENCE_LSTM."""
    time, batch, size, units = 3, 2, 3, 4
    float32 = "TENSOR_FLOAT32"
    x = b.input(float32, (time, batch, size))
    h, c = b.input(float32, (batch, units)), b.input(float32, (batch, units))

    def weights(names: str, *dims: int) -> list[int]:
        return [b.constant(float32, _data(name, *dims, size=0.5)) for name in names.split()]

    def omitted(count: int, rank: int) -> list[int]:
        return [b.omitted(float32, (0,) * rank) for _ in range(count)]

    cell = [
        *weights("xi xf xc xo", units, size),
        *weights("hi hf hc ho", units, units),
        *omitted(3, 1),
        *weights("bi bf bc bo", units),
        *omitted(1, 2),
        *omitted(1, 1),
    ]
    tail = [b.constant("INT32", 4), b.constant("FLOAT32", 0.0), b.constant("FLOAT32", 0.0)]
    shape = (time, batch, units)
    major = b.constant("BOOL", 1)
    norm = omitted(4, 1)
    b.operation(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        (x, *cell, h, c, *tail, major, *norm),
        (b.output(float32, shape),),
    )
    parts = []
    for step in _steps(b, x, (time, batch, size)):
        scratch = b.tensor(float32, (batch, units * 4))
        h_next, c_next, out = (b.tensor(float32, (batch, units)) for _ in range(3))
        b.operation("LSTM", (step, *cell, h, c, *tail, *norm), (scratch, h_next, c_next, out))
        h, c = h_next, c_next
        parts.append(out)
    _joined(b, parts, shape)
    states = [_data("h", batch, units), _data("c", batch, units)]
    return [_data("xs", time, batch, size), *states], 2, shape
