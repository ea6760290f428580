"""MIRROR_PAD: padding that mirrors a tensor at its border, without it (REFLECT) or with it."""

from nnapi_testkit.op import (
    Op,
    Output,
    Sample,
    Scalar,
    Tensor,
    cells,
    exact,
    ints,
    padded,
    rule,
)

REFLECT, SYMMETRIC = 0, 1


def mirrored(index, size, mode):
    """The index that stands where `index` is outside of [0, size)."""
    edge = 1 if mode == SYMMETRIC else 0
    if index < 0:
        return -index - edge
    return 2 * (size - 1) - index + edge if index >= size else index


def reference(torch, input, paddings, mode):
    for axis, (head, tail) in enumerate(paddings.tolist()):
        size = input.shape[axis]
        picks = [mirrored(i, size, mode) for i in range(-head, size + tail)]
        input = input.index_select(axis, torch.tensor(picks))
    return input


def sample(name, input, paddings, mode, **more):
    return Sample(name, input=input, paddings=paddings, mode=mode, **more)


OP = Op(
    name="MIRROR_PAD",
    signatures=(
        (
            Tensor("input", rank=(1, 5)),
            ints("paddings", rank=2),
            Scalar("mode", allowed=(REFLECT, SYMMETRIC)),
        ),
    ),
    outputs=(Output(shape=padded("input"), like="input"),),
    cells=cells("FLOAT16:7 FLOAT32:7 QUANT8_ASYMM:7 QUANT8_ASYMM_SIGNED:7 INT32:7"),
    ties=("paddings.0=rank(input)",),
    rules=(
        rule(
            "paddings-not-negative",
            "paddings",
            "Elements are added, not taken away.",
            before={"input": (3, 5), "mode": REFLECT, "paddings": [[-1, 2], [0, 3]]},
            after={"input": (3, 5), "mode": REFLECT, "paddings": [[1, 2], [0, -1]]},
        ),
        rule(
            "pair-for-each-dimension",
            "input paddings",
            "paddings has shape [rank, 2].",
            fewer={"input": (3, 5), "mode": REFLECT, "paddings": [[1, 2]]},
            more={"input": (3, 5), "mode": REFLECT, "paddings": [[1, 2], [0, 3], [0, 0]]},
            three={"input": (3, 5), "mode": REFLECT, "paddings": [[1, 2, 0], [0, 3, 0]]},
            flat={"input": (3, 3, 3, 3), "mode": REFLECT, "paddings": [[1, 2, 0, 3], [0, 1, 0, 0]]},
        ),
        rule(
            "mirror-inside",
            "input paddings mode",
            "REFLECT adds at most one element less than a dimension has, SYMMETRIC as many.",
            open="No sentence of the documentation says so.",
            reflect_before={"input": (3, 5), "paddings": [[3, 0], [0, 0]], "mode": REFLECT},
            reflect_after={"input": (3, 5), "paddings": [[0, 0], [0, 5]], "mode": REFLECT},
            symmetric_before={"input": (3, 5), "paddings": [[4, 0], [0, 0]], "mode": SYMMETRIC},
            symmetric_after={"input": (3, 5), "paddings": [[0, 0], [0, 6]], "mode": SYMMETRIC},
        ),
    ),
    reference=reference,
    bound=exact(),
    samples=[
        sample("reflect", (4, 5), [[1, 2], [0, 3]], REFLECT),
        sample("symmetric", (4, 5), [[1, 2], [0, 3]], SYMMETRIC),
        sample("reflect-rank4", (1, 3, 4, 2), [[0, 0], [1, 2], [3, 1], [0, 1]], REFLECT),
        sample("symmetric-rank4", (2, 3, 4, 1), [[1, 0], [1, 3], [2, 4], [1, 1]], SYMMETRIC),
        sample("reflect-rank1", (7,), [[6, 2]], REFLECT),
        sample("symmetric-rank1", (6,), [[2, 6]], SYMMETRIC),
        sample("reflect-rank3", (3, 4, 3), [[0, 1], [2, 0], [1, 1]], REFLECT),
        sample("symmetric-rank3", (3, 4, 3), [[0, 1], [2, 0], [1, 1]], SYMMETRIC),
        sample("nothing", (4, 6), [[0, 0], [0, 0]], REFLECT),
        sample("whole", (3, 4), [[3, 3], [4, 4]], SYMMETRIC),
        sample("rank5", (2, 2, 1, 3, 2), [[1, 1], [0, 1], [0, 0], [2, 0], [0, 0]], REFLECT),
        sample("large", (2, 8, 9, 7), [[0, 1], [1, 2], [3, 0], [2, 1]], REFLECT, large=True),
    ],
    ambiguity="More padding than there is to mirror is not described and not tried.",
)
