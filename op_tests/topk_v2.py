"""TOPK_V2: the k largest of the last dimension, in descending order, and their indexes."""

from nnapi_testkit.op import (
    Choice,
    Distinct,
    Op,
    Output,
    Sample,
    Scalar,
    Tensor,
    numeric,
    ordering,
    reread,
    rule,
    selected,
)


def shape(f):
    return (*f.shape("input")[:-1], f["k"])


def reference(torch, input, k):
    """Of equal values the one with the larger index comes first: sort the reversed row."""
    order = ordering(torch, input).flip(-1).sort(dim=-1, descending=True, stable=True).indices
    order = (input.shape[-1] - 1 - order)[..., :k]
    return input.gather(-1, order), order


def open_order(s):
    """Places that NaN, rounding to float16 or flushing to zero may give to another element."""
    x = s.args["input"]
    values, _ = s.outputs
    pairs = x.double().unsqueeze(-2), values.double().unsqueeze(-1)
    slack = (pairs[0].abs() + pairs[1].abs()) * (s.reading.u if s.reading.relaxed else 0.0)
    apart = (pairs[0] - pairs[1]).abs()
    read = [reread(s, p) for p in pairs]
    near = (pairs[0] != pairs[1]) & ((apart <= slack) | (read[0] == read[1]))
    unordered = x.isnan().any(-1, keepdim=True)
    return unordered.expand_as(values), near.any(-1) | unordered


def sample(name, input, k, **more):
    return Sample(name, input=input, k=k, **more)


def samples(cell):
    """Ties are told apart by the documentation: few different numbers."""
    few = (200, 203) if cell.name == "quant8" else (0, 3)
    return [
        sample("rank2", (4, 9), 3),
        sample("small", (30, 3), 2),
        sample("ties", Choice((6, 11), *few), 5),
        sample("rank3", (12, 2, 4), 3),
        sample("rank1", Distinct((25,)), 4),
        sample("all", Distinct((3, 7)), 7),
        sample("first", Distinct((5, 2, 6)), 1),
        sample("rank4", Distinct((2, 3, 2, 8)), 3),
        sample("rank5", Distinct((2, 1, 2, 2, 5)), 2),
        sample("of-one", (5, 1), 1),
        sample("all-ties", Choice((4, 8), few[0], few[0]), 8),
        sample("large", (120, 12), 9, large=True),
    ]


OP = Op(
    name="TOPK_V2",
    signatures=((Tensor("input", rank=(1, 5)), Scalar("k", minimum=1)),),
    outputs=(
        Output("values", shape=shape, like="input"),
        Output("indices", shape=shape, type="TENSOR_INT32"),
    ),
    # Which of two equal codes comes first is a matter of rounding once they are real.
    unpaired=frozenset({"real"}),
    cells=numeric(3, 3, int32=3),
    rules=(
        rule(
            "k-in-last-dimension",
            "input k",
            "There are k elements along the last dimension.",
            one_more={"input": (2, 3), "k": 4},
            far={"input": (5, 3), "k": 2**31 - 1},
        ),
    ),
    reference=reference,
    bound=selected(),
    exempt=open_order,
    samples=samples,
    ambiguity="NaN has no place in the order: rows with it are left open.",
)
