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
LONG = 300
Shapes = tuple[tuple[int, ...], ...]
# Adds a graph; gives the data of its inputs behind the condition, and how many outputs of SHAPE it
# has, or their shapes where the condition is false (or there is none) and true.
Build = Callable[[Builder, Typed], tuple[list[Array], int | tuple[Shapes, ...]]]


def flow_shape_refs(op: Op, cell: Cell) -> Iterator[CaseRef]:
    """The shapes of graphs around an operation of control flow."""
    for name, build in SHAPES.get(op.name, {}).items():
        if cell.main not in ONLY.get(name, (cell.main,)):
            continue
        case_id = f"{op.name}[{cell.name}-graph-{name}]"
        make = partial(_make, op.name, build, cell.main, case_id)
        yield CaseRef(case_id, op.name, cell.name, max(op.since, cell.since), Kind.GRAPH, make)


def _make(op_name: str, build: Build, code: OperandCode, case_id: str) -> Case:
    builder = Builder()
    arrays, outputs = build(builder, Typed(code))
    dims = ((SHAPE,) * outputs,) * 2 if isinstance(outputs, int) else outputs
    if op_name == "WHILE":
        return Case(case_id, builder.build(), (Execution(tuple(arrays), dims[0]),))
    # Both branches are taken by one compilation, the first one again after the other.
    sets = tuple(Execution((np.full(1, taken, "u1"), *arrays), dims[taken]) for taken in (1, 0, 1))
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
    _count(body, counter)
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


def _doubled(b: Builder, t: Typed, x: int) -> None:
    """The output has the rows of x twice."""
    b.operation("TILE", (x, b.constant(INT32, [2, 1])), (t.output(b, OPEN),))


def _behead(b: Builder, t: Typed, x: int) -> None:
    """The output has the rows of x but the first."""
    begin, rest = b.constant(INT32, [1, 0]), b.constant(INT32, [-1, -1])
    b.operation("SLICE", (x, begin, rest), (t.output(b, OPEN),))


def _resized_branch(b: Builder, t: Typed) -> tuple[list[Array], tuple[Shapes, ...]]:
    """IF whose branches give other shapes: twice the rows, or one row less."""
    condition, models = _condition(b), []
    for resize in (_doubled, _behead):
        graph = b.subgraph()
        resize(graph, t, t.input(graph, OPEN))
        models.append(b.refer(graph))
    b.operation("IF", (condition, *models, t.input(b, OPEN)), (t.output(b, OPEN),))
    return [t.data("x", 4, 3)], (((3, 3),), ((8, 3),))


def _count(graph: Builder, counter: int) -> None:
    """The next output is the counter and 1."""
    one, none = graph.constant(INT32, [1]), graph.constant("INT32", 0)
    graph.operation("ADD", (counter, one, none), (graph.output(INT32, (1,)),))


def _loop_in_loop(b: Builder, t: Typed) -> tuple[list[Array], int]:
    """A loop whose body is a loop: x + y, so many times so many times."""

    def state(graph: Builder) -> tuple[int, int, int]:
        return t.input(graph), graph.input(INT32, (1,)), t.input(graph)

    condition = b.subgraph()
    _, counter, _ = state(condition)
    limit = condition.constant(INT32, [2])
    condition.operation("LESS", (counter, limit), (condition.output(BOOL8, (1,)),))
    body = b.subgraph()
    x, counter, y = state(body)
    models = _loop(body, t)
    body.operation("WHILE", (*models, x, body.constant(INT32, [0]), y), (t.output(body),))
    _count(body, counter)
    models = b.refer(condition), b.refer(body)
    x, y = t.input(b), t.input(b)
    b.operation("WHILE", (*models, x, b.constant(INT32, [0]), y), (t.output(b),))
    return _data(t, "x", "y"), 1


def _long_loop(b: Builder, t: Typed) -> tuple[list[Array], tuple[Shapes, ...]]:
    """A loop of many rounds, which counts them."""
    condition, body = b.subgraph(), b.subgraph()
    counter, limit = condition.input(INT32, (1,)), condition.constant(INT32, [LONG])
    condition.operation("LESS", (counter, limit), (condition.output(BOOL8, (1,)),))
    _count(body, body.input(INT32, (1,)))
    models = b.refer(condition), b.refer(body)
    b.operation("WHILE", (*models, b.input(INT32, (1,))), (b.output(INT32, (1,)),))
    return [np.zeros(1, "i4")], (((1,),),)


def _resized_loop(b: Builder, t: Typed) -> tuple[list[Array], tuple[Shapes, ...]]:
    """WHILE in which x doubles its rows and y loses its first, from round to round."""

    def state(graph: Builder) -> tuple[int, int, int]:
        return t.input(graph, OPEN), t.input(graph, OPEN), graph.input(INT32, (1,))

    condition = b.subgraph()
    *_, counter = state(condition)
    limit = condition.constant(INT32, [ROUNDS])
    condition.operation("LESS", (counter, limit), (condition.output(BOOL8, (1,)),))
    body = b.subgraph()
    x, y, counter = state(body)
    _doubled(body, t, x)
    _behead(body, t, y)
    _count(body, counter)
    models = b.refer(condition), b.refer(body)
    inputs = t.input(b, OPEN), t.input(b, OPEN), b.constant(INT32, [0])
    b.operation("WHILE", (*models, *inputs), (t.output(b, OPEN), t.output(b, OPEN)))
    rows = 2 + ROUNDS
    return [t.data("x", 1, 3), t.data("y", rows, 3)], (((2**ROUNDS, 3), (rows - ROUNDS, 3)),)


OPEN = (0, 3)  # rows that are known at the execution
NUMBERS = tuple(
    OperandCode[f"TENSOR_{word}"]
    for word in ("FLOAT32", "FLOAT16", "INT32", "QUANT8_ASYMM", "QUANT8_ASYMM_SIGNED")
)
# Cells for which a graph is: TILE takes no truth values.
ONLY = {"resized": NUMBERS, "many-rounds": (INT32,)}
SHAPES: dict[str, dict[str, Build]] = {
    "IF": {
        "one-operand-twice": _operand_twice,
        "one-model": _one_model,
        "crosswise": _crosswise,
        "output-read-reversed": _if_read,
        "value-needed-in-branches": _if_residual,
        "value-needed-after": _if_around,
        "resized": _resized_branch,
    },
    "WHILE": {
        "one-operand-twice": _loop_of_one,
        "output-read-models-shared": _loops,
        "reversed": _loop_reversed,
        "value-needed-after": _loop_around,
        "resized": _resized_loop,
        "nested": _loop_in_loop,
        "many-rounds": _long_loop,
    },
}
