"""Samples that many operations share."""

from __future__ import annotations

from typing import Any

from nnapi_testkit.op.declare import Choice, Sample, Shape
from nnapi_testkit.op.readings import Contest, refused_by_field

NO_WORD_OF_EMPTY = refused_by_field(
    "zero-sized-tensor",
    "A zero-sized tensor of an operation whose text does not mention them: computed, or refused by"
    " deployed devices.",
)


def highest(value: Any) -> int:
    """The highest integer that a sample's operand can hold: of its list or of what is drawn."""
    return int(value.high if isinstance(value, Choice) else max(value))


def unary(
    name: str = "input",
    *,
    ranks: tuple[int, int] = (1, 4),
    empty: Contest | None = None,
    **attributes: Any,
) -> list[Sample]:
    """Element-wise samples: every rank up to 5, odd sizes, one large, an empty batch.

    Args:
        empty: the question that a zero-sized tensor is, where the text does not mention them.
    """
    shapes: list[tuple[str, Shape, int]] = [
        ("rank1", (17,), 1),
        ("rank2", (3, 5), 1),
        ("rank3", (2, 3, 4), 1),
        ("rank4", (2, 3, 5, 7), 1),
        ("single", (1, 1, 1, 1), 1),
        ("row", (1, 1, 1, 33), 1),
        ("column", (1, 31, 1, 1), 1),
        ("rank5", (2, 1, 3, 2, 3), 1),
    ]

    def sample(label: str, shape: Shape, **more: Any) -> Sample:
        return Sample(label, **{name: shape, **attributes, **more})

    found = [
        sample(label, shape, level=level)
        for label, shape, level in shapes
        if ranks[0] <= len(shape) <= ranks[1]
    ]
    large = (1024,) if ranks[1] < 4 else (2, 8, 16, 5)
    found.append(sample("large", large, large=True))
    nothing = (0,) * 1 if ranks[1] < 4 else (0, 3, 2, 4)
    found.append(sample("empty", nothing, level=3, contest=empty))
    return found


def broadcast_pairs(
    a: str = "a", b: str = "b", *, empty: Contest | None = None, **attributes: Any
) -> list[Sample]:
    """Pairs of shapes for every way two tensors broadcast, one large, one `empty` as of `unary`."""
    pairs: list[tuple[str, Shape, Shape, int]] = [
        ("rank1", (19,), (19,), 1),
        ("same", (2, 3, 4, 5), (2, 3, 4, 5), 1),
        ("rank2", (3, 7), (3, 7), 1),
        ("rank3-row", (2, 5, 3), (3,), 1),
        ("channel", (1, 3, 4, 6), (6,), 1),
        ("single", (2, 3, 2, 4), (1,), 1),
        ("both", (4, 1, 2), (5, 4, 3, 1), 1),
        ("outer", (7, 1), (1, 6), 1),
        ("second-larger", (5,), (2, 3, 5), 1),
        ("empty", (0, 2, 3), (1, 2, 3), 3),
    ]

    def sample(label: str, left: Shape, right: Shape, **more: Any) -> Sample:
        return Sample(label, **{a: left, b: right, **attributes, **more})

    found = [
        sample(label, left, right, level=level, contest=empty if label == "empty" else None)
        for label, left, right, level in pairs
    ]
    found.append(sample("large", (2, 8, 9, 10), (2, 8, 9, 10), large=True))
    return found
