"""GENERATE_PROPOSALS: anchors at each place moved by deltas, then hard NMS in each image."""

import random

from nnapi_testkit.op import (
    Given,
    Op,
    Output,
    Sample,
    Scalar,
    Tensor,
    layout,
    plain,
    propagated,
)
from nnapi_testkit.op.boxes import best, cells_with, clear, clipped, hard_nms, ranking, transformed

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


def reference(
    torch, scores, deltas, anchors, image, ratio_h, ratio_w, before, after, iou_threshold, least
):
    rows = []
    for number in range(scores.shape[0]):
        score = scores[number].permute(1, 2, 0)
        delta = deltas[number].permute(1, 2, 0).reshape(*score.shape, 4)
        boxes = proposals(torch, delta, anchors, image[number], ratio_h, ratio_w).reshape(-1, 4)
        score = score.reshape(-1)
        values, found = plain(score).tolist(), plain(boxes).tolist()
        limit = before if before > 0 else -1
        sizes = [min(x2 - x1, y2 - y1) for x1, y1, x2, y2 in found]
        for size in sizes:
            clear((size - least) / max(least, 1.0), "a size near the least one")
        order = [i for i in best(values, limit) if sizes[i] >= least]
        other = [i for i in best(values, -1) if sizes[i] >= least][: limit if limit > 0 else None]
        if order != other:
            raise ValueError("the order of both limits is not documented")
        kept = hard_nms([values[i] for i in order], [found[i] for i in order], iou_threshold)
        for i in kept[: after if after > 0 else None]:
            rows.append((score[order[i]], boxes[order[i]], number))
    if not rows:
        return plain(scores).new_zeros(0), plain(scores).new_zeros((0, 4)), torch.zeros(0).long()
    score, box, number = zip(*rows, strict=True)
    return torch.stack(score), torch.stack(box), torch.tensor(number)


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
    **more,
):
    scores = ranking(images * height * width, anchors, seed=seed, step=1 / 256)
    pick = random.Random(seed + 9 * anchors)
    shapes = [[-w / 2, -h / 2, w / 2, h / 2] for w, h in ((12, 16), (20, 14), (30, 30))[:anchors]]
    deltas = [
        int(pick.random() * 41 - 20) / 40 for _ in range(images * height * width * anchors * 4)
    ]
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
            Scalar("ratio_h", "FLOAT32", any_real=True),
            Scalar("ratio_w", "FLOAT32", any_real=True),
            Scalar("before"),
            Scalar("after"),
            Scalar("iou_threshold", "FLOAT32", any_real=True),
            Scalar("least", "FLOAT32", any_real=True),
            layout(optional=False),
        ),
    ),
    outputs=(
        Output("out", lambda f: (most(f),), like="scores", counted=True, kind="rows"),
        Output(
            "where",
            lambda f: (most(f), 4),
            "where",
            counted=True,
            kind="rows",
            quant={"TENSOR_QUANT16_ASYMM": EIGHTH, "TENSOR_QUANT16_SYMM": EIGHTH},
        ),
        Output("images", lambda f: (most(f),), "TENSOR_INT32", counted=True, kind="groups"),
    ),
    cells=cells_with("where", anchors="QUANT16_SYMM", image="QUANT16_SYMM"),
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
        sample("strict-overlaps", 2, 3, 4, 1, iou=0.05, before=0, after=0),
        sample("one-place", 1, 1, 1, 3),
    ],
    ambiguity=(
        "Anchors stand at (x width ratio, y height ratio). Images and anchors of quantized cells"
        " have 16-bit symmetric codes, the boxes 16-bit asymmetric ones: the text names both for"
        " the boxes. Sizes are judged after the limit before NMS; no case depends on it."
    ),
)
