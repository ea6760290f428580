"""EfficientNet-lite-like: RELU6, no squeezing."""

from __future__ import annotations

from torch import nn

from examples.blocks import Block, head, stem
from examples.common import Example, Made, image, main


def efficientnet_lite() -> Made:
    """The net and a picture."""
    blocks = [
        Block(16, 24, stride=2, expand=6, act=nn.ReLU6, squeeze=False),
        Block(24, 24, expand=6, act=nn.ReLU6, squeeze=False, kernel=5),
        Block(24, 40, stride=2, expand=6, act=nn.ReLU6, squeeze=False, kernel=5),
    ]
    return nn.Sequential(*stem(16, nn.ReLU6()), *blocks, *head(40)), [image(64)]


EXAMPLE = Example("EfficientNet-lite", efficientnet_lite, quantized=True)


if __name__ == "__main__":
    raise SystemExit(main(EXAMPLE))
