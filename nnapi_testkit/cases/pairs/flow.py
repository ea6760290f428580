"""Pairs of control flow and of sequences: IF and the branch it takes, WHILE and its unrolled body.

And the sequence operations, each beside single steps of its cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from nnapi_testkit.cases.draw import key_of, uniform
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.model.builder import Builder
from nnapi_testkit.model.case import Case, Execution
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.op.declare import Cell, Op
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import CODE_RANGE, DTYPE, Array, is_quantized

BOOL8, INT32 = OperandCode.TENSOR_BOOL8, OperandCode.TENSOR_INT32
# One scale for all operands, so that sums of codes stay exact codes.
SCALE = 0.0625
ZERO = {OperandCode.TENSOR_QUANT8_ASYMM: 120, OperandCode.TENSOR_QUANT8_ASYMM_SIGNED: -7}
SHAPE = (2, 3)
ROUNDS = 4
TIME, BATCH, SIZE, UNITS = 3, 2, 3, 4
SEQUENCE, STATE = (TIME, BATCH, SIZE), (BATCH, UNITS)


@dataclass(frozen=True)
class Typed:
    """Adds operands of a cell's type to a builder, and draws their data."""

    code: OperandCode

    @property
    def quant(self) -> tuple[float, int]:
        """Scale and zero point."""
        return (SCALE, ZERO[self.code]) if is_quantized(self.code) else (0.0, 0)

    def input(self, b: Builder, shape: Sequence[int] = SHAPE) -> int:
        """An input of the graph."""
        return b.input(self.code, shape, *self.quant)

    def output(self, b: Builder, shape: Sequence[int] = SHAPE) -> int:
        """An output of the graph."""
        return b.output(self.code, shape, *self.quant)

    def tensor(self, b: Builder, shape: Sequence[int] = SHAPE) -> int:
        """A temporary."""
        return b.tensor(self.code, shape, *self.quant)

    def data(self, name: str, *shape: int, size: float = 1.0) -> Array:
        """Data of this type: reals below `size`, or small integers around the zero point."""
        reals = uniform(key_of("pair", name), int(np.prod(shape)), -size, size)
        if self.code == BOOL8:
            reals = np.asarray(reals > 0, dtype=np.float64)
        elif self.code == INT32:
            reals = np.round(reals * 9)
        elif is_quantized(self.code):
            low, high = CODE_RANGE[self.code]
            reals = np.clip(np.round(reals * 20) + self.quant[1], low, high)
        data: Array = reals.astype(DTYPE[self.code]).reshape(shape)
        return data

    def constant(self, b: Builder, name: str, *shape: int) -> int:
        """A constant with drawn data."""
        return b.constant(self.code, self.data(name, *shape, size=0.5), *self.quant)

    def combine(self, b: Builder, name: str, x: int, y: int, out: int) -> None:
        """`out` from x and y: of ADD and MUL, for booleans of OR and AND."""
        if self.code == BOOL8:
            b.operation("LOGICAL_OR" if name == "ADD" else "LOGICAL_AND", (x, y), (out,))
        else:
            b.operation(name, (x, y, b.constant("INT32", 0)), (out,))


# Inputs of the one set, and the shapes of the first half of the outputs.
Pair = tuple[list[Array], list[tuple[int, ...]]]
Build = Callable[[Builder, Typed], Pair]


def flow_refs(op: Op, cell: Cell) -> Iterator[CaseRef]:
    """The pairs of control flow and of sequences that are about an operation."""
    for name, build in PAIRS.get(op.name, {}).items():
        case_id = f"{op.name}[{cell.name}-pair-{name}]"
        make = partial(_flow, build, cell.main, case_id)
        yield CaseRef(case_id, op.name, cell.name, max(op.since, cell.since), Kind.PAIR, make)


def _flow(build: Build, code: OperandCode, case_id: str) -> Case:
    builder = Builder()
    arrays, shapes = build(builder, Typed(code))
    return Case(case_id, builder.build(), (Execution(tuple(arrays), tuple(shapes) * 2),))


def _if_pair(taken: int, b: Builder, t: Typed) -> Pair:
    """IF of ADD and MUL, and the branch that it takes."""
    names = ("ADD", "MUL")
    # A product has a scale of its own; sums of codes are exact.
    if is_quantized(t.code):
        names = ("ADD", "SUB")
    models = []
    for name in names:
        graph = b.subgraph()
        x, y = t.input(graph), t.input(graph)
        t.combine(graph, name, x, y, t.output(graph))
        models.append(b.refer(graph))
    condition = b.input("TENSOR_BOOL8", (1,))
    x, y = t.input(b), t.input(b)
    b.operation("IF", (condition, *models, x, y), (t.output(b),))
    t.combine(b, names[1 - taken], x, y, t.output(b))
    condition_data = np.full(1, taken, "u1")
    return [condition_data, t.data("x", *SHAPE), t.data("y", *SHAPE)], [SHAPE]


