"""ROI_POOLING: largest value in the bins of regions of interest."""

from nnapi_testkit.op import (
    Given,
    Op,
    Output,
    Sample,
    nan_operands,
    selected,
)
from nnapi_testkit.op.families.boxes import cells_with, region_rules, regions


def reference(torch, input, rois, batches, out_height, out_width, ratio_h, ratio_w):
    found = [input.new_zeros((0, input.shape[1], out_height, out_width))]
    for (x1, y1, x2, y2), batch in zip(rois.tolist(), batches.tolist(), strict=True):
        top, bottom = round(y1 / ratio_h), round(y2 / ratio_h)
        left, right = round(x1 / ratio_w), round(x2 / ratio_w)
        height, width = bottom - top + 1, right - left + 1
        cells = [
            torch.amax(
                input[
                    batch,
                    :,
                    top + i * height // out_height : top - (i + 1) * -height // out_height,
                    left + j * width // out_width : left - (j + 1) * -width // out_width,
                ],
                (1, 2),
            )
            for i in range(out_height)
            for j in range(out_width)
        ]
        found.append(torch.stack(cells, 1).reshape(1, -1, out_height, out_width))
    return torch.cat(found)


def sample(name, input, spans, out, ratio=1, batches=None, **more):
    """`spans`: regions [x1, y1, x2, y2] in pixels of the feature map, ends included."""
    images, count = input[0], len(spans)
    return Sample(
        name,
        input=input,
        rois=Given([[n * ratio for n in span] for span in spans]),
        batches=batches or [k * images // count for k in range(count)],
        out_height=out[0],
        out_width=out[1],
        ratio_h=float(ratio),
        ratio_w=float(ratio),
        **more,
    )


OP = Op(
    name="ROI_POOLING",
    signatures=(regions(),),
    outputs=(
        Output(
            shape=lambda f: (
                f.shape("rois")[0],
                f["out_height"],
                f["out_width"],
                f.shape("input")[3],
            ),
            like="input",
            spatial=True,
        ),
    ),
    batched=("rois", "batches"),
    cells=cells_with("rois"),
    rules=region_rules("uneven", "uneven", 1),
    reference=reference,
    fixed=frozenset("*"),
    bound=selected(),
    exempt=nan_operands(),
    samples=[
        sample("even", (1, 6, 8, 2), [[0, 0, 3, 3], [2, 1, 7, 4]], (2, 2)),
        sample("uneven", (1, 7, 9, 3), [[1, 0, 5, 4], [3, 2, 7, 6]], (2, 2)),
        sample("batches", (3, 6, 5, 1), [[0, 0, 3, 3], [1, 2, 4, 5]], (4, 2), 1, [0, 2]),
        sample("scaled", (2, 9, 7, 2), [[0, 1, 5, 8], [1, 1, 6, 4]], (4, 2), 4),
        Sample(
            "unequal-ratios",
            variations=(),
            input=(1, 9, 9, 2),
            rois=Given([[4.0, 2.0, 24.0, 12.0], [0.0, 4.0, 32.0, 16.0]]),
            batches=[0, 0],
            out_height=2,
            out_width=3,
            ratio_h=2.0,
            ratio_w=4.0,
        ),
        sample("rounded", (1, 6, 6, 2), [[0.25, 1.25, 3.75, 4.75]], (2, 2), 2),
        sample("one-bin", (1, 8, 8, 4), [[2, 1, 6, 7], [0, 0, 7, 7]], (1, 1)),
        sample("one-pixel", (1, 5, 6, 2), [[3, 2, 3, 2]], (1, 1)),
        sample("three-bins", (1, 9, 7, 2), [[0, 0, 5, 8], [1, 3, 6, 5]], (3, 3)),
        sample("more-bins-than-pixels", (1, 6, 6, 2), [[1, 1, 2, 2]], (4, 4)),
        sample(
            "large", (2, 12, 12, 4), [[k, 2, k + 7, 9] for k in range(4)] * 4, (4, 4), large=True
        ),
    ],
    ambiguity=(
        "Corners are rounded to the nearest pixel, both belong to the region, and bin i of n"
        " spans floor(i size / n) to ceil((i + 1) size / n). A ratio divides image coordinates."
        " Regions do not leave the feature map."
    ),
)
