"""Boxes: data and geometry that the operations of object detection share."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from nnapi_testkit.op.cells import numeric
from nnapi_testkit.op.declare import Cell, Given, Scalar, Tensor, layout
from nnapi_testkit.op.rules import Rule, but, longer, rule, sizes
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import is_quantized

EIGHTH = (0.125, 0)
# What float16 arithmetic (relative error 2^-11, a few steps) can still tell apart near 1.
NEAREST = 3e-3


def cells_with(*operands: str, **codes: str) -> tuple[Cell, ...]:
    """Numeric cells in which operands have codes of their own where data are quantized.

    Args:
        operands: names of those of TENSOR_QUANT16_ASYMM. codes: the types of others by name.
    """
    own = dict.fromkeys(operands, OperandCode.TENSOR_QUANT16_ASYMM)
    own |= {name: OperandCode[f"TENSOR_{code}"] for name, code in codes.items()}
    return tuple(
        replace(cell, types=own if is_quantized(cell.main) else dict.fromkeys(own, cell.main))
        for cell in numeric(3, 3)
    )


def regions(*extra: Scalar) -> tuple[Tensor | Scalar, ...]:
    """The operands of a pooling over regions of interest; `extra` stand before the layout."""
    return (
        Tensor("input", rank=(4, 4), spatial=True),
        Tensor("rois", "rois", rank=(2, 2), quant=EIGHTH),
        Tensor("batches", "TENSOR_INT32", rank=(1, 1)),
        Scalar("out_height", minimum=1),
        Scalar("out_width", minimum=1),
        Scalar("ratio_h", "real", any_real=True),
        Scalar("ratio_w", "real", any_real=True),
        *extra,
        layout(optional=False),
    )


def region_rules(sized: str, ordered: str, row: int) -> tuple[Rule, ...]:
    """The rules on regions of interest.

    Args:
        sized, ordered: the samples whose sizes and whose order of corners are broken, of the latter
            the region `row`.
    """
    return (
        *sizes(sample=sized, rois="regions four", batches="regions"),
        rule(
            "four-coordinates",
            "rois",
            "A region is (x1, y1, x2, y2).",
            five={"rois": longer("rois", 1)},
        ),
        rule(
            "batch-in-input",
            "input batches",
            "A batch index is one of the input's batches.",
            one_beyond={"batches": but("batches", -1, 1)},
            negative={"batches": but("batches", 0, -1)},
            far={"batches": but("batches", -1, 2**31 - 1)},
        ),
        rule(
            "corners-in-order",
            "rois",
            "A region satisfies x1 <= x2 and y1 <= y2.",
            sample=ordered,
            horizontal={"rois": but("rois", (row, 2), 0.0)},
            vertical={"rois": but("rois", (row, 3), 0.0)},
        ),
        rule(
            "map-has-pixels",
            "input",
            "There is a pixel to take.",
            open="No sentence of the documentation says so.",
            no_width={"input": (1, 6, 0, 2)},
            no_height={"input": (1, 0, 8, 2)},
        ),
        rule(
            "regions-finite",
            "rois",
            "A region is finite.",
            only=("float32", "float16"),
            open="No sentence of the documentation says so.",
            infinite={"rois": but("rois", (0, 2), float("inf"))},
            below={"rois": but("rois", (0, 1), float("-inf"))},
        ),
        rule(
            "ratios-positive",
            "ratio_h ratio_w",
            "The ratio of image to feature map is positive.",
            zero_height={"ratio_h": 0.0},
            negative_width={"ratio_w": -1.0},
            negative_height={"ratio_h": -2.0},
        ),
    )


def boxes(
    count: int,
    height: int,
    width: int,
    *,
    smallest: float = 1.0,
    step: float = 0.125,
    repeat: int = 1,
    seed: int = 0,
) -> Given:
    """Valid boxes [x1, y1, x2, y2] inside an image, as `Given` of shape [count, repeat * 4].

    Args:
        smallest: least width and height. step: all coordinates are multiples of it, so that
            float16 and 16-bit codes hold them exactly (up to 256 for a step of 1/8).
        repeat: boxes in a row (one for each class).
    """
    pick = random.Random(1000 * seed + count)

    def span(size: int) -> tuple[float, float]:
        least = round(smallest / step)
        low = int(pick.random() * (size / step - least + 1))
        high = low + least + int(pick.random() * (size / step - low - least + 1))
        return low * step, high * step

    rows = []
    for _ in range(count):
        row: list[float] = []
        for _ in range(repeat):
            (x1, x2), (y1, y2) = span(width), span(height)
            row += [x1, y1, x2, y2]
        rows.append(row)
    return Given(rows, (count, 4 * repeat))


def transformed(torch: Any, box: Any, deltas: Any) -> Any:
    """Boxes [..., 4] moved and scaled by deltas [dx, dy, dw, dh] in units of their size.

    The center moves by (dx w, dy h); width and height are multiplied by exp(dw), exp(dh).
    """
    x1, y1, x2, y2 = box.unbind(-1)
    dx, dy, dw, dh = deltas.unbind(-1)
    w, h = x2 - x1, y2 - y1
    x, y = (x1 + x2) * 0.5 + dx * w, (y1 + y2) * 0.5 + dy * h
    half_w, half_h = torch.exp(dw) * w * 0.5, torch.exp(dh) * h * 0.5
    return torch.stack((x - half_w, y - half_h, x + half_w, y + half_h), -1)


def clipped(torch: Any, box: Any, height: Any, width: Any) -> Any:
    """Boxes [..., 4] cut off at the edges of images; height and width broadcast with [...]."""
    zero = torch.zeros_like(width)
    xs = [torch.clamp(box[..., i], min=zero, max=width) for i in (0, 2)]
    ys = [torch.clamp(box[..., i], min=zero, max=height) for i in (1, 3)]
    return torch.stack((xs[0], ys[0], xs[1], ys[1]), -1)


def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two boxes [x1, y1, x2, y2]; 0 where both are empty."""
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(w, 0.0) * max(h, 0.0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if union > 0 else 0.0


def settled(score: float) -> float:
    """A score without its last places: those that are equal tie on every processor."""
    return round(score * 2.0**24) * 2.0**-24


def clear(distance: float, what: str) -> None:
    """Refuses data for which rounding could decide; they make no case.

    Raises:
        ValueError: `distance` is less than float16 arithmetic can tell apart.
    """
    if abs(distance) < NEAREST:
        raise ValueError(f"{what}: the documentation leaves open what rounding decides")


def hard_nms(
    scores: Sequence[float], found: Sequence[Sequence[float]], threshold: float
) -> list[int]:
    """Indexes of the boxes that survive, by descending score.

    A box is dropped if it overlaps a better one that survives by `threshold` or more.
    """
    kept: list[int] = []
    order = sorted(range(len(scores)), key=lambda i: -settled(scores[i]))
    for i in order:
        overlaps = [overlap(found[i], found[j]) for j in kept]
        for value in overlaps:
            clear(value - threshold, "an overlap near the threshold")
        if all(value < threshold for value in overlaps):
            kept.append(i)
    return kept


def best(scores: Sequence[float], limit: int) -> list[int]:
    """Indexes of the `limit` highest scores (all, if negative), in descending order."""
    order = sorted(range(len(scores)), key=lambda i: -settled(scores[i]))
    if 0 <= limit < len(order):
        if limit:
            clear(scores[order[limit - 1]] - scores[order[limit]], "a tie at the limit")
        order = order[:limit]
    return order


def clusters(
    count: int, *, size: int = 16, spread: int = 12, repeat: int = 1, seed: int = 0
) -> list[list[float]]:
    """Boxes of whole coordinates that overlap in groups of three, [count, repeat * 4]."""
    pick = random.Random(77 * seed + count)

    def around(group: int) -> list[float]:
        left, top = (group % 4) * (size + spread), (group // 4) * (size + spread)
        x, y = (int(pick.random() * 9) + 1 for _ in "xy")
        w, h = (size - int(pick.random() * 6) for _ in "wh")
        return [float(n) for n in (left + x, top + y, left + x + w, top + y + h)]

    return [[n for _ in range(repeat) for n in around(k // 3)] for k in range(count)]


def ranking(rows: int, columns: int, *, seed: int = 0, step: float = 1 / 256) -> list[list[float]]:
    """Scores [rows, columns] in (0, 1), all different multiples of `step`, in random order."""
    pick = random.Random(31 * seed + rows * columns)
    places = sorted(range(int(1 / step) - 8), key=lambda _: pick.random())[: rows * columns]
    return [[(places[i * columns + j] + 4) * step for j in range(columns)] for i in range(rows)]
