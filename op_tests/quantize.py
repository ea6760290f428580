"""QUANTIZE: round(input / scale) + zeroPoint, limited to the range of the codes."""

from nnapi_testkit.op import Op, Output, Reals, Sample, Tensor, bounded_by, cells, unary


def span(f):
    """Intervals of several widths around zero points of several kinds."""
    rank = len(f.shape("input"))
    return -2.1 + 0.4 * (rank % 3), 2.2 - 0.3 * (rank % 2)


def bound(s):
    """Rounding of the scale and of the quotient; of the input too where float32 is relaxed.

    float16 and relaxed float32 may be divided in float16.
    """
    p = s.reading if s.reading.u > s.precision.u else s.precision
    return s.outputs[0].abs() * (p.u * (3 if p.relaxed else 2)) + p.tiny


OP = Op(
    name="QUANTIZE",
    signatures=((Tensor("input", rank=(1, 5)),),),
    outputs=(Output(span=span),),
    batched=("input",),
    cells=cells(
        "FLOAT32>QUANT8_ASYMM:3 FLOAT32>QUANT8_ASYMM_SIGNED:4"
        " FLOAT16>QUANT8_ASYMM:3 FLOAT16>QUANT8_ASYMM_SIGNED:4"
    ),
    reference=lambda torch, input: input + 0,
    bound=bounded_by(bound, "2 u |x| before rounding, 3 u where relaxed"),
    samples=[*unary(ranks=(1, 5)), Sample("beyond", input=Reals((4, 9), -6.0, 6.0))],
    ambiguity="round() of a half may go either way; NaN may become any code.",
)
