"""LOGICAL_AND, LOGICAL_OR, LOGICAL_NOT: truth values; any byte but 0 is true."""

from nnapi_testkit.op import (
    Choice,
    Op,
    Output,
    Sample,
    Tensor,
    broadcast,
    cells,
    compatible,
    exact,
    unary,
)

PAIRS = {
    "rank1": ((19,), (19,)),
    "same": ((2, 3, 4, 5), (2, 3, 4, 5)),
    "row": ((2, 5, 3), (3,)),
    "both": ((4, 1, 2), (5, 4, 3, 1)),
    "outer": ((7, 1), (1, 6)),
    "single": ((2, 3, 2, 4), (1,)),
    "second-larger": ((5,), (2, 3, 5)),
    "rank5": ((2, 1, 3, 2, 3), (3, 1, 1)),
    "any-nonzero": (Choice((6, 9), 0, 2), Choice((6, 9), 0, 255)),
    "mostly-false": (Choice((4, 7), 0, 1), Choice((4, 1), 0, 1)),
}
SAMPLES = [Sample(name, a=a, b=b) for name, (a, b) in PAIRS.items()]
SAMPLES.append(Sample("large", a=(2, 8, 9, 10), b=(2, 8, 9, 10), large=True))
# A row that is too long for one part of 2^15 elements.
SAMPLES.append(Sample("long-row", a=(33000,), b=(33000,), large=True))


def declare(name, function):
    """AND or OR."""
    return Op(
        name=name,
        signatures=((Tensor("a", rank=(1, 5)), Tensor("b", rank=(1, 5))),),
        outputs=(Output(shape=broadcast("a", "b")),),
        cells=cells("BOOL8:3"),
        ties=("b.0=a.0",),
        rules=(compatible(),),
        reference=lambda torch, a, b: getattr(torch, function)(a, b),
        bound=exact(),
        samples=SAMPLES,
    )


OPS = [
    declare("LOGICAL_AND", "logical_and"),
    declare("LOGICAL_OR", "logical_or"),
    Op(
        name="LOGICAL_NOT",
        signatures=((Tensor("input", rank=(1, 5)),),),
        outputs=(Output(),),
        cells=cells("BOOL8:3"),
        reference=lambda torch, input: torch.logical_not(input),
        bound=exact(),
        # Zero-sized tensors are made by SLICE, which knows no TENSOR_BOOL8.
        samples=[
            *(s for s in unary(ranks=(1, 5)) if s.name != "empty"),
            Sample("any-nonzero", input=Choice((6, 9), 0, 3)),
        ],
    ),
]
