"""RANK: the number of dimensions of a tensor, as an INT32 scalar."""

from nnapi_testkit.op import Op, Output, Sample, Tensor, cells, exact

TYPES = (
    "FLOAT16 FLOAT32 INT32 QUANT8_ASYMM QUANT16_SYMM BOOL8 QUANT8_SYMM_PER_CHANNEL"
    " QUANT16_ASYMM QUANT8_SYMM QUANT8_ASYMM_SIGNED"
)
SHAPES = [(3, 4), (7,), (2, 3, 5), (1, 2, 3, 4), (1,), (1, 1, 1, 1), (2, 1, 2, 1, 3), (1, 9)]

OP = Op(
    name="RANK",
    signatures=((Tensor("input", rank=(1, 5)),),),
    outputs=(Output(shape=lambda f: (), type="INT32"),),
    cells=cells(" ".join(f"{name}:4" for name in TYPES.split())),
    reference=lambda torch, input: torch.tensor(input.ndim),
    bound=exact(),
    samples=[
        Sample(f"rank{len(shape)}-{number}", input=shape) for number, shape in enumerate(SHAPES)
    ],
)