def _round(b: Builder, t: Typed, x: int, y: int, out: int) -> None:
    """`out` := x * y + y; x + y where a product would have to be rounded to codes."""
    if is_quantized(t.code):
        t.combine(b, "ADD", x, y, out)
        return
    product = t.tensor(b)
    t.combine(b, "MUL", x, y, product)
    t.combine(b, "ADD", product, y, out)


def _while_pair(b: Builder, t: Typed) -> Pair:
    """Four rounds of WHILE, and its body four times."""

    def state(g: Builder) -> tuple[int, int, int]:
        return t.input(g), g.input(INT32, (1,)), t.input(g)

    condition = b.subgraph()
    _, counter, _ = state(condition)
    limit = condition.constant(INT32, [ROUNDS])
    condition.operation("LESS", (counter, limit), (condition.output(BOOL8, (1,)),))
    body = b.subgraph()
    x, counter, y = state(body)
    _round(body, t, x, y, t.output(body))
    one, none = body.constant(INT32, [1]), body.constant("INT32", 0)
    body.operation("ADD", (counter, one, none), (body.output(INT32, (1,)),))
    models = b.refer(condition), b.refer(body)
    x, y = t.input(b), t.input(b)
    b.operation("WHILE", (*models, x, b.constant(INT32, [0]), y), (t.output(b),))
    value = x
    for number in range(ROUNDS):
        total = t.output(b) if number == ROUNDS - 1 else t.tensor(b)
        _round(b, t, value, y, total)
        value = total
    small = 0.25 if is_quantized(t.code) else 1.0
    return [t.data("a", *SHAPE, size=small), t.data("b", *SHAPE, size=small)], [SHAPE]


def _steps(b: Builder, t: Typed, x: int) -> list[int]:
    """The time steps of a time-major input, as 2-D tensors."""
    found = []
    for number in range(TIME):
        part, flat = t.tensor(b, (1, BATCH, SIZE)), t.tensor(b, (BATCH, SIZE))
        begin = b.constant(INT32, [number, 0, 0])
        b.operation("SLICE", (x, begin, b.constant(INT32, [1, BATCH, SIZE])), (part,))
        b.operation("RESHAPE", (part, b.constant(INT32, [BATCH, SIZE])), (flat,))
        found.append(flat)
    return found


def _joined(b: Builder, t: Typed, parts: Sequence[int]) -> None:
    flat = t.tensor(b, (TIME * BATCH, UNITS))
    b.operation("CONCATENATION", (*parts, b.constant("INT32", 0)), (flat,))
    shape = (TIME, BATCH, UNITS)
    b.operation("RESHAPE", (flat, b.constant(INT32, shape)), (t.output(b, shape),))


def _rnn_weights(b: Builder, t: Typed, way: str) -> list[int]:
    shapes = {"w": (UNITS, SIZE), "r": (UNITS, UNITS), "b": (UNITS,)}
    return [t.constant(b, way + name, *shape) for name, shape in shapes.items()]


def _rnn_steps(
    b: Builder, t: Typed, steps: Sequence[int], weights: list[int], hidden: int, activation: int
) -> list[int]:
    """The outputs of single steps of RNN, in their order."""
    parts = []
    for step in steps:
        following, out = t.tensor(b, STATE), t.tensor(b, STATE)
        b.operation("RNN", (step, *weights, hidden, activation), (following, out))
        hidden = following
        parts.append(out)
    return parts


def _rnn_pair(b: Builder, t: Typed) -> Pair:
    """Three steps of RNN and one UNIDIRECTIONAL_SEQUENCE_RNN."""
    x, state = t.input(b, SEQUENCE), t.input(b, STATE)
    weights = _rnn_weights(b, t, "")
    relu, major = b.constant("INT32", 1), b.constant("INT32", 1)
    shape = (TIME, BATCH, UNITS)
    inputs = (x, *weights, state, relu, major)
    b.operation("UNIDIRECTIONAL_SEQUENCE_RNN", inputs, (t.output(b, shape),))
    _joined(b, t, _rnn_steps(b, t, _steps(b, t, x), weights, state, relu))
    return [t.data("xs", *SEQUENCE), t.data("h", *STATE)], [shape]


def _both_rnn_pair(b: Builder, t: Typed) -> Pair:
    """Three steps of two RNNs, one from the end, and one BIDIRECTIONAL_SEQUENCE_RNN."""
    x, forth, back = t.input(b, SEQUENCE), t.input(b, STATE), t.input(b, STATE)
    first, second = _rnn_weights(b, t, "fw-"), _rnn_weights(b, t, "bw-")
    relu, yes, no = b.constant("INT32", 1), b.constant("BOOL", 1), b.constant("BOOL", 0)
    none = [b.omitted(t.code, (0, 0, 0)), b.omitted(t.code, (0, 0)), b.omitted(t.code, (0, 0))]
    shape = (TIME, BATCH, UNITS)
    inputs = (x, *first, forth, *second, back, *none, relu, yes, no)
    outputs = (t.output(b, shape), t.output(b, shape))
    b.operation("BIDIRECTIONAL_SEQUENCE_RNN", inputs, outputs)
    steps = _steps(b, t, x)
    _joined(b, t, _rnn_steps(b, t, steps, first, forth, relu))
    _joined(b, t, _rnn_steps(b, t, steps[::-1], second, back, relu)[::-1])
    return [t.data("xs", *SEQUENCE), t.data("h", *STATE), t.data("hb", *STATE)], [shape, shape]


