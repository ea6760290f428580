"""DEQUANTIZE: (input - zeroPoint) * scale, with a scale for each channel if it has many."""

from nnapi_testkit.op import Op, Output, Tensor, cells, rounded, unary

ROWS = (
    "QUANT8_ASYMM>FLOAT32:1 QUANT8_ASYMM>FLOAT16:3"
    " QUANT8_SYMM>FLOAT32:3 QUANT8_SYMM>FLOAT16:3"
    " QUANT8_SYMM_PER_CHANNEL>FLOAT32:3 QUANT8_SYMM_PER_CHANNEL>FLOAT16:3"
    " QUANT8_ASYMM_SIGNED>FLOAT32:4 QUANT8_ASYMM_SIGNED>FLOAT16:4"
)
# Zero-sized tensors are made by SLICE, which knows no symmetric types.
SIZED = ("quant8>float32", "quant8>float16", "quant8_signed>float32", "quant8_signed>float16")


def samples(cell):
    return [s for s in unary() if s.name != "empty" or cell.name in SIZED]


OP = Op(
    name="DEQUANTIZE",
    signatures=(
        (Tensor("input", channel_dim=lambda shape: (len(shape) + shape[0]) % len(shape)),),
    ),
    outputs=(Output(),),
    batched=("input",),
    cells=cells(ROWS),
    reference=lambda torch, input: input + 0,
    # The product is rounded once; the scale too where it is brought to float16.
    bound=rounded(2),
    samples=samples,
)
