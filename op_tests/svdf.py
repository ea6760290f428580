"""SVDF: a feature filter pushes into a memory that a time filter reads."""

from nnapi_testkit.op import (
    DOCUMENTED,
    FIELD,
    Contest,
    Op,
    Output,
    Reading,
    Sample,
    Scalar,
    Tensor,
    activation,
    floats,
    fused,
    propagated,
    refused_by_documentation,
    rule,
    sizes,
)

SMALL = (-0.5, 0.5)


def read(torch, full, times, bias, rank, activation):
    """What the time filters make of the memory [batch, filters, memory]."""
    batch, filters, _ = full.shape
    units = filters // rank
    total = (full * times).sum(2).reshape(batch, units, rank).sum(2)
    return fused(torch, total if bias is None else total + bias, activation)


def reference(torch, input, features, times, bias, state, rank, activation):
    """The state has all slots; the last one is not read, and goes out as 0."""
    filters, memory = times.shape
    batch = input.shape[0]
    newest = torch.matmul(input, features.t()).reshape(batch, filters, 1)
    kept = state.reshape(batch, filters, memory)[:, :, : memory - 1]
    full = torch.cat((kept, newest), 2)
    room = torch.zeros((batch, filters, 1), dtype=torch.float64)
    out_state = torch.cat((full[:, :, 1:], room), 2).reshape(batch, filters * memory)
    return out_state, read(torch, full, times, bias, rank, activation)


def documented(torch, input, features, times, bias, state, rank, activation):
    """The state has no slot for the newest product."""
    filters, memory = times.shape
    batch = input.shape[0]
    newest = torch.matmul(input, features.t()).reshape(batch, filters, 1)
    full = torch.cat((state.reshape(batch, filters, memory - 1), newest), 2)
    out_state = full[:, :, 1:].reshape(batch, filters * (memory - 1))
    return out_state, read(torch, full, times, bias, rank, activation)


WIDTH = (
    "state-width",
    "The state is [batch, (memory_size - 1) * filters] by the header, [batch, memory_size *"
    " filters] in deployed devices; each refuses the other.",
)
WHOLE = refused_by_documentation(*WIDTH)
LETTER = Contest(*WIDTH, (Reading(DOCUMENTED, documented), Reading(FIELD, refuses=True)))


def sample(name, batch, size, units, memory, rank=1, bias=True, contest=WHOLE, **more):
    filters = units * rank
    return Sample(
        name,
        input=(batch, size),
        features=(filters, size),
        times=(filters, memory),
        bias=(units,) if bias else None,
        state=(batch, (memory if contest is WHOLE else memory - 1) * filters),
        rank=rank,
        activation=more.pop("activation", 0),
        contest=contest,
        **more,
    )


def whole(f):
    """Whether filters make units, and the state is a memory of them."""
    filters, memory = f.shape("times")
    units = filters // f["rank"]
    biased = f.get("bias") is not None
    return (
        filters % f["rank"] == 0
        and (not biased or f.shape("bias") == (units,))
        and f.shape("state")[1] in ((memory - 1) * filters, memory * filters)
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
    rules=(
        *sizes(
            sample="plain",
            input="batch input",
            features="filters input",
            times="filters .",
            bias="filters",
            state="batch .",
        ),
        rule(
            "rank-divides-filters",
            "features rank",
            "The number of filters is num_units * rank.",
            not_whole={"rank": 3},
            more={"rank": 8},
        ),
        rule(
            "memory-of-one",
            "times state",
            "A filter has a memory.",
            level=3,
            open="No sentence of the documentation says so.",
            none={"times": (4, 0)},
        ),
        rule(
            "state-holds-memory",
            "features times state",
            "The state has a place for each filter and each step of its memory.",
            one_more={"state": (2, 21)},
            fewer={"state": (2, 15)},
        ),
    ),
    reference=reference,
    valid=whole,
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
        sample("memory-of-one", 2, 3, 3, 1, rank=2, variations=()),
        sample("short-state", 2, 3, 4, 5, contest=LETTER, variations=()),
        sample("short-state-rank2", 2, 3, 3, 4, rank=2, contest=LETTER, variations=()),
    ],
    ambiguity=(
        "With rank r the r filters of a unit stand next to each other in both weights and state;"
        " the documentation's num_units in their shapes counts filters. Deployed devices keep"
        " memory_size steps in a state, where the documentation has one less."
    ),
)
