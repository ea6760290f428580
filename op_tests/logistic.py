"""LOGISTIC: 1 / (1 + exp(-input)); quantized outputs have the scale 1/256."""

from nnapi_testkit.op import Op, Output, Reals, Sample, Tensor, numeric, relative, unary

FIXED = {"TENSOR_QUANT8_ASYMM": (1 / 256, 0), "TENSOR_QUANT8_ASYMM_SIGNED": (1 / 256, -128)}

OP = Op(
    name="LOGISTIC",
    signatures=((Tensor("input"),),),
    outputs=(Output(quant=FIXED),),
    batched=("input",),
    cells=numeric(),
    reference=lambda torch, input: torch.sigmoid(input),
    # By its formula: (1 - y) 3u from exp, u each from sum and quotient; by way of
    # (1 + tanh(x/2)) / 2 an absolute error of 2u near 0. Input rounded: y (1 - y) |x| u < 0.23 u.
    bound=relative(lambda s: 5, "5 u max(|y|, 1/2)", floor=0.5),
    samples=[*unary(), Sample("wide", input=Reals((3, 5, 7), -12.0, 12.0))],
)
