"""QUANTIZED_LSTM: one time step of an LSTM with 8-bit data and 16-bit state."""

from nnapi_testkit.op import Op, Output, Reals, Sample, Scalar, Tensor, cells, held, propagated
from nnapi_testkit.op.lstm import GATE_WEIGHTS, normalized

GATES = "ifco"
STATE, OUT = (2.0**-11, 0), (1 / 110, 7)
# What a driver may keep between steps: products in 16 bits (2^-12; before a normalization with
# the documented scale), normalized values in 2^-10, gates in 2^-15. One step for each.
PRODUCT, NORMAL, GATE = 2.0**-12, 2.0**-10, 2.0**-15


def reference(torch, x, h_in, c_in, cell_clip, proj_clip, hidden_zero, hidden_scale, **w):
    def gate(name, cell=None):
        total = torch.matmul(x, w[f"w_x{name}"].t()) + torch.matmul(h_in, w[f"w_h{name}"].t())
        if cell is not None and w[f"w_c{name}"] is not None:
            total = total + cell * w[f"w_c{name}"]
        if w[f"n_{name}"] is None:
            return held(total + w[f"b_{name}"], PRODUCT)
        scaled = held(normalized(torch, held(total, w[f"scale_{name}"])), NORMAL)
        return held(scaled * w[f"n_{name}"] + w[f"b_{name}"], PRODUCT)

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
    **more,
):
    out = project or units
    vector = (units,)
    shapes = {f"w_x{g}": (units, size) for g in GATES} | {f"w_h{g}": (units, out) for g in GATES}
    shapes |= {f"w_c{g}": vector if peephole else None for g in "ifo"}
    shapes |= {f"b_{g}": vector for g in GATES}
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
        hidden_zero=-3,
        hidden_scale=1 / 120,
        **shapes,
        **more,
    )


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


OP = Op(
    name="QUANTIZED_LSTM",
    signatures=(
        (
            Tensor("x", rank=(2, 2)),
            *(matrix(f"w_x{g}", 0.0041 + 0.0003 * i, g == "i") for i, g in enumerate(GATES)),
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
        sample("clipped", 2, 3, 4, clips=(0.5, 0.25), project=3),
        sample("no-clips", 2, 3, 3, clips=(None, None)),
        sample("layer-norm", 2, 3, 6, norm=True),
        sample("layer-norm-cifg", 3, 2, 5, norm=True, cifg=True, peephole=True),
        sample("everything", 2, 3, 5, norm=True, peephole=True, project=3, bias=True),
        sample("far-state", 3, 2, 4, reach=15.0),
        sample("one-unit", 4, 5, 1),
        sample("large", 128, 4, 8, large=True),
    ],
    ambiguity=(
        "A clip of 0 clips nothing, as in LSTM. Biases have the scale of input and weights with"
        " layer normalization too, and output state and cell state keep their input's scale. The"
        " hidden scale is that of the projection's input; without a projection it means nothing."
        " Intermediate results may be rounded, to the documented scales where there are any."
    ),
)
