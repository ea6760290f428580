"""RESIZE_NEAREST_NEIGHBOR: each output pixel copies the nearest input pixel."""

from nnapi_testkit.op import (
    DOCUMENTED,
    FIELD,
    Contest,
    Op,
    Output,
    Reading,
    Sample,
    Scalar,
    exact,
    numeric,
)
from nnapi_testkit.op.families.resize import (
    CENTERS,
    CORNERS,
    FLAGS,
    INPUT,
    RULES,
    exact_in_single_precision,
    one_alignment,
    out_shape,
    out_sizes,
)


def sources(torch, size, out, align_corners, half_pixel_centers):
    """The input row for each output row, in exact integer arithmetic.

    Aligned corners round i * (size - 1) / (out - 1) to the nearest row; otherwise the row is
    the floor of i * size / out, or of (i + 1/2) * size / out.
    """
    i = torch.arange(out)
    if align_corners and out > 1:
        rows = (2 * i * (size - 1) + (out - 1)) // (2 * (out - 1))
    elif half_pixel_centers:
        rows = (2 * i + 1) * size // (2 * out)
    else:
        rows = i * size // out
    return rows.clamp(0, size - 1)


def reference(torch, input, align_corners, half_pixel_centers, **target):
    rows, columns = out_sizes(target, *input.shape[2:])
    flags = bool(align_corners), bool(half_pixel_centers)
    input = input.index_select(2, sources(torch, input.shape[2], rows, *flags))
    return input.index_select(3, sources(torch, input.shape[3], columns, *flags))


def single_sources(torch, size, out, align_corners, half_pixel_centers):
    """The input row for each output row in single precision, each step rounded."""
    i = torch.arange(out, dtype=torch.float32)
    assert not align_corners
    rows = ((i + 0.5) if half_pixel_centers else i) / out * size
    return rows.floor().long().clamp(0, size - 1)


def single(torch, input, align_corners, half_pixel_centers, **target):
    rows, columns = out_sizes(target, *input.shape[2:])
    flags = bool(align_corners), bool(half_pixel_centers)
    input = input.index_select(2, single_sources(torch, input.shape[2], rows, *flags))
    return input.index_select(3, single_sources(torch, input.shape[3], columns, *flags))


POSITIONS = Contest(
    "positions-in-float32",
    "Positions are exact by the header; deployed devices compute them in single precision: of 983"
    " rows to 1966, number 502 is a copy of 251 or of 250.",
    (Reading(DOCUMENTED), Reading(FIELD, single)),
)


def settled(f):
    """Whether nothing of the sizes is contested: the two ways to compute positions agree."""
    sizes = zip(f.shape("input")[1:3], out_sizes(f.values, *f.shape("input")[1:3]), strict=True)
    centers = bool(f.get("half_pixel_centers"))
    aligned = bool(f.get("align_corners"))
    return one_alignment(f) and (
        aligned or all(exact_in_single_precision(size, out, centers) for size, out in sizes)
    )


def sample(name, input, height, width, **more):
    """Output sizes if whole numbers, else scales; NHWC unless said otherwise."""
    names = ("height", "width") if isinstance(height, int) else ("scale_h", "scale_w")
    target = dict(zip(names, (height, width), strict=True))
    return Sample(name, input=input, nchw=more.pop("nchw", False), **target, **more)


OP = Op(
    name="RESIZE_NEAREST_NEIGHBOR",
    signatures=(
        (INPUT, Scalar("width", minimum=1), Scalar("height", minimum=1), *FLAGS),
        (INPUT, Scalar("scale_w", "real"), Scalar("scale_h", "real"), *FLAGS),
    ),
    outputs=(Output(shape=out_shape, like="input", spatial=True),),
    batched=("input",),
    cells=numeric(float32=3, quant8=3),
    rules=RULES,
    reference=reference,
    bound=exact(),
    valid=settled,
    samples=[
        sample("up", (1, 2, 3, 2), 4, 9),
        sample("down", (2, 6, 4, 3), 3, 2),
        sample("odd", (1, 3, 5, 1), 7, 4),
        sample("nchw", (1, 3, 4, 2), 5, 6, nchw=True),
        sample("nchw-any-nonzero", (1, 4, 3, 2), 3, 5, nchw=255),
        sample("scale", (1, 2, 4, 2), 2.0, 1.5),
        sample("scale-down", (1, 4, 8, 2), 0.5, 0.75),
        sample("corners", (1, 3, 4, 2), 5, 7, **CORNERS),
        sample("centers", (1, 4, 3, 2), 6, 5, **CENTERS),
        sample("corners-down-nchw", (2, 7, 5, 1), 4, 3, nchw=True, **CORNERS),
        sample("centers-down", (1, 6, 9, 2), 4, 4, **CENTERS),
        sample("scale-centers-nchw", (1, 4, 2, 3), 1.5, 2.5, nchw=True, **CENTERS),
        sample("to-one-pixel", (1, 5, 4, 2), 1, 1),
        sample("same-size", (1, 3, 4, 2), 3, 4),
        sample("empty", (0, 2, 3, 2), 4, 4),
        sample("scale-rounds-down", (1, 2, 3, 2), 1.75, 1.5),
        sample("large", (1, 9, 8, 5), 15, 17, large=True),
        sample("many-rows", (1, 983, 1, 1), 1966, 1, contest=POSITIONS, variations=()),
        sample(
            "many-columns", (1, 1, 983, 1), 1, 1966, nchw=True, contest=POSITIONS, variations=()
        ),
        sample("one-element", (1, 3, 2, 1), 1, 1, large=True),
    ],
    ambiguity="Ties of aligned corners (exactly between two pixels) go to the larger index.",
)
