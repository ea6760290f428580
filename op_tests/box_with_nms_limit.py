"""BOX_WITH_NMS_LIMIT: boxes chosen greedily by score in each class, then the best of an image."""

from nnapi_testkit.op import (
    Given,
    Op,
    Output,
    OutputKind,
    Sample,
    Scalar,
    Tensor,
    but,
    longer,
    plain,
    propagated,
    rule,
    sizes,
)
from nnapi_testkit.op.families.boxes import (
    EIGHTH,
    best,
    cells_with,
    clear,
    clusters,
    ranking,
    settled,
)

HARD, LINEAR, GAUSSIAN = 0, 1, 2


def soften(torch, iou, kernel, threshold, sigma):
    """The factor that a score gets for its overlap with a chosen box."""
    if kernel == GAUSSIAN:
        return torch.exp(-(iou * iou) / sigma)
    clear(float(plain(iou)) - threshold, "an overlap near the threshold")
    if float(plain(iou)) < threshold:
        return 1.0
    return 0.0 if kernel == HARD else 1.0 - iou


def overlaps(torch, boxes):
    """Intersection over union of each pair of boxes [n, 4]."""
    x1, y1, x2, y2 = boxes.unbind(1)
    area = (x2 - x1) * (y2 - y1)
    w = torch.minimum(x2[:, None], x2[None]) - torch.maximum(x1[:, None], x1[None])
    h = torch.minimum(y2[:, None], y2[None]) - torch.maximum(y1[:, None], y1[None])
    shared = torch.relu(w) * torch.relu(h)
    return shared / (area[:, None] + area[None] - shared)


def chosen(torch, scores, boxes, low, least, kernel, threshold, sigma):
    """(index, updated score) of the boxes of one class, in the order of their choice."""
    iou = overlaps(torch, boxes)
    apart = plain(iou) == 0
    waiting = {i: score for i, score in enumerate(scores.unbind(0)) if float(plain(score)) >= low}
    found = []
    while waiting:
        values = {i: settled(float(plain(score))) for i, score in waiting.items()}
        top = max(values, key=values.__getitem__)
        # Equal scores of boxes that do not overlap: whichever goes first, both are kept.
        rest = [
            v for i, v in values.items() if i != top and not (v == values[top] and apart[top, i])
        ]
        clear(values[top] - max(rest, default=-1.0), "a tie of scores")
        found.append((top, waiting.pop(top)))
        for i in list(waiting):
            waiting[i] = waiting[i] * soften(torch, iou[top, i], kernel, threshold, sigma)
            if kernel != HARD:
                clear(float(plain(waiting[i])) - least, "a score near the threshold")
            if not float(plain(waiting[i])) >= max(least, 1e-30):
                del waiting[i]
    return found


def reference(
    torch,
    scores,
    boxes,
    batches,
    score_threshold,
    limit,
    kernel,
    iou_threshold,
    sigma,
    nms_score_threshold,
):
    if scores.shape[1] > 1 and (plain(scores)[:, 0] >= score_threshold).any():
        raise ValueError("class 0 has scores: whether it is background is not documented")
    rows = []
    for image in batches.unique().tolist():
        members = (batches == image).nonzero()[:, 0]
        kept = []
        for k in range(scores.shape[1]):
            part = boxes[members][:, 4 * k : 4 * k + 4]
            for i, score in chosen(
                torch,
                scores[members][:, k],
                part,
                score_threshold,
                nms_score_threshold,
                kernel,
                iou_threshold,
                sigma,
            ):
                kept.append((score, part[i], k, image))
        rows += [kept[i] for i in best([float(plain(row[0])) for row in kept], limit)]
    if not rows:
        return (
            plain(scores).new_zeros(0),
            plain(boxes).new_zeros((0, 4)),
            batches.new_zeros(0),
            batches.new_zeros(0),
        )
    score, box, label, batch = zip(*rows, strict=True)
    return (torch.stack(score), torch.stack(box), torch.tensor(label), torch.tensor(batch))


def sample(
    name,
    counts,
    classes,
    kernel=HARD,
    *,
    low=0.1,
    limit=-1,
    iou=0.3,
    sigma=0.5,
    least=0.05,
    seed=0,
    shift=0.0,
    apart=1,
    **more,
):
    """`counts`: boxes of each image; `apart`: how far their numbers are from each other."""
    count = sum(counts)
    scores = [[0.0, *row] for row in ranking(count, classes - 1, seed=seed)]
    batches = [apart * image for image, each in enumerate(counts) for _ in range(each)]
    boxes = clusters(count, repeat=classes, seed=seed)
    return Sample(
        name,
        scores=Given(scores),
        boxes=Given([[n + shift for n in row] for row in boxes]),
        batches=batches,
        score_threshold=low,
        limit=limit,
        kernel=kernel,
        iou_threshold=iou,
        sigma=sigma,
        nms_score_threshold=least,
        **more,
    )


