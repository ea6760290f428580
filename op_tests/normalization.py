"""L2_NORMALIZATION, LOCAL_RESPONSE_NORMALIZATION, INSTANCE_NORMALIZATION."""

from typing import Any

from nnapi_testkit.op import (
    Given,
    Op,
    Output,
    Sample,
    Scalar,
    Tensor,
    besides,
    floats,
    later,
    layout,
    numeric,
    propagated,
    relative,
    rule,
    same_as,
)

AXIS = Scalar("axis", optional=True, default=-1, level=3)
UNIT = {"TENSOR_QUANT8_ASYMM": (1 / 128, 128), "TENSOR_QUANT8_ASYMM_SIGNED": (1 / 128, 0)}


def l2(torch, input, axis):
    norm = torch.sqrt((input * input).sum(axis, keepdim=True))
    # All zeros along the axis give the logical zero.
    return torch.where(norm == 0, torch.zeros_like(input), input / norm)


def neighbours(torch, squares, radius, axis):
    """The sum over the elements at most `radius` away along the axis, for each element."""
    size, sums = squares.shape[axis], []
    for d in range(size):
        first, last = max(0, d - radius), min(size, d + radius + 1)
        sums.append(squares.narrow(axis, first, last - first).sum(axis))
    return torch.stack(sums, axis)


def local_response(torch, input, radius, bias, alpha, beta, axis):
    sums = neighbours(torch, input * input, radius, axis)
    return input / torch.pow(bias + alpha * sums, beta)


def instance(torch, input, gamma, beta, epsilon):
    mean = input.mean((2, 3), keepdim=True)
    centered = input - mean
    variance = (centered * centered).mean((2, 3), keepdim=True)
    return centered * gamma / torch.sqrt(variance + epsilon) + beta


def squares(s):
    """The squares of the input."""
    return s.args["input"] * s.args["input"]


def l2_terms(s):
    # The sum of n squares is relatively n u off, its square root half of that; two more steps.
    # Each square below `tiny` may be flushed to zero, which the sum feels by n tiny.
    p, count = s.precision, s.args["input"].shape[s.args["axis"]]
    flushed = count * p.tiny / squares(s).sum(s.args["axis"], keepdim=True)
    return count / 2 + 3 + flushed.nan_to_num(0.0, 0.0).clamp(max=1.0) / p.u


def l2_open(s):
    """Rows whose squares overflow, or are so small that all may be flushed to zero."""
    p, (y,), axis = s.precision, s.outputs, s.args["axis"]
    total, count = squares(s).sum(axis, keepdim=True), s.args["input"].shape[axis]
    lost = (total > 0) & (total < 2 * count * p.tiny)
    return (((total > p.maximum) & total.isfinite() | lost).expand_as(y),)


def zero_rows(s):
    """Rows of zeros."""
    total = squares(s).sum(s.args["axis"], keepdim=True)
    return ((total == 0).expand_as(s.outputs[0]),)


# Far beyond what samples hold, and far below where squares overflow in any type.
HUGE = 64.0


def lrn_open(s):
    """Elements whose neighbours' squares overflow, and lines with elements beyond `HUGE`.

    A sum that runs along the line, taking in one square and giving up another, keeps nothing of
    small neighbours once a huge one has passed, and NaN once an infinite one has. Devices in the
    field compute it so, and no word of the documentation says how the sum is made.
    """
    axis = s.args["axis"]
    sums = neighbours(s.torch, squares(s), s.args["radius"], axis)
    open_ = ((1 + abs(s.args["alpha"])) * sums > s.precision.maximum) & sums.isfinite()
    whole = (~(s.args["input"].abs() <= HUGE)).any(axis, keepdim=True)
    return (open_ | whole,)


def lrn_terms(s):
    # pow(v, beta) multiplies v's relative error (2 radius + 4) u by beta and adds a few ulp that
    # grow with beta |log v|; v stays within [1/4, 64] in our samples.
    return (2 * s.args["radius"] + 4) * abs(s.args["beta"]) + 12


def sample(name, shape, **more):
    return Sample(name, input=shape, level=1 if len(shape) == 4 else 3, **more)


