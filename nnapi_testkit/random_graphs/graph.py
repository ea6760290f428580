"""From a plan to a random graph with inputs and the values that the reference gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nnapi_testkit.cases.draw import bits, key_of
from nnapi_testkit.cases.vary import Dice
from nnapi_testkit.model.case import Execution
from nnapi_testkit.model.types import Graph, Lifetime, Model, Operation
from nnapi_testkit.random_graphs.flow import branch, loop, pick
from nnapi_testkit.random_graphs.growth import Growth, NotGrown, Value
from nnapi_testkit.random_graphs.parts import names
from nnapi_testkit.random_graphs.splice import splice
from nnapi_testkit.spec.levels import NEWEST
from nnapi_testkit.spec.operands import Array

__all__ = ["KEYS", "MOST", "Plan", "RandomGraph", "Step", "grown", "sampled"]

TRIES = 4
MOST = 40  # operations of a graph
KEYS = 1 << 32


@dataclass(frozen=True)
class Step:
    """An operation to be added, and the key of its details."""

    operation: str
    key: int


@dataclass(frozen=True)
class Plan:
    """What a graph is to be: at most `size` operations, from these steps.

    Args:
        key: of what concerns the whole graph. level: of the devices it is for.
        without: operations, or `OPERATION[cell]`, that the device does not claim.
    """

    size: int
    steps: Sequence[Step]
    key: int = 0
    level: int = NEWEST
    without: frozenset[str] = frozenset()


@dataclass(frozen=True)
class RandomGraph:
    """A model with inputs.

    Args:
        values: what the reference leaves in each tensor of the main graph, in its own type.
    """

    model: Model
    values: Mapping[int, Array]
    plan: Plan | None = None

    @property
    def operations(self) -> int:
        """How many operations the main graph has."""
        return len(self.model.main.operations)

    @property
    def execution(self) -> Execution:
        """Its input set."""
        main = self.model.main
        return Execution(
            tuple(self.values[at] for at in main.inputs),
            tuple(self.values[at].shape for at in main.outputs),
        )


def sampled(
    number: int, seed: int, most: int = MOST, level: int = NEWEST, operations: Sequence[str] = ()
) -> Plan:
    """Plan `number` of a seed, of 1 to `most` operations.

    Args:
        operations: what it is made of; by default all that the level has.
    """
    choice = tuple(operations) or names(level)
    words = [int(word) for word in bits(key_of("plan", seed, number), 2 + 2 * most)]
    size = 1 + (words[0] >> 11) % most
    steps = [
        Step(choice[(name >> 11) % len(choice)], key % KEYS)
        for name, key in zip(words[2::2], words[3::2], strict=True)
    ]
    return Plan(size, tuple(steps[:size]), words[1] % KEYS, level)


def grown(plan: Plan) -> RandomGraph:
    """The graph of a plan. Steps that the reference cannot follow are left out.

    It may be empty: a device refuses models without inputs, and nothing is made of constants alone.
    """
    dice = Dice("graph", plan.key)
    relaxed = plan.level >= 2 and dice.below(4) == 0
    growth = Growth(plan.size, plan.level, relaxed=relaxed, without=plan.without)
    for step in plan.steps:
        if growth.room < 1:
            break
        for attempt in range(TRIES):
            try:
                _add(growth, step.operation, Dice(step.key, step.operation, attempt))
                break
            except NotGrown:
                continue
    if not growth.inputs:
        return RandomGraph(Model(Graph((), (), (), ())), {}, plan)
    return _finished(growth, plan, dice)


def _add(growth: Growth, name: str, dice: Dice) -> tuple[Value, ...]:
    if name == "IF":
        return branch(growth, dice)
    if name == "WHILE":
        return loop(growth, dice)
    return splice(growth, pick(growth, name, dice), dice)


def _finished(growth: Growth, plan: Plan, dice: Dice) -> RandomGraph:
    """Choose outputs, and the order in which operations are listed."""
    operations = growth.operations
    read = {at for operation in operations for at in operation.inputs}
    written = [at for operation in operations for at in operation.outputs]
    outputs = [at for at in written if at not in read or dice.below(6) == 0]
    if dice.below(2):
        outputs = dice.shuffled(outputs)
    order = list(range(len(operations)))
    if dice.below(2):
        # In any order in which each finds its inputs; one in four is listed in any order at all.
        order = dice.shuffled(order) if dice.below(4) == 0 else _order(growth, dice)
    last = set(outputs)
    operands = tuple(
        replace(operand, lifetime=Lifetime.OUTPUT) if at in last else operand
        for at, operand in enumerate(growth.operands)
    )
    main = Graph(
        operands,
        tuple(operations[at] for at in order),
        tuple(_read_first(growth, read, dice)),
        tuple(outputs),
    )
    values = {value.index: value.array for value in growth.values}
    return RandomGraph(Model(main, tuple(growth.subgraphs), growth.relaxed), values, plan)


def _read_first(growth: Growth, read: set[int], dice: Dice) -> list[int]:
    """The inputs, in any order."""
    return dice.shuffled(list(growth.inputs)) if dice.below(2) else list(growth.inputs)


def _order(growth: Growth, dice: Dice) -> list[int]:
    waiting: list[tuple[int, Operation]] = list(enumerate(growth.operations))
    unknown = {at for _, operation in waiting for at in operation.outputs}
    order = []
    while waiting:
        ready = [i for i, (_, o) in enumerate(waiting) if not unknown.intersection(o.inputs)]
        number, operation = waiting.pop(ready[dice.below(len(ready))])
        order.append(number)
        unknown.difference_update(operation.outputs)
    return order
