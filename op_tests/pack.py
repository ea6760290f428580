"""PACK: tensors of one shape side by side along a new axis."""

from nnapi_testkit.op import (
    Op,
    Output,
    Quantized,
    Sample,
    Scalar,
    Tensor,
    cells,
    exact,
    rule,
)

SHARED = {"inputs": "inputs[0]"}


def packed(f):
    shapes, at = f.shapes["inputs"], f["axis"]
    return (*shapes[0][:at], len(shapes), *shapes[0][at:])


def sample(name, axis, count, shape, **more):
    return Sample(name, axis=axis, inputs=[shape] * count, like=SHARED, **more)


OP = Op(
    name="PACK",
    signatures=((Scalar("axis", minimum=0), Tensor("inputs", rank=(1, 4), many=True)),),
    axes={"axis": ("inputs", 1)},
    outputs=(Output(shape=packed, like="inputs"),),
    cells=cells("FLOAT16:6 FLOAT32:6 QUANT8_ASYMM:6 QUANT8_ASYMM_SIGNED:6 INT32:6"),
    rules=(
        rule(
            "axis-in-rank",
            "inputs axis",
            "The axis lies in [0, R + 1), R the rank of an input.",
            above={"axis": 3, "inputs": [(4, 5), (4, 5), (4, 5)]},
            negative={"axis": -1, "inputs": [(4, 5), (4, 5), (4, 5)]},
        ),
        rule(
            "shapes-agree",
            "inputs",
            "All inputs have the same shape.",
            last={"axis": 0, "inputs": [(4, 5), (4, 6)]},
            first={"axis": 0, "inputs": [(4, 5), (4, 5), (3, 5)]},
            rank={"axis": 0, "inputs": [(4, 5), (4, 5, 1)]},
        ),
        rule(
            "quantization-agrees",
            "inputs",
            "All inputs have the same scale and zero point.",
            only=("quant8", "quant8_signed"),
            scale={"inputs": Quantized(scale=0.75)},
            zero_point={"inputs": Quantized(zero_point=9)},
        ),
    ),
    reference=lambda torch, axis, inputs: torch.stack(inputs, axis),
    bound=exact(),
    samples=[
        sample("front", 0, 3, (4, 5)),
        sample("middle", 1, 2, (3, 6)),
        sample("end", 2, 4, (3, 5)),
        sample("rank1", 0, 5, (7,)),
        sample("rank1-end", 1, 3, (9,)),
        sample("rank3", 1, 2, (2, 3, 5)),
        sample("rank3-end", 3, 3, (2, 3, 4)),
        sample("one", 1, 1, (4, 6)),
        sample("rank4", 2, 2, (2, 3, 2, 4)),
        sample("singles", 0, 6, (1, 1)),
        sample("of-64", 1, 64, (2, 3), variations=()),
        sample("large", 1, 3, (6, 9, 7), large=True),
    ],
)
