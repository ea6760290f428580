"""BIDIRECTIONAL_SEQUENCE_RNN: a basic recurrent cell along a sequence in both directions."""

from nnapi_testkit.op import (
    Op,
    Output,
    Sample,
    Scalar,
    Tensor,
    activation,
    floats,
    fused,
    later,
    propagated,
    rule,
    sizes,
    timed_batch,
    together,
)

SMALL = (-0.5, 0.5)


def weights(name, rank, optional=False):
    return Tensor(name, rank=(rank, rank), weight=True, optional=optional, domain=SMALL)


def direction(p):
    return (
        weights(f"{p}_weights", 2),
        weights(f"{p}_recurrent", 2),
        weights(f"{p}_bias", 1),
        Tensor(f"{p}_state", rank=(2, 2)),
    )


def run(torch, steps, aux, weights, recurrent, bias, state, aux_weights, code):
    outputs = []
    for i, x in enumerate(steps):
        total = torch.matmul(x, weights.t()) + torch.matmul(state, recurrent.t()) + bias
        if aux_weights is not None:
            total = total + torch.matmul(aux[i], aux_weights.t())
        state = fused(torch, total, code)
        outputs.append(state)
    return outputs, state


def reference(torch, input, aux, fw_aux, bw_aux, activation, time_major, merge, **w):
    axis = 0 if time_major else 1
    forward = list(input.unbind(axis))
    helper = forward if aux is None else list(aux.unbind(axis))
    # Parallel linking: an auxiliary input without weights is what the backward cell reads.
    backward = helper if fw_aux is None else forward
    names = ("weights", "recurrent", "bias", "state")
    fw, fw_state = run(torch, forward, helper, *(w[f"fw_{n}"] for n in names), fw_aux, activation)
    bw, bw_state = run(
        torch, backward[::-1], helper[::-1], *(w[f"bw_{n}"] for n in names), bw_aux, activation
    )
    ahead, back = torch.stack(fw, axis), torch.stack(bw[::-1], axis)
    if merge:
        return torch.cat((ahead, back), 2), None, fw_state, bw_state
    return ahead, back, fw_state, bw_state


def sample(name, time, batch, size, units, aux=0, link="", major=False, merge=False, **more):
    (fw, bw), lead = units, (time, batch) if major else (batch, time)
    # In parallel linking the backward weights fit the auxiliary input.
    back = aux if link == "parallel" else size
    cross = link == "cross"
    return Sample(
        name,
        input=(*lead, size),
        fw_weights=(fw, size),
        fw_recurrent=(fw, fw),
        fw_bias=(fw,),
        fw_state=(batch, fw),
        bw_weights=(bw, back),
        bw_recurrent=(bw, bw),
        bw_bias=(bw,),
        bw_state=(batch, bw),
        aux=(*lead, aux) if link else None,
        fw_aux=(fw, aux) if cross else None,
        bw_aux=(bw, aux) if cross else None,
        activation=more.pop("activation", 0),
        time_major=major,
        merge=merge,
        level=4 if link == "parallel" else 3,
        **more,
    )


def width(f):
    fw, bw = f.shape("fw_bias")[0], f.shape("bw_bias")[0]
    return fw + bw if f["merge"] else fw


OP = Op(
    name="BIDIRECTIONAL_SEQUENCE_RNN",
    signatures=(
        (
            Tensor("input", rank=(3, 3)),
            *direction("fw"),
            *direction("bw"),
            Tensor("aux", rank=(3, 3), optional=True),
            weights("fw_aux", 2, True),
            weights("bw_aux", 2, True),
            activation(),
            Scalar("time_major", "BOOL"),
            Scalar("merge", "BOOL"),
        ),
    ),
    outputs=(
        Output("out", lambda f: (*f.shape("input")[:2], width(f))),
        Output(
            "bw_out",
            lambda f: (*f.shape("input")[:2], f.shape("bw_bias")[0]),
            when=lambda f: not f["merge"],
        ),
        Output("fw_state_out", lambda f: f.shape("fw_state"), optional=True, level=4),
        Output("bw_state_out", lambda f: f.shape("bw_state"), optional=True, level=4),
    ),
    batched=timed_batch("input", "aux", "out", "bw_out", also="fw_state bw_state"),
    cells=floats(3),
    rules=(
        *sizes(
            sample="cross-linked",
            input="batch time input",
            fw_weights="fwunits input",
            fw_recurrent="fwunits fwunits",
            fw_bias="fwunits",
            fw_state="batch fwunits",
            bw_weights="bwunits input",
            bw_recurrent="bwunits bwunits",
            bw_bias="bwunits",
            bw_state="batch bwunits",
            aux="batch time aux",
            fw_aux="fwunits aux",
            bw_aux="bwunits aux",
        ),
        rule(
            "both-outputs",
            "merge bw_out",
            "Outputs that are not merged are two.",
            sample="batch-major",
            one={"bw_out": None, "fw_state_out": None, "bw_state_out": None},
        ),
        rule(
            "merged-width",
            "out fw_bias bw_bias",
            "A merged output is as wide as both.",
            sample="merged",
            forms=("",),
            forward_alone={"out": (3, 2, 3)},
        ),
        together(
            "auxiliary-weights-need-input",
            "Auxiliary weights are for an auxiliary input.",
            "cross-linked",
            weights_alone="aux",
        ),
        together(
            "auxiliary-weights-whole",
            "Auxiliary weights of both directions are there or none are.",
            "cross-linked",
            forward_alone="bw_aux",
            backward_alone="fw_aux",
        ),
    ),
    reference=reference,
    later=(later(4, "An auxiliary input without weights links in parallel."),),
    bound=propagated("running error analysis of the cells, step by step"),
    fixed=frozenset({"time_major"}),
    samples=[
        sample("batch-major", 3, 2, 3, (4, 2)),
        sample("time-major", 3, 2, 3, (2, 4), major=True),
        sample("merged", 2, 3, 2, (3, 2), merge=True),
        sample("merged-time-major", 4, 1, 3, (2, 3), major=True, merge=True),
        sample("cross-linked", 3, 2, 3, (3, 2), 4, "cross"),
        sample("cross-linked-merged", 2, 2, 4, (2, 3), 2, "cross", major=True, merge=True),
        sample("parallel", 3, 2, 3, (2, 3), 4, "parallel", major=True),
        sample("parallel-merged", 2, 3, 2, (3, 3), 2, "parallel", merge=True),
        sample("one-step", 1, 3, 4, (2, 2), activation=2),
        sample("long", 7, 1, 1, (1, 1), major=True),
        sample("large", 4, 42, 3, (6, 4), large=True),
    ],
    ambiguity="With merged outputs the optional states follow the first output directly.",
)
