"""POW: base to the power of exponent, broadcasting."""

from nnapi_testkit.op import (
    NO_WORD_OF_EMPTY,
    Choice,
    Given,
    Op,
    Output,
    Reals,
    Sample,
    Tensor,
    aligned,
    bounded_by,
    broadcast,
    broadcast_pairs,
    compatible,
    floats,
)


def bound(s):
    """By way of exp(e log b): relative error of exp plus the absolute error of its argument.

    log costs 3u max(|log b|, 1/2), the product u; all times |e|. Rounded inputs move the
    argument by |e| u and |e log b| u.
    """
    b, e, p = s.args["base"], s.args["exponent"].abs(), s.precision
    log = s.torch.log(b.abs()).abs()
    steps = 3 + e * (4 * log + 1.5) + (e * (1 + log) if p.relaxed else 0)
    return s.outputs[0].abs() * steps * p.u + p.tiny


def strange(s):
    """Negative, zero or non-finite bases and non-finite exponents, whose powers are not described.

    Whole exponents of negative bases have a value that mathematics agrees upon.
    """
    b, e = s.torch.broadcast_tensors(s.args["base"], s.args["exponent"])
    whole = (e == e.trunc()) & (e.abs() < 100)
    return (~((b > 0) | ((b < 0) & whole)) | ~b.isfinite() | ~e.isfinite(),)


SPREAD = Given([[-2.0, -1.0, -3.0, 2.0, -0.5], [-1.5, 1.0, -2.5, 3.0, -4.0]])

OP = Op(
    name="POW",
    signatures=(
        (
            Tensor("base", rank=(1, 5), domain=(0.06, 3.0)),
            Tensor("exponent", rank=(1, 5)),
        ),
    ),
    outputs=(Output(shape=broadcast("base", "exponent")),),
    batched=aligned("base", "exponent"),
    cells=floats(3),
    ties=("exponent.0=base.0",),
    rules=(compatible("base", "exponent"),),
    reference=lambda torch, base, exponent: torch.pow(base, exponent),
    bound=bounded_by(bound, "(3 + |e| (4 |log b| + 3/2)) u |y|"),
    exempt=strange,
    samples=[
        *broadcast_pairs("base", "exponent", empty=NO_WORD_OF_EMPTY),
        Sample("whole", base=Reals((3, 1, 5), -2.5, -0.5), exponent=Choice((4, 1), -3, 3)),
        Sample("powers", base=SPREAD, exponent=Given([[2.0], [3.0]])),
        Sample("rank5", base=(2, 1, 3, 2, 3), exponent=(3, 1, 1)),
    ],
    ambiguity="Powers of zero, and of negative bases to fractions, are left open.",
)