SHAPES: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "rank4": ((2, 3, 2, 5), {}),
    "axis0": ((3, 2, 4, 2), {"axis": 0}),
    "axis-minus2": ((2, 3, 4, 2), {"axis": -2}),
    "rank3": ((2, 5, 3), {"axis": 1}),
    "rank2": ((4, 6), {"axis": 1}),
    "rank1": ((7,), {}),
    "pixel": ((1, 1, 1, 9), {}),
    "single-depth": ((2, 2, 3, 1), {}),
    "large": ((2, 6, 7, 13), {"large": True}),
}
ROWS = Given([[[[0.0, 0.0, 0.0], [1.0, -2.0, 0.5]], [[0.0, 0.0, 0.0], [-1.5, 0.0, 0.0]]]])
RANKS = "Tensors may have less than 4 dimensions."
RADII = (1, 2, 0, 3, 1, 2, 4, 1, 2)
LRN = ("bias", 1.5), ("alpha", 0.75), ("beta", 0.5)

OPS = [
    Op(
        name="L2_NORMALIZATION",
        signatures=((Tensor("input"), AXIS),),
        axes={"axis": ("input", 0)},
        outputs=(Output(shape=same_as("input"), quant=UNIT),),
        batched=besides("axis"),
        cells=numeric(quant8=3),
        reference=l2,
        bound=relative(l2_terms, "(n/2 + 3) u |y|"),
        exempt=l2_open,
        later=(
            later(
                4,
                "The result along an axis whose elements are all zeros is the logical zero;"
                " before, it is undefined.",
                zero_rows,
            ),
            later(3, RANKS),
        ),
        samples=[
            *(sample(name, shape, **more) for name, (shape, more) in SHAPES.items()),
            Sample("zero-rows", level=4, variations=(), input=ROWS),
            Sample("zero-axis0", level=4, variations=(), input=ROWS, axis=0),
            Sample("all-zeros", level=4, variations=(), input=Given([[[[0.0] * 3] * 2]])),
        ],
    ),
    Op(
        name="LOCAL_RESPONSE_NORMALIZATION",
        signatures=(
            (
                Tensor("input"),
                Scalar("radius", minimum=0),
                *(Scalar(name, "real") for name, _ in LRN),
                AXIS,
            ),
        ),
        axes={"axis": ("input", 0)},
        outputs=(Output(shape=same_as("input")),),
        batched=besides("axis"),
        cells=floats(),
        rules=(
            rule(
                "bias-not-zero",
                "bias",
                "The bias must not be zero.",
                zero={"bias": 0.0},
                negative_zero={"bias": -0.0},
            ),
        ),
        reference=local_response,
        bound=relative(lrn_terms, "((2 radius + 4) |beta| + 12) u |y|"),
        exempt=lrn_open,
        later=(later(3, RANKS),),
        samples=[
            sample(name, shape, radius=radius, **dict(LRN), **more)
            for (name, (shape, more)), radius in zip(SHAPES.items(), RADII, strict=True)
        ]
        + [sample("other", (1, 2, 2, 6), radius=2, bias=4.0, alpha=0.25, beta=0.75)],
    ),
    Op(
        name="INSTANCE_NORMALIZATION",
        signatures=(
            (
                Tensor("input", rank=(4, 4), spatial=True),
                *(Scalar(name, "real") for name in ("gamma", "beta", "epsilon")),
                layout(optional=False),
            ),
        ),
        outputs=(Output(shape=same_as("input"), spatial=True),),
        batched=("input",),
        cells=floats(3),
        reference=instance,
        bound=propagated("running error analysis of mean, variance and quotient"),
        samples=[
            Sample(name, input=shape, gamma=g, beta=b, epsilon=e, nchw=nchw, large=name == "large")
            for name, shape, g, b, e, nchw in (
                ("plain", (1, 3, 4, 2), 1.0, 0.0, 0.0625, False),
                ("batch", (3, 2, 3, 2), 1.0, 0.0, 0.0625, False),
                ("scaled", (2, 3, 3, 1), 2.0, 0.5, 0.125, False),
                ("negative", (1, 4, 2, 3), -1.5, -0.25, 0.03125, False),
                ("nchw", (1, 3, 4, 2), 1.0, 0.25, 0.0625, True),
                ("nchw-batch", (2, 2, 5, 3), 0.5, 1.0, 0.0625, True),
                ("row", (1, 1, 8, 2), 1.0, 0.0, 0.25, False),
                ("column", (2, 7, 1, 1), 1.25, 0.0, 0.0625, False),
                ("large", (2, 9, 8, 8), 1.5, 0.25, 0.0625, False),
            )
        ],
    ),
]
