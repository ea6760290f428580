"""Boxes: data and geometry that the operations of object detection share."""

from __future__ import annotations

import random
from typing import Any

from nnapi_testkit.op.declare import Given


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
