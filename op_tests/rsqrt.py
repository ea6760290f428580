"""RSQRT: 1 / sqrt(input)."""

from nnapi_testkit.op import (
    NO_WORD_OF_EMPTY,
    Op,
    Output,
    Sample,
    Tensor,
    cells,
    relative,
    unary,
)


def positive(code, f):
    """Codes that all stand for positive numbers, but for the lowest."""
    return 0.02, -128 if code.name.endswith("SIGNED") else 0


def at_zero(s):
    """The sign of 1 / sqrt(-0); and which code stands for the infinity of quantized data."""
    x = s.args["input"]
    quantized = s.precision.quantized
    return ((x == 0) & (s.torch.signbit(x) | quantized),)


OP = Op(
    name="RSQRT",
    signatures=((Tensor("input", rank=(1, 5), domain=(0.05, 9.0), quant=positive),),),
    outputs=(Output(span=lambda f: (0.0, 2.0)),),
    batched=("input",),
    cells=cells("FLOAT16:3 FLOAT32:3 QUANT8_ASYMM:7 QUANT8_ASYMM_SIGNED:7"),
    reference=lambda torch, input: torch.rsqrt(input),
    # Root and quotient, or an approximation with a step of Newton's: within 2 ulp.
    bound=relative(lambda s: 4, "4 u |y|"),
    exempt=at_zero,
    samples=[*unary(ranks=(1, 5), empty=NO_WORD_OF_EMPTY), Sample("tall", input=(9, 1, 4))],
    ambiguity="Quantized data have no infinity: the result for 0 is left open.",
)
