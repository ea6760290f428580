"""What both ways to resize share: operands, output sizes and the rules on them."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor
from struct import pack, unpack
from typing import Any

from nnapi_testkit.op.declare import Facts, Scalar, Tensor, layout
from nnapi_testkit.op.rules import rule

FLAGS = (
    layout(),
    Scalar("align_corners", "BOOL", optional=True, default=False, level=4),
    Scalar("half_pixel_centers", "BOOL", optional=True, default=False, level=4),
)
INPUT = Tensor("input", rank=(4, 4), spatial=True)
CORNERS = {"align_corners": True, "half_pixel_centers": False, "level": 4}
CENTERS = {"align_corners": False, "half_pixel_centers": True, "level": 4}
RULES = (
    rule(
        "one-way-to-align",
        "align_corners half_pixel_centers",
        "If one of align_corners and half_pixel_centers is true, the other is false.",
        level=4,
        both={"align_corners": True, "half_pixel_centers": True},
    ),
    rule(
        "input-has-pixels",
        "input width height",
        "There is a pixel to take.",
        level=3,
        open="No sentence of the documentation says so.",
        no_width={"input": (1, 2, 0, 2)},
        no_height={"input": (1, 0, 3, 2)},
    ),
    rule(
        "scale-positive",
        "scale_w scale_h",
        "A scale gives a size of at least 1.",
        level=3,
        width_zero={"scale_w": 0.0},
        height_negative={"scale_h": -1.0},
        too_small={"scale_w": 0.1},
    ),
)


def out_sizes(values: Mapping[str, Any], height: int, width: int) -> tuple[int, int]:
    """The output's height and width: given, or the input's scaled."""
    if values.get("height") is not None:
        return values["height"], values["width"]
    return _scaled(height, values["scale_h"]), _scaled(width, values["scale_w"])


def _scaled(size: int, scale: float) -> int:
    """floor(size * scale), the product in single precision as the scale is: 10 * 0.7f is 7."""
    product: float = unpack("f", pack("f", size * scale))[0]
    return floor(product)


def out_shape(facts: Facts) -> tuple[int, ...]:
    """The output's shape, [batch, height, width, depth]."""
    batch, height, width, depth = facts.shape("input")
    return (batch, *out_sizes(facts.values, height, width), depth)


def exact_in_single_precision(size: int, out: int, half_pixel_centers: bool) -> bool:
    """Whether the positions of the nearest pixels are the same in single precision."""
    half = 1 if half_pixel_centers else 0
    for i in range(out):
        ratio: float = unpack("f", pack("f", (i + half / 2) / out))[0]
        if floor(unpack("f", pack("f", ratio * size))[0]) != (2 * i + half) * size // (2 * out):
            return False
    return True


def one_alignment(facts: Facts) -> bool:
    """Whether corners are aligned, or pixels have half centers, but not both."""
    return not (facts.get("align_corners") and facts.get("half_pixel_centers"))
