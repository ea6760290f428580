"""ROI_ALIGN: average of bilinear samples in the bins of regions of interest."""

from math import ceil

from nnapi_testkit.op import (
    DOCUMENTED,
    FIELD,
    Choice,
    Contest,
    Given,
    Op,
    Output,
    Reading,
    Sample,
    Scalar,
    overflowing,
    plain,
    propagated,
)
from nnapi_testkit.op.families.boxes import boxes, cells_with, region_rules, regions


def weights(torch, first, last, bins, count, length, tent):
    """How much each of `length` pixels adds to each bin of [first, last]: means of tents.

    A sample at y is (1 - |y - j|) of pixel j if that is positive; `tent` is told |y - j|.
    """
    size = last - first
    # A size that is a whole number of samples stays one, whatever the last place says.
    count = count or ceil(float(plain(size)) / bins - 2.0**-20)
    at = (torch.arange(bins * count, dtype=torch.float64) + 0.5) / (count * bins)
    y = torch.clamp(size * at + first, min=0.0, max=length - 1.0)
    far = torch.abs(y[:, None] - torch.arange(length, dtype=torch.float64))
    return tent(far).reshape(bins, count, length).mean(1)


def shares(torch, size, roi, tent, a):
    """The weights of rows and columns for one region."""
    x1, x2 = roi[0] / a["ratio_w"], roi[2] / a["ratio_w"]
    y1, y2 = roi[1] / a["ratio_h"], roi[3] / a["ratio_h"]
    return (
        weights(torch, y1, y2, a["out_height"], a["samples_h"], size[0], tent),
        weights(torch, x1, x2, a["out_width"], a["samples_w"], size[1], tent),
    )


def reference(torch, input, rois, batches, **a):
    found = [plain(input).new_zeros((0, input.shape[1], a["out_height"], a["out_width"]))]
    for roi, batch in zip(rois.unbind(0), batches.tolist(), strict=True):
        rows, columns = shares(torch, input.shape[2:], roi, lambda far: torch.relu(1.0 - far), a)
        image = plain(input)[batch]
        finite = torch.where(image.isfinite(), input[batch], 0.0)
        pooled = torch.matmul(torch.matmul(rows, finite), columns.t())
        # Only pixels of some weight count; infinities of both signs make NaN.
        for value in () if image.isfinite().all() else (torch.inf, -torch.inf, torch.nan):
            here = image.isnan() if value != value else image == value
            met = plain(rows) @ here.double() @ plain(columns).t() > 0
            pooled = pooled + torch.where(met, value, 0.0)
        found.append(pooled[None])
    return torch.cat(found)


def edges(s):
    """Bins that a pixel of infinity or NaN may touch or miss, its weight being almost 0."""
    torch, a = s.torch, s.args
    odd = (~a["input"].isfinite()).double()
    (open_,) = overflowing(64.0)(s)
    if not odd.any():
        return (open_,)
    found = []
    # No distance of the suite's regions is just 1 + slack, where the last place would decide.
    slack = 8.01 * s.reading.u * max(odd.shape[2:])
    for roi, batch in zip(a["rois"], a["batches"].tolist(), strict=True):
        most, least = (
            rows @ odd[batch] @ columns.t()
            for rows, columns in (
                shares(torch, odd.shape[2:], roi, lambda far, n=n: (far <= n).double(), a)
                for n in (1 + slack, 1 - slack)
            )
        )
        found.append(most > least + 2.0**-20)
    return (open_ | torch.stack(found),)


def widened(torch, input, rois, batches, **a):
    """Regions are at least one pixel in size, and pixels beyond the edge are those of the edge."""
    least = torch.tensor([a["ratio_w"], a["ratio_h"]], dtype=torch.float64)
    ends = torch.maximum(plain(rois)[:, 2:], plain(rois)[:, :2] + least)
    return reference(torch, input, torch.cat((plain(rois)[:, :2], ends), 1), batches, **a)


