"""SELECT: x where the condition is true, y elsewhere; quantized results are rescaled."""

from nnapi_testkit.op import (
    Choice,
    Op,
    Output,
    Sample,
    Tensor,
    moved,
    numeric,
    rule,
)

SHARED = {"y": "x", "out": "x"}


def reach(f):
    most = max(f.amplitude("x"), f.amplitude("y"))
    return -most, most


def sample(name, shape, condition=None, **more):
    return Sample(name, condition=condition or shape, x=shape, y=shape, **more)


OP = Op(
    name="SELECT",
    signatures=(
        (
            Tensor("condition", "TENSOR_BOOL8", rank=(1, 5)),
            Tensor("x", rank=(1, 5)),
            Tensor("y", rank=(1, 5)),
        ),
    ),
    outputs=(Output(shape=lambda f: f.shape("x"), span=reach),),
    cells=numeric(3, 3, int32=3),
    ties=("x.0=condition.0", "y.0=condition.0"),
    rules=(
        rule(
            "shapes-agree",
            "condition x y",
            "All three inputs have the same shape.",
            second={"condition": (2, 3), "x": (2, 4), "y": (2, 3)},
            third={"condition": (2, 3), "x": (2, 3), "y": (3, 3)},
            no_broadcast={"condition": (2, 3), "x": (2, 3), "y": (2, 1)},
            rank={"condition": (3,), "x": (2, 3), "y": (2, 3)},
        ),
    ),
    reference=lambda torch, condition, x, y: torch.where(condition, x, y),
    bound=moved(),
    samples=[
        sample("rank1", (19,)),
        sample("rank4", (2, 3, 5, 4)),
        sample("rank2", (5, 7), like=SHARED),
        sample("rank3", (3, 4, 6)),
        sample("single", (1, 1), like=SHARED),
        sample("row", (1, 1, 1, 29)),
        sample("any-nonzero", (4, 9), Choice((4, 9), 0, 3)),
        sample("rank5", (2, 1, 3, 2, 3), like=SHARED),
        sample("all-true", (3, 8), Choice((3, 8), 1, 1)),
        sample("all-false", (3, 8), Choice((3, 8), 0, 0)),
        sample("large", (2, 8, 9, 10), large=True),
    ],
)
