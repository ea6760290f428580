"""SOFTMAX: exp((x - max) * beta) over its sum along an axis; quantized outputs have 1/256."""

from nnapi_testkit.op import (
    Op,
    Output,
    Reals,
    Sample,
    Scalar,
    Tensor,
    besides,
    bounded_by,
    later,
    numeric,
    rule,
)

FIXED = {"TENSOR_QUANT8_ASYMM": (1 / 256, 0), "TENSOR_QUANT8_ASYMM_SIGNED": (1 / 256, -128)}


def reference(torch, input, beta, axis):
    if input.numel() == 0:
        return input
    weights = torch.exp((input - input.amax(axis, keepdim=True)) * beta)
    return weights / weights.sum(axis, keepdim=True)


def bound(s):
    """Error of the exponents, of exp, of the sum of n terms and of the quotient.

    The exponent d = (x - max) beta has an absolute error of 2u beta (|x| + |max|), in whatever
    order it is computed, and that is the relative error of exp(d). The denominator has the mean
    of its terms' errors and n u of its own. Relaxed inputs and beta add 2u beta (|x| + |max|).
    """
    x, p = s.args["input"], s.precision
    if x.numel() == 0:
        return x
    (y,), axis = s.outputs, s.args["axis"]
    steps = abs(s.args["beta"]) * (x.abs() + x.amax(axis, keepdim=True).abs())
    steps = steps * (4 if p.relaxed else 2)
    shared = (y * steps).nansum(axis, keepdim=True) + x.shape[axis] + 8
    return y * (steps + shared).nan_to_num(1e9, 1e9) * p.u + p.tiny


def sample(name, input, beta=1.0, **more):
    return Sample(name, input=input, beta=beta, **more)


OP = Op(
    name="SOFTMAX",
    signatures=(
        (
            Tensor("input"),
            Scalar("beta", "real"),
            Scalar("axis", optional=True, default=-1, level=3),
        ),
    ),
    axes={"axis": ("input", 0)},
    outputs=(Output(quant=FIXED),),
    batched=besides("axis"),
    cells=numeric(),
    rules=(
        rule(
            "beta-positive",
            "beta",
            "beta is the positive scaling factor of the exponent.",
            negative={"beta": -1.0},
            zero={"beta": 0.0},
        ),
    ),
    reference=reference,
    later=(later(3, "Tensors may have other ranks than 2 and 4."),),
    bound=bounded_by(bound, "(4 beta (|x| + |max|) + n + 8) u |y|", scalars=True),
    samples=[
        sample("rank2", (3, 7)),
        sample("rank4", (2, 3, 2, 5), 0.5),
        sample("rank2-beta2", (5, 4), 2.0),
        sample("rank4-single", (1, 3, 1, 6), 0.1),
        sample("rank1", (9,), level=3),
        sample("rank3", (2, 4, 5), 1.5, level=3),
        sample("axis0", (6, 5), axis=0),
        sample("axis1", (2, 5, 3, 2), 0.75, axis=1),
        sample("axis2", (2, 3, 4, 3), axis=2),
        sample("axis-minus3", (2, 4, 3, 2), 1.25, axis=-3),
        sample("axis-minus1", (3, 2, 6), axis=-1),
        sample("one-class", (4, 1)),
        sample("steep", Reals((4, 6), -2.0, 2.0), 6.0),
        sample("empty", (0, 5), level=3),
        sample("large", (220, 5), large=True),
    ],
)
