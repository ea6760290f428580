"""FBNet-like: blocks of several sizes and a channel shuffle."""

from __future__ import annotations

from torch import nn

from examples.blocks import Block, head, stem
from examples.common import Example, Made, image, main


def fbnet() -> Made:
    """The net and a picture."""
    blocks = [
        Block(16, 16, expand=1, act=nn.ReLU, squeeze=False),
        Block(16, 24, stride=2, expand=6, act=nn.ReLU, squeeze=False, kernel=5),
        nn.ChannelShuffle(2),
        Block(24, 24, expand=3, act=nn.ReLU, squeeze=False),
    ]
    return nn.Sequential(*stem(16, nn.ReLU()), *blocks, *head(24)), [image(48)]


EXAMPLE = Example("FBNet", fbnet, onnx="its exporter of traces does not know channel_shuffle")


if __name__ == "__main__":
    raise SystemExit(main(EXAMPLE))
