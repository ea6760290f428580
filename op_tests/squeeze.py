"""SQUEEZE: dimensions of size 1 removed: those listed, or all."""

from nnapi_testkit.op import (
    Op,
    Output,
    Sample,
    Tensor,
    axis_of,
    exact,
    ints,
    numeric,
    refused_or_computed,
    rule,
)


def kept(shape, axes):
    """The shape without the listed dimensions, or without every 1; [1] if nothing is left."""
    rank = len(shape)
    ones = [i for i, n in enumerate(shape) if n == 1]
    listed = ones if axes is None else [axis_of(int(axis), rank) for axis in axes]
    return tuple(n for i, n in enumerate(shape) if i not in listed) or (1,)


def reference(torch, input, axes):
    return input.reshape(kept(input.shape, None if axes is None else axes.tolist()))


def sample(name, input, axes, **more):
    return Sample(name, input=input, axes=axes, **more)


NEGATIVE = refused_or_computed(
    "negative-axes",
    '"The dimension index starts at 0": negative ones count from the end in deployed devices, or'
    " are refused.",
)
OP = Op(
    name="SQUEEZE",
    signatures=((Tensor("input"), ints("axes", optional=True)),),
    outputs=(Output(shape=lambda f: kept(f.shape("input"), f["axes"]), like="input"),),
    cells=numeric(2, 2),
    rules=(
        rule(
            "dimensions-are-1",
            "input axes",
            "A dimension that is squeezed is 1.",
            first={"input": (2, 1, 3), "axes": [0]},
            last={"input": (2, 1, 3), "axes": [1, 2]},
        ),
        rule(
            "axes-in-rank",
            "input axes",
            "The axes are dimensions of the input.",
            above={"input": (1, 1, 3), "axes": [3]},
            far_below={"input": (1, 1, 3), "axes": [-4]},
        ),
    ),
    reference=reference,
    bound=exact(),
    valid=lambda f: all(f.shape("input")[int(n)] == 1 for n in f["axes"] or ()),
    samples=[
        sample("first", (1, 5, 7), [0]),
        sample("all", (1, 4, 1, 6), None),
        sample("spatial", (3, 1, 1, 8), [1, 2]),
        sample("last", (2, 9, 1), [2]),
        sample("one-of-two", (1, 6, 1, 3), [2]),
        sample("none-to-squeeze", (3, 4), None),
        sample("to-one", (1, 1, 1), [0, 1, 2]),
        sample("all-ones", (1, 1), None),
        sample("backwards", (1, 1, 5, 1), [3, 0]),
        sample("rank2", (1, 13), [0]),
        sample("large", (1, 12, 1, 90), [0, 2], large=True),
        sample("negative", (1, 5, 1, 3), [-2], contest=NEGATIVE, variations=()),
    ],
)
