"""What all windowed operations share: padding, strides, dilations, convolution operands."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nnapi_testkit.op.declare import Facts, Input, Sample, Scalar, Tensor, activation, layout
from nnapi_testkit.op.rules import Quantized, Rule, rule
from nnapi_testkit.op.shapes import SAME, VALID

PAD_NAMES = ("pad_left", "pad_right", "pad_top", "pad_bottom")
PADS = tuple(Scalar(name, minimum=0) for name in PAD_NAMES)
PADDING = Scalar("padding", allowed=(SAME, VALID))
STRIDES = (Scalar("stride_w", minimum=1), Scalar("stride_h", minimum=1))
DILATIONS = tuple(
    Scalar(name, minimum=1, optional=True, default=1, level=3)
    for name in ("dilation_w", "dilation_h")
)
DILATION_RULES = (
    rule(
        "dilated-window-fits",
        "input filter dilation_w dilation_h",
        "A dilated window fits into the padded input.",
        sample="dilated",
        tall={"input": (1, 4, 8, 2), "dilation_h": 3},
        wide={"input": (1, 7, 3, 2), "dilation_w": 3},
    ),
    rule(
        "dilations-together",
        "dilation_w dilation_h",
        "Both dilation factors are given, or neither.",
        sample="dilated",
        width_alone={"dilation_h": None},
        height_alone={"dilation_w": None},
    ),
)


def channels_of_output(other: int) -> Rule:
    """The rule on the channel dimension of a per-channel filter; `other` is none of those."""
    return rule(
        "channels-of-output",
        "filter",
        "The channel dimension of a per-channel filter is that of the output's depth.",
        only=("quant8/per_channel", "quant8_signed/per_channel"),
        other={"filter": Quantized(channel_dim=other)},
    )


def convolution_data(channel_dim: int = 0) -> tuple[Tensor, ...]:
    """Input, filter and bias; `channel_dim` is the filter's for per-channel quantization."""
    return (
        Tensor("input", rank=(4, 4), spatial=True),
        Tensor("filter", "filter", rank=(4, 4), weight=True, channel_dim=channel_dim),
        Tensor("bias", "bias", rank=(1, 1), weight=True, bias_of=("input", "filter")),
    )


def both_paddings(
    data: tuple[Input, ...], *middle: Input, dilations: bool = False
) -> tuple[tuple[Input, ...], ...]:
    """The signatures with explicit and with implicit padding."""
    tail = (*STRIDES, *middle, activation(), layout(), *(DILATIONS if dilations else ()))
    return (*data, *PADS, *tail), (*data, PADDING, *tail)


def window_sample(
    name: str,
    stride: tuple[int, int] = (1, 1),
    padding: int | tuple[int, int, int, int] = SAME,
    **operands: Any,
) -> Sample:
    """A sample with strides (width, height) and a scheme or (left, right, top, bottom)."""
    if isinstance(padding, int):
        pads: dict[str, Any] = {"padding": padding}
    else:
        pads = dict(zip(PAD_NAMES, padding, strict=True))
    return Sample(name, stride_w=stride[0], stride_h=stride[1], **pads, **operands)


def padded_within(facts: Facts) -> bool:
    """Whether explicit padding is smaller than the dilated filter, [.., height, width, ..].

    The documentation does not ask for it, but deployed devices refuse other padding: whoever
    draws attributes stays on agreed ground.
    """
    if "pad_left" not in facts.values:
        return True
    height, width = facts.shape("filter")[1:3]
    tall = (height - 1) * facts.get("dilation_h", 1) + 1
    wide = (width - 1) * facts.get("dilation_w", 1) + 1
    return bool(
        max(facts["pad_top"], facts["pad_bottom"]) < tall
        and max(facts["pad_left"], facts["pad_right"]) < wide
    )


def products_span(terms: Callable[[Facts], int]) -> Callable[[Facts], tuple[float, float]]:
    """The interval that sums of `terms(facts)` products of uniform data and a bias fill.

    A product of two uniform variables has the deviation a/sqrt(3) * b/sqrt(3); 2.5 deviations
    keep all but about 1 % of the sums inside.
    """

    def span(facts: Facts) -> tuple[float, float]:
        spread = facts.amplitude("input") * facts.amplitude("filter") / 3
        reach = 2.5 * spread * math.sqrt(terms(facts)) + 0.5
        return -reach, reach

    return span