def tied(name, kernel, **more):
    """Boxes of equal scores, far from each other, and one that overlaps the first."""
    corners = [(0, 0), (40, 0), (0, 40), (40, 40), (1, 0)]
    scores = [0.75, 0.75, 0.75, 0.5, 0.25]
    return Sample(
        name,
        scores=Given([[0.0, score] for score in scores]),
        boxes=Given([[x, y, x + 8, y + 8] * 2 for x, y in corners]),
        batches=[0] * len(scores),
        score_threshold=0.1,
        limit=-1,
        kernel=kernel,
        iou_threshold=0.3,
        sigma=0.5,
        nms_score_threshold=0.01,
        **more,
    )


def at_threshold():
    """Boxes whose score is the threshold, and one below: only "lower" scores go."""
    found = tied("score-at-threshold", HARD, only=("float32", "float16"), variations=())
    found.operands["score_threshold"] = 0.5
    return found


def most(f):
    return f.shape("scores")[0] * f.shape("scores")[1]


OP = Op(
    name="BOX_WITH_NMS_LIMIT",
    signatures=(
        (
            Tensor(
                "scores",
                rank=(2, 2),
                quant=lambda code, f: (1 / 256, 0 if code.name == "TENSOR_QUANT8_ASYMM" else -128),
            ),
            Tensor("boxes", "boxes", rank=(2, 2), quant=EIGHTH),
            Tensor("batches", "TENSOR_INT32", rank=(1, 1)),
            Scalar("score_threshold", "real", any_real=True),
            Scalar("limit"),
            Scalar("kernel", allowed=(HARD, LINEAR, GAUSSIAN)),
            Scalar("iou_threshold", "real", any_real=True),
            Scalar("sigma", "real", any_real=True),
            Scalar("nms_score_threshold", "real", any_real=True),
        ),
    ),
    outputs=(
        Output("out", lambda f: (most(f),), like="scores", counted=True, kind=OutputKind.ROWS),
        Output(
            "where",
            lambda f: (most(f), 4),
            "boxes",
            counted=True,
            kind=OutputKind.ROWS,
            quant={"TENSOR_QUANT16_ASYMM": EIGHTH},
        ),
        Output("classes", lambda f: (most(f),), "TENSOR_INT32", counted=True, kind=OutputKind.ROWS),
        Output(
            "images", lambda f: (most(f),), "TENSOR_INT32", counted=True, kind=OutputKind.GROUPS
        ),
    ),
    cells=cells_with("boxes"),
    ties=("boxes.0=scores.0", "batches.0=scores.0"),
    rules=(
        *sizes(sample="hard", scores="boxes .", boxes="boxes .", batches="boxes"),
        rule(
            "four-for-each-class",
            "scores boxes",
            "There are four coordinates for each box and class.",
            more={"boxes": longer("boxes", 1)},
            fewer_classes={"scores": longer("scores", 1)},
        ),
        rule(
            "no-class-without-score",
            "scores boxes",
            "There are no coordinates for more classes than have scores.",
            # Corners in order wherever a box is thought to begin.
            more={"boxes": Given([[0.0] * 16] * 9)},
        ),
        rule(
            "corners-in-order",
            "boxes",
            "A box satisfies x1 <= x2 and y1 <= y2.",
            horizontal={"boxes": but("boxes", (0, 2), 0.0)},
            vertical={"boxes": but("boxes", (0, 3), 0.0)},
        ),
        rule(
            "grouped-by-batch",
            "batches",
            "Boxes of one batch stand together.",
            sample="images",
            apart={"batches": but("batches", 0, 2)},
            negative={"batches": but("batches", 0, -1)},
        ),
        rule(
            "sigma-positive",
            "kernel sigma",
            "The sigma of gaussian NMS is positive.",
            open="No sentence of the documentation says so.",
            sample="gaussian",
            zero={"sigma": 0.0},
            negative={"sigma": -0.5},
        ),
    ),
    reference=reference,
    fixed=frozenset("*"),
    bound=propagated("running error analysis of overlaps and scores; rows in any order"),
    samples=[
        sample("hard", [9], 3, rows=7),
        sample("linear", [7], 2, LINEAR),
        sample("gaussian", [7], 2, GAUSSIAN),
        sample("images", [5, 8, 3], 2),
        sample("limit", [9], 3, limit=4),
        sample("limit-each-image", [6, 9], 2, LINEAR, limit=2, seed=2),
        sample("high-threshold", [12], 2, low=0.7),
        sample("all-kept", [6], 3, iou=0.97),
        sample("gaussian-narrow", [6, 4], 2, GAUSSIAN, sigma=0.1, limit=5),
        sample("linear-cut", [9], 2, LINEAR, least=0.4, iou=0.2),
        sample("one-box", [1], 2, seed=3),
        sample("none-left", [4], 2, low=0.999),
        sample(
            "negative-coordinates",
            [6, 5],
            2,
            rows=None,
            shift=-90.0,
            only=("float32", "float16"),
            variations=(),
        ),
        sample("numbered-apart", [3, 4, 2], 2, apart=3, variations=()),
        tied("ties", HARD),
        tied("ties-gaussian", GAUSSIAN),
        at_threshold(),
    ],
    ambiguity=(
        "Whether class 0 is background is not documented: cases give it scores below the"
        " threshold. Overlaps and scores that rounding could decide make no case; equal scores"
        " only where the boxes are apart, so that their order does not matter."
        " Boxes of signed cells have zero point 0: the type knows no -128."
    ),
)
