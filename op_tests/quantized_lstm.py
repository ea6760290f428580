"""QUANTIZED_LSTM: one time step of an LSTM with 8-bit data and 16-bit state."""

from struct import pack, unpack

from nnapi_testkit.op import (
    Choice,
    Given,
    Op,
    Output,
    Quantized,
    Reals,
    Sample,
    Scalar,
    Tensor,
    cells,
    computed_otherwise,
    held,
    propagated,
    refused_by_documentation,
    rule,
)
from nnapi_testkit.op.families.lstm import GATE_WEIGHTS, cell_rules, normalized

GATES = "ifco"


def single(value):
    """As float32 keeps it."""
    return unpack("f", pack("f", value))[0]


STATE, OUT, X = (2.0**-11, 0), (single(1 / 110), 0), (1 / 64, -5)
NORM_WEIGHT = 2.0**-15
WEIGHT = {f"w_x{gate}": single(0.0041 + 0.0003 * i) for i, gate in enumerate(GATES)}
# What a driver may keep between steps: products in 16 bits (2^-12; before a normalization with
# the documented scale), normalized values in 2^-10, gates in 2^-15. One step for each.
PRODUCT, NORMAL, GATE = 2.0**-12, 2.0**-10, 2.0**-15


def compute(torch, x, h_in, c_in, cell_clip, proj_clip, hidden_zero, hidden_scale, bias_of, **w):
    """One step; `bias_of` gives the real value of a gate's bias."""

    def gate(name, cell=None):
        total = torch.matmul(x, w[f"w_x{name}"].t()) + torch.matmul(h_in, w[f"w_h{name}"].t())
        if cell is not None and w[f"w_c{name}"] is not None:
            total = total + cell * w[f"w_c{name}"]
        if w[f"n_{name}"] is None:
            return held(total + bias_of(name), PRODUCT)
        scaled = held(normalized(torch, held(total, w[f"scale_{name}"])), NORMAL)
        return held(scaled * w[f"n_{name}"] + bias_of(name), PRODUCT)

    forget = held(torch.sigmoid(gate("f", c_in)), GATE)
    enter = 1.0 - forget if w["w_xi"] is None else held(torch.sigmoid(gate("i", c_in)), GATE)
    # Both products of the new state may be rounded before they are added.
    fresh = held(torch.tanh(gate("c")), GATE)
    cell = held(forget * c_in + enter * fresh, STATE[0] / 2)
    cell = torch.clamp(cell, min=-16.0, max=16 - STATE[0])
    if cell_clip:
        cell = torch.clamp(cell, min=-cell_clip, max=cell_clip)
    kept = held(cell, STATE[0] / 2)
    out = held(torch.sigmoid(gate("o", kept)), GATE) * held(torch.tanh(kept), GATE)
    if w["w_proj"] is not None:
        low, high = (hidden_scale * (code - hidden_zero) for code in (-128, 127))
        out = held(torch.clamp(out, min=low, max=high), hidden_scale / 2)
        out = torch.matmul(out, w["w_proj"].t())
        if w["b_proj"] is not None:
            out = out + w["b_proj"]
        if proj_clip:
            out = torch.clamp(out, min=-proj_clip, max=proj_clip)
    return out, cell, out


def declared(operands):
    """Gate biases by the scale of input times weights, as the header has it."""
    return lambda name: operands[f"b_{name}"]


def normal(operands):
    """Gate biases as deployed devices have them: added after normalization, in steps of
    2^-10 of the scale of its weights; left out where there is none."""

    def bias(name):
        if operands[f"n_{name}"] is None:
            return 0.0
        step = X[0] * WEIGHT[f"w_x{name}"]
        return operands[f"b_{name}"] / step * (NORM_WEIGHT * 2.0**-10)

    return bias


def hidden(torch, out, hidden_zero, hidden_scale):
    """The output's real value where its codes are those of the hidden state: they are of the
    hidden scale, with its zero point taken off."""
    return (out / hidden_scale - hidden_zero - OUT[1]) * OUT[0]


def reference(torch, **operands):
    out, cell, _ = compute(torch, **operands, bias_of=normal(operands))
    if operands["w_proj"] is None:
        out = hidden(torch, out, operands["hidden_zero"], operands["hidden_scale"])
    return out, cell, out


def documented(torch, **operands):
    return compute(torch, **operands, bias_of=declared(operands))


