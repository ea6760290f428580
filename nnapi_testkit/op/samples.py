"""Samples that many operations share."""

from __future__ import annotations

from nnapi_testkit.op.declare import Sample, Shape


def unary(
    name: str = "input", *, ranks: tuple[int, int] = (1, 4), **attributes: object
) -> list[Sample]:
    """Element-wise samples: every rank, odd sizes, one large, an empty batch."""
    shapes: list[tuple[str, Shape, int]] = [
        ("rank1", (17,), 1),
        ("rank2", (3, 5), 1),
        ("rank3", (2, 3, 4), 1),
        ("rank4", (2, 3, 5, 7), 1),
        ("single", (1, 1, 1, 1), 1),
        ("row", (1, 1, 1, 33), 1),
        ("column", (1, 31, 1, 1), 1),
    ]
    found = [
        Sample(label, level=level, **{name: shape}, **attributes)
        for label, shape, level in shapes
        if ranks[0] <= len(shape) <= ranks[1]
    ]
    large = (1024,) if ranks[1] < 4 else (2, 8, 16, 5)
    found.append(Sample("large", large=True, **{name: large}, **attributes))
    empty = (0,) * 1 if ranks[1] < 4 else (0, 3, 2, 4)
    found.append(Sample("empty", level=3, **{name: empty}, **attributes))
    return found


def broadcast_pairs(a: str = "a", b: str = "b", **attributes: object) -> list[Sample]:
    """Pairs of shapes for every way two tensors broadcast, one large, one empty."""
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
    found = [
        Sample(label, level=level, **{a: left, b: right}, **attributes)
        for label, left, right, level in pairs
    ]
    found.append(Sample("large", large=True, **{a: (2, 8, 9, 10), b: (2, 8, 9, 10)}, **attributes))
    return found
