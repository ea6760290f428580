"""What can be said of a set of cases: one fact, or a number above or below a limit."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from nnapi_testkit.clusters.facts import Fact, Facts

__all__ = ["Predicate", "predicates"]

MOST_EQUAL = 12  # different values of a number that are each tried by themselves
MOST_LIMITS = 24  # limits tried for a number
# In bits: what is said besides has to explain more than a plain fact.
_COST = {"type": 2.0, "kind": 2.0, "broken": 3.0, "path with memory": 2.0}
_DATA = {"largest input", "elements of the output", "negative inputs"}
_DATA_COST = 2.0  # of what most cases have, and few causes are about
_NUMBER_COST = 2.0
_TEXT_COST = 1.0
_NOT_COST = 2.0


@dataclass(frozen=True, slots=True)
class Predicate:
    """One statement about a case.

    Args:
        name: of the fact.
        words: how a sentence says it, after "cases with".
        mask: bit i is set where it holds for case i.
        cost: bits that saying it costs, beyond naming one of all statements.
    """

    name: str
    words: str
    mask: int
    cost: float


def predicates(
    facts: Sequence[Facts], telling: int, names: Collection[str] | None = None
) -> list[Predicate]:
    """Every statement that holds for some of these cases and not for all.

    Args:
        facts: of each case, by its number.
        telling: the cases that a statement should hold for; limits of numbers are set at their
            values.
        names: of the facts to speak of; None for all.
    """
    columns: dict[str, list[tuple[int, Fact]]] = {}
    for at, row in enumerate(facts):
        for name, value in row.items():
            if not name.startswith("_") and (names is None or name in names):
                columns.setdefault(name, []).append((at, value))
    every = (1 << len(facts)) - 1
    found: dict[int, Predicate] = {}
    for name, column in columns.items():
        for one in _of(name, column, telling):
            if not one.mask or one.mask == every or not one.mask & telling:
                continue
            known = found.get(one.mask)
            if known is None or (one.cost, len(one.words)) < (known.cost, len(known.words)):
                found[one.mask] = one
    return list(found.values())


def _of(name: str, column: Sequence[tuple[int, Fact]], telling: int) -> Iterator[Predicate]:
    values: dict[str | bool, int] = {}
    numbers: dict[float, int] = {}
    for at, value in column:
        if isinstance(value, (bool, str)):
            values[value] = values.get(value, 0) | 1 << at
        else:
            numbers[value] = numbers.get(value, 0) | 1 << at
    if numbers:
        yield from _numbers(name, numbers, telling)
    cost = _COST.get(name, 0.0)
    for value, mask in values.items():
        if isinstance(value, bool):
            words = name if value else f"no {name.removeprefix('a ').removeprefix('an ')}"
            yield Predicate(name, words, mask, cost + (not value))
        else:
            more = _TEXT_COST if str(value).startswith("[") else 0.0
            yield Predicate(name, _said(name, str(value)), mask, cost + more)
    rest = sum(values.values())
    for usual in ("NONE", "none", "compute", "pointers", "known"):
        if usual in values and len(values) > 2:
            words = _said(name, f"other than {usual}")
            yield Predicate(name, words, rest & ~values[usual], cost + _NOT_COST)


def _said(name: str, value: str) -> str:
    if name == "nchw":
        return f"layout {value}"
    if name == "rule":
        return f"rule {value} broken"
    if name in ("types", "operation"):
        return value
    if name == "path with memory":
        return f"path {value}"
    return f"{name} {value}"


def _numbers(name: str, values: Mapping[float, int], telling: int) -> Iterator[Predicate]:
    cost = _NUMBER_COST + (_DATA_COST if name in _DATA else 0.0)
    ordered = sorted(values)
    if len(ordered) <= MOST_EQUAL:
        for value in ordered:
            yield Predicate(name, f"{name} {value:.6g}", values[value], cost)
    above = 0
    for value in ordered:
        above |= values[value]
    below = 0
    borders = []
    for low, high in pairwise(ordered):
        below |= values[low]
        here = bool(values[low] & telling), bool(values[high] & telling)
        if here != (True, True) or len(ordered) <= MOST_EQUAL:
            borders.append((low, high, below))
    step = max(1, -(-len(borders) // MOST_LIMITS))
    for low, high, mask in borders[::step]:
        limit = f"{_round_between(low, high):.6g}"
        yield Predicate(name, f"{name} above {limit}", above & ~mask, cost)
        yield Predicate(name, f"{name} of at most {limit}", mask, cost)


def _round_between(low: float, high: float) -> float:
    """The roundest number from `low` up to, and not including, `high`."""
    if low <= 0 < high:
        return 0.0
    if low <= 1 < high:
        return 1.0
    if not (math.isfinite(low) and math.isfinite(high)):
        return low
    whole = low == int(low) and high == int(high)
    for power in range(12, -13, -1):
        unit = 10.0**power
        for step in (unit, unit / 2, unit / 4):
            at = math.ceil(low / step) * step
            if low <= at < high and (not whole or at == int(at)):
                return at
    return low
