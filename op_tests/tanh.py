"""TANH: the hyperbolic tangent; quantized outputs have the scale 1/128."""

from nnapi_testkit.op import Op, Output, Tensor, numeric, relative, unary

OP = Op(
    name="TANH",
    signatures=((Tensor("input"),),),
    outputs=(
        Output(
            quant={
                "TENSOR_QUANT8_ASYMM": (1 / 128, 128),
                "TENSOR_QUANT8_ASYMM_SIGNED": (1 / 128, 0),
            }
        ),
    ),
    batched=("input",),
    cells=numeric(quant8=3),
    reference=lambda torch, input: torch.tanh(input),
    # tanh x = 1 - 2/(exp(2x) + 1): an absolute error of a few u near 0, relative elsewhere.
    bound=relative(lambda s: 8, "8 u max(|y|, 1/2)", floor=0.5),
    samples=unary(),
)
