"""MobileNetV3-like: hard swish, squeeze and excitation."""

from __future__ import annotations

from torch import nn

from examples.blocks import Block, head, stem
from examples.common import Example, Made, image, main


def mobilenet_v3() -> Made:
    """The net and a picture."""
    blocks = [Block(16, 16, stride=2, kernel=3), Block(16, 24, kernel=5), Block(24, 24, kernel=5)]
    return nn.Sequential(*stem(16, nn.Hardswish()), *blocks, *head(24)), [image(48)]


EXAMPLE = Example("MobileNetV3", mobilenet_v3, quantized=True)


if __name__ == "__main__":
    raise SystemExit(main(EXAMPLE))
