"""AXIS_ALIGNED_BBOX_TRANSFORM: box proposals moved and scaled by deltas, cut at the image."""

from nnapi_testkit.op import (
    Choice,
    Given,
    Op,
    Output,
    Reals,
    Sample,
    Tensor,
    but,
    cells,
    longer,
    plain,
    propagated,
    rule,
    sizes,
)
from nnapi_testkit.op.families.boxes import boxes, clipped, transformed

EIGHTH = (0.125, 0)


def reference(torch, rois, deltas, batches, image):
    count, classes = rois.shape[0], deltas.shape[1] // 4
    each = deltas.reshape(count, classes, 4)
    moved = transformed(torch, rois[:, None, :].expand(count, classes, 4), each)
    size = torch.index_select(plain(image), 0, batches)[:, None, :].expand(count, classes, 2)
    return clipped(torch, moved, size[..., 0], size[..., 1]).reshape(count, classes * 4)


def exempt(s):
    """Boxes that overflow on the way may be cut off anywhere, or be NaN."""
    w = s.args["rois"][:, 2:] - s.args["rois"][:, :2]
    count, limit = w.shape[0], s.precision.maximum / 4
    deltas = s.args["deltas"].reshape(count, s.args["deltas"].shape[1] // 4, 4)
    size = deltas[..., :2].abs() * w[:, None] + (deltas[..., 2:].exp() * w[:, None]) + 1024
    open_ = (~(size < limit)).any(-1)
    return (open_[..., None].expand(*open_.shape, 4).reshape(s.outputs[0].shape),)


def sample(name, count, classes, images, batches=None, low=-0.6, high=0.6, **more):
    tallest, widest = (min(image[i] for image in images) for i in (0, 1))
    batches = batches or [k * len(images) // count for k in range(count)]
    return Sample(
        name,
        rois=boxes(count, tallest, widest),
        deltas=Reals((count, classes * 4), low, high),
        batches=batches,
        image=Given(images),
        **more,
    )


WIDE = [[64, 96]]
OP = Op(
    name="AXIS_ALIGNED_BBOX_TRANSFORM",
    signatures=(
        (
            Tensor("rois", rank=(2, 2), quant=EIGHTH),
            Tensor("deltas", "deltas", rank=(2, 2)),
            Tensor("batches", "TENSOR_INT32", rank=(1, 1)),
            Tensor("image", rank=(2, 2), quant=lambda code, f: EIGHTH),
        ),
    ),
    outputs=(Output("out", lambda f: f.shape("deltas"), quant={"TENSOR_QUANT16_ASYMM": EIGHTH}),),
    batched=("rois", "deltas", "batches"),
    cells=cells(
        "FLOAT32:3 FLOAT16:3 QUANT16_ASYMM/QUANT8_ASYMM:3 QUANT16_ASYMM/QUANT8_ASYMM_SIGNED:4",
        second="deltas",
    ),
    ties=("deltas.0=rois.0", "batches.0=rois.0"),
    rules=(
        *sizes(sample="batches", rois="boxes .", deltas="boxes .", batches="boxes"),
        rule(
            "four-coordinates",
            "rois",
            "A region is (x1, y1, x2, y2).",
            five={"rois": longer("rois", 1)},
        ),
        rule(
            "four-for-each-class",
            "deltas",
            "There are four deltas for each box and class.",
            five={"deltas": longer("deltas", 1)},
        ),
        rule(
            "two-image-sizes",
            "image",
            "Of an image height and width are given.",
            three={"image": longer("image", 1)},
        ),
        rule(
            "batch-in-images",
            "batches image",
            "A batch index is one of the images.",
            one_beyond={"batches": but("batches", -1, 3)},
            negative={"batches": but("batches", 0, -1)},
            far={"batches": but("batches", -1, 2**31 - 1)},
            sample="batches",
        ),
    ),
    reference=reference,
    fixed=frozenset("*"),
    bound=propagated("running error analysis of center, size and corners"),
    exempt=exempt,
    samples=[
        sample("one-class", 5, 1, WIDE),
        sample("classes", 3, 4, [[128, 48]]),
        sample("batches", 6, 2, [[64, 96], [48, 200], [100, 33]]),
        sample("empty-image", 4, 2, [[64, 64], [80, 64], [64, 80]], [0, 0, 2, 2]),
        sample("mostly-cut", 5, 2, WIDE, low=-2.0, high=2.0),
        sample("small-steps", 4, 3, WIDE, low=-0.01, high=0.01),
        sample("single", 1, 1, WIDE),
        Sample("planted", rois=boxes(9, 64, 96), deltas=(9, 8), batches=[0] * 9, image=Given(WIDE)),
        sample("many-classes", 2, 9, [[90, 120], [120, 90]]),
        Sample(
            "no-boxes",
            # No operation makes an empty tensor of 16-bit codes.
            skip=("quant16_asymm/quant8", "quant16_asymm/quant8_signed"),
            rois=(0, 4),
            deltas=(0, 8),
            batches=Choice((0,), 0, 0),
            image=Given(WIDE),
        ),
        sample("large", 40, 8, [[100, 200], [200, 100]], large=True),
        # A hundred times as wide and high, and not cut at all.
        Sample(
            "far-larger",
            variations=(),
            rois=Given([[300.0, 200.0, 301.0, 201.0], [400.0, 250.0, 400.5, 251.0]]),
            deltas=Given([[0.0, 0.0, 4.75, 4.5], [0.0, 0.0, 5.0, 4.75]]),
            batches=[0, 0],
            image=Given([[500, 800]]),
        ),
    ],
)
