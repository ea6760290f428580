"""An SSD-like detector: two maps, boxes and scores, and DETECTION_POSTPROCESSING behind them.

PyTorch has no operator for the last step, so it is put behind the lowered net with the kit's own
`Builder`. Scores have a background class in front.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from examples.blocks import Block, stem
from examples.common import Example, image, main
from nnapi_testkit.mobile import samples
from nnapi_testkit.model.builder import Builder
from nnapi_testkit.model.program import Program
from nnapi_testkit.model.types import Lifetime

SIZE, MOST, THRESHOLD = 48, 20, 0.66


class Ssd(nn.Module):
    """Scores and boxes of two maps, as one list each."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(*stem(16, nn.ReLU6()), Block(16, 16, stride=2, squeeze=False))
        self.second = Block(16, 24, stride=2, squeeze=False)
        self.scores = nn.ModuleList([nn.Conv2d(16, 3 * 4, 3, padding=1), nn.Conv2d(24, 12, 1)])
        self.boxes = nn.ModuleList([nn.Conv2d(16, 3 * 4, 3, padding=1), nn.Conv2d(24, 12, 1)])

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Image (1, 3, H, W) to scores and deltas, each (1, boxes, 4)."""
        maps = [self.first(x)]
        maps.append(self.second(maps[0]))

        def listed(layers: nn.ModuleList) -> torch.Tensor:
            rows = [layer(y) for layer, y in zip(layers, maps, strict=True)]
            return torch.cat([y.permute(0, 2, 3, 1).reshape(1, -1, 4) for y in rows], 1)

        return listed(self.scores).sigmoid(), listed(self.boxes)


def anchors() -> NDArray[np.float32]:
    """[boxes, 4]: middle and size (y, x, height, width) of each box, in shares of the picture."""
    found = []
    for cells, size in ((12, 0.2), (6, 0.4)):
        places = (np.arange(cells) + 0.5) / cells
        shapes = [(size, size), (size * 1.4, size / 1.4), (size / 1.4, size * 1.4)]
        found += [(y, x, *shape) for y in places for x in places for shape in shapes]
    return np.array(found, np.float32)


def detections(program: Program) -> Program:
    """The net with the best boxes of each class in the place of all boxes and scores."""
    graph = program.model.main
    builder = Builder()
    for operand in graph.operands:
        builder.add(operand)
    for operation in graph.operations:
        builder.operation(operation.code, operation.inputs, operation.outputs)  # type: ignore[arg-type]
    numbers = [builder.constant("FLOAT32", value) for value in (10.0, 10.0, 5.0, 5.0)]
    taken = [
        *graph.outputs,
        builder.constant("TENSOR_FLOAT32", anchors()),
        *numbers,
        builder.constant("BOOL", True),  # suppression of each class by itself
        *(builder.constant("INT32", value) for value in (MOST, 1, MOST)),
        *(builder.constant("FLOAT32", value) for value in (THRESHOLD, 0.5)),
        builder.constant("BOOL", False),
    ]
    made = [
        builder.tensor("TENSOR_FLOAT32", (1, MOST)),
        builder.tensor("TENSOR_FLOAT32", (1, MOST, 4)),
        builder.tensor("TENSOR_INT32", (1, MOST)),
        builder.tensor("TENSOR_INT32", (1,)),
    ]
    builder.operation("DETECTION_POSTPROCESSING", taken, made)
    builder.identify(made)
    built = builder.build().main
    hidden = set(graph.outputs)
    operands = tuple(
        replace(operand, lifetime=Lifetime.TEMPORARY) if at in hidden else operand
        for at, operand in enumerate(built.operands)
    )
    whole = replace(built, operands=operands, inputs=graph.inputs)
    names = (*program.operations, "detections")
    # What the net's own outputs should be is known for the net alone.
    return replace(program, model=replace(program.model, main=whole), operations=names, expected=())


EXAMPLE = Example("SSD", lambda: (samples.scaled(Ssd()), [image(SIZE)]), finish=detections)


if __name__ == "__main__":
    raise SystemExit(main(EXAMPLE))
