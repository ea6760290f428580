"""GATHER: slices along an axis, in the order of indexes of any rank."""

from nnapi_testkit.op import (
    Choice,
    Given,
    Op,
    Output,
    Sample,
    Scalar,
    Tensor,
    axis_of,
    exact,
    highest,
    numeric,
    rule,
)


def gathered(f):
    shape, at = f.shape("input"), axis_of(f["axis"], len(f.shape("input")))
    return (*shape[:at], *f.shape("indices"), *shape[at + 1 :])


def reference(torch, input, axis, indices):
    at = axis_of(axis, input.ndim)
    found = input.index_select(at, indices.reshape(-1))
    return found.reshape(*input.shape[:at], *indices.shape, *input.shape[at + 1 :])


def sample(name, input, axis, indices, **more):
    return Sample(name, input=input, axis=axis, indices=indices, **more)


def chosen(name, input, axis, indices, **more):
    return sample(name, input, axis, Choice(indices, 0, input[axis] - 1), **more)


OP = Op(
    name="GATHER",
    signatures=(
        (
            Tensor("input", rank=(1, 5)),
            Scalar("axis"),
            Tensor("indices", "TENSOR_INT32", rank=(1, 5)),
        ),
    ),
    axes={"axis": ("input", 0)},
    outputs=(Output(shape=gathered, like="input"),),
    cells=numeric(3, 3, int32=3),
    rules=(
        rule(
            "output-rank",
            "input indices",
            "The output has a rank that tensors have.",
            open="The documentation names no highest rank.",
            beyond={"input": (1,) * 9, "axis": 0, "indices": Given([0], (1,) * 9)},
        ),
        rule(
            "index-in-axis",
            "input axis indices",
            "An index lies in [0, n), n the size of the axis.",
            one_beyond={"input": (3, 2), "axis": 0, "indices": [0, 3]},
            last_axis={"input": (5, 3), "axis": 1, "indices": [0, 3, 1]},
            negative={"input": (3, 2), "axis": 0, "indices": [-1, 0]},
            far={"input": (3, 2), "axis": 0, "indices": [0, 2**31 - 1]},
        ),
    ),
    reference=reference,
    bound=exact(),
    valid=lambda f: highest(f["indices"]) < f.shape("input")[f["axis"]],
    samples=[
        chosen("rows", (5, 4), 0, (7,)),
        chosen("columns", (3, 6), 1, (4,)),
        chosen("matrix", (6, 3), 0, (2, 4)),
        chosen("negative", (3, 4, 5), -1, (3,)),
        chosen("rank1", (9,), 0, (12,)),
        chosen("rank1-cube", (9,), -1, (2, 3, 2)),
        chosen("middle", (2, 7, 3), 1, (5,)),
        chosen("middle-matrix", (2, 5, 4), -2, (3, 2)),
        chosen("rank4", (2, 3, 4, 5), 2, (6,)),
        chosen("rank4-front", (3, 2, 2, 4), -4, (5,)),
        chosen("rank5", (2, 1, 4, 3, 2), 2, (3,)),
        sample("edges", (4, 5), 1, [0, 4, 4, 0, 2]),
        chosen("large", (12, 10, 9), 1, (11,), large=True),
    ],
)
