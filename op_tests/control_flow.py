"""IF and WHILE: models that refer to models."""

from nnapi_testkit.op import Feed, GraphSample, Op, Output, cells, exact

TABLE = "FLOAT32:4 FLOAT16:4 QUANT8_ASYMM:4 QUANT8_ASYMM_SIGNED:4 INT32:4 BOOL8:4"
SHAPE = (2, 3)
# One scale for all operands of a graph, so that sums of codes stay exact codes.
QUANT = {"TENSOR_QUANT8_ASYMM": (0.0625, 120), "TENSOR_QUANT8_ASYMM_SIGNED": (0.0625, -7)}


class Typed:
    """Adds operands of one cell's type to a builder."""

    def __init__(self, cell):
        self.code = cell.main
        self.quant = QUANT.get(cell.main.name, (0.0, 0))
        self.is_bool = cell.main.name == "TENSOR_BOOL8"

    def input(self, b, shape=SHAPE):
        return b.input(self.code, shape, *self.quant)

    def output(self, b, shape=SHAPE):
        return b.output(self.code, shape, *self.quant)

    def temporary(self, b, shape=SHAPE):
        return b.tensor(self.code, shape, *self.quant)

    def combine(self, b, name, x, y, out):
        """`out` from x and y by the operation `name`; bool tensors only pass x on."""
        if self.is_bool:
            b.operation("CAST", (x,), (out,))
        else:
            b.operation(name, (x, y, b.constant("INT32", 0)), (out,))

    def copy(self, b, x, out):
        """`out` with the elements of x: an input of a graph cannot be its output."""
        if self.is_bool:
            b.operation("CAST", (x,), (out,))
        else:
            b.operation("MAXIMUM", (x, x), (out,))

    def binary(self, b, name, swap=False):
        """A subgraph of two inputs and the result of one operation on them."""
        graph = b.subgraph()
        x, y = self.input(graph), self.input(graph)
        self.combine(graph, name, *((y, x) if swap else (x, y)), self.output(graph))
        return b.refer(graph)


def branch(typed, nested=False, constant=None, unknown=False):
    """IF over two subgraphs that see the operands in a different order."""
    shape = (0, 0) if unknown else SHAPE

    def build(b):
        if constant is None:
            condition = b.input("TENSOR_BOOL8", (1,))
        else:
            condition = b.constant("TENSOR_BOOL8", [constant])
        x, y = typed.input(b), typed.input(b)
        then = inner(b) if nested else typed.binary(b, "ADD")
        other = typed.binary(b, "SUB", swap=True)
        out = typed.output(b, shape)
        b.operation("IF", (condition, then, other, x, y), (out,))

    def inner(b):
        graph = b.subgraph()
        x, y = typed.input(graph), typed.input(graph)
        always = graph.constant("TENSOR_BOOL8", [0])
        first, second = typed.binary(graph, "ADD"), typed.binary(graph, "SUB")
        graph.operation("IF", (always, first, second, x, y), (typed.output(graph),))
        return b.refer(graph)

    return build


def feeds(values, at=0):
    return tuple(Feed((SHAPE,), {at: [value]}) for value in values)


def if_graphs(cell):
    typed = Typed(cell)
    both = feeds((1, 0))
    return [
        GraphSample("both-ways", branch(typed), both),
        GraphSample("any-byte-is-true", branch(typed), feeds((255, 2))),
        GraphSample("nested", branch(typed, nested=True), both),
        GraphSample("always", branch(typed, constant=1), (Feed((SHAPE,)),)),
        GraphSample("never", branch(typed, constant=0), (Feed((SHAPE,)),)),
        GraphSample("unknown-output", branch(typed, unknown=True), both),
        GraphSample("nested-unknown", branch(typed, nested=True, unknown=True), both),
        GraphSample("then-operation", followed(typed), both),
    ]


def followed(typed):
    """The result of IF feeds another operation."""

    def build(b):
        condition = b.input("TENSOR_BOOL8", (1,))
        x, y = typed.input(b), typed.input(b)
        then, other = typed.binary(b, "ADD"), typed.binary(b, "SUB")
        middle = typed.temporary(b)
        b.operation("IF", (condition, then, other, x, y), (middle,))
        typed.combine(b, "SUB", middle, x, typed.output(b))

    return build


