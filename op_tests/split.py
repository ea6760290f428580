"""SPLIT: equal parts of a tensor along an axis."""

from nnapi_testkit.op import (
    Op,
    Output,
    Sample,
    Scalar,
    Tensor,
    exact,
    numeric,
    refused_or_computed,
    rule,
)


def part(f):
    shape = list(f.shape("input"))
    shape[f["axis"]] //= f["num_splits"]
    return tuple(shape)


def reference(torch, input, axis, num_splits):
    return tuple(input.chunk(num_splits, axis))


def sample(name, input, axis, num_splits, **more):
    return Sample(name, input=input, axis=axis, num_splits=num_splits, **more)


NEGATIVE = refused_or_computed(
    "negative-axis",
    "A negative axis, of which nothing is said: counted from the end by deployed devices, or"
    " refused.",
)
OP = Op(
    name="SPLIT",
    signatures=(
        (
            Tensor("input", rank=(1, 5)),
            Scalar("axis"),
            Scalar("num_splits", minimum=1),
        ),
    ),
    axes={"axis": ("input", 0)},
    outputs=(Output(shape=part, like="input", many=lambda f: f["num_splits"]),),
    cells=numeric(3, 3, int32=3),
    reference=reference,
    bound=exact(),
    valid=lambda f: f.shape("input")[f["axis"]] % f["num_splits"] == 0,
    samples=[
        sample("columns", (4, 9), 1, 3),
        sample("rows", (6, 5), 0, 2),
        sample("rank1", (12,), 0, 4),
        sample("rank4", (2, 3, 5, 6), 3, 2),
        sample("middle", (3, 8, 4), 1, 4),
        sample("singles", (3, 5, 2), 1, 5),
        sample("whole", (4, 6), 1, 1),
        sample("batch", (6, 2, 3, 2), 0, 3),
        sample("rank5", (2, 4, 1, 3, 2), 1, 2),
        sample("ones", (1, 7, 1), 1, 7),
        sample("into-64", (2, 64), 1, 64, variations=()),
        sample("large", (4, 18, 5, 9), 1, 3, large=True),
        sample("rank5-last", (2, 1, 3, 1, 4), 4, 2, variations=()),
        sample("negative", (2, 6, 3), -2, 3, contest=NEGATIVE, variations=()),
    ],
    rules=(
        rule(
            "splits-divide-axis",
            "input num_splits",
            "The axis divides into num_splits equal parts.",
            five_into_two={"input": (5, 3), "axis": 0, "num_splits": 2},
            last={"input": (2, 3, 7), "axis": -1, "num_splits": 3},
        ),
    ),
    ambiguity="A negative axis is not mentioned: it counts from the end, or is refused.",
)
