"""DETECTION_POSTPROCESSING: anchors moved by deltas, hard NMS, the best detections."""

from nnapi_testkit.op import (
    Given,
    Op,
    Output,
    Sample,
    Scalar,
    Tensor,
    floats,
    longer,
    plain,
    propagated,
    rule,
    sizes,
)
from nnapi_testkit.op.families.boxes import best, clusters, hard_nms, ranking

SCALES = ("scale_y", "scale_x", "scale_h", "scale_w")


def located(torch, deltas, anchors, a):
    """Boxes [y1, x1, y2, x2]: the scaled deltas move the centers and stretch the sizes."""
    dy, dx, dh, dw = (deltas[..., i] / a[scale] for i, scale in enumerate(SCALES))
    y, x, h, w = anchors.unbind(1)
    y, x = dy * h + y, dx * w + x
    h, w = torch.exp(dh) * h * 0.5, torch.exp(dw) * w * 0.5
    return torch.stack((y - h, x - w, y + h, x + w), -1)


def survivors(scores, boxes, threshold, iou):
    """Anchors of enough score that hard NMS keeps."""
    enough = [i for i, score in enumerate(scores) if score >= threshold]
    kept = hard_nms([scores[i] for i in enough], [boxes[i] for i in enough], iou)
    return [enough[i] for i in kept]


def detections(scores, boxes, a):
    """(anchor, class) of the detections of an image, by descending score."""
    found = []
    if a["regular"]:
        for k in range(1, len(scores[0])):
            column = [row[k] for row in scores]
            kept = survivors(column, boxes, a["score_threshold"], a["iou_threshold"])
            found += [(i, k) for i in kept[: a["each_class"]]]
    else:
        top = [max(range(1, len(row)), key=row.__getitem__) for row in scores]
        highest = [row[k] for row, k in zip(scores, top, strict=True)]
        kept = survivors(highest, boxes, a["score_threshold"], a["iou_threshold"])
        found = [(i, top[i]) for i in kept]
    order = best([scores[i][k] for i, k in found], a["most"])
    return [found[i] for i in order]


def reference(torch, scores, deltas, anchors, **a):
    boxes = located(torch, deltas, anchors, a)
    images = []
    for image, rows in enumerate(plain(scores).tolist()):
        found = detections(rows, plain(boxes)[image].tolist(), a)
        count = len(found)
        # What follows the valid detections is not documented.
        found += [(0, 1)] * (a["most"] - count)
        anchor, label = (torch.tensor(part) for part in zip(*found, strict=True))
        flat = scores[image].reshape(-1)[anchor * scores.shape[2] + label]
        images.append((flat, boxes[image][anchor], label - int(not a["background"]), count))
    score, box, label, count = zip(*images, strict=True)
    return torch.stack(score), torch.stack(box), torch.stack(label), torch.tensor(count)


def exempt(s):
    """The places behind the valid detections."""
    score, box, _, count = s.outputs
    open_ = s.torch.arange(score.shape[1])[None] >= count[:, None]
    wide = open_[..., None].expand(box.shape)
    return open_, wide, open_, s.torch.zeros_like(count, dtype=s.torch.bool)


def anchors(count, seed):
    """Centers and sizes [y, x, h, w] of boxes that overlap in groups of three."""
    boxes = clusters(count, seed=seed)
    return [[(y1 + y2) / 2, (x1 + x2) / 2, y2 - y1, x2 - x1] for x1, y1, x2, y2 in boxes]


def sample(
    name,
    images,
    count,
    classes,
    *,
    most,
    regular=True,
    scales=(10.0, 10.0, 5.0, 5.0),
    each_class=100,
    low=0.1,
    iou=0.45,
    background=False,
    extra=0,
    seed=0,
    **more,
):
    scores = ranking(images * count, classes, seed=seed)
    split = [scores[i * count : (i + 1) * count] for i in range(images)]
    deltas = [
        [[4 * n - 2 for n in row] + [9.0] * extra for row in part]
        for part in (ranking(count, 4, seed=seed + 50 + i) for i in range(images))
    ]
    return Sample(
        name,
        scores=Given(split),
        deltas=Given(deltas),
        anchors=Given(anchors(count, seed)),
        **dict(zip(SCALES, scales, strict=True)),
        regular=regular,
        most=most,
        each_anchor=1,
        each_class=each_class,
        score_threshold=low,
        iou_threshold=iou,
        background=background,
        **more,
    )