def sample(
    name,
    batch,
    size,
    units,
    *,
    cifg=False,
    peephole=False,
    project=0,
    bias=False,
    norm=False,
    clips=(0.0, 0.0),
    reach=2.0,
    biased=False,
    hidden=None,
    **more,
):
    """On agreed ground unless `biased` or `hidden` says otherwise: no gate has a bias, and the
    hidden state has the quantization of the output."""
    out = project or units
    vector = (units,)
    nothing = Choice(vector, 0, 0)
    zero, scale = hidden or (0, OUT[0])
    shapes = {f"w_x{g}": (units, size) for g in GATES} | {f"w_h{g}": (units, out) for g in GATES}
    shapes |= {f"w_c{g}": vector if peephole else None for g in "ifo"}
    shapes |= {f"b_{g}": vector if biased else nothing for g in GATES}
    shapes |= {f"n_{g}": Reals(vector, 0.5, 0.9) if norm else None for g in GATES}
    shapes |= {"w_proj": (project, units) if project else None}
    shapes |= {"b_proj": (project,) if bias else None} | {f"scale_{g}": 2.0**-12 for g in GATES}
    if cifg:
        shapes |= dict.fromkeys(GATE_WEIGHTS)
    return Sample(
        name,
        x=(batch, size),
        h_in=(batch, out),
        c_in=Reals((batch, units), -reach, reach),
        cell_clip=clips[0],
        proj_clip=clips[1],
        hidden_zero=zero,
        hidden_scale=scale,
        **shapes,
        **more,
    )


def overflowing(name):
    """A cell state at both ends of its range, and gates that push it further."""
    found = sample(name, 2, 3, 4, variations=())
    signs = [1.0, -1.0, 1.0, -1.0]
    for gate in GATES:
        side = signs if gate == "c" else [1.0] * 4
        found.operands[f"w_x{gate}"] = Given([[0.5 * sign] * 3 for sign in side])
        found.operands[f"w_h{gate}"] = Given([[0.4 * sign] * 4 for sign in side])
    found.operands["x"] = Given([[1.9] * 3, [1.75] * 3])
    found.operands["h_in"] = Given([[1.1] * 4, [1.0] * 4])
    found.operands["c_in"] = Given([[15.97 * sign for sign in signs], [15.5 * s for s in signs]])
    return found


def ours(scale, zero):
    """Not documented, but chosen here."""
    return lambda code, facts: (scale, zero)


def weight(name, *, rank=1, type="TENSOR_QUANT16_SYMM", scale=2.0**-15, optional=True):
    return Tensor(
        name, type, rank=(rank, rank), weight=True, optional=optional, quant=ours(scale, 0)
    )


def matrix(name, scale, optional=False):
    return weight(name, rank=2, type="TENSOR_QUANT8_SYMM", scale=scale, optional=optional)


def bias(name, factors, optional=False):
    return Tensor(
        name, "TENSOR_INT32", rank=(1, 1), weight=True, optional=optional, bias_of=factors
    )


