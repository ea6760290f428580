"""CHANNEL_SHUFFLE: output[k * num_groups + g] = input[g * group_size + k] along an axis."""

from nnapi_testkit.op import (
    Op,
    Output,
    Sample,
    Scalar,
    Tensor,
    axis_of,
    besides,
    exact,
    numeric,
    rule,
)


def reference(torch, input, num_groups, axis):
    at = axis_of(axis, input.ndim)
    size = input.shape[at] // num_groups
    split = input.reshape(*input.shape[:at], num_groups, size, *input.shape[at + 1 :])
    return split.transpose(at, at + 1).reshape(input.shape)


def sample(name, input, num_groups, axis, **more):
    return Sample(name, input=input, num_groups=num_groups, axis=axis, **more)


OP = Op(
    name="CHANNEL_SHUFFLE",
    signatures=((Tensor("input"), Scalar("num_groups", minimum=1), Scalar("axis")),),
    axes={"axis": ("input", 0)},
    outputs=(Output(like="input"),),
    batched=besides("axis"),
    cells=numeric(3, 3),
    rules=(
        rule(
            "groups-divide-channels",
            "input num_groups axis",
            "The number of channels is divisible by the number of groups.",
            five_into_two={"input": (1, 2, 3, 5), "num_groups": 2, "axis": 3},
            negative_axis={"input": (4, 5, 2), "num_groups": 3, "axis": -2},
            more_groups={"input": (2, 3), "num_groups": 6, "axis": 1},
        ),
    ),
    reference=reference,
    bound=exact(),
    valid=lambda f: f.shape("input")[f["axis"]] % f["num_groups"] == 0,
    samples=[
        sample("depth", (1, 2, 3, 6), 2, 3),
        sample("rank2", (4, 9), 3, 1),
        sample("rank1", (12,), 4, 0),
        sample("height", (2, 6, 3, 2), 3, 1),
        sample("last", (3, 2, 8), 4, -1),
        sample("batch", (10, 3), 5, -2),
        sample("one-group", (2, 3, 6), 1, 2),
        sample("single-channels", (2, 2, 5), 5, 2),
        sample("rank4", (1, 2, 8, 3), 2, 2),
        sample("rank4-negative", (6, 1, 2, 3), 2, -4),
        sample("large", (2, 7, 8, 12), 3, 3, large=True),
        # As many groups as channels in each: both orders look alike but for the elements.
        sample("square-groups", (2, 9, 2), 3, 1, variations=()),
    ],
)
