"""EXPAND_DIMS: a dimension of 1 inserted at an index."""

from nnapi_testkit.op import Op, Output, Sample, Scalar, Tensor, axis_of, exact, numeric


def expanded(f):
    shape = f.shape("input")
    at = axis_of(f["axis"], len(shape) + 1)
    return (*shape[:at], 1, *shape[at:])


def sample(name, input, axis, **more):
    return Sample(name, input=input, axis=axis, **more)


OP = Op(
    name="EXPAND_DIMS",
    signatures=((Tensor("input", rank=(1, 7)), Scalar("axis")),),
    axes={"axis": ("input", 1)},
    outputs=(Output(shape=expanded, like="input"),),
    cells=numeric(3, 3, int32=3),
    reference=lambda torch, input, axis: input.unsqueeze(axis),
    bound=exact(),
    samples=[
        sample("front", (3, 5), 0),
        sample("back", (2, 3, 5), -1),
        sample("middle", (4, 7), 1),
        sample("rank1", (9,), 1),
        sample("rank1-front", (6,), -2),
        sample("end", (3, 4), 2),
        sample("rank3", (2, 3, 4), 2),
        sample("rank3-negative", (2, 3, 4), -3),
        sample("ones", (1, 1, 6), 1),
        sample("rank4", (2, 3, 2, 4), -5),
        sample("rank4-end", (2, 1, 3, 4), 4),
        sample("large", (16, 9, 10), 1, large=True),
        sample("rank5", (2, 1, 3, 2, 2), 3),
        sample("rank7", (2, 1, 2, 3, 1, 2, 2), -8),
    ],
)
