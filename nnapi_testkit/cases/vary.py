"""Other seeds: the same samples with other shapes, attributes and quantization.

Seed 0 is the frozen suite; another number also moves what a sample fixes, by rules that hold for
any operation: a dimension size is renamed in all operands alike, so that sizes that agree still
agree; attributes with few legal values are drawn again, counts move a little, permutations are
shuffled, axes chosen anew; real attributes change by a factor. What comes out is a proposal: it
stands if the shape rules hold, the operation's own `valid` says so and the oracle can follow
it. Otherwise the next proposal, which changes less, is tried, and in the end the sample itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

from nnapi_testkit.cases.build import Variant, build_case, choose_signature, plan_slots
from nnapi_testkit.cases.draw import bits, key_of
from nnapi_testkit.cases.slots import holds_weights
from nnapi_testkit.model.case import Case
from nnapi_testkit.op.declare import (
    Cell,
    Choice,
    Distinct,
    Given,
    Input,
    Op,
    Reals,
    Sample,
    Scalar,
    Shape,
)
from nnapi_testkit.spec.codes import OperandCode

# Whether the oracle can follow a case: it raises nothing and agrees with the shape rules.
Follows = Callable[[Case], bool]
# How much of a sample each proposal changes, in the order in which they are tried.
BOLDNESS = (1.0, 1.0, 0.75, 0.75, 0.5, 0.5, 0.3, 0.3)
# Small samples stay small and large ones no larger than this many times.
LEAST_LIMIT, GROWTH = 4096, 2
_REALS = frozenset({"real", "FLOAT32", "FLOAT16"})
INT32_MOST = 2**31 - 1


class Dice:
    """Small decisions from one key."""

    def __init__(self, *parts: object) -> None:
        self._words = _words(key_of("vary", *parts))

    def below(self, count: int) -> int:
        """An integer in [0, count)."""
        return int((next(self._words) >> 11) % count)

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.below(1 << 20) < probability * (1 << 20)

    def factor(self, low: float, high: float) -> float:
        """A real number between `low` and `high`, even on a logarithmic scale."""
        return float(low * (high / low) ** (self.below(1 << 20) / (1 << 20)))

    def shuffled(self, items: list[Any]) -> list[Any]:
        """The items in another order."""
        return [item for _, item in sorted((self.below(1 << 30), item) for item in items)]


def _words(key: int) -> Iterator[int]:
    """The stream of a key, without an end."""
    done, count = 0, 512
    while True:
        yield from bits(key, count)[done:].tolist()
        done, count = count, 4 * count


def build_varied(
    op: Op,
    cell: Cell,
    sample: Sample,
    variant: Variant,
    case_id: str,
    seed: int,
    follows: Follows | None,
) -> Case:
    """The case of a seed other than 0.

    Args:
        follows: the expected result of a proposal; without it shapes and attributes stay.
    """
    if follows is None:
        return build_case(op, cell, sample, variant, case_id, seed)
    changed = varied(op, cell, sample, seed, follows)
    return build_case(op, cell, changed, variant, case_id, seed)


def varied(op: Op, cell: Cell, sample: Sample, seed: int, follows: Follows) -> Sample:
    """The sample as this seed has it: the first proposal that is sound, else the sample itself."""
    return _varied(op.name, cell.name, sample.name, seed, _Held(op, cell, sample, follows))


class _Held:
    """Arguments that a cache must not look at: they follow from the names."""

    def __init__(self, op: Op, cell: Cell, sample: Sample, follows: Follows) -> None:
        self.op, self.cell, self.sample, self.follows = op, cell, sample, follows

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=8192)
def _varied(op_name: str, cell_name: str, sample_name: str, seed: int, held: _Held) -> Sample:
    op, cell, sample = held.op, held.cell, held.sample
    # A contested sample stays: its question lies in its very numbers.
    if "*" in op.fixed or sample.contest is not None or holds_weights(op, sample):
        return sample
    signature = choose_signature(op, sample)
    usual = build_case(op, cell, sample, Variant(), sample.name, seed)
    for number, boldness in enumerate(BOLDNESS):
        dice = Dice(seed, op_name, cell_name, sample_name, number)
        try:
            proposal = propose(
                op, cell, sample, signature, dice, boldness, only_grow=number % 2 == 1
            )
            if _sound(op, cell, proposal, seed, usual, held.follows):
                return proposal
        except (ValueError, IndexError, KeyError, ZeroDivisionError, ArithmeticError):
            continue  # a shape rule that does not know such shapes
    return sample


def _sound(op: Op, cell: Cell, proposal: Sample, seed: int, usual: Case, follows: Follows) -> bool:
    if op.valid is not None:
        _, facts = plan_slots(op, cell, proposal, Variant(), seed)
        if not op.valid(facts):
            return False
    case = build_case(op, cell, proposal, Variant(), proposal.name, seed)
    for before, after in zip(usual.sets, case.sets, strict=True):
        for old, new in zip(before.output_dims, after.output_dims, strict=True):
            if min(new, default=1) < 0 or (0 in old) != (0 in new):
                return False
    return _size(case) <= max(LEAST_LIMIT, GROWTH * _size(usual)) and follows(case)


def _size(case: Case) -> int:
    execution = case.sets[0]
    fed = sum(array.size for array in execution.inputs if array is not None)
    return fed + sum(math.prod(dims) for dims in execution.output_dims)


def propose(
    op: Op,
    cell: Cell,
    sample: Sample,
    signature: tuple[Input, ...],
    dice: Dice,
    boldness: float,
    *,
    only_grow: bool,
) -> Sample:
    """The sample with other sizes and attributes.

    Args:
        boldness: the probability with which each size and each attribute changes.
        only_grow: sizes are multiplied, so that what divides them still does.
    """
    specs = {spec.name: spec for spec in signature}
    sizes = _Sizes(dice, boldness, only_grow, sample.large)
    operands: dict[str, Any] = {}
    rank = 1
    for name, value in sample.operands.items():
        spec = specs[name]
        if name in op.fixed or value is None:
            operands[name] = value
            continue
        if isinstance(spec, Scalar):
            moved = dice.chance(boldness)
            # Integer tensors have no fused activation.
            moved &= name != "activation" or cell.main != OperandCode.TENSOR_INT32
            operands[name] = _scalar(spec, value, dice, rank) if moved else value
            continue
        if spec.many:
            operands[name] = [sizes.apply(item) for item in value]
            rank = max(rank, len(_shape_of(value[0]) or ()))
        elif isinstance(value, list):
            listed = spec.type == "TENSOR_INT32" and dice.chance(boldness)
            operands[name] = _attributes(name, value, dice, rank) if listed else value
        else:
            operands[name] = sizes.apply(value)
            rank = max(rank, len(_shape_of(value) or ()))
    return Sample(
        sample.name,
        level=sample.level,
        only=sample.only,
        skip=sample.skip,
        large=sample.large,
        variations=sample.variations,
        like=sample.like,
        contest=sample.contest,
        **operands,
    )


class _Sizes:
    """A new size for each dimension size; 0 and 1 mean something and stay."""

    def __init__(self, dice: Dice, boldness: float, only_grow: bool, large: bool) -> None:
        self._dice, self._boldness = dice, boldness
        self._only_grow, self._large = only_grow, large
        self._known: dict[int, int] = {}

    def apply(self, value: Any) -> Any:
        """A shape, or generated values, with its sizes renamed; other values as they are."""
        if isinstance(value, tuple):
            return self._shape(value)
        if isinstance(value, (Choice, Reals, Distinct)):
            return replace(value, shape=self._shape(value.shape))
        return value

    def _shape(self, shape: Shape) -> Shape:
        return tuple(self._renamed(size) for size in shape)

    def _renamed(self, size: int) -> int:
        if size < 2:
            return size
        if size not in self._known:
            self._known[size] = self._other(size) if self._dice.chance(self._boldness) else size
        return self._known[size]

    def _other(self, size: int) -> int:
        if self._only_grow:
            return size * (1 + self._dice.below(2 if self._large else 3))
        if self._large:
            return size + self._dice.below(3)
        return max(2, size - 2 + self._dice.below(5))


def _shape_of(value: Any) -> Shape | None:
    if isinstance(value, tuple):
        return value
    shape: Shape | None = getattr(value, "shape", None)
    return shape


def _scalar(spec: Scalar, value: Any, dice: Dice, rank: int) -> Any:
    if spec.like or isinstance(value, Given):
        return value
    if isinstance(value, bool):
        return dice.below(2) == 1
    if spec.allowed is not None:
        return spec.allowed[dice.below(len(spec.allowed))]
    if spec.type in _REALS:
        return float(value) * dice.factor(0.6, 1.6)
    if spec.minimum is not None:
        return max(int(spec.minimum), int(value) - 1 + dice.below(4))
    if spec.name == "axis":
        return dice.below(2 * rank) - rank if value < 0 else dice.below(rank)
    return value


def _attributes(name: str, values: list[Any], dice: Dice, rank: int) -> list[Any]:
    flat = all(isinstance(item, int) for item in values)
    if flat and name == "axes":
        chosen = dice.shuffled(list(range(rank)))[: len(values)]
        return [axis - rank if dice.below(2) else axis for axis in chosen]
    if flat and len(values) > 1 and sorted(values) == list(range(len(values))):
        return dice.shuffled(values)
    if "shape" in name:
        return values
    return [
        _attributes(name, list(item), dice, rank)
        if isinstance(item, (list, tuple))
        else _nearby(item, dice)
        for item in values
    ]


def _nearby(value: Any, dice: Dice) -> Any:
    """A number of the same sign, at most 1 away; 0 often means "nothing" and stays."""
    if not isinstance(value, int) or value == 0:
        return value
    other = value - 1 + dice.below(3)
    return other if other * value > 0 and other <= INT32_MOST else value
