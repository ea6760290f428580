"""What operands declare of themselves, as rules for what an execution gives.

Ranks, legal values and axes are declared where the operand is, and refusals of models break them
(`refusals.py`). A model may leave a rank open or take a scalar as an input; then the same rule
holds for the execution, and a driver that looks at constants alone does not see it broken.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from nnapi_testkit.cases.build import PER_CHANNEL
from nnapi_testkit.op.declare import Facts, Op, Scalar, Tensor
from nnapi_testkit.op.rules import Rule

HIGHEST_LIMIT = 4  # the highest rank that the reference names as a limit
UNKNOWN_LEVEL = 3  # since when dimensions may be left to the execution
FED = ("-fed",)


def given_rules(op: Op) -> Iterator[Rule]:
    """The rules of an operation's operands, each to be broken at the execution."""
    seen: set[str] = set()
    for spec in (spec for signature in op.signatures for spec in signature):
        if spec.name in seen:
            continue
        seen.add(spec.name)
        if isinstance(spec, Scalar):
            yield from _values(spec)
        elif not spec.many:
            yield from _ranks(op, spec)
    for name, (tensor, more) in op.axes.items():
        if tensor in seen:
            yield from _axes(op, name, tensor, more)


def _rule(name: str, operand: str, says: str, breaks: dict[str, Any], **more: Any) -> Rule:
    changes = {how: {operand: value} for how, value in breaks.items()}
    return Rule(name, (operand,), says, changes, forms=FED, level=UNKNOWN_LEVEL, **more)


def _values(spec: Scalar) -> Iterator[Rule]:
    breaks: dict[str, Any] = {}
    if spec.allowed is not None:
        breaks = {"below": min(spec.allowed) - 1, "above": max(spec.allowed) + 1}
    elif spec.minimum is not None:
        breaks = {"below": spec.minimum - 1}
    if breaks:
        yield _rule(f"given-{spec.name}", spec.name, f"{spec.name} has a legal value.", breaks)


def _ranks(op: Op, spec: Tensor) -> Iterator[Rule]:
    low, high = spec.rank
    breaks: dict[str, Any] = {}
    if high <= HIGHEST_LIMIT:
        breaks["higher"] = partial(_of_rank, spec.name, high + 1)
    if low > 1:
        breaks["lower"] = partial(_of_rank, spec.name, low - 1)
    if breaks:
        says = f"{spec.name} has rank {low} to {high}."
        # A per-channel operand names one of its dimensions.
        skip = frozenset(c.name for c in op.cells if c.type_of(spec.name, spec.type) == PER_CHANNEL)
        yield _rule(f"given-rank-{spec.name}", spec.name, says, breaks, skip=skip)


def _of_rank(name: str, rank: int, facts: Facts) -> tuple[int, ...]:
    """The shape of the operand with dimensions of 1 before it, or without its first ones."""
    shape = facts.shape(name)
    more = rank - len(shape)
    return (1,) * more + shape if more > 0 else shape[-more:]


def _axes(op: Op, name: str, tensor: str, more: int) -> Iterator[Rule]:
    breaks = {
        word: partial(_beyond, name, tensor, more, word == "above") for word in ("above", "below")
    }
    spec = next(s for signature in op.signatures for s in signature if s.name == name)
    if isinstance(spec, Scalar) and spec.minimum is not None:
        del breaks["below"]
    yield _rule(f"given-{name}-in-rank", name, f"{name} counts dimensions of {tensor}.", breaks)


def _beyond(name: str, tensor: str, more: int, above: bool, facts: Facts) -> Any:
    """An axis, or the first of several, that is one outside of [-rank, rank)."""
    shape = facts.shapes[tensor]
    rank = len(shape[0] if isinstance(shape, list) else shape) + more
    value = rank if above else -rank - 1
    given = facts.values[name]
    return [value, *given[1:]] if isinstance(given, list) else value
