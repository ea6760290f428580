"""RNN, UNIDIRECTIONAL_SEQUENCE_RNN: a basic recurrent cell, once or along a sequence."""

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
    sizes,
    timed_batch,
)

SMALL = (-0.5, 0.5)
WEIGHTS = (
    Tensor("weights", rank=(2, 2), weight=True, domain=SMALL),
    Tensor("recurrent", rank=(2, 2), weight=True, domain=SMALL),
    Tensor("bias", rank=(1, 1), weight=True, domain=SMALL),
    Tensor("state", rank=(2, 2)),
)


def step(torch, x, state, weights, recurrent, bias, code):
    total = torch.matmul(x, weights.t()) + torch.matmul(state, recurrent.t()) + bias
    return fused(torch, total, code)


def single(torch, input, weights, recurrent, bias, state, activation):
    out = step(torch, input, state, weights, recurrent, bias, activation)
    return out, out


def sequence(torch, input, weights, recurrent, bias, state, activation, time_major):
    axis = 0 if time_major else 1
    outputs = []
    for x in input.unbind(axis):
        state = step(torch, x, state, weights, recurrent, bias, activation)
        outputs.append(state)
    return torch.stack(outputs, axis), state


def sample(name, batch, size, units, **more):
    more.setdefault("input", (batch, size))
    more.setdefault("activation", 0)
    return Sample(
        name,
        weights=(units, size),
        recurrent=(units, units),
        bias=(units,),
        state=(batch, units),
        **more,
    )


def timed(name, time, batch, size, units, major, **more):
    shape = (time, batch, size) if major else (batch, time, size)
    return sample(name, batch, size, units, input=shape, time_major=int(major), **more)


BOUND = propagated("running error analysis of the cell")
OPS = [
    Op(
        name="RNN",
        signatures=((Tensor("input", rank=(2, 2)), *WEIGHTS, activation(optional=True)),),
        outputs=(
            Output("state_out", lambda f: f.shape("state")),
            Output("out", lambda f: f.shape("state")),
        ),
        batched=("input", "state"),
        cells=floats(),
        ties=(
            "weights.1=input.1",
            "recurrent.0=weights.0",
            "bias.0=weights.0",
            "state.1=weights.0",
        ),
        rules=sizes(
            input="batch input",
            weights="units input",
            recurrent="units units",
            bias="units",
            state="batch units",
        ),
        reference=single,
        bound=BOUND,
        samples=[
            sample("plain", 2, 3, 4),
            sample("tall", 7, 2, 3),
            sample("short", 3, 5, 3),
            sample("wide", 2, 9, 2),
            sample("narrow", 9, 1, 5),
            sample("relu", 2, 3, 4, activation=1),
            sample("one-unit", 4, 3, 1),
            sample("large", 32, 6, 40, large=True),
        ],
    ),
    Op(
        name="UNIDIRECTIONAL_SEQUENCE_RNN",
        signatures=(
            (
                Tensor("input", rank=(3, 3)),
                *WEIGHTS,
                activation(),
                Scalar("time_major", allowed=(0, 1)),
            ),
        ),
        outputs=(
            Output("out", lambda f: (*f.shape("input")[:2], f.shape("bias")[0])),
            Output("state_out", lambda f: f.shape("state"), optional=True, level=4),
        ),
        batched=timed_batch("input", "out", also="state state_out"),
        cells=floats(3),
        ties=(
            "weights.1=input.2",
            "recurrent.0=weights.0",
            "bias.0=weights.0",
            "state.1=weights.0",
        ),
        rules=sizes(
            input="batch . input",
            weights="units input",
            recurrent="units units",
            bias="units",
            state="batch units",
        ),
        reference=sequence,
        bound=BOUND,
        fixed=frozenset({"time_major"}),
        samples=[
            timed("batch-major", 3, 2, 3, 4, False),
            timed("time-major", 3, 2, 3, 4, True),
            timed("one-step", 1, 3, 2, 3, False),
            timed("long", 7, 1, 2, 3, True),
            timed("relu6", 4, 2, 3, 2, False, activation=3),
            timed("one-unit", 3, 3, 2, 1, True),
            timed("wide", 2, 2, 9, 3, False),
            timed("large", 5, 40, 4, 6, False, large=True),
        ],
    ),
]
