"""RESIZE_BILINEAR: each output pixel blends the four input pixels around its position."""

from nnapi_testkit.op import (
    Op,
    Output,
    Sample,
    Scalar,
    bounded_by,
    numeric,
)
from nnapi_testkit.op.families.resize import (
    CENTERS,
    CORNERS,
    FLAGS,
    INPUT,
    RULES,
    one_alignment,
    out_shape,
    out_sizes,
)


def neighbours(torch, size, out, align_corners, half_pixel_centers):
    """For each output row the two input rows it lies between, and its share of the second.

    The position is a fraction of integers: which row is below it is exact.
    """
    i = torch.arange(out)
    if align_corners and out > 1:
        at, unit = i * (size - 1), out - 1
    elif half_pixel_centers:
        at, unit = (2 * i + 1) * size - out, 2 * out
    else:
        at, unit = i * size, out
    at = at.clamp(0, (size - 1) * unit)
    low = at // unit
    return low, (low + 1).clamp(max=size - 1), (at - low * unit).double() / unit


def blended(torch, input, mix, align_corners, half_pixel_centers, target):
    flags = bool(align_corners), bool(half_pixel_centers)
    for axis, out in zip((2, 3), out_sizes(target, *input.shape[2:]), strict=True):
        low, high, part = neighbours(torch, input.shape[axis], out, *flags)
        share = part.reshape(-1, 1) if axis == 2 else part
        input = mix(input.index_select(axis, low), input.index_select(axis, high), share)
    return input


def reference(torch, input, align_corners, half_pixel_centers, **target):
    def mix(first, second, share):
        return torch.where(share == 0, first, first * (1 - share) + second * share)

    return blended(torch, input, mix, align_corners, half_pixel_centers, target)


def open_elements(s):
    """A neighbour that is not finite, or whose difference overflows, may reach the blend."""
    torch, a = s.torch, dict(s.args)
    large = (a.pop("input").abs().nan_to_num(torch.inf) * 2 > s.precision.maximum).double()
    flags = a.pop("align_corners"), a.pop("half_pixel_centers")
    touched = blended(torch, large, lambda x, y, _: torch.maximum(x, y), *flags, a)
    return (touched > 0,)


def error(s):
    # A position is a few roundings of a number below the image's size: it is off by 3 u size,
    # which moves the blend by that share of the difference of neighbours, at most 2 max|x|; the
    # blend itself takes 6 roundings.
    x = s.args["input"]
    finite = x.abs().nan_to_num(0.0, 0.0)
    reach = finite.amax((2, 3), keepdim=True) if x.numel() else x.sum()
    size = max(x.shape[2], x.shape[3], *s.outputs[0].shape[2:])
    return (reach * (12 * size + 6) * s.precision.u).expand_as(s.outputs[0]) + s.precision.tiny


def sample(name, input, height, width, **more):
    names = ("height", "width") if isinstance(height, int) else ("scale_h", "scale_w")
    return Sample(name, input=input, **dict(zip(names, (height, width), strict=True)), **more)


OP = Op(
    name="RESIZE_BILINEAR",
    signatures=(
        (INPUT, Scalar("width", minimum=1), Scalar("height", minimum=1), *FLAGS),
        (INPUT, Scalar("scale_w", "real", level=3), Scalar("scale_h", "real", level=3), *FLAGS),
    ),
    outputs=(Output(shape=out_shape, like="input", spatial=True),),
    batched=("input",),
    cells=numeric(quant8=3),
    rules=RULES,
    reference=reference,
    bound=bounded_by(error, "(12 size + 6) u max|x|"),
    exempt=open_elements,
    valid=one_alignment,
    samples=[
        sample("up", (1, 2, 3, 2), 4, 9),
        sample("same-size", (1, 3, 4, 2), 3, 4),
        sample("down", (2, 6, 4, 3), 3, 2),
        sample("odd", (1, 7, 9, 2), 11, 6),
        sample("scale", (1, 2, 4, 2), 2.0, 1.5, level=3),
        sample("corners", (1, 3, 4, 2), 5, 7, nchw=False, **CORNERS),
        sample("centers", (1, 4, 3, 2), 6, 5, nchw=False, **CENTERS),
        sample("corners-nchw", (2, 7, 5, 1), 4, 3, nchw=True, **CORNERS),
        sample("centers-down", (1, 6, 9, 2), 4, 4, nchw=False, **CENTERS),
        sample("scale-centers-nchw", (1, 4, 2, 3), 1.5, 2.5, nchw=True, **CENTERS),
        sample("nchw-any-nonzero", (1, 3, 4, 2), 4, 5, nchw=255, level=3),
        sample("to-one-pixel", (1, 5, 4, 2), 1, 1),
        sample("from-one-pixel", (2, 1, 1, 3), 3, 2),
        sample("scale-rounds-down", (1, 2, 3, 2), 1.75, 1.5, level=3),
        sample("large", (1, 9, 8, 5), 15, 17, large=True),
    ],
)
