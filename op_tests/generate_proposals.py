"""GENERATE_PROPOSALS: anchors at each place moved by deltas, then hard NMS in each image."""

import random
from dataclasses import replace

from nnapi_testkit.op import (
    ARITHMETIC,
    DOCUMENTED,
    FIELD,
    Contest,
    Form,
    Given,
    Op,
    Output,
    OutputKind,
    Reading,
    Sample,
    Scalar,
    Tensor,
    but,
    layout,
    longer,
    plain,
    propagated,
    refused_by_field,
    rule,
    sizes,
)
from nnapi_testkit.op.families.boxes import (
    best,
    cells_with,
    clear,
    clipped,
    hard_nms,
    ranking,
    transformed,
)

EIGHTH = (0.125, 0)


def proposals(torch, deltas, anchors, size, ratio_h, ratio_w):
    """Boxes [height, width, anchors, 4] of an image; deltas are [height, width, anchors, 4]."""
    height, width = deltas.shape[:2]
    y, x = torch.arange(height) * ratio_h, torch.arange(width) * ratio_w
    x, y = x[None, :].expand(height, width), y[:, None].expand(height, width)
    shift = torch.stack((x, y, x, y), 2)[:, :, None]
    moved = transformed(torch, anchors[None, None] + shift, deltas)
    tall, wide = (plain(size)[i].expand(moved.shape[:-1]) for i in (0, 1))
    return clipped(torch, moved, tall, wide)


def kept_of(order, sizes, inside, least, limit, field):
    """Which boxes are left for NMS, best first: by the field's order of limit and filter, or by
    the other one."""
    if field:
        order = order[: limit if limit > 0 else None]
        return [i for i in order if sizes[i] > least and inside[i]]
    order = [i for i in order if sizes[i] >= least]
    return order[: limit if limit > 0 else None]


def size_of(box, least):
    """The smaller side of a box; the least size itself where they differ as the float64
    arithmetic of processors does."""
    x1, y1, x2, y2 = box
    size = min(x2 - x1, y2 - y1)
    return least if abs(size - least) <= ARITHMETIC * max(1.0, *map(abs, box)) else size


def select(
    torch, scores, deltas, anchors, image, ratio_h, ratio_w, before, after, iou_threshold, least,
    readings,
):  # fmt: skip
    """The proposals as `readings` have them, which must agree: of True for the field's way to
    leave boxes out, False for the documentation's."""
    rows = []
    for number in range(scores.shape[0]):
        score = scores[number].permute(1, 2, 0)
        delta = deltas[number].permute(1, 2, 0).reshape(*score.shape, 4)
        boxes = proposals(torch, delta, anchors, image[number], ratio_h, ratio_w).reshape(-1, 4)
        score = score.reshape(-1)
        values, found = plain(score).tolist(), plain(boxes).tolist()
        height, width = plain(image[number]).tolist()
        sizes = [size_of(box, least) for box in found]
        inside = [x1 + x2 < 2 * width and y1 + y2 < 2 * height for x1, y1, x2, y2 in found]
        for size in sizes:
            if len(readings) > 1 or size != least:
                clear((size - least) / max(least, 1.0), "a size near the least one")
        best_first = best(values, -1)
        orders = [
            kept_of(best_first, sizes, inside, least, before, field=field) for field in readings
        ]
        if any(order != orders[0] for order in orders):
            raise ValueError("this is contested: what is left out, and in which order")
        order = orders[0]
        kept = hard_nms([values[i] for i in order], [found[i] for i in order], iou_threshold)
        for i in kept[: after if after > 0 else None]:
            rows.append((score[order[i]], boxes[order[i]], number))
    if not rows:
        return plain(scores).new_zeros(0), plain(scores).new_zeros((0, 4)), torch.zeros(0).long()
    score, box, number = zip(*rows, strict=True)
    return torch.stack(score), torch.stack(box), torch.tensor(number)


def reading(*readings):
    return lambda torch, **operands: select(torch, **operands, readings=readings)


reference = reading(True, False)
LEFT_OUT = Contest(
    "limit-and-least-size",
    "Boxes below the least size are dropped by the header, which names no order; deployed devices"
    " take the best before NMS first, and keep what is larger than the least size and has its"
    " centre in the image.",
    (Reading(DOCUMENTED, reading(False)), Reading(FIELD, reading(True))),
)


def none(torch, scores, **operands):
    """No proposal at all."""
    return plain(scores).new_zeros(0), plain(scores).new_zeros((0, 4)), torch.zeros(0).long()


ZERO = Contest(
    "limits-of-0",
    "A limit that is not positive is none by the header; Android's own reference takes 0 boxes for"
    " a limit of 0.",
    (Reading("android", none), Reading(DOCUMENTED)),
)
SYMMETRIC = refused_by_field(
    "image-information",
    "Image information of quantized input is QUANT16_SYMM by the header, QUANT16_ASYMM in deployed"
    " devices.",
)


def sample(
    name,
    images,
    height,
    width,
    anchors,
    *,
    ratio=(8.0, 8.0),
    size=(64, 64),
    before=-1,
    after=-1,
    iou=0.4,
    least=1.0,
    seed=0,
    still=False,
    **more,
):
    """With `still` the anchors do not move."""
    scores = ranking(images * height * width, anchors, seed=seed, step=1 / 256)
    pick = random.Random(seed + 9 * anchors)
    shapes = [[-w / 2, -h / 2, w / 2, h / 2] for w, h in ((12, 16), (20, 14), (30, 30))[:anchors]]
    deltas = [
        int(pick.random() * 41 - 20) / 40 for _ in range(images * height * width * anchors * 4)
    ]
    if still:
        deltas = [0.0] * len(deltas)
    return Sample(
        name,
        scores=Given(scores, (images, height, width, anchors)),
        deltas=Given(deltas, (images, height, width, anchors * 4)),
        anchors=Given(shapes),
        image=Given([[size[0] + 8 * i, size[1] + 16 * i] for i in range(images)]),
        ratio_h=ratio[0],
        ratio_w=ratio[1],
        before=before,
        after=after,
        iou_threshold=iou,
        least=least,
        **more,
    )


