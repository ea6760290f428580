"""IF and WHILE whose branches, conditions and bodies are grown like any other graph."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nnapi_testkit.cases.vary import Dice
from nnapi_testkit.model.types import Graph, Lifetime, Operand
from nnapi_testkit.random_graphs.fit import fit
from nnapi_testkit.random_graphs.growth import Growth, NotGrown, Result, Value
from nnapi_testkit.random_graphs.parts import FLOW, Part, names, parts, takes
from nnapi_testkit.random_graphs.splice import splice
from nnapi_testkit.spec.codes import OperandCode, OperationCode

__all__ = ["branch", "loop", "pick"]

I32, B8 = OperandCode.TENSOR_INT32, OperandCode.TENSOR_BOOL8
MOST_INSIDE = 6  # operations of a subgraph
TRIES = 8
TRIPS = 3


def pick(growth: Growth, name: str, dice: Dice) -> Part:
    """A part of an operation: of a type that the graph has, if there is one. Or NotGrown."""
    found = tuple(part for part in parts(name, growth.level) if part.name not in growth.without)
    if name in growth.without or not found:
        raise NotGrown("the device does not claim the operation")
    if dice.below(5):
        known = {value.code for value in growth.values if value.readable}
        found = tuple(part for part in found if part.cell.main in known) or found
    return found[dice.below(len(found))]


def branch(growth: Growth, dice: Dice) -> tuple[Value, ...]:
    """Append an IF over two grown branches of the same inputs. Raises NotGrown."""
    if "IF" in growth.without:
        raise NotGrown("the device does not claim the operation")
    with growth.attempt():
        given = _given(growth, dice)
        condition = _condition(growth, dice)
        first, end = _grown(growth, given, dice)
        second, _ = _grown(growth, given, dice, like=end)
        graphs = [first, second]
        if dice.below(2):
            graphs.reverse()
        referred = [_refer(growth, graph) for graph in graphs]
        inputs = (condition, *referred, *(value.index for value in given))
        result = Result(_plain(end.operand), readable=end.readable)
        return growth.emit(OperationCode.IF, inputs, (result,), dice)


def loop(growth: Growth, dice: Dice) -> tuple[Value, ...]:
    """Append a WHILE that counts up to a limit and changes one value. Raises NotGrown."""
    if "WHILE" in growth.without:
        raise NotGrown("the device does not claim the operation")
    with growth.attempt():
        (carried,) = _given(growth, dice, most=1)
        if not takes("ADD", I32.name, growth.level, growth.without):
            raise NotGrown("nothing counts")
        counter = Value(0, Operand(I32, (1,)), np.zeros(1, "<i4"), 0.0, 0.0, False)
        body = Growth(MOST_INSIDE, growth.level, relaxed=growth.relaxed, outer=growth)
        count = body.handed(counter)
        state = body.handed(carried)
        more = _extend(body, dice, carried)
        inputs = (count.index, body.ints((1,)), body.number(OperandCode.INT32, 0))
        result = Result(Operand(I32, (1,)))
        (next_count,) = body.emit(OperationCode.ADD, inputs, (result,), dice)
        if more.index == state.index:
            raise NotGrown("the body changes nothing")
        test = Growth(1, growth.level, outer=growth)
        left = test.handed(counter)
        test.handed(carried)
        limit = test.ints((dice.below(TRIPS + 1),))
        result = Result(Operand(B8, (1,)))
        (end,) = test.emit(OperationCode.LESS, (left.index, limit), (result,), dice)
        graphs = (_closed(test, (end.index,)), _closed(body, (next_count.index, more.index)))
        referred = [_refer(growth, graph) for graph in graphs]
        start = growth.bring(counter.operand, counter.array)
        results = (
            Result(counter.operand, readable=False),
            Result(_plain(carried.operand), readable=carried.readable),
        )
        given = (*referred, start, carried.index)
        return growth.emit(OperationCode.WHILE, given, results, dice)


def _plain(operand: Operand) -> Operand:
    return replace(operand, lifetime=Lifetime.TEMPORARY, value=b"")


def _given(growth: Growth, dice: Dice, most: int = 3) -> list[Value]:
    """Values that a subgraph is handed."""
    known = [value for value in growth.values if value.readable]
    if not known:
        raise NotGrown("there is nothing to hand to a subgraph")
    count = min(1 + dice.below(most), len(known))
    first = max(0, len(known) - 8)
    recent = dice.shuffled(list(range(first, len(known))))[:count]
    return [known[at] for at in recent]


def _condition(growth: Growth, dice: Dice) -> int:
    """A truth value: of the graph, led there from another value, or given."""
    known = [value for value in growth.values if value.readable]
    if known and growth.room > 4 and dice.below(2):
        try:
            with growth.attempt():
                value = known[dice.below(len(known))]
                return fit(growth, value, B8, (1,), None, None, dice).index
        except NotGrown:
            pass
    return growth.bring(Operand(B8, (1,)), np.asarray([dice.below(2)], "u1"))


def _grown(
    growth: Growth, given: list[Value], dice: Dice, like: Value | None = None
) -> tuple[Graph, Value]:
    """A branch and its result, which is of the same kind as `like`."""
    inner = Growth(MOST_INSIDE, growth.level, relaxed=growth.relaxed, outer=growth)
    handed = [inner.handed(value) for value in given]
    end = _extend(inner, dice, like)
    if end.index in {value.index for value in handed}:
        raise NotGrown("a branch hands on what it was given")
    return _closed(inner, (end.index,)), end


def _extend(inner: Growth, dice: Dice, like: Value | None) -> Value:
    """Grow a subgraph by one to three operations; returns a last value, of the kind of `like`."""
    wanted = 1 + dice.below(3)
    choice = [name for name in names(inner.level) if name not in FLOW]
    for _ in range(TRIES):
        if wanted < 1 or inner.room < 3:
            break
        try:
            splice(inner, pick(inner, choice[dice.below(len(choice))], dice), dice)
            wanted -= 1
        except NotGrown:
            continue
    made = [value for value in inner.values if value.readable]
    if not made:
        raise NotGrown("a subgraph has no result")
    end = made[-1]
    if like is not None:
        operand = like.operand
        end = fit(inner, end, like.code, operand.dims, like.quant, None, dice)
    return end


def _closed(inner: Growth, outputs: tuple[int, ...]) -> Graph:
    """The finished subgraph, without what no output needs."""
    kept: list[int] = []
    wanted = set(outputs)
    for at in range(len(inner.operations) - 1, -1, -1):
        if wanted & set(inner.operations[at].outputs):
            kept.append(at)
            wanted |= set(inner.operations[at].inputs)
    operations = tuple(inner.operations[at] for at in reversed(kept))
    used = {i for operation in operations for i in (*operation.inputs, *operation.outputs)}
    used |= set(inner.inputs)
    order = sorted(used)
    new = {at: position for position, at in enumerate(order)}
    operands = tuple(
        replace(inner.operands[at], lifetime=Lifetime.OUTPUT)
        if at in outputs
        else inner.operands[at]
        for at in order
    )
    moved = tuple(
        replace(
            operation,
            inputs=tuple(new[i] for i in operation.inputs),
            outputs=tuple(new[i] for i in operation.outputs),
        )
        for operation in operations
    )
    return Graph(
        operands, moved, tuple(new[i] for i in inner.inputs), tuple(new[i] for i in outputs)
    )


def _refer(growth: Growth, graph: Graph) -> int:
    growth.subgraphs.append(graph)
    at = len(growth.subgraphs) - 1
    return growth.add(Operand(OperandCode.MODEL, lifetime=Lifetime.SUBGRAPH, subgraph=at))
