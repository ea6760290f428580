"""TILE: a tensor repeated along its dimensions."""

from nnapi_testkit.op import (
    Op,
    Output,
    Sample,
    Tensor,
    exact,
    ints,
    numeric,
    rule,
)


def tiled(f):
    return tuple(n * int(m) for n, m in zip(f.shape("input"), f["multiples"], strict=True))


def sample(name, input, multiples, **more):
    return Sample(name, input=input, multiples=multiples, **more)


OP = Op(
    name="TILE",
    signatures=((Tensor("input", rank=(1, 5)), ints("multiples")),),
    outputs=(Output(shape=tiled, like="input"),),
    cells=numeric(3, 3, int32=3),
    ties=("multiples.0=rank(input)",),
    rules=(
        rule(
            "multiples-not-negative",
            "multiples",
            "A dimension is repeated, not taken away.",
            first={"input": (3, 4), "multiples": [-1, 2]},
            both={"input": (3, 4), "multiples": [-1, -2]},
        ),
        rule(
            "entry-for-each-dimension",
            "input multiples",
            "multiples has as many entries as the input has dimensions.",
            fewer={"input": (3, 4), "multiples": [2]},
            more={"input": (3, 4), "multiples": [1, 2, 2]},
        ),
        rule(
            "output-countable",
            "input multiples",
            "A dimension of the output fits 31 bits.",
            far={"input": (3, 4), "multiples": [2**30, 1]},
        ),
    ),
    reference=lambda torch, input, multiples: input.repeat(*multiples.tolist()),
    bound=exact(),
    samples=[
        sample("rank2", (3, 4), [2, 3]),
        sample("rank1", (7,), [4]),
        sample("rank3", (2, 3, 4), [1, 2, 2]),
        sample("rank4", (2, 1, 3, 2), [2, 3, 1, 2]),
        sample("last", (5, 3), [1, 6]),
        sample("once", (4, 5), [1, 1]),
        sample("single", (1, 1, 1), [3, 2, 5]),
        sample("batch", (2, 3, 2, 4), [3, 1, 1, 1]),
        sample("rank5", (1, 2, 2, 1, 3), [2, 1, 2, 3, 1]),
        sample("rank5-last", (1, 2, 1, 2, 3), [1, 1, 1, 2, 3], variations=()),
        sample("large", (5, 8, 6), [2, 1, 4], large=True),
    ],
)