def counted(typed, *, limit=None, state=False, inner_if=False, unknown=False):
    """x := x + step until the counter reaches the limit.

    Args:
        limit: a constant; None makes the limit an input-only operand.
        state: the counter is state-only, else it is the second output.
        inner_if: the body adds by way of an IF.
    """
    shape = (0, 0) if unknown else SHAPE

    def inputs(b):
        x = typed.input(b, shape)
        counter = b.input("TENSOR_INT32", (1,))
        step = typed.input(b)
        end = b.input("TENSOR_INT32", (1,)) if limit is None else None
        return x, counter, step, end

    def condition(b):
        graph = b.subgraph()
        _, counter, _, end = inputs(graph)
        if end is None:
            end = graph.constant("TENSOR_INT32", [limit])
        graph.operation("LESS", (counter, end), (graph.output("TENSOR_BOOL8", (1,)),))
        return b.refer(graph)

    def body(b):
        graph = b.subgraph()
        x, counter, step, _ = inputs(graph)
        out = typed.output(graph, shape)
        if inner_if:
            always = graph.constant("TENSOR_BOOL8", [1])
            then, other = typed.binary(graph, "ADD"), typed.binary(graph, "SUB")
            graph.operation("IF", (always, then, other, x, step), (out,))
        else:
            typed.combine(graph, "ADD", x, step, out)
        one, none = graph.constant("TENSOR_INT32", [1]), graph.constant("INT32", 0)
        after = graph.output("TENSOR_INT32", (1,))
        graph.operation("ADD", (counter, one, none), (after,))
        return b.refer(graph)

    def build(b):
        referred = condition(b), body(b)
        x = typed.input(b)
        counter, step = b.input("TENSOR_INT32", (1,)), typed.input(b)
        operands = [*referred, x, counter, step]
        if limit is None:
            operands.append(b.input("TENSOR_INT32", (1,)))
        outputs = [typed.output(b, shape)]
        if not state:
            outputs.append(b.output("TENSOR_INT32", (1,)))
        b.operation("WHILE", operands, outputs)

    return build


def exchanged(typed):
    """Four variables of one type and shape: one grows, two stay, two change places each time."""

    def inputs(b):
        return *(typed.input(b) for _ in range(4)), b.input("TENSOR_INT32", (1,))

    def condition(b):
        graph = b.subgraph()
        counter = inputs(graph)[4]
        end = graph.constant("TENSOR_INT32", [3])
        graph.operation("LESS", (counter, end), (graph.output("TENSOR_BOOL8", (1,)),))
        return b.refer(graph)

    def body(b):
        graph = b.subgraph()
        grown, kept, first, second, counter = inputs(graph)
        typed.combine(graph, "ADD", grown, kept, typed.output(graph))
        for variable in (kept, second, first):
            typed.copy(graph, variable, typed.output(graph))
        one, none = graph.constant("TENSOR_INT32", [1]), graph.constant("INT32", 0)
        after = graph.output("TENSOR_INT32", (1,))
        graph.operation("ADD", (counter, one, none), (after,))
        return b.refer(graph)

    def build(b):
        referred = condition(b), body(b)
        operands = [*referred, *inputs(b)]
        outputs = [typed.output(b) for _ in range(4)]
        b.operation("WHILE", operands, outputs)

    return build


def flagged(typed):
    """One trip, as long as a byte that any value but 0 makes true."""

    def inputs(b):
        return typed.input(b), b.input("TENSOR_BOOL8", (1,))

    def condition(b):
        graph = b.subgraph()
        _, flag = inputs(graph)
        graph.operation("CAST", (flag,), (graph.output("TENSOR_BOOL8", (1,)),))
        return b.refer(graph)

    def body(b):
        graph = b.subgraph()
        x, flag = inputs(graph)
        typed.combine(graph, "ADD", x, x, typed.output(graph))
        graph.operation("LOGICAL_NOT", (flag,), (graph.output("TENSOR_BOOL8", (1,)),))
        return b.refer(graph)

    def build(b):
        referred = condition(b), body(b)
        b.operation("WHILE", (*referred, *inputs(b)), (typed.output(b),))

    return build


def while_graphs(cell):
    typed = Typed(cell)

    def sets(*counts, state=False, limit=True):
        dims = (SHAPE,) if state else (SHAPE, (1,))
        return tuple(
            Feed(dims, {1: [first]} if limit else {1: [0], 3: [first]}) for first in counts
        )

    return [
        GraphSample("three-trips", counted(typed, limit=3), sets(0, 1)),
        GraphSample("no-trip", counted(typed, limit=0), sets(0, 5)),
        GraphSample("one-trip", counted(typed, limit=1), sets(0)),
        GraphSample("state-only", counted(typed, limit=2, state=True), sets(0, 1, state=True)),
        GraphSample("input-only", counted(typed), sets(2, 0, limit=False)),
        GraphSample("all-groups", counted(typed, state=True), sets(3, state=True, limit=False)),
        GraphSample("if-inside", counted(typed, limit=2, inner_if=True), sets(0, 2)),
        GraphSample("unknown-output", counted(typed, limit=2, unknown=True), sets(0, 1)),
        GraphSample("any-byte-is-true", flagged(typed), feeds((255, 2, 0), at=1)),
        GraphSample(
            "some-stay", exchanged(typed), tuple(Feed((SHAPE,) * 4, {4: [n]}) for n in (0, 1, 3))
        ),
    ]


def declare(name, graphs):
    return Op(
        name=name,
        signatures=(),
        outputs=(Output(),),
        cells=cells(TABLE),
        reference=lambda torch: None,
        bound=exact(),
        samples=(),
        graphs=graphs,
    )


OPS = [declare("IF", if_graphs), declare("WHILE", while_graphs)]
