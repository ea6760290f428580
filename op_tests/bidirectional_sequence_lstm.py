"""BIDIRECTIONAL_SEQUENCE_LSTM: the LSTM cell along a sequence in both directions."""

from dataclasses import replace

from nnapi_testkit.op import (
    Op,
    Output,
    Sample,
    Scalar,
    Tensor,
    floats,
    later,
    propagated,
    refused_by_field,
    rule,
    sizes,
    timed_batch,
    together,
)
from nnapi_testkit.op.families.lstm import (
    LAYER_NORM,
    NORMS,
    OPERANDS,
    SMALL,
    cell_rules,
    lstm_sample,
    step,
)

INPUT, *WEIGHTS = OPERANDS[:18]
STATES, SCALARS = OPERANDS[18:20], OPERANDS[20:]
AUX = ("a_i", "a_f", "a_c", "a_o")


def both(specs):
    specs = tuple(specs)
    return [replace(spec, name=f"{p}_{spec.name}") for p in ("fw", "bw") for spec in specs]


def run(torch, xs, aux, prefix, operands, *cell):
    w = {k[3:]: v for k, v in operands.items() if k.startswith(prefix)}
    h, c = w.pop("h_in"), w.pop("c_in")
    if w["a_f"] is not None:
        # One product of the joined inputs: the auxiliary ones are further terms of each gate.
        xs = [torch.cat(pair, 1) for pair in zip(xs, aux, strict=True)]
        for gate in "ifco":
            if w[f"a_{gate}"] is not None:
                w[f"w_x{gate}"] = torch.cat((w[f"w_x{gate}"], w[f"a_{gate}"]), 1)
    outputs = []
    for x in xs:
        h, c = step(torch, x, h, c, *cell, w)
        outputs.append(h)
    return outputs, h, c


def reference(torch, x, aux, cell_clip, proj_clip, activation_g, merge, time_major, **operands):
    axis = 0 if time_major else 1
    cell = cell_clip, proj_clip, activation_g
    xs = list(x.unbind(axis))
    helper = xs if aux is None else list(aux.unbind(axis))
    # Parallel linking: an auxiliary input without weights is what the backward cell reads.
    back = helper if operands["fw_a_f"] is None else xs
    fw, *fw_state = run(torch, xs, helper, "fw_", operands, *cell)
    bw, *bw_state = run(torch, back[::-1], helper[::-1], "bw_", operands, *cell)
    ahead, behind = torch.stack(fw, axis), torch.stack(bw[::-1], axis)
    outs = (torch.cat((ahead, behind), 2), None) if merge else (ahead, behind)
    return (*outs, *fw_state, *bw_state)


def sample(
    name,
    time,
    batch,
    size,
    fw,
    bw,
    aux=0,
    link="",
    major=True,
    merge=False,
    listed=True,
    **more,
):
    """Without `listed` the inputs of layer normalization are not omitted but left out."""
    lead = (time, batch) if major else (batch, time)
    kept = {k: more.pop(k) for k in ("large", "contest") if k in more}
    operands = {"x": (*lead, size), "aux": (*lead, aux) if link else None}
    for prefix, units in (("fw", fw), ("bw", bw)):
        width = aux if link == "parallel" and prefix == "bw" else size
        shapes = dict.fromkeys(NORMS) if listed else {}
        shapes |= lstm_sample(name, batch, width, units, **more).operands
        shapes |= dict.fromkeys(AUX, (units, aux) if link == "cross" else None)
        if more.get("cifg"):
            shapes["a_i"] = None
        scalars = ("activation_g", "cell_clip", "proj_clip")
        operands |= {s: shapes.pop(s) for s in scalars}
        del shapes["x"]
        operands |= {f"{prefix}_{key}": value for key, value in shapes.items()}
    level = 4 if link == "parallel" else 3
    return Sample(name, level=level, merge=merge, time_major=major, **operands, **kept)


def width(f, state):
    return f.shape(f"{state}_h_in")[1]


