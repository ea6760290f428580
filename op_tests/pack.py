"""PACK: tensors of one shape side by side along a new axis."""

from nnapi_testkit.op import Op, Output, Sample, Scalar, Tensor, cells, exact

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
        sample("large", 1, 3, (6, 9, 7), large=True),
    ],
)
