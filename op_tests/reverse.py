"""REVERSE: one dimension in reverse order."""

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


def sample(name, input, axis, **more):
    return Sample(name, input=input, axis=[axis], **more)


OP = Op(
    name="REVERSE",
    signatures=((Tensor("input", rank=(1, 8)), ints("axis")),),
    outputs=(Output(like="input"),),
    cells=cells("FLOAT16:7 FLOAT32:7 QUANT8_ASYMM:7 QUANT8_ASYMM_SIGNED:7 INT32:7"),
    rules=(
        rule(
            "axis-in-rank",
            "input axis",
            "The axis lies in [0, n), n the rank.",
            above={"input": (4, 7), "axis": [2]},
            negative={"input": (4, 7), "axis": [-1]},
        ),
        rule(
            "one-axis",
            "axis",
            "The axis has shape [1].",
            two={"input": (4, 7), "axis": [0, 1]},
        ),
        rule(
            "at-most-8-dimensions",
            "input",
            "A tensor has at most 8 dimensions.",
            nine={"input": (2, 1, 1, 1, 1, 1, 1, 1, 3)},
        ),
    ),
    reference=lambda torch, input, axis: torch.flip(input, axis.tolist()),
    bound=exact(),
    samples=[
        sample("rank2", (4, 7), 0),
        sample("rank2-last", (3, 6), 1),
        sample("rank1", (11,), 0),
        sample("rank3", (3, 4, 5), 1),
        sample("rank4", (2, 3, 5, 4), 3),
        sample("rank4-batch", (4, 2, 3, 2), 0),
        sample("rank5", (2, 3, 2, 2, 3), 2),
        sample("rank6", (1, 2, 3, 2, 2, 2), 4),
        sample("rank7", (2, 1, 2, 2, 1, 3, 2), 5),
        sample("rank8", (2, 1, 2, 1, 2, 2, 3, 2), 6),
        sample("of-one", (5, 1, 3), 1),
        sample("large", (3, 10, 9, 5), 2, large=True),
    ],
)
