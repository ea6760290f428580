"""UNIDIRECTIONAL_SEQUENCE_LSTM: the LSTM cell along a sequence."""

from dataclasses import replace

from nnapi_testkit.op import (
    Op,
    Output,
    Scalar,
    floats,
    propagated,
    refused_by_field,
    timed_batch,
)
from nnapi_testkit.op.families.lstm import (
    LAYER_NORM,
    NORMS,
    OPERANDS,
    cell_rules,
    lstm_sample,
    step,
)


def reference(torch, x, h_in, c_in, cell_clip, proj_clip, activation_g, time_major, **weights):
    axis = 0 if time_major else 1
    h, c, outputs = h_in, c_in, []
    for x_t in x.unbind(axis):
        h, c = step(torch, x_t, h, c, cell_clip, proj_clip, activation_g, weights)
        outputs.append(h)
    return torch.stack(outputs, axis), h, c


def sample(name, time, batch, size, units, major, listed=True, **more):
    """Without `listed` the inputs of layer normalization are not omitted but left out."""
    shape = (time, batch, size) if major else (batch, time, size)
    if listed and not more.get("norm"):
        more |= dict.fromkeys(NORMS)
    return lstm_sample(name, batch, size, units, x=shape, time_major=major, **more)


SHORT = refused_by_field(
    "short-list",
    "Inputs of layer normalization that are left out at the end: optional by the header; deployed"
    " devices take the full list, with those inputs omitted.",
)
OP = Op(
    name="UNIDIRECTIONAL_SEQUENCE_LSTM",
    signatures=(
        (
            replace(OPERANDS[0], rank=(3, 3)),
            *OPERANDS[1:-2],
            *(replace(clip, any_real=True) for clip in OPERANDS[-2:]),
            Scalar("time_major", "BOOL", default=False),
            *LAYER_NORM,
        ),
    ),
    outputs=(
        Output("out", lambda f: (*f.shape("x")[:2], f.shape("h_in")[1])),
        Output("h_out", lambda f: f.shape("h_in"), optional=True, level=4),
        Output("c_out", lambda f: f.shape("c_in"), optional=True, level=4),
    ),
    batched=timed_batch("x", "out", also="h_in c_in h_out c_out"),
    cells=floats(3),
    rules=cell_rules(
        samples={"plain": "time-major", "projection-bias": "projection"}, x=". batch input"
    ),
    reference=reference,
    bound=propagated("running error analysis of the equations, step by step"),
    fixed=frozenset({"time_major"}),
    samples=[
        sample("batch-major", 3, 2, 3, 4, False),
        sample("time-major", 2, 9, 2, 3, True),
        sample("cifg", 2, 2, 4, 3, True, cifg=True),
        sample("peephole", 3, 1, 2, 4, False, peephole=True),
        sample("projection", 2, 2, 3, 5, True, project=2, bias=True),
        sample("clipped", 3, 2, 2, 3, False, cell_clip=0.375, project=3, proj_clip=0.25),
        sample("layer-norm", 2, 3, 2, 8, False, norm=True, project=1),
        sample("everything", 1, 3, 3, 9, True, norm=True, peephole=True, project=2, bias=True),
        sample("short-list", 3, 2, 4, 3, True, listed=False, contest=SHORT),
        sample("one-step", 1, 2, 3, 3, False),
        sample("sigmoid", 2, 1, 3, 4, False, activation=6),
        sample("large", 2, 128, 3, 4, False, large=True),
        # A clip of the projection alone, which nearly all of it meets.
        sample("projection-clipped", 3, 2, 2, 5, False, project=3, proj_clip=0.01953125),
    ],
    ambiguity=(
        "No types are given for the clips; cases give them LSTM's, and a driver that takes FLOAT32"
        " with TENSOR_FLOAT16 is not at fault."
    ),
)