def at_threshold(name):
    """The threshold is one of the scores: only "lower" scores go."""
    found = sample(name, 1, 9, 3, most=9, iou=0.9, variations=())
    scores = sorted(score for row in found.operands["scores"].values[0] for score in row[1:])
    found.operands["score_threshold"] = scores[len(scores) // 2]
    return found


def shaped(*last):
    return lambda f: (f.shape("scores")[0], f["most"], *last)


OP = Op(
    name="DETECTION_POSTPROCESSING",
    signatures=(
        (
            Tensor("scores", rank=(3, 3)),
            Tensor("deltas", rank=(3, 3)),
            Tensor("anchors", rank=(2, 2)),
            *(Scalar(scale, "real", any_real=True) for scale in SCALES),
            Scalar("regular", "BOOL"),
            Scalar("most"),
            Scalar("each_anchor"),
            Scalar("each_class"),
            Scalar("score_threshold", "real"),
            Scalar("iou_threshold", "real"),
            Scalar("background", "BOOL"),
        ),
    ),
    outputs=(
        Output("out", shaped()),
        Output("where", shaped(4)),
        Output("classes", shaped(), "TENSOR_INT32"),
        Output("count", lambda f: (f.shape("scores")[0],), "TENSOR_INT32"),
    ),
    cells=floats(3),
    ties=("deltas.0=scores.0", "anchors.0=scores.1"),
    rules=(
        *sizes(
            sample="regular",
            scores="batch anchors .",
            deltas="batch anchors .",
            anchors="anchors .",
        ),
        rule(
            "scales-positive",
            "scale_y scale_x scale_h scale_w",
            "A scaling factor is positive.",
            open="No sentence of the documentation says so.",
            y={"scale_y": 0.0},
            x={"scale_x": -1.0},
            height={"scale_h": 0.0},
            width={"scale_w": -1.0},
        ),
        rule(
            "counts-positive",
            "each_anchor each_class",
            "There is room for a class of an anchor, or for a detection of a class.",
            sample="regular",
            open="No sentence of the documentation says so.",
            regular={"each_class": 0},
            fast={"regular": False, "each_anchor": 0},
        ),
        rule(
            "class-beside-background",
            "scores",
            "There is a class.",
            open="No sentence of the documentation says so.",
            none={"scores": (1, 9, 0)},
        ),
        rule(
            "four-deltas",
            "deltas",
            "An encoded box has at least four values.",
            three={"deltas": (1, 9, 3)},
        ),
        rule(
            "anchors-of-four",
            "anchors",
            "An anchor has four values.",
            five={"anchors": longer("anchors", 1)},
        ),
    ),
    reference=reference,
    fixed=frozenset("*"),
    bound=propagated("running error analysis of the boxes; scores bit for bit"),
    exempt=exempt,
    samples=[
        sample("regular", 1, 9, 3, most=6),
        sample("fast", 1, 9, 4, most=3, regular=False),
        sample("images", 3, 6, 3, most=5, seed=3),
        sample("fast-images", 2, 9, 5, most=3, regular=False, seed=2),
        sample("each-class", 1, 12, 4, most=6, each_class=2),
        sample("background", 2, 6, 3, most=4, background=True),
        sample("fast-background", 1, 12, 3, most=4, regular=False, background=True),
        sample("long-encoding", 1, 8, 3, most=5, extra=3),
        sample("scales", 1, 9, 3, most=5, scales=(4.0, 8.0, 6.0, 3.0)),
        sample("few-left", 1, 6, 3, most=6, low=0.6, seed=1),
        sample("one-class", 2, 7, 2, most=3),
        # More classes than a sort takes one by one.
        sample("fast-classes", 1, 9, 25, most=3, regular=False),
        sample("wide-overlaps", 1, 9, 3, most=12, iou=0.9),
        at_threshold("score-at-threshold"),
        # Boxes a hundred times as wide and high as their anchors.
        sample(
            "far-larger", 1, 9, 3, most=9, iou=0.98, scales=(10.0, 10.0, 0.4, 0.4), variations=()
        ),
    ],
    ambiguity=(
        "Deltas are divided by their scales; detections stand in descending order of score; what"
        " follows the valid ones is left open. A detection has one class: in what order several"
        " would stand is not documented."
    ),
)
