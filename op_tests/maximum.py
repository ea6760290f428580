"""MAXIMUM, MINIMUM: the larger or smaller of two elements; quantized results are rescaled."""

from nnapi_testkit.op import (
    NO_WORD_OF_EMPTY,
    Op,
    Output,
    Sample,
    Tensor,
    aligned,
    broadcast,
    broadcast_pairs,
    chosen,
    compatible,
    nan_operands,
    numeric,
)

SHARED = {"b": "a", "out": "a"}


def reach(f):
    most = max(f.amplitude("a"), f.amplitude("b"))
    return -most, most


def declare(name):
    """One of both."""
    return Op(
        name=name,
        signatures=((Tensor("a", rank=(1, 5)), Tensor("b", rank=(1, 5))),),
        outputs=(Output(shape=broadcast("a", "b"), span=reach),),
        batched=aligned("a", "b"),
        cells=numeric(3, 3, int32=3),
        ties=("b.0=a.0",),
        rules=(compatible(),),
        reference=lambda torch, a, b: getattr(torch, name.lower())(a, b),
        bound=chosen(),
        exempt=nan_operands(),
        samples=[
            *broadcast_pairs(empty=NO_WORD_OF_EMPTY),
            Sample("one-scale", a=(3, 5, 7), b=(5, 1), like=SHARED),
            Sample("one-scale-row", a=(1, 40), b=(2, 1), like=SHARED),
            Sample("rank5", a=(2, 1, 3, 2, 3), b=(3, 1, 1)),
        ],
        ambiguity="NaN has no place in the order: what becomes of it is left open.",
    )


OPS = [declare("MAXIMUM"), declare("MINIMUM")]
