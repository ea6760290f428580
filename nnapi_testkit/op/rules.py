"""Relations between operands that the documentation demands, as data.

An `Op` lists its rules: what is related, what has to hold, and what breaks it. Refusals follow
from them (`nnapi_testkit/cases/refusals/broken.py`). Types, counts, ranks, single scalars and
dimensions that equal each other are declared where the operand is (`Tensor.rank`, `Scalar.minimum`,
`Op.ties`, `Op.axes`); a `Rule` is for everything that needs two facts, or a value of a tensor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

FORMS = ("", "-open", "-fed")


@dataclass(frozen=True, slots=True)
class Quantized:
    """Another scale or zero point for an operand; `None` keeps what it has.

    Args:
        channel_dim: of a per-channel operand, another channel dimension.
    """

    scale: float | None = None
    zero_point: int | None = None
    channel_dim: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A relation between operands.

    Args:
        name: what case ids call it, e.g. `splits-divide-axis`.
        operands: names of the inputs and outputs that it relates.
        says: what has to hold, in one sentence.
        breaks: for each way to break it a name and the operands that are then different: a tuple
            is a shape, a list values, a number a scalar, `None` omits, `Quantized` changes scale
            and zero point; a function is handed the `Facts` of the unbroken sample and returns
            one of these.
        sample: the sample that is broken; by default the first that has all the operands.
        only, skip: names of cells.
        level: the feature level since when it holds.
        open: why a device that does not mind is not to blame; such a case is recorded, not
            charged.
        forms: how it is asked: with what the model tells, with outputs of unknown rank, with all
            that may be known at the execution alone given there.
    """

    name: str
    operands: tuple[str, ...]
    says: str
    breaks: Mapping[str, Mapping[str, Any]]
    sample: str = ""
    only: frozenset[str] = field(default_factory=frozenset)
    skip: frozenset[str] = field(default_factory=frozenset)
    level: int = 1
    open: str = ""
    forms: tuple[str, ...] = FORMS


def rule(
    name: str,
    operands: str,
    says: str,
    /,
    *,
    sample: str = "",
    only: Iterable[str] = (),
    skip: Iterable[str] = (),
    level: int = 1,
    open: str = "",
    forms: tuple[str, ...] = FORMS,
    **breaks: Mapping[str, Any],
) -> Rule:
    """A `Rule`; `operands` are words, each further keyword a way to break it."""
    return Rule(
        name,
        tuple(operands.split()),
        says,
        {how.replace("_", "-"): dict(change) for how, change in breaks.items()},
        sample,
        frozenset(only),
        frozenset(skip),
        level,
        open,
        forms,
    )


def longer(name: str, axis: int) -> Any:
    """For `Rule.breaks`: the operand with one more along an axis, its last values repeated."""

    def changed(facts: Any) -> Any:
        value = facts.values[name]
        if isinstance(value, tuple):
            return _stretched(value, axis)
        if isinstance(value, list):
            array = np.asarray(value, dtype=np.float64)
            return np.concatenate((array, array.take([-1], axis)), axis).tolist()
        return replace(value, shape=_stretched(value.shape, axis))

    return changed


def _stretched(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    sizes = list(shape)
    sizes[axis] += 1
    return tuple(sizes)


def sizes(
    only: Iterable[str] = (), skip: Iterable[str] = (), sample: str = "", **operands: str
) -> tuple[Rule, ...]:
    """Rules from named dimensions: `sizes(weights="units input", bias="units")`.

    Each dimension is a word, and those with the same word are equal; `.` is any size. An operand
    breaks them by one more along a dimension that another operand has too; it is the first of the
    rule's operands.
    """
    words = [word for shape in operands.values() for word in shape.split()]
    shared = {word for word in words if word != "." and words.count(word) > 1}
    found = []
    for name, shape in operands.items():
        dims = shape.split()
        breaks = {
            f"{axis}-{word}": {name: longer(name, axis)}
            for axis, word in enumerate(dims)
            if word in shared
        }
        if not breaks:
            continue
        others = {
            other: None
            for word in dims
            if word in shared
            for other, theirs in operands.items()
            if word in theirs.split() and other != name
        }
        says = f"{name} is [{', '.join(dims)}]; sizes of one name agree."
        kept = frozenset(only), frozenset(skip)
        found.append(Rule(f"size-{name}", (name, *others), says, breaks, sample, *kept))
    return tuple(found)


def compatible(a: str = "a", b: str = "b") -> Rule:
    """The dimensions of two tensors that broadcast, the last ones first, are equal or one is 1."""
    return rule(
        "dimensions-compatible",
        f"{a} {b}",
        f"Dimensions of {a} and {b}, from the last one on, are equal, or one of them is 1.",
        last={a: (2, 3), b: (2, 4)},
        first={a: (2, 3), b: (4, 3)},
        aligned={a: (2, 3), b: (2,)},
        inner={a: (2, 3, 2), b: (2, 2, 1)},
    )


def together(name: str, says: str, present: str, **absent: str) -> Rule:
    """Optional operands that are there together, or not at all: one of them is left out.

    Args:
        present: the sample that has them all.
        absent: what each way is called, and the operands left out by it.
    """
    words = [operand for operands in absent.values() for operand in operands.split()]
    return Rule(
        name,
        tuple(dict.fromkeys(words)),
        says,
        {
            how.replace("_", "-"): dict.fromkeys(operands.split())
            for how, operands in absent.items()
        },
        present,
    )


def but(name: str, index: tuple[int, ...] | int, value: float) -> Any:
    """For `Rule.breaks`: the values that the sample gives, but one of them another."""

    def changed(facts: Any) -> Any:
        array = np.array(facts.values[name], dtype=np.float64)
        array[index] = value
        return array.tolist()

    return changed
