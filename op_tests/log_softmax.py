"""LOG_SOFTMAX: logits * beta - log(sum(exp(logits * beta))) along an axis."""

import math

from nnapi_testkit.op import (
    Op,
    Output,
    Reals,
    Sample,
    Scalar,
    Tensor,
    besides,
    bounded_by,
    floats,
    rule,
)


def reference(torch, input, beta, axis):
    return torch.log_softmax(input * beta, axis)


def bound(s):
    """Absolute, in units of u, with z = logits * beta and A the largest |z| along the axis.

    z costs |z|; the exponents z - max 4A and exp 3, both relative errors of the sum, whose n
    terms add n: an absolute error of the logarithm, which adds 3 log n itself; adding the
    maximum costs 2A + log n, the last difference |z| + |y|. Relaxed inputs and beta: 4A more.
    """
    (y,), p, axis = s.outputs, s.precision, s.args["axis"]
    z = (s.args["input"] * s.args["beta"]).abs()
    most, count = z.amax(axis, keepdim=True), z.shape[axis]
    steps = most * (12 if p.relaxed else 8) + count + 6 + 4 * math.log(count) + y.abs()
    return steps * p.u + p.tiny


def overflowing(s):
    """Rows in which the formula's exp overflows: it is open whether the maximum is split off."""
    z, axis = s.args["input"] * s.args["beta"], s.args["axis"]
    most = z.amax(axis, keepdim=True)
    limit = math.log(s.precision.maximum)
    return (((most > limit) | (most < -limit)).expand_as(z) & ~z.isnan().any(axis, keepdim=True),)


def sample(name, input, beta, axis, **more):
    return Sample(name, input=input, beta=beta, axis=axis, **more)


OP = Op(
    name="LOG_SOFTMAX",
    signatures=((Tensor("input", rank=(1, 5)), Scalar("beta", "real"), Scalar("axis")),),
    axes={"axis": ("input", 0)},
    outputs=(Output(),),
    batched=besides("axis"),
    cells=floats(3),
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
    bound=bounded_by(bound, "(8 max|z| + n + 6 + 4 log n + |y|) u", scalars=True),
    exempt=overflowing,
    samples=[
        sample("rank2", (4, 7), 1.0, 1),
        sample("last", (2, 4, 5, 3), 0.5, -1),
        sample("rank1", (9,), 1.25, 0),
        sample("axis1", (3, 4, 5), 0.9, 1),
        sample("axis0", (5, 4), 0.75, 0),
        sample("rank4-axis2", (2, 3, 4, 3), 1.0, 2),
        sample("axis-minus4", (3, 2, 2, 4), 1.25, -4),
        sample("one-class", (6, 1), 1.0, 1),
        sample("rank5", (2, 1, 3, 2, 4), 1.0, -2),
        sample("steep", Reals((4, 6), -2.0, 2.0), 4.0, 1),
        sample("large", (320, 4), 1.0, -1, large=True),
    ],
    ambiguity="The formula overflows where exp does; splitting off the maximum is taken as legal.",
)
