"""ELU: max(0, x) + min(0, alpha * (exp(x) - 1))."""

from nnapi_testkit.op import (
    NO_WORD_OF_EMPTY,
    Op,
    Output,
    Sample,
    Scalar,
    Tensor,
    bounded_by,
    cells,
    nan_operands,
    unary,
)


def reference(torch, input, alpha):
    return torch.clamp(input, min=0) + torch.clamp(alpha * torch.expm1(input), max=0)


def bound(s):
    """For x < 0 the difference exp(x) - 1 keeps the error of exp, 3u exp(x) <= 3u.

    The difference and the product with alpha round once each; an input rounded to float16 moves
    exp(x) by |x| exp(x) u < u/2, and alpha by u. Positive inputs pass.
    """
    x, p = s.args["input"], s.precision
    steps = s.torch.where(x > 0, s.outputs[0].abs(), abs(s.args["alpha"]) * 6.0)
    return steps * p.u + p.tiny


ALPHAS = (1.0, 0.5, 2.0, 0.1)


def samples(cell):
    """Every shape with one of the alphas."""
    found = [
        *unary(ranks=(1, 5), empty=NO_WORD_OF_EMPTY),
        Sample("tall", input=(9, 1, 4)),
        Sample("flat", input=(2, 21)),
    ]
    for number, sample in enumerate(found):
        sample.operands["alpha"] = ALPHAS[number % 4]
    return found


OP = Op(
    name="ELU",
    signatures=((Tensor("input", rank=(1, 5)), Scalar("alpha", "real")),),
    outputs=(Output(),),
    batched=("input",),
    cells=cells("FLOAT16:4 FLOAT32:4"),
    reference=reference,
    bound=bounded_by(bound, "6 u alpha for x < 0, u |y| else", scalars=True),
    exempt=nan_operands(),
    samples=samples,
    ambiguity="max and min say nothing about NaN: what becomes of it is left open.",
)
