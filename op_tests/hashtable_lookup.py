"""HASHTABLE_LOOKUP: slices of a tensor along its first dimension, by sorted keys."""

from struct import pack, unpack

from nnapi_testkit.op import (
    DOCUMENTED,
    FIELD,
    Contest,
    Op,
    Output,
    OutputKind,
    Reading,
    Sample,
    Tensor,
    cells,
    exact,
    ints,
    rule,
)


def reference(torch, lookups, keys, values, zero=0.0):
    match = lookups[:, None] == keys[None, :]
    hits = match.any(1)
    found = torch.index_select(values, 0, match.to(torch.int64).argmax(1))
    return torch.where(hits.reshape(-1, *[1] * (values.ndim - 1)), found, zero), hits.double()


def sample(name, lookups, keys, *shape, **more):
    return Sample(name, lookups=lookups, keys=keys, values=(len(keys), *shape), **more)


def quant(code, f):
    """Zero values of a miss are only clear where real zero and byte zero are one code."""
    missed = set(f["lookups"]) - set(f["keys"])
    return (0.0175, 0 if missed else 113)


# Where the zero point is not 0: the bytes of a miss are 0 in deployed devices.
MISSED = (0.0175, 113)
BYTE_ZERO = -113 * unpack("f", pack("f", 0.0175))[0]
BYTES = Contest(
    "miss-of-quant8",
    "A miss has zero values by the header, which is the zero point; deployed devices give bytes of"
    " 0.",
    (
        Reading(DOCUMENTED),
        Reading(FIELD, lambda torch, **operands: reference(torch, **operands, zero=BYTE_ZERO)),
    ),
)
OP = Op(
    name="HASHTABLE_LOOKUP",
    signatures=(
        (
            ints("lookups", weight=False),
            ints("keys", weight=False),
            Tensor("values", rank=(2, 5), quant=quant),
        ),
    ),
    outputs=(
        Output(shape=lambda f: (*f.shape("lookups"), *f.shape("values")[1:]), like="values"),
        Output(
            "hits",
            lambda f: f.shape("lookups"),
            "TENSOR_QUANT8_ASYMM",
            quant={"TENSOR_QUANT8_ASYMM": (1.0, 0)},
            kind=OutputKind.TRUTH,
        ),
    ),
    batched=("lookups",),
    cells=cells("FLOAT32:1 INT32:1 QUANT8_ASYMM:1"),
    ties=("keys.0=values.0",),
    rules=(
        rule(
            "keys-in-order",
            "keys",
            "The keys are sorted in ascending order.",
            descending={"lookups": [7, 0, 12], "keys": [12, 7, 0, -3], "values": (4, 4)},
            one_apart={"lookups": [7, 0, 12], "keys": [-3, 7, 0, 12], "values": (4, 4)},
        ),
        rule(
            "key-for-each-value",
            "keys values",
            "There are as many keys as values.",
            fewer={"lookups": [7], "keys": [-3, 0, 7], "values": (4, 4)},
            more={"lookups": [7], "keys": [-3, 0, 7, 12, 13], "values": (4, 4)},
        ),
    ),
    reference=reference,
    fixed=frozenset({"lookups", "keys"}),
    bound=exact(),
    valid=lambda f: f.shape("values")[0] == f.shape("keys")[0],
    samples=[
        sample("rank2", [7, -3, 12], [-3, 0, 7, 12], 4),
        sample("misses", [5, 1, 9, 0], [0, 1, 4, 5, 8], 3),
        sample("rank3", [123456, 40], [-7, 40, 123456], 2, 5),
        sample("rank4", [3, 2, 1], [1, 2, 3], 2, 3, 2),
        sample("all-missed", [2, -2], [-1, 1, 3], 5),
        sample("limits", [2147483647, -2147483648, 0], [-2147483648, 0, 2147483647], 4),
        sample("one-key", [6, 5, 6], [6], 7),
        sample("repeated", [8, 8, 8, 2], [2, 8], 1),
        sample("beyond-both-ends", [-100, 100, 10], [-10, 0, 10], 6),
        sample("large", [k * 21 % 96 for k in range(40)], list(range(0, 96, 3)), 5, 6, large=True),
        sample("rank5", [4, 2, 9], [2, 4, 9], 2, 3, 1, 2),
        sample(
            "missed-bytes",
            [5, 1, 9, 0],
            [0, 1, 4, 5, 8],
            3,
            only=("quant8",),
            quants={"values": MISSED, "out": MISSED},
            contest=BYTES,
            variations=(),
        ),
    ],
    ambiguity=(
        "Whether the zero values of a miss are real zeros or zero bytes: cases with misses have"
        " a zero point of 0. Any byte but 0 is a hit."
    ),
)
