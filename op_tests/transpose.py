"""TRANSPOSE: dimension i of the output is dimension perm[i] of the input."""

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


def permuted(f):
    shape = f.shape("input")
    perm = f.get("perm", range(len(shape) - 1, -1, -1))
    return tuple(shape[int(i)] for i in perm)


def reference(torch, input, perm):
    order = range(input.ndim - 1, -1, -1) if perm is None else perm.tolist()
    return input.permute(*order)


def sample(name, input, perm, **more):
    return Sample(name, input=input, perm=perm, **more)


OP = Op(
    name="TRANSPOSE",
    signatures=((Tensor("input"), ints("perm", optional=True)),),
    outputs=(Output(shape=permuted, like="input"),),
    cells=numeric(2, 2),
    ties=("perm.0=rank(input)",),
    rules=(
        rule(
            "permutation",
            "input perm",
            "perm is a permutation of the dimensions.",
            twice={"input": (2, 2), "perm": [0, 0]},
            twice_of_three={"input": (2, 3, 3), "perm": [0, 2, 2]},
            above={"input": (2, 3), "perm": [0, 2]},
            negative={"input": (2, 3), "perm": [-1, 0]},
        ),
        rule(
            "entry-for-each-dimension",
            "input perm",
            "perm has as many entries as the input has dimensions.",
            fewer={"input": (2, 3, 4), "perm": [1, 0]},
            more={"input": (2, 3), "perm": [1, 0, 2]},
        ),
    ),
    reference=reference,
    bound=exact(),
    samples=[
        sample("nhwc-to-nchw", (2, 3, 5, 4), [0, 3, 1, 2]),
        sample("matrix", (4, 7), [1, 0]),
        sample("default", (3, 5), None),
        sample("default-rank4", (2, 3, 4, 5), None),
        sample("identity", (2, 3, 4), [0, 1, 2]),
        sample("cycle", (2, 3, 5), [2, 0, 1]),
        sample("other-cycle", (2, 3, 5), [1, 2, 0]),
        sample("rank4", (3, 2, 1, 5), [3, 1, 0, 2]),
        sample("inner", (2, 4, 3, 2), [0, 2, 1, 3]),
        sample("rank1", (8,), [0]),
        sample("ones", (1, 6, 1, 2), [3, 2, 1, 0]),
        sample("empty", (0, 3, 2), [2, 1, 0], level=3),
        sample("unit-planes", (3, 5, 1, 1), [0, 2, 3, 1], variations=()),
        sample("large", (4, 9, 8, 5), [2, 0, 3, 1], large=True),
    ],
)
