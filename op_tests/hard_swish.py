"""HARD_SWISH: x * max(0, min(6, x + 3)) / 6."""

from nnapi_testkit.op import Op, Output, Reals, Sample, Tensor, bounded_by, cells, unary


def reference(torch, input):
    return input * torch.clamp(input + 3, 0, 6) / 6


def bound(s):
    """The sum x + 3 rounds by u |x + 3|; near -3 relaxed inputs add |x| u, both times |x|/6.

    Then 3 roundings of the product and the quotient (or of a factor 1/6 and two products).
    """
    x, p = s.args["input"], s.precision
    (y,) = s.outputs
    gate = (x + 3).abs().clamp(max=6) + (x.abs().clamp(max=9) if p.relaxed else 0)
    own = s.torch.where(x < -4, 0.0, x.abs().clamp(max=9) / 6 * gate)
    return (own + y.abs() * (5 if p.relaxed else 4)) * p.u + p.tiny


def beyond(s):
    """-inf * 0, and products with 6 that overflow before the quotient."""
    x, p = s.args["input"], s.precision
    return ((x.abs() > p.maximum / 6) & (x != s.torch.inf) & ~x.isnan(),)


OP = Op(
    name="HARD_SWISH",
    signatures=((Tensor("input", rank=(1, 5)),),),
    outputs=(Output(span=lambda f: (-0.4, 0.95 * f.amplitude("input"))),),
    batched=("input",),
    cells=cells("FLOAT16:4 FLOAT32:4 QUANT8_ASYMM:4 QUANT8_ASYMM_SIGNED:4"),
    reference=reference,
    bound=bounded_by(bound, "(|x|/6 |x + 3| + 4 |y|) u"),
    exempt=beyond,
    samples=[*unary(ranks=(1, 5)), Sample("kinks", input=Reals((7, 9), -5.0, 5.0))],
    ambiguity="Whether x * 6 overflows, and -inf * 0, depend on the order: left open.",
)