def most(f):
    images, height, width, anchors = f.shape("scores")
    return images * height * width * anchors


CELLS = cells_with("where", "image", anchors="QUANT16_SYMM")
IMAGE = cells_with(image="QUANT16_SYMM")[-1].types
OP = Op(
    name="GENERATE_PROPOSALS",
    signatures=(
        (
            Tensor(
                "scores",
                rank=(4, 4),
                spatial=True,
                quant=lambda code, f: (1 / 256, 0 if code.name == "TENSOR_QUANT8_ASYMM" else -128),
            ),
            Tensor(
                "deltas",
                rank=(4, 4),
                spatial=True,
                quant=lambda code, f: (0.025, 128 if code.name == "TENSOR_QUANT8_ASYMM" else 0),
            ),
            Tensor("anchors", "anchors", rank=(2, 2), quant=EIGHTH),
            Tensor("image", "image", rank=(2, 2), quant=EIGHTH),
            Scalar("ratio_h", "real", any_real=True),
            Scalar("ratio_w", "real", any_real=True),
            Scalar("before"),
            Scalar("after"),
            Scalar("iou_threshold", "real", any_real=True),
            Scalar("least", "real", any_real=True),
            layout(optional=False),
        ),
    ),
    outputs=(
        Output("out", lambda f: (most(f),), like="scores", counted=True, kind=OutputKind.ROWS),
        Output(
            "where",
            lambda f: (most(f), 4),
            "where",
            counted=True,
            kind=OutputKind.ROWS,
            quant={"TENSOR_QUANT16_ASYMM": EIGHTH, "TENSOR_QUANT16_SYMM": EIGHTH},
        ),
        Output(
            "images", lambda f: (most(f),), "TENSOR_INT32", counted=True, kind=OutputKind.GROUPS
        ),
    ),
    cells=CELLS,
    forms=tuple(
        Form("symmetric-image", replace(cell, types={**cell.types, **IMAGE}), SYMMETRIC)
        for cell in CELLS
        if cell.main.name.startswith("TENSOR_QUANT8")
    ),
    rules=(
        *sizes(
            sample="plain",
            scores="batch height width anchors",
            deltas="batch height width .",
            anchors="anchors .",
            image="batch .",
        ),
        rule(
            "planes-of-one-size",
            "scores deltas",
            "Scores and deltas are maps of one size, in either layout.",
            sample="planes",
            height={"scores": longer("scores", 1)},
            width={"scores": longer("scores", 2)},
        ),
        rule(
            "four-for-each-anchor",
            "scores deltas",
            "There are four deltas for each anchor.",
            more={"deltas": longer("deltas", 3)},
        ),
        rule(
            "anchors-of-four",
            "anchors",
            "An anchor is (x1, y1, x2, y2).",
            five={"anchors": longer("anchors", 1)},
        ),
        rule(
            "corners-in-order",
            "anchors",
            "An anchor satisfies x1 <= x2 and y1 <= y2.",
            horizontal={"anchors": but("anchors", (0, 0), 4000.0)},
            vertical={"anchors": but("anchors", (0, 1), 4000.0)},
        ),
        rule(
            "two-image-sizes",
            "image",
            "Of an image height and width are given.",
            three={"image": longer("image", 1)},
        ),
        rule(
            "ratios-positive",
            "ratio_h ratio_w",
            "The ratio of image to feature map is positive.",
            zero_height={"ratio_h": 0.0},
            negative_width={"ratio_w": -1.0},
        ),
    ),
    reference=reference,
    fixed=frozenset("*"),
    bound=propagated("running error analysis of the boxes; rows in any order"),
    samples=[
        sample("plain", 1, 3, 4, 2, rows=15),
        sample("one-anchor", 1, 4, 5, 1, seed=3),
        sample("images", 3, 3, 3, 2, seed=3),
        sample("before", 1, 4, 4, 2, before=12, seed=2),
        sample("after", 2, 3, 4, 2, after=5, seed=1),
        sample("both-limits", 1, 4, 5, 3, before=20, after=6, seed=1),
        sample("least-size", 1, 4, 4, 2, least=11.0),
        sample("ratios", 1, 3, 6, 2, ratio=(16.0, 8.0), size=(48, 56)),
        sample("all-overlaps", 1, 3, 3, 3, iou=0.98),
        sample("strict-overlaps", 2, 3, 4, 1, iou=0.05),
        sample("one-place", 1, 1, 1, 3),
        sample("limit-first", 1, 4, 4, 2, before=12, least=11.0, contest=LEFT_OUT, variations=()),
        sample("just-least", 1, 3, 4, 2, least=12.0, still=True, contest=LEFT_OUT, variations=()),
        sample("zero-limits", 2, 3, 4, 1, before=0, after=0, contest=ZERO, variations=()),
        sample("two-sizes", 2, 4, 4, 2, size=(26, 40), seed=3, variations=()),
        sample("planes", 1, 3, 4, 2, nchw=True, variations=()),
    ],
    ambiguity=(
        "Anchors stand at (x width ratio, y height ratio). Images and anchors of quantized cells"
        " have 16-bit codes: symmetric anchors, asymmetric boxes (the text names both for them) and"
        " image sizes, as deployed devices take them. Sizes are judged after the limit before NMS;"
        " only cases that ask for this depend on it."
    ),
)