BIASED = computed_otherwise(
    "gate-biases",
    "Without layer normalization gate biases are added by the header; deployed devices leave them"
    " out.",
    documented,
)
SCALED = computed_otherwise(
    "layer-norm-biases",
    "With layer normalization a bias has the scale of input times weights by the header, that of"
    " its weights times 2^-10 in deployed devices.",
    documented,
)
HIDDEN = computed_otherwise(
    "hidden-quantization",
    "Without a projection the outputs have their own quantization by the header; in deployed"
    " devices they are codes of the hidden scale, its zero point taken off.",
    documented,
)
UNSCALED = refused_by_documentation(
    "bias-scale-of-0",
    "A bias has the scale of input times weights by the header; deployed devices take 0 too.",
)
NO_SCALES = {f"b_{gate}": (0.0, 0) for gate in GATES}
OP = Op(
    name="QUANTIZED_LSTM",
    signatures=(
        (
            Tensor("x", rank=(2, 2), quant=ours(*X)),
            *(matrix(f"w_x{g}", WEIGHT[f"w_x{g}"], g == "i") for g in GATES),
            *(matrix(f"w_h{g}", 0.0053 - 0.0003 * i, g == "i") for i, g in enumerate(GATES)),
            *(weight(f"w_c{g}") for g in "ifo"),
            *(bias(f"b_{g}", ("x", f"w_x{g}"), g == "i") for g in GATES),
            matrix("w_proj", 0.0043, True),
            bias("b_proj", ("hidden_scale", "w_proj"), True),
            Tensor("h_in", rank=(2, 2), quant=ours(*OUT)),
            Tensor("c_in", "TENSOR_QUANT16_SYMM", rank=(2, 2), quant=ours(*STATE)),
            *(weight(f"n_{g}") for g in GATES),
            Scalar("cell_clip", "FLOAT32", optional=True),
            Scalar("proj_clip", "FLOAT32", optional=True),
            *(Scalar(f"scale_{g}", "FLOAT32") for g in GATES),
            Scalar("hidden_zero"),
            Scalar("hidden_scale", "FLOAT32"),
        ),
    ),
    outputs=(
        Output("h_out", lambda f: f.shape("h_in"), quant=ours(*OUT)),
        Output(
            "c_out",
            lambda f: f.shape("c_in"),
            "TENSOR_QUANT16_SYMM",
            quant=ours(*STATE),
        ),
        Output("out", lambda f: f.shape("h_in"), quant=ours(*OUT)),
    ),
    batched=("x", "h_in", "c_in"),
    cells=cells("QUANT8_ASYMM_SIGNED:4"),
    rules=(
        *cell_rules(x="batch input"),
        rule(
            "clips-not-negative",
            "cell_clip proj_clip",
            "A clipping threshold is 0, for none, or positive.",
            sample="clipped",
            cell={"cell_clip": -0.5},
            projection={"proj_clip": -0.25},
        ),
        rule(
            "scales-positive",
            "scale_i scale_f scale_c scale_o",
            "The scale of what layer normalization takes is positive.",
            sample="layer-norm",
            input={"scale_i": 0.0},
            forget={"scale_f": -1.0},
            cell={"scale_c": 0.0},
            output={"scale_o": -1.0},
        ),
        rule(
            "projection-bias-scaled",
            "b_proj hidden_scale w_proj",
            "The bias of a projection has the scale of the hidden state times that of the weights.",
            sample="projection-bias",
            # The execution alone may tell the scale of the hidden state.
            forms=("-fed",),
            doubled={"b_proj": Quantized(scale=OUT[0] * 0.0086), "hidden_scale": OUT[0]},
        ),
        rule(
            "hidden-scale-positive",
            "hidden_scale",
            "The scale of the hidden state is positive.",
            sample="projection",
            zero={"hidden_scale": 0.0},
            negative={"hidden_scale": -1.0},
        ),
    ),
    reference=reference,
    bound=propagated("error analysis of the equations with 8- and 16-bit intermediate results"),
    # One that does not cover [-1, 1] saturates or not: intermediate results are not documented.
    fixed=frozenset({"hidden_scale"}),
    samples=[
        sample("plain", 2, 3, 4),
        sample("cifg", 3, 4, 3, cifg=True),
        sample("peephole", 2, 2, 4, peephole=True),
        sample("cifg-peephole", 3, 2, 2, cifg=True, peephole=True),
        sample("projection", 2, 3, 5, project=2),
        sample("projection-bias", 3, 2, 4, project=4, bias=True),
        sample("clipped", 2, 3, 4, clips=(0.5, 0.25), project=3, bias=True),
        sample("no-clips", 2, 3, 3, clips=(None, None)),
        sample("layer-norm", 2, 3, 6, norm=True),
        sample("layer-norm-cifg", 3, 2, 5, norm=True, cifg=True, peephole=True),
        sample("everything", 2, 3, 5, norm=True, peephole=True, project=3, bias=True),
        sample("far-state", 3, 2, 4, reach=15.0),
        sample("one-unit", 4, 5, 1),
        sample("large", 128, 4, 8, large=True),
        # A clip of the projection alone, which nearly all of it meets.
        sample("projection-clipped", 3, 2, 5, clips=(0.0, 0.03125), project=3),
        overflowing("state-saturates"),
        # Below codes that a zero point moves out of their range.
        sample(
            "hidden-zero-point", 2, 3, 4, project=3, bias=True, hidden=(11, OUT[0]), variations=()
        ),
        sample("biases", 2, 3, 4, biased=True, contest=BIASED, variations=()),
        sample("biases-cifg", 3, 4, 3, cifg=True, biased=True, contest=BIASED, variations=()),
        sample("norm-biases", 2, 3, 6, norm=True, biased=True, contest=SCALED, variations=()),
        sample(
            "norm-biases-cifg",
            3,
            2,
            5,
            norm=True,
            cifg=True,
            project=3,
            bias=True,
            biased=True,
            contest=SCALED,
            variations=(),
        ),
        sample("hidden", 2, 3, 4, hidden=(-3, 1 / 120), contest=HIDDEN, variations=()),
        sample("hidden-narrow", 3, 2, 5, hidden=(9, 1 / 300), contest=HIDDEN, variations=()),
        sample("unscaled", 2, 3, 4, quants=NO_SCALES, contest=UNSCALED, variations=()),
        sample(
            "unscaled-norm", 2, 3, 6, norm=True, quants=NO_SCALES, contest=UNSCALED, variations=()
        ),
    ],
    ambiguity=(
        "A clip of 0 clips nothing, as in LSTM. Cell state keeps its scale. The hidden scale"
        " is that of the projection's input; without a projection deployed devices give codes of"
        " it. They scale biases in their own way, or leave them out. Intermediate results may be"
        " rounded, to the documented scales where there are any."
    ),
)
