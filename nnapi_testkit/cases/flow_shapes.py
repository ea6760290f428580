"""Shapes of graphs around IF and WHILE: operands and subgraphs that are used more than once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from nnapi_testkit.cases.pairs.flow import BOOL8, INT32, SHAPE, Typed
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.model.builder import Builder
from nnapi_testkit.model.case import Case, Execution
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.op.declare import Cell, Op
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import Array

ROUNDS = 3
# Adds a graph; gives the data of its inputs behind the condition, and how many outputs of SHAPE it
# has, or their shapes.
Build = Callable[[Builder, Typed], tuple[list[Array], int | tuple[tuple[int, ...], ...]]]


def flow_shape_refs(op: Op, cell: Cell) -> Iterator[CaseRef]:
    """The shapes of graphs around an operation of control flow."""
    for name, build in SHAPES.get(op.name, {}).items():
        if cell.main == BOOL8 and name in UNTILED:
            continue
        case_id = f"{op.name}[{cell.name}-graph-{name}]"
        make = partial(_make, op.name, build, cell.main, case_id)
        yield CaseRef(case_id, op.name, cell.name, max(op.since, cell.since), Kind.GRAPH, make)


def _make(op_name: str, build: Build, code: OperandCode, case_id: str) -> Case:
    builder = Builder()
    arrays, outputs = build(builder, Typed(code))
    dims = (SHAPE,) * outputs if isinstance(outputs, int) else outputs
    if op_name == "WHILE":
        return Case(case_id, builder.build(), (Execution(tuple(arrays), dims),))
    # Both branches are taken by one compilation, the first one again after the other.
    conditions = [np.full(1, taken, "u1") for taken in (1, 0, 1)]
    sets = tuple(Execution((condition, *arrays), dims) for condition in conditions)
    return Case(case_id, builder.build(), sets)


def _branch(b: Builder, t: Typed, name: str) -> int:
    """A subgraph of two inputs: their sum, or their product (of codes: the difference)."""
    graph = b.subgraph()
    x, y = t.input(graph), t.input(graph)
    t.combine(graph, name, x, y, t.output(graph))
    return b.refer(graph)


def _product(t: Typed) -> str:
    """MUL, or of codes SUB, which is exact."""
    return "SUB" if t.quant[0] else "MUL"


def _branches(b: Builder, t: Typed) -> tuple[int, int]:
    return _branch(b, t, "ADD"), _branch(b, t, _product(t))


def _condition(b: Builder) -> int:
    return b.input(BOOL8, (1,))


def _data(t: Typed, *names: str) -> list[Array]:
    return [t.data(name, *SHAPE, size=0.25 if t.quant[0] else 1.0) for name in names]


def _operand_twice(b: Builder, t: Typed) -> tuple[list[Array], int]:
    """IF of a branch of two inputs, which are one operand."""
    condition, models, x = _condition(b), _branches(b, t), t.input(b)
    b.operation("IF", (condition, *models, x, x), (t.output(b),))
    return _data(t, "x"), 1


def _one_model(b: Builder, t: Typed) -> tuple[list[Array], int]:
    """IF whose two branches are one subgraph."""
    condition, model, x, y = _condition(b), _branch(b, t, "ADD"), t.input(b), t.input(b)
    b.operation("IF", (condition, model, model, x, y), (t.output(b),))
    return _data(t, "x", "y"), 1


def _crosswise(b: Builder, t: Typed) -> tuple[list[Array], int]:
    """Two IFs on the same operands with the same subgraphs, which change places."""
    condition, models, x, y = _condition(b), _branches(b, t), t.input(b), t.input(b)
    b.operation("IF", (condition, *models, x, y), (t.output(b),))
    b.operation("IF", (condition, *models[::-1], x, y), (t.output(b),))
    return _data(t, "x", "y"), 2


def _if_read(b: Builder, t: Typed) -> tuple[list[Array], int]:
    """The result of IF is an output, and read by the operation that is listed before it."""
    condition, models, x, y = _condition(b), _branches(b, t), t.input(b), t.input(b)
    result = t.output(b)
    t.combine(b, "ADD", result, x, t.output(b))
    b.operation("IF", (condition, *models, x, y), (result,))
    return _data(t, "x", "y"), 2


def _loop(b: Builder, t: Typed) -> tuple[int, int]:
    """Condition and body of a loop: x becomes x + y, so many times; y stays."""

    def state(graph: Builder) -> tuple[int, int, int]:
        return t.input(graph), graph.input(INT32, (1,)), t.input(graph)

    condition = b.subgraph()
    _, counter, _ = state(condition)
    limit = condition.constant(INT32, [ROUNDS])
    condition.operation("LESS", (counter, limit), (condition.output(BOOL8, (1,)),))
    body = b.subgraph()
    x, counter, y = state(body)
    t.combine(body, "ADD", x, y, t.output(body))
    one, none = body.constant(INT32, [1]), body.constant("INT32", 0)
    body.operation("ADD", (counter, one, none), (body.output(INT32, (1,)),))
    return b.refer(condition), b.refer(body)


def _loop_of_one(b: Builder, t: Typed) -> tuple[list[Array], int]:
    """WHILE in which one operand is the first value of a variable and what stays."""
    models, x = _loop(b, t), t.input(b)
    b.operation("WHILE", (*models, x, b.constant(INT32, [0]), x), (t.output(b),))
    return _data(t, "x"), 1


def _loops(b: Builder, t: Typed) -> tuple[list[Array], int]:
    """Two loops of the same subgraphs, the second one on the first one's result, which is out."""
    models, x, y = _loop(b, t), t.input(b), t.input(b)
    first, counter = t.output(b), b.constant(INT32, [0])
    b.operation("WHILE", (*models, x, counter, y), (first,))
    b.operation("WHILE", (*models, first, counter, x), (t.output(b),))
    return _data(t, "x", "y"), 2


