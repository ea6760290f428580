"""EMBEDDING_LOOKUP: slices of a tensor along its first dimension, by index."""

from nnapi_testkit.op import (
    Choice,
    Op,
    Output,
    Sample,
    Tensor,
    cells,
    exact,
    highest,
    rule,
)


def sample(name, count, *values, **more):
    return Sample(name, lookups=Choice((count,), 0, values[0] - 1), values=values, **more)


OP = Op(
    name="EMBEDDING_LOOKUP",
    signatures=((Tensor("lookups", "TENSOR_INT32", rank=(1, 1)), Tensor("values", rank=(2, 5))),),
    outputs=(Output(shape=lambda f: (*f.shape("lookups"), *f.shape("values")[1:]), like="values"),),
    batched=("lookups",),
    cells=cells("FLOAT32:1 INT32:3 QUANT8_ASYMM:3 FLOAT16:4 QUANT8_ASYMM_SIGNED:4"),
    rules=(
        rule(
            "lookup-in-rows",
            "lookups values",
            "A lookup is out of bounds when it is not a row of values.",
            one_beyond={"lookups": [0, 5, 1], "values": (5, 4)},
            negative={"lookups": [-1, 0, 1], "values": (5, 4)},
            far={"lookups": [0, 2**31 - 1], "values": (5, 4)},
        ),
    ),
    reference=lambda torch, lookups, values: torch.index_select(values, 0, lookups),
    bound=exact(),
    valid=lambda f: highest(f["lookups"]) < f.shape("values")[0],
    samples=[
        sample("rank2", 3, 5, 4),
        sample("rank3", 4, 3, 2, 5),
        sample("rank4", 2, 4, 3, 2, 3),
        sample("more-than-rows", 9, 2, 7),
        sample("single", 1, 6, 3),
        sample("one-row", 3, 1, 4),
        sample("one-column", 5, 8, 1),
        Sample("in-order", lookups=[0, 1, 2, 3], values=(4, 3, 2)),
        Sample("repeated", lookups=[3, 3, 0, 3], values=(4, 6)),
        sample("large", 40, 32, 5, 6, large=True),
        sample("rank5", 3, 4, 2, 3, 1, 2),
    ],
)