SAMPLES = {"plain": "time-major", "peephole": "everything", "projection-bias": "projection"}
AUX_SIZES = {f"{p}_a_{gate}": f"{p}units aux" for p in ("fw", "bw") for gate in "ifco"}
JOINED = sizes(
    sample="cross-linked",
    x="time batch input",
    aux="time batch aux",
    fw_w_xf="fw_units input",
    bw_w_xf="bw_units input",
    **AUX_SIZES,
)
AUX_RULES = (
    *(rule for rule in JOINED if "_w_x" not in rule.name),
    rule(
        "both-outputs",
        "merge bw_out",
        "Outputs that are not merged are two.",
        sample="time-major",
        one=dict.fromkeys(("bw_out", "fw_h_out", "fw_c_out", "bw_h_out", "bw_c_out")),
    ),
    rule(
        "merged-width",
        "out fw_h_in bw_h_in",
        "A merged output is as wide as both.",
        sample="merged",
        forms=("",),
        forward_alone={"out": (2, 3, 3)},
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
        forward_alone=" ".join(name for name in AUX_SIZES if name.startswith("bw")),
        backward_alone=" ".join(name for name in AUX_SIZES if name.startswith("fw")),
        without_gate="fw_a_c",
    ),
)
SHORT = refused_by_field(
    "short-list",
    "Inputs of layer normalization that are left out at the end: optional by the header; deployed"
    " devices take the full list, with those inputs omitted.",
)
OP = Op(
    name="BIDIRECTIONAL_SEQUENCE_LSTM",
    signatures=(
        (
            replace(INPUT, rank=(3, 3)),
            *both(WEIGHTS),
            *both(STATES),
            Tensor("aux", rank=(3, 3), optional=True),
            *both(Tensor(a, rank=(2, 2), weight=True, optional=True, domain=SMALL) for a in AUX),
            *SCALARS,
            Scalar("merge", "BOOL"),
            Scalar("time_major", "BOOL"),
            *both(LAYER_NORM),
        ),
    ),
    outputs=(
        Output(
            "out",
            lambda f: (
                *f.shape("x")[:2],
                width(f, "fw") + (width(f, "bw") if f["merge"] else 0),
            ),
        ),
        Output(
            "bw_out",
            lambda f: (*f.shape("x")[:2], width(f, "bw")),
            when=lambda f: not f["merge"],
        ),
        *(
            Output(f"{s}_out", lambda f, s=s: f.shape(f"{s}_in"), optional=True, level=4)
            for s in ("fw_h", "fw_c", "bw_h", "bw_c")
        ),
    ),
    batched=timed_batch("x", "aux", "out", "bw_out", also="fw_h_in fw_c_in bw_h_in bw_c_in"),
    cells=floats(3),
    rules=(
        *cell_rules("fw_", SAMPLES, x=". batch input"),
        *cell_rules("bw_", SAMPLES, x=". batch input"),
        *AUX_RULES,
    ),
    reference=reference,
    later=(later(4, "An auxiliary input without weights links in parallel."),),
    bound=propagated("running error analysis of the equations, step by step"),
    fixed=frozenset({"time_major"}),
    samples=[
        sample("time-major", 3, 2, 3, 4, 2),
        sample("batch-major", 2, 9, 2, 2, 3, major=False),
        sample("merged", 2, 3, 2, 3, 2, merge=True),
        sample("cifg-peephole", 2, 9, 2, 2, 3, cifg=True, peephole=True),
        sample("projection", 2, 1, 3, 4, 5, major=False, project=2, bias=True, merge=True),
        sample("clipped", 2, 2, 2, 3, 3, cell_clip=0.375, project=3, proj_clip=0.25),
        sample("layer-norm", 2, 3, 2, 9, 7, project=1, norm=True),
        sample("cross-linked", 2, 2, 3, 3, 2, 4, "cross"),
        sample("cross-linked-cifg", 3, 1, 2, 2, 3, 3, "cross", merge=True, cifg=True),
        sample("parallel", 2, 2, 3, 3, 2, 4, "parallel"),
        sample("everything", 1, 3, 3, 9, 7, 2, "cross", norm=True, peephole=True, project=2),
        sample("short-list", 2, 2, 4, 3, 2, listed=False, contest=SHORT),
        sample("sigmoid", 1, 3, 2, 2, 2, activation=6),
        sample("large", 2, 128, 3, 4, 3, large=True),
        # A clip of the projection alone, which nearly all of it meets.
        sample("projection-clipped", 2, 2, 2, 5, 4, project=3, proj_clip=0.01953125),
    ],
    ambiguity=(
        "With merged outputs the optional states follow the first output directly. Auxiliary"
        " inputs follow the time-major flag."
    ),
)