def _loop_reversed(b: Builder, t: Typed) -> tuple[list[Array], int]:
    """A loop between the operation that makes its first value and its reader, all listed back."""
    models, x, y = _loop(b, t), t.input(b), t.input(b)
    start, end = t.tensor(b), t.tensor(b)
    t.combine(b, "ADD", end, y, t.output(b))
    b.operation("WHILE", (*models, start, b.constant(INT32, [0]), y), (end,))
    t.combine(b, "ADD", x, y, start)
    return _data(t, "x", "y"), 1


def _grown(graph: Builder, t: Typed, x: int, y: int) -> int:
    """x + y; of truth values x negated."""
    out = t.tensor(graph)
    if t.code == BOOL8:
        graph.operation("LOGICAL_NOT", (x,), (out,))
    else:
        t.combine(graph, "ADD", x, y, out)
    return out


def _kept(graph: Builder, t: Typed, name: str, x: int, y: int, out: int) -> None:
    """The end: x with y, a value from before; of truth values whether they are equal."""
    if t.code == BOOL8:
        graph.operation("EQUAL", (x, y), (out,))
    else:
        t.combine(graph, name, x, y, out)


def _if_residual(b: Builder, t: Typed) -> tuple[list[Array], int]:
    """Both branches of an IF need a value after two more operations."""
    condition, models = _condition(b), []
    for name in ("ADD", _product(t)):
        graph = b.subgraph()
        x, y = t.input(graph), t.input(graph)
        start, last = t.tensor(graph), t.tensor(graph)
        t.combine(graph, name, x, y, start)
        t.combine(graph, "ADD", _grown(graph, t, start, y), x, last)
        _kept(graph, t, name, last, start, t.output(graph))
        models.append(b.refer(graph))
    x, y = t.input(b), t.input(b)
    b.operation("IF", (condition, *models, x, y), (t.output(b),))
    return _data(t, "x", "y"), 1


def _if_around(b: Builder, t: Typed) -> tuple[list[Array], int]:
    """A value that IF reads is needed after it and one more operation."""
    condition, models, x, y = _condition(b), _branches(b, t), t.input(b), t.input(b)
    start, chosen = t.tensor(b), t.tensor(b)
    t.combine(b, "ADD", x, y, start)
    b.operation("IF", (condition, *models, start, y), (chosen,))
    _kept(b, t, _product(t), _grown(b, t, chosen, x), start, t.output(b))
    return _data(t, "x", "y"), 1


def _loop_around(b: Builder, t: Typed) -> tuple[list[Array], int]:
    """A value that a loop starts with is needed after it and one more operation."""
    models, x, y = _loop(b, t), t.input(b), t.input(b)
    start, end = t.tensor(b), t.tensor(b)
    t.combine(b, "ADD", x, y, start)
    b.operation("WHILE", (*models, start, b.constant(INT32, [0]), y), (end,))
    _kept(b, t, _product(t), _grown(b, t, end, x), start, t.output(b))
    return _data(t, "x", "y"), 1


def _resized_loop(b: Builder, t: Typed) -> tuple[list[Array], tuple[tuple[int, ...], ...]]:
    """WHILE in which x doubles its rows and y loses its first, from round to round."""

    def state(graph: Builder) -> tuple[int, int, int]:
        return t.input(graph, OPEN), t.input(graph, OPEN), graph.input(INT32, (1,))

    condition = b.subgraph()
    *_, counter = state(condition)
    limit = condition.constant(INT32, [ROUNDS])
    condition.operation("LESS", (counter, limit), (condition.output(BOOL8, (1,)),))
    body = b.subgraph()
    x, y, counter = state(body)
    body.operation("TILE", (x, body.constant(INT32, [2, 1])), (t.output(body, OPEN),))
    begin, rest = body.constant(INT32, [1, 0]), body.constant(INT32, [-1, -1])
    body.operation("SLICE", (y, begin, rest), (t.output(body, OPEN),))
    one, none = body.constant(INT32, [1]), body.constant("INT32", 0)
    body.operation("ADD", (counter, one, none), (body.output(INT32, (1,)),))
    models = b.refer(condition), b.refer(body)
    inputs = t.input(b, OPEN), t.input(b, OPEN), b.constant(INT32, [0])
    b.operation("WHILE", (*models, *inputs), (t.output(b, OPEN), t.output(b, OPEN)))
    rows = 2 + ROUNDS
    return [t.data("x", 1, 3), t.data("y", rows, 3)], ((2**ROUNDS, 3), (rows - ROUNDS, 3))


OPEN = (0, 3)  # rows that are known at the execution
UNTILED = ("resized",)  # of whose operations none takes truth values
SHAPES: dict[str, dict[str, Build]] = {
    "IF": {
        "one-operand-twice": _operand_twice,
        "one-model": _one_model,
        "crosswise": _crosswise,
        "output-read-reversed": _if_read,
        "value-needed-in-branches": _if_residual,
        "value-needed-after": _if_around,
    },
    "WHILE": {
        "one-operand-twice": _loop_of_one,
        "output-read-models-shared": _loops,
        "reversed": _loop_reversed,
        "value-needed-after": _loop_around,
        "resized": _resized_loop,
    },
}