def _lstm_weights(b: Builder, t: Typed, way: str) -> list[int]:
    """Weights and biases of a cell without peepholes and projection."""

    def weights(names: str, *shape: int) -> list[int]:
        return [t.constant(b, way + name, *shape) for name in names.split()]

    return [
        *weights("xi xf xc xo", UNITS, SIZE),
        *weights("hi hf hc ho", UNITS, UNITS),
        *_omitted(b, t, 3, 1),
        *weights("bi bf bc bo", UNITS),
        *_omitted(b, t, 1, 2),
        *_omitted(b, t, 1, 1),
    ]


def _omitted(b: Builder, t: Typed, count: int, rank: int) -> list[int]:
    return [b.omitted(t.code, (0,) * rank) for _ in range(count)]


def _lstm_tail(b: Builder, t: Typed) -> list[int]:
    """Activation tanh, no clipping."""
    real = "FLOAT16" if t.code == OperandCode.TENSOR_FLOAT16 else "FLOAT32"
    return [b.constant("INT32", 4), b.constant(real, 0.0), b.constant(real, 0.0)]


def _lstm_steps(
    b: Builder, t: Typed, steps: Sequence[int], cell: list[int], states: list[int], tail: list[int]
) -> list[int]:
    """The outputs of single steps of LSTM, in their order."""
    parts = []
    for step in steps:
        scratch = t.tensor(b, (BATCH, UNITS * 4))
        following = [t.tensor(b, STATE), t.tensor(b, STATE)]
        out = t.tensor(b, STATE)
        inputs = (step, *cell, *states, *tail, *_omitted(b, t, 4, 1))
        b.operation("LSTM", inputs, (scratch, *following, out))
        states = following
        parts.append(out)
    return parts


def _lstm_pair(b: Builder, t: Typed) -> Pair:
    """Three steps of LSTM and one UNIDIRECTIONAL_SEQUENCE_LSTM."""
    x = t.input(b, SEQUENCE)
    states = [t.input(b, STATE), t.input(b, STATE)]
    cell, tail = _lstm_weights(b, t, ""), _lstm_tail(b, t)
    shape = (TIME, BATCH, UNITS)
    inputs = (x, *cell, *states, *tail, b.constant("BOOL", 1), *_omitted(b, t, 4, 1))
    b.operation("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, (t.output(b, shape),))
    _joined(b, t, _lstm_steps(b, t, _steps(b, t, x), cell, states, tail))
    return [t.data("xs", *SEQUENCE), t.data("h", *STATE), t.data("c", *STATE)], [shape]


def _both_lstm_pair(b: Builder, t: Typed) -> Pair:
    """Three steps of two LSTMs, one from the end, and one BIDIRECTIONAL_SEQUENCE_LSTM."""
    x = t.input(b, SEQUENCE)
    states = [t.input(b, STATE) for _ in range(4)]
    first, second = _lstm_weights(b, t, "fw-"), _lstm_weights(b, t, "bw-")
    tail = _lstm_tail(b, t)
    shape = (TIME, BATCH, UNITS)
    flags = b.constant("BOOL", 0), b.constant("BOOL", 1)  # not merged, time major
    none = [*_omitted(b, t, 1, 3), *_omitted(b, t, 8, 2)]
    inputs = (x, *first, *second, *states, *none, *tail, *flags, *_omitted(b, t, 8, 1))
    outputs = (t.output(b, shape), t.output(b, shape))
    b.operation("BIDIRECTIONAL_SEQUENCE_LSTM", inputs, outputs)
    steps = _steps(b, t, x)
    _joined(b, t, _lstm_steps(b, t, steps, first, states[:2], tail))
    _joined(b, t, _lstm_steps(b, t, steps[::-1], second, states[2:], tail)[::-1])
    data = [t.data(name, *STATE) for name in ("h", "c", "hb", "cb")]
    return [t.data("xs", *SEQUENCE), *data], [shape, shape]


PAIRS: dict[str, dict[str, Build]] = {
    "IF": {"branch": partial(_if_pair, 0), "branch-then": partial(_if_pair, 1)},
    "WHILE": {"unrolled": _while_pair},
    "UNIDIRECTIONAL_SEQUENCE_RNN": {"steps": _rnn_pair},
    "UNIDIRECTIONAL_SEQUENCE_LSTM": {"steps": _lstm_pair},
    "BIDIRECTIONAL_SEQUENCE_RNN": {"steps": _both_rnn_pair},
    "BIDIRECTIONAL_SEQUENCE_LSTM": {"steps": _both_lstm_pair},
}
