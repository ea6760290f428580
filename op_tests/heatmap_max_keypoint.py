"""HEATMAP_MAX_KEYPOINT: the largest value of a heatmap, refined by a quadratic expansion."""

import random

from nnapi_testkit.op import (
    Given,
    Op,
    Output,
    Sample,
    Tensor,
    but,
    layout,
    longer,
    plain,
    propagated,
    reread,
    rule,
    sizes,
)
from nnapi_testkit.op.families.boxes import EIGHTH, boxes, cells_with


def reference(torch, heatmap, boxes):
    count, points, size, _ = heatmap.shape
    best = plain(heatmap).reshape(count, points, -1).argmax(2).reshape(-1)
    y, x = best // size, best % size
    maps = heatmap.reshape(count * points, size * size)
    rows = torch.arange(count * points)

    def at(dy, dx):
        # Beyond the border is left open (`unclear`): some pixel that there is.
        return maps[rows, (y + dy).clamp(0, size - 1) * size + (x + dx).clamp(0, size - 1)]

    top, slope_x, slope_y = at(0, 0), (at(0, 1) - at(0, -1)) * 0.5, (at(1, 0) - at(-1, 0)) * 0.5
    xx, yy = at(0, 1) - top * 2.0 + at(0, -1), at(1, 0) - top * 2.0 + at(-1, 0)
    xy = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) * 0.25
    # The stationary point of the expansion: slope + curvature * step = 0.
    area = xx * yy - xy * xy
    step_x = (xy * slope_y - yy * slope_x) / area
    step_y = (xy * slope_x - xx * slope_y) / area
    score = top + (slope_x * step_x + slope_y * step_y) * 0.5
    x1, y1, x2, y2 = (edge[:, None] for edge in boxes.unbind(1))
    place_x = (step_x + (x + 0.5)).reshape(count, points) / size
    place_y = (step_y + (y + 0.5)).reshape(count, points) / size
    where = torch.stack((x1 + place_x * (x2 - x1), y1 + place_y * (y2 - y1)), 2)
    return score.reshape(count, points), where


def unclear(s):
    """Maps whose peak is at the border, where differences have no second pixel, or not alone."""
    maps = s.args["heatmap"]
    count, points, size, _ = maps.shape
    rows = reread(s, maps.double()).reshape(count, points, -1)
    best = rows.argmax(2)
    top = rows.amax(2, keepdim=True)
    slack = (rows.abs() + top.abs()) * (s.reading.u if s.reading.relaxed else 0.0)
    open_ = ((top - rows <= slack).sum(2) != 1) | rows.isnan().any(2)
    for place in (best // size, best % size):
        open_ |= (place == 0) | (place == size - 1)
    return open_, open_[..., None].expand(s.outputs[1].shape)


def peaks(count, size, points):
    """Heatmaps that fall quadratically from a point between pixels, away from the border."""
    pick = random.Random(100 * size + 10 * count + points)
    maps = [[[[0.0] * points for _ in range(size)] for _ in range(size)] for _ in range(count)]
    for box in maps:
        for k in range(points):
            cy, cx = (1 + pick.random() * (size - 3) for _ in "yx")
            cy, cx = (round(c) + 0.3 * (2 * pick.random() - 1) for c in (cy, cx))
            height, tilt = 0.1 + 1.1 * pick.random(), 0.3 * (pick.random() - 0.5)
            for i in range(size):
                for j in range(size):
                    dy, dx = i - cy, j - cx
                    value = height - 0.35 * dy * dy - 0.4 * dx * dx + tilt * dy * dx
                    box[i][j][k] = max(value, -1.2) + 0.01 * (pick.random() - 0.5)
    return Given(maps)


def lowered(maps):
    """The same heatmaps, all of them below zero."""

    def less(value):
        return [less(one) for one in value] if isinstance(value, list) else value - 2.0

    return Given(less(maps.values))


def sample(name, count, size, points, image=(64, 64), **more):
    return Sample(name, heatmap=peaks(count, size, points), boxes=boxes(count, *image), **more)


OP = Op(
    name="HEATMAP_MAX_KEYPOINT",
    signatures=(
        (
            Tensor("heatmap", rank=(4, 4), spatial=True),
            Tensor("boxes", "boxes", rank=(2, 2), quant=EIGHTH),
            layout(optional=False),
        ),
    ),
    outputs=(
        Output(
            shape=lambda f: (f.shape("heatmap")[0], f.shape("heatmap")[3]),
            span=lambda f: (0.0, 1.4),
        ),
        Output(
            "where",
            lambda f: (f.shape("heatmap")[0], f.shape("heatmap")[3], 2),
            "boxes",
            quant={"TENSOR_QUANT16_ASYMM": EIGHTH},
        ),
    ),
    batched=("heatmap", "boxes"),
    cells=cells_with("boxes"),
    ties=("boxes.0=heatmap.0",),
    rules=(
        *sizes(sample="points", heatmap="boxes size size .", boxes="boxes ."),
        rule(
            "size-of-two",
            "heatmap",
            "A heatmap has at least 2 pixels on a side.",
            one={"heatmap": (2, 1, 1, 3), "boxes": Given([[0, 0, 8, 8], [1, 2, 30, 40]])},
        ),
        rule(
            "four-coordinates",
            "boxes",
            "A box is (x1, y1, x2, y2).",
            five={"boxes": longer("boxes", 1)},
        ),
        rule(
            "corners-in-order",
            "boxes",
            "A box satisfies x1 <= x2 and y1 <= y2.",
            horizontal={"boxes": but("boxes", (0, 2), 0.0)},
            vertical={"boxes": but("boxes", (0, 3), 0.0)},
        ),
    ),
    reference=reference,
    fixed=frozenset("*"),
    bound=propagated("running error analysis of differences, expansion and position"),
    exempt=unclear,
    samples=[
        sample("one", 1, 5, 1),
        sample("points", 2, 6, 3),
        sample("smallest", 3, 3, 2),
        sample("boxes", 5, 7, 1, (128, 48)),
        sample("wide-image", 2, 8, 4, (32, 255)),
        sample("odd", 3, 9, 2, (100, 33)),
        sample("many-points", 1, 5, 9),
        sample("large-map", 1, 14, 2, (200, 200)),
        Sample(
            "negative-coordinates",
            only=("float32", "float16"),
            variations=(),
            heatmap=peaks(2, 5, 2),
            boxes=Given([[-40.0, -24.5, -8.0, 7.5], [-64.0, 16.0, 0.0, 80.0]]),
        ),
        Sample(
            "below-zero",
            only=("float32", "float16"),
            variations=(),
            heatmap=lowered(peaks(2, 6, 3)),
            boxes=boxes(2, 64, 64),
        ),
        Sample(
            "thin-boxes",
            variations=(),
            heatmap=peaks(2, 6, 2),
            boxes=Given([[8.0, 4.0, 8.5, 60.0], [16.0, 20.0, 90.0, 20.125]]),
        ),
        sample("large", 32, 5, 32, (64, 96), large=True),
    ],
    ambiguity=(
        "The expansion uses central differences, the point between pixels is not limited, and"
        " pixel i is the part [i, i + 1] / heatmap_size of the box. Cases keep their peaks away"
        " from the border, where the differences are not documented; such a peak, or one of two"
        " that are equal, is left open."
    ),
)