def everything(s):
    """All is open."""
    return tuple(s.torch.ones_like(y, dtype=s.torch.bool) for y in s.outputs)


EDGE = Contest(
    "beyond-the-edge",
    "Sampling points beyond the right or lower edge: no word of the header; deployed devices take"
    " the pixel of the edge, for regions below a pixel too.",
    (Reading(DOCUMENTED, exempt=everything), Reading(FIELD, widened)),
)


def sample(
    name, input, count, out, ratio=(1.0, 1.0), points=(0, 0), batches=None, smallest=1, **more
):
    images, height, width, _ = input
    tall, wide = int((height - 1) * ratio[0]), int((width - 1) * ratio[1])
    least = smallest * max(ratio)
    return Sample(
        name,
        input=input,
        rois=boxes(count, tall, wide, smallest=least),
        batches=batches or [k * images // count for k in range(count)],
        out_height=out[0],
        out_width=out[1],
        ratio_h=ratio[0],
        ratio_w=ratio[1],
        samples_h=points[0],
        samples_w=points[1],
        **more,
    )


OP = Op(
    name="ROI_ALIGN",
    signatures=(regions(Scalar("samples_h", minimum=0), Scalar("samples_w", minimum=0)),),
    outputs=(
        Output(
            shape=lambda f: (
                f.shape("rois")[0],
                f["out_height"],
                f["out_width"],
                f.shape("input")[3],
            ),
            span=lambda f: (-0.9 * f.amplitude("input"), 0.9 * f.amplitude("input")),
            spatial=True,
        ),
    ),
    batched=("rois", "batches"),
    cells=cells_with("rois"),
    rules=region_rules("adaptive", "", 0),
    reference=reference,
    fixed=frozenset({"input", "rois", "batches", "ratio_h", "ratio_w"}),
    bound=propagated("running error analysis of sample positions, tents and means"),
    exempt=edges,
    samples=[
        sample("adaptive", (1, 6, 8, 2), 3, (2, 2)),
        sample("fixed", (1, 7, 9, 3), 2, (2, 3), points=(2, 2)),
        sample("batches", (3, 6, 5, 1), 4, (3, 2), batches=[0, 0, 2, 2]),
        sample("scaled", (2, 9, 7, 2), 3, (2, 2), (2.0, 4.0), (2, 3)),
        sample("one-point", (1, 5, 6, 2), 3, (3, 3), points=(1, 1)),
        sample("one-bin", (1, 8, 8, 4), 2, (1, 1), (0.5, 0.5)),
        sample("mixed-points", (1, 6, 10, 2), 2, (2, 4), points=(0, 3)),
        sample("tall-bins", (1, 12, 5, 2), 2, (4, 1), (8.0, 2.0), (3, 0)),
        Sample(
            "no-regions",
            skip=("quant8", "quant8_signed"),
            input=(1, 5, 5, 2),
            rois=(0, 4),
            batches=Choice((0,), 0, 0),
            out_height=2,
            out_width=2,
            ratio_h=1.0,
            ratio_w=1.0,
            samples_h=2,
            samples_w=2,
        ),
        sample("large", (2, 10, 12, 4), 10, (5, 6), (2.0, 2.0), (2, 2), large=True),
        Sample(
            "beyond-the-edge",
            input=(1, 5, 6, 2),
            rois=Given([[3.0, 2.0, 6.0, 5.0], [5.5, 4.5, 5.75, 4.75], [0.0, 0.0, 6.0, 5.0]]),
            batches=[0, 0, 0],
            out_height=2,
            out_width=3,
            ratio_h=1.0,
            ratio_w=1.0,
            samples_h=2,
            samples_w=2,
            contest=EDGE,
            variations=(),
        ),
    ],
    ambiguity=(
        "Pixel i lies at coordinate i, and a ratio divides image coordinates. Regions are at"
        " least one pixel of the feature map in size and do not leave it."
    ),
)
