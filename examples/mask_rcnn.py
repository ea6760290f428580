"""A detector in the manner of Mask R-CNN: proposals, ROI_ALIGN, BOX_WITH_NMS_LIMIT, masks.

PyTorch has no operators for these, so the model is made with the kit's own `Builder`. How many
boxes there are follows from data: their dimension is open, and the driver tells it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.common import Example, main
from nnapi_testkit.model.builder import Builder
from nnapi_testkit.model.program import Program

SIZE, STRIDE, ANCHORS, CLASSES = 64, 8, 3, 3
DEPTH, BINS, MASK = 24, 4, 6
REAL = "TENSOR_FLOAT32"


class Net:
    """A `Builder` with the layers of this model; weights from a seed, scaled as Kaiming does."""

    def __init__(self, seed: int = 0) -> None:
        self.builder = Builder()
        self.names: list[str] = []
        self._random = np.random.default_rng(seed)

    def weights(self, *shape: int) -> int:
        """A constant [out, ..., in] of normal numbers."""
        spread = np.sqrt(2 / np.prod(shape[1:]))
        return self.builder.constant(REAL, self._random.normal(0, spread, shape))

    def zeros(self, size: int) -> int:
        """A bias that does nothing."""
        return self.builder.constant(REAL, np.zeros(size))

    def ints(self, *values: int) -> list[int]:
        """INT32 scalars."""
        return [self.builder.constant("INT32", value) for value in values]

    def reals(self, *values: float) -> list[int]:
        """FLOAT32 scalars."""
        return [self.builder.constant("FLOAT32", value) for value in values]

    def layer(
        self, name: str, code: str, taken: Sequence[int], dims: Sequence[int], type: str = REAL
    ) -> int:
        """One operation with one result."""
        made = self.builder.tensor(type, dims)
        self.builder.operation(code, taken, (made,))
        self.names.append(name)
        return made

    def convolution(
        self, name: str, x: int, depth: int, dims: Sequence[int], size: int = 3, stride: int = 1
    ) -> int:
        """CONV_2D with RELU, or none for filters of one pixel; `dims` are the result's."""
        pads = [(size - 1) // 2, size // 2] * 2
        if stride > 1:
            pads = [0, 1, 0, 1]
        numbers = self.ints(*pads, stride, stride, 1 if size > 1 else 0)
        out = dims[-1]
        taken = [x, self.weights(out, size, size, depth), self.zeros(out), *numbers]
        return self.layer(name, "CONV_2D", taken, dims)

    def dense(self, name: str, x: int, depth: int, out: int, activation: int = 0) -> int:
        """FULLY_CONNECTED of a row for each box."""
        taken = [x, self.weights(out, depth), self.zeros(out), *self.ints(activation)]
        return self.layer(name, "FULLY_CONNECTED", taken, (0, out))

    def several(
        self, name: str, code: str, taken: Sequence[int], forms: Sequence[Any]
    ) -> list[int]:
        """One operation with several results, each as (type, dimensions)."""
        made = [self.builder.tensor(type, dims) for type, dims in forms]
        self.builder.operation(code, taken, made)
        self.names.append(name)
        return made

    def aligned(self, name: str, maps: int, rois: int, images: int, bins: int) -> int:
        """ROI_ALIGN of a map of a STRIDE-th of the picture's size, with two points each way."""
        numbers = [*self.ints(bins, bins), *self.reals(STRIDE, STRIDE), *self.ints(2, 2)]
        taken = [maps, rois, images, *numbers, self.builder.constant("BOOL", False)]
        return self.layer(name, "ROI_ALIGN", taken, (0, bins, bins, DEPTH))


def mask_rcnn(seed: int = 0) -> Program:
    """The whole detector with a picture: boxes, their scores and classes, and a mask for each."""
    net = Net(seed)
    picture = net.builder.input(REAL, (1, SIZE, SIZE, 3))
    cells = SIZE // STRIDE
    x, depth = picture, 3
    for number, (out, size) in enumerate(((12, SIZE // 2), (16, SIZE // 4), (DEPTH, cells))):
        x = net.convolution(f"backbone.{number}", x, depth, (1, size, size, out), stride=2)
        depth = out
    rois, images = _proposals(net, x, cells)
    extent = net.builder.constant(REAL, [[SIZE, SIZE]])
    boxes = net.aligned("head.align", x, rois, images, BINS)
    flat = net.builder.constant("TENSOR_INT32", [-1, BINS * BINS * DEPTH])
    rows = net.layer("head.flat", "RESHAPE", (boxes, flat), (0, BINS * BINS * DEPTH))
    rows = net.dense("head.wide", rows, BINS * BINS * DEPTH, 32, activation=1)
    logits = net.dense("head.classes", rows, 32, CLASSES)
    scores = net.layer("head.scores", "SOFTMAX", (logits, *net.reals(1.0)), (0, CLASSES))
    # Class 0 is the background. Whether it takes part is not documented, so its scores are none.
    classes = net.builder.constant(REAL, [0.0] + [1.0] * (CLASSES - 1))
    taken = (scores, classes, *net.ints(0))
    scores = net.layer("head.objects", "MUL", taken, (0, CLASSES))
    deltas = net.dense("head.deltas", rows, 32, 4 * CLASSES)
    small = net.layer("head.small", "MUL", (deltas, _number(net, 0.1), *net.ints(0)), (0, 12))
    moved = (rois, small, images, extent)
    placed = net.layer("head.boxes", "AXIS_ALIGNED_BBOX_TRANSFORM", moved, (0, 4 * CLASSES))
    limits = [*net.reals(0.2), *net.ints(-1, 0), *net.reals(0.4, 0.5, 0.2)]
    kept = net.several(
        "suppression",
        "BOX_WITH_NMS_LIMIT",
        (scores, placed, images, *limits),
        ((REAL, (0,)), (REAL, (0, 4)), ("TENSOR_INT32", (0,)), ("TENSOR_INT32", (0,))),
    )
    masks = net.aligned("mask.align", x, kept[1], kept[3], MASK)
    masks = net.convolution("mask.conv", masks, DEPTH, (0, MASK, MASK, DEPTH))
    wide = [
        masks,
        net.weights(DEPTH, 2, 2, DEPTH),
        net.zeros(DEPTH),
        *net.ints(0, 0, 0, 0, 2, 2, 1),
    ]
    wide.append(net.builder.constant("BOOL", False))
    masks = net.layer("mask.up", "TRANSPOSE_CONV_2D", wide, (0, 2 * MASK, 2 * MASK, DEPTH))
    shape = (0, 2 * MASK, 2 * MASK, CLASSES)
    masks = net.convolution("mask.classes", masks, DEPTH, shape, size=1)
    masks = net.layer("mask.sure", "LOGISTIC", (masks,), shape)
    net.builder.identify([*kept, masks])
    program = Program(net.builder.build(), "Mask R-CNN", tuple(net.names))
    random = np.random.default_rng(seed + 1)
    given: NDArray[np.float32] = random.uniform(0, 1, (1, SIZE, SIZE, 3)).astype(np.float32)
    return Program(program.model, program.name, program.operations, inputs=((given,),))


def _proposals(net: Net, maps: int, cells: int) -> tuple[int, int]:
    """Regions worth a look, [boxes, 4], and the picture that each is of."""
    x = net.convolution("proposals.conv", maps, DEPTH, (1, cells, cells, DEPTH))
    scores = net.convolution("proposals.logits", x, DEPTH, (1, cells, cells, ANCHORS), size=1)
    scores = net.layer("proposals.scores", "LOGISTIC", (scores,), (1, cells, cells, ANCHORS))
    shape = (1, cells, cells, 4 * ANCHORS)
    deltas = net.convolution("proposals.deltas", x, DEPTH, shape, size=1)
    taken = (deltas, _number(net, 0.1), *net.ints(0))
    deltas = net.layer("proposals.small", "MUL", taken, shape)
    # [x1, y1, x2, y2] around the middle of a cell. Each centre stays in the picture and no box is
    # below the least size: what devices do with others is contested.
    middle = STRIDE / 2
    anchors = [
        (middle - w / 2, middle - h / 2, middle + w / 2, middle + h / 2)
        for h, w in ((16, 16), (12, 24), (24, 12))
    ]
    taken = (
        scores,
        deltas,
        net.builder.constant(REAL, anchors),
        net.builder.constant(REAL, [[SIZE, SIZE]]),
        *net.reals(STRIDE, STRIDE),
        *net.ints(48, 8),
        *net.reals(0.6, 1.0),
        net.builder.constant("BOOL", False),
    )
    forms = ((REAL, (0,)), (REAL, (0, 4)), ("TENSOR_INT32", (0,)))
    _, rois, images = net.several("proposals", "GENERATE_PROPOSALS", taken, forms)
    return rois, images


def _number(net: Net, value: float) -> int:
    return net.builder.constant(REAL, [value])


EXAMPLE = Example("Mask R-CNN", program=mask_rcnn)


if __name__ == "__main__":
    raise SystemExit(main(EXAMPLE))
