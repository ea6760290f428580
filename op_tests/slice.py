"""SLICE: a part of a tensor, given by its beginning and size (-1: all that remains)."""

from nnapi_testkit.op import (
    Op,
    Output,
    Sample,
    Tensor,
    cells,
    exact,
    ints,
    rule,
)


def extent(begin, size, shape):
    return tuple(
        dim - first if count == -1 else count
        for first, count, dim in zip(begin, size, shape, strict=True)
    )


def reference(torch, input, begin, size):
    for axis, (first, count) in enumerate(
        zip(begin.tolist(), extent(begin.tolist(), size.tolist(), input.shape), strict=True)
    ):
        input = input.narrow(axis, first, count)
    return input


def sample(name, input, begin, size, **more):
    return Sample(name, input=input, begin=begin, size=size, **more)


OP = Op(
    name="SLICE",
    signatures=((Tensor("input", rank=(1, 8)), ints("begin"), ints("size")),),
    outputs=(
        Output(
            shape=lambda f: extent(map(int, f["begin"]), map(int, f["size"]), f.shape("input")),
            like="input",
        ),
    ),
    cells=cells("FLOAT16:3 FLOAT32:3 INT32:3 QUANT8_ASYMM:3 QUANT8_ASYMM_SIGNED:4"),
    ties=("begin.0=rank(input)", "size.0=rank(input)"),
    rules=(
        rule(
            "begin-in-dimension",
            "input begin",
            "A slice begins inside its dimension.",
            negative={"input": (4, 3), "begin": [-1, 0], "size": [2, 3]},
            beyond={"input": (4, 3), "begin": [5, 0], "size": [0, 3]},
            far={"input": (4, 3), "begin": [2**31 - 1, 0], "size": [1, 3]},
        ),
        rule(
            "size-or-rest",
            "size",
            "A size is -1, for all that remains, or not negative.",
            minus_two={"input": (4, 3), "begin": [1, 0], "size": [-2, 3]},
            least={"input": (4, 3), "begin": [1, 0], "size": [-(2**31), 3]},
        ),
        rule(
            "end-in-dimension",
            "input begin size",
            "A slice ends inside its dimension.",
            one_beyond={"input": (4, 3), "begin": [2, 0], "size": [3, 3]},
            last={"input": (4, 3), "begin": [0, 1], "size": [4, 3]},
            far={"input": (4, 3), "begin": [1, 0], "size": [2**31 - 1, 3]},
        ),
        rule(
            "entry-for-each-dimension",
            "input begin size",
            "begin and size have as many entries as the input has dimensions.",
            fewer={"input": (4, 3), "begin": [1], "size": [2]},
            more={"input": (4, 3), "begin": [1, 0, 0], "size": [2, 3, 1]},
            size_alone={"input": (4, 3), "begin": [1, 0], "size": [2]},
        ),
    ),
    reference=reference,
    bound=exact(),
    samples=[
        sample("rank1", (9,), [2], [4]),
        sample("rank2", (4, 5), [1, 2], [2, 3]),
        sample("rest", (4, 5), [1, 2], [-1, -1]),
        sample("rank3", (3, 4, 5), [0, 1, 2], [2, -1, 1]),
        sample("rank4", (2, 3, 4, 5), [1, 0, 2, 1], [1, 3, 2, 3]),
        sample("whole", (2, 3, 4), [0, 0, 0], [2, 3, 4]),
        sample("one-element", (3, 3, 3), [2, 1, 0], [1, 1, 1]),
        sample("rank5", (2, 2, 3, 2, 3), [0, 1, 1, 0, 0], [2, 1, 2, -1, 2]),
        sample("to-nothing", (3, 4), [1, 0], [0, 4]),
        sample("large", (3, 12, 12, 5), [1, 1, 0, 1], [2, 11, -1, 4], large=True),
        sample(
            "rank8", (2, 1, 2, 3, 1, 2, 2, 3), [0, 0, 1, 1, 0, 0, 1, 0], [2, 1, 1, 2, 1, -1, 1, 2]
        ),
    ],
)
