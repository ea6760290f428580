"""SVDF: a feature filter pushes into a memory that a time filter reads."""

from nnapi_testkit.op import (
    Op,
    Output,
    Sample,
    Scalar,
    Tensor,
    activation,
    floats,
    fused,
    propagated,
)

SMALL = (-0.5, 0.5)


def reference(torch, input, features, times, bias, state, rank, activation):
    filters, memory = times.shape
    batch, units = input.shape[0], filters // rank
    kept = state.reshape(batch, filters, memory - 1)
    newest = torch.matmul(input, features.t()).reshape(batch, filters, 1)
    full = torch.cat((kept, newest), 2)
    read = (full * times).sum(2).reshape(batch, units, rank).sum(2)
    total = read if bias is None else read + bias
    out_state = full[:, :, 1:].reshape(batch, filters * (memory - 1))
    return out_state, fused(torch, total, activation)


def sample(name, batch, size, units, memory, rank=1, bias=True, **more):
    filters = units * rank
    return Sample(
        name,
        input=(batch, size),
        features=(filters, size),
        times=(filters, memory),
        bias=(units,) if bias else None,
        state=(batch, (memory - 1) * filters),
        rank=rank,
        activation=more.pop("activation", 0),
        **more,
    )


OP = Op(
    name="SVDF",
    signatures=(
        (
            Tensor("input", rank=(2, 2)),
            Tensor("features", rank=(2, 2), weight=True, domain=SMALL),
            Tensor("times", rank=(2, 2), weight=True, domain=SMALL),
            Tensor("bias", rank=(1, 1), weight=True, optional=True, domain=SMALL),
            Tensor("state", rank=(2, 2)),
            Scalar("rank", minimum=1),
            activation(optional=True),
        ),
    ),
    outputs=(
        Output("state_out", lambda f: f.shape("state")),
        Output("out", lambda f: (f.shape("input")[0], f.shape("times")[0] // f["rank"])),
    ),
    batched=("input", "state"),
    cells=floats(),
    ties=("features.1=input.1", "times.0=features.0", "state.0=input.0"),
    reference=reference,
    bound=propagated("running error analysis of both filters"),
    samples=[
        sample("plain", 2, 3, 4, 5),
        sample("no-bias", 2, 3, 4, 3, bias=False),
        sample("rank2", 2, 3, 3, 4, rank=2),
        sample("rank3-no-bias", 1, 4, 2, 3, rank=3, bias=False),
        sample("relu", 2, 3, 4, 3, activation=1),
        sample("short-memory", 3, 2, 3, 2),
        sample("one-unit", 4, 5, 1, 6),
        sample("wide", 2, 11, 2, 3),
        sample("large", 32, 5, 36, 3, large=True),
    ],
    ambiguity=(
        "With rank r the r filters of a unit stand next to each other in both weights and state;"
        " the documentation's num_units in their shapes counts filters."
    ),
)
