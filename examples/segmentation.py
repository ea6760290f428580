"""A person's mask, frame by frame: dilation, bilinear upsampling, and a picture of what differs.

    python -m examples.segmentation [--target T] [--frames 30] [-o segmentation.png]

A figure walks through a stream of pictures. The driver computes a mask of each frame in one
compilation, eager PyTorch too; the picture has a column for six of the frames with the input, the
driver's mask and the difference, its largest value white. Weights are random: the mask is no
person's, but it moves with the figure.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from examples.blocks import stem
from examples.common import Example, image, lowered, options_of, quantized, seeded, summary
from examples.common import main as judged
from examples.png import png
from nnapi_testkit.errors import KitError
from nnapi_testkit.models.run import run
from nnapi_testkit.targets import parse_target

SIZE = 48


class Segmentation(nn.Module):
    """A person's mask: stride 4, dilation, and back by bilinear upsampling."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(*stem(16, nn.ReLU6()), nn.MaxPool2d(3, 2, 1))
        self.wide = nn.ModuleList(nn.Conv2d(16, 8, 3, padding=d, dilation=d) for d in (1, 2))
        self.up = nn.Conv2d(16, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Image (N, 3, H, W) to the probability of each class, (N, 2, H, W)."""
        y = self.down(x)
        y = torch.cat([F.relu(layer(y)) for layer in self.wide], 1)
        y = F.interpolate(self.up(y), size=x.shape[2:], mode="bilinear", align_corners=False)
        return F.softmax(y, 1)


EXAMPLE = Example("person segmentation", lambda: (Segmentation(), [image(SIZE)]), quantized=True)


def frames(count: int) -> NDArray[np.float32]:
    """A head and shoulders that walk from left to right: [count, SIZE, SIZE, 3], from 0 to 1."""
    rows, columns = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    found = []
    for at in range(count):
        middle = 0.2 + 0.6 * at / max(1, count - 1)
        face = (columns - middle) ** 2 + (rows - 0.35) ** 2 < 0.015
        body = ((columns - middle) / 1.4) ** 2 + (rows - 0.95) ** 2 < 0.09
        wall = np.stack([0.3 + 0.3 * rows, 0.4 + 0.2 * columns, 0.6 - 0.2 * rows], -1)
        wall[body] = (0.15, 0.2, 0.5)
        wall[face] = (0.9, 0.7, 0.6)
        found.append(wall)
    return np.stack(found).astype(np.float32)


def stream(target: str, images: NDArray[np.float32], *, codes: bool = False) -> tuple[Any, Any]:
    """The masks of a stream: the driver's, and eager PyTorch's.

    Args:
        images: as `frames` gives them. codes: the driver runs the quantized net.

    Returns two arrays [count, SIZE, SIZE]: how sure the net is of the second class.
    Raises KitError: the driver does not compute it.
    """
    program = (quantized if codes else lowered)(EXAMPLE)
    print(summary(program))
    with parse_target(target).open() as runner:
        masks = [row[0][0, :, :, 1] for row in run(program, runner, [[x[None]] for x in images])]
    module, _ = seeded(lambda: (Segmentation(), []))
    with torch.no_grad():
        eager = module(torch.from_numpy(images).permute(0, 3, 1, 2))[:, 1]
    return np.stack(masks), eager.numpy()


def picture(images: Any, masks: Any, eager: Any, columns: int = 6) -> NDArray[Any]:
    """Input, mask and difference below each other, a column for each of some frames."""
    away = np.abs(masks - eager)
    chosen = np.linspace(0, len(images) - 1, min(columns, len(images))).astype(int)
    images, masks, away = images[chosen], masks[chosen], away[chosen]
    low, high = masks.min(), masks.max()
    rows = [
        images,
        np.repeat((masks - low)[..., None] / max(high - low, 1e-9), 3, -1),
        np.repeat(away[..., None] / max(away.max(), 1e-9), 3, -1),
    ]
    return np.concatenate([np.concatenate(list(row), 1) for row in rows])


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge the net, then run the stream; 0 if the net is right and the stream near to eager."""
    parser = argparse.ArgumentParser(description="a person's mask, frame by frame")
    options_of(parser)
    parser.add_argument("--frames", type=int, default=30, metavar="N", help="default 30")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="a picture, as PNG")
    options = parser.parse_args(arguments)
    plain = ["--target", options.target, "--seed", str(options.seed)]
    plain += ["--quantized"] if options.quantized else []
    plain += ["--save", str(options.save)] if options.save else []
    code = judged(EXAMPLE, plain)
    if code:
        return code
    images = frames(max(1, options.frames))
    try:
        masks, eager = stream(options.target, images, codes=options.quantized)
        if options.output is not None:
            options.output.write_bytes(png(picture(images, masks, eager)))
    except KitError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{options.output} cannot be written: {error.strerror}", file=sys.stderr)
        return 2
    worst = float(np.abs(masks - eager).max())
    # A probability: 8-bit codes through six layers move it by some hundredths, float32 by less
    # than a millionth of its range for each of some hundred terms.
    limit = 0.1 if options.quantized else 1e-4
    print(f"{len(images)} frames: the largest difference from eager PyTorch is {worst:.1e}")
    return 0 if worst <= limit else 1


if __name__ == "__main__":
    raise SystemExit(main())
