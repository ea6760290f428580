"""LSTM: one time step, with CIFG, peepholes, projection, layer normalization, clipping."""

from nnapi_testkit.op import (
    Given,
    Op,
    Output,
    floats,
    later,
    propagated,
)
from nnapi_testkit.op.families.lstm import LAYER_NORM, OPERANDS, cell_rules, lstm_sample, step


def scratch(f):
    gates = 3 if f.get("w_xi") is None else 4
    return f.shape("c_in")[0], f.shape("c_in")[1] * gates


def reference(torch, x, h_in, c_in, cell_clip, proj_clip, activation_g, **weights):
    h, c = step(torch, x, h_in, c_in, cell_clip, proj_clip, activation_g, weights)
    gates = 3 if weights["w_xi"] is None else 4
    empty = torch.zeros((x.shape[0], c_in.shape[1] * gates), dtype=torch.float64)
    return empty, h, c, h


def beyond_six():
    """A cell whose RELU6 meets its limit, and values just below it."""
    found = lstm_sample("relu6-beyond", 2, 3, 4, activation=3, variations=())
    found.operands["b_c"] = Given([5.5, 7.0, 0.5, -3.0])
    return found


OP = Op(
    name="LSTM",
    signatures=((*OPERANDS, *LAYER_NORM),),
    outputs=(
        Output("scratch", scratch, opaque=True),
        Output("h_out", lambda f: f.shape("h_in")),
        Output("c_out", lambda f: f.shape("c_in")),
        Output("out", lambda f: f.shape("h_in")),
    ),
    batched=("x", "h_in", "c_in"),
    cells=floats(),
    ties=(
        "w_xf.1=x.1",
        "w_xc.0=w_xf.0",
        "w_xo.1=x.1",
        "w_hf.1=h_in.1",
        "w_hc.0=w_xf.0",
        "w_ho.1=h_in.1",
        "b_f.0=w_xf.0",
        "b_c.0=w_xf.0",
        "b_o.0=w_xf.0",
        "h_in.0=x.0",
        "c_in.0=x.0",
    ),
    rules=cell_rules(x="batch input"),
    reference=reference,
    later=(later(3, "There is layer normalization."),),
    bound=propagated("running error analysis of the equations"),
    samples=[
        lstm_sample("plain", 2, 3, 4),
        lstm_sample("cifg", 8, 2, 3, cifg=True),
        lstm_sample("peephole", 2, 2, 4, peephole=True),
        lstm_sample("cifg-peephole", 9, 2, 2, cifg=True, peephole=True),
        lstm_sample("projection", 2, 3, 5, project=2),
        lstm_sample("projection-bias", 1, 4, 3, project=4, bias=True),
        lstm_sample("clipped", 2, 3, 4, cell_clip=0.375, project=3, proj_clip=0.25),
        lstm_sample("layer-norm", 2, 3, 6, norm=True),
        lstm_sample("layer-norm-cifg", 1, 4, 5, norm=True, cifg=True, peephole=True),
        lstm_sample("everything", 2, 3, 5, norm=True, peephole=True, project=3, bias=True),
        lstm_sample("relu", 2, 3, 4, activation=1),
        lstm_sample("relu6", 2, 3, 4, activation=3),
        beyond_six(),
        lstm_sample("sigmoid", 2, 3, 4, activation=6),
        lstm_sample("linear", 2, 3, 4, activation=0),
        lstm_sample("large", 128, 3, 8, large=True),
        # A clip of the projection alone, which nearly all of it meets.
        lstm_sample("projection-clipped", 3, 2, 5, project=3, proj_clip=0.01953125),
    ],
    ambiguity=(
        "Layer normalization divides by the standard deviation over the units; no epsilon is"
        " documented, so cases keep the variance away from 0. The scratch buffer means nothing."
    ),
)
