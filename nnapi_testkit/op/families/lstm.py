"""The LSTM cell that LSTM and the sequence LSTMs share: operands, samples, one step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnapi_testkit.op.declare import Input, Sample, Scalar, Tensor
from nnapi_testkit.op.rules import Rule, sizes, together

# Small weights keep the gates out of saturation, where every error would hide.
SMALL = (-0.5, 0.5)


def _weights(*names: str, rank: int, optional: bool = False, level: int = 1) -> list[Tensor]:
    return [
        Tensor(name, rank=(rank, rank), weight=True, optional=optional, domain=SMALL, level=level)
        for name in names
    ]


OPERANDS: tuple[Input, ...] = (
    Tensor("x", rank=(2, 2)),
    *_weights("w_xi", rank=2, optional=True),
    *_weights("w_xf", "w_xc", "w_xo", rank=2),
    *_weights("w_hi", rank=2, optional=True),
    *_weights("w_hf", "w_hc", "w_ho", rank=2),
    *_weights("w_ci", "w_cf", "w_co", "b_i", rank=1, optional=True),
    *_weights("b_f", "b_c", "b_o", rank=1),
    *_weights("w_proj", rank=2, optional=True),
    *_weights("b_proj", rank=1, optional=True),
    Tensor("h_in", rank=(2, 2)),
    Tensor("c_in", rank=(2, 2)),
    Scalar("activation_g", allowed=(0, 1, 3, 4, 6)),
    Scalar("cell_clip", "real", minimum=0),
    Scalar("proj_clip", "real", minimum=0),
)
LAYER_NORM: tuple[Tensor, ...] = tuple(
    Tensor(name, rank=(1, 1), weight=True, optional=True, domain=(0.5, 1.5), level=3)
    for name in ("n_i", "n_f", "n_c", "n_o")
)
NORMS = tuple(spec.name for spec in LAYER_NORM)
GATE_WEIGHTS = ("w_xi", "w_hi", "w_ci", "b_i", "n_i")


def lstm_sample(
    name: str,
    batch: int,
    size: int,
    units: int,
    *,
    x: tuple[int, ...] | None = None,
    cifg: bool = False,
    peephole: bool = False,
    project: int = 0,
    bias: bool = False,
    norm: bool = False,
    activation: int = 4,
    cell_clip: float = 0.0,
    proj_clip: float = 0.0,
    **more: Any,
) -> Sample:
    """A sample of an LSTM cell.

    Args:
        x: shape of the input, [batch, size] by default.
        project: output size of the projection layer, 0 without one.
    """
    out = project or units
    vector, square = (units,), (units, out)
    shapes: dict[str, Any] = {"x": x or (batch, size)}
    shapes |= dict.fromkeys(("w_xi", "w_xf", "w_xc", "w_xo"), (units, size))
    shapes |= dict.fromkeys(("w_hi", "w_hf", "w_hc", "w_ho"), square)
    shapes |= dict.fromkeys(("w_ci", "w_cf", "w_co"), vector if peephole else None)
    shapes |= dict.fromkeys(("b_i", "b_f", "b_c", "b_o"), vector)
    shapes["w_proj"] = (project, units) if project else None
    shapes["b_proj"] = (project,) if bias else None
    shapes |= {"h_in": (batch, out), "c_in": (batch, units)}
    shapes |= {"activation_g": activation, "cell_clip": cell_clip, "proj_clip": proj_clip}
    if norm:
        shapes |= dict.fromkeys(("n_i", "n_f", "n_c", "n_o"), vector)
    if cifg:
        shapes |= {gate: None for gate in GATE_WEIGHTS if gate in shapes}
    return Sample(name, level=3 if norm else 1, **shapes, **more)


def cell_rules(
    prefix: str = "", samples: Mapping[str, str] | None = None, **more: str
) -> tuple[Rule, ...]:
    """The relations between the operands of an LSTM cell.

    Args:
        prefix: stands before the names, in an operation with two cells.
        samples: names of samples that are not `plain`, `peephole`, `projection-bias`, `layer-norm`.
        more: dimensions of the other operands, as `sizes` takes them.
    """
    named = {name: name for name in ("plain", "peephole", "projection-bias", "layer-norm")}
    named |= samples or {}
    p = prefix
    shapes = dict.fromkeys((f"{p}w_xi", f"{p}w_xf", f"{p}w_xc", f"{p}w_xo"), f"{p}units input")
    shapes |= dict.fromkeys((f"{p}w_hi", f"{p}w_hf", f"{p}w_hc", f"{p}w_ho"), f"{p}units {p}output")
    shapes |= dict.fromkeys((f"{p}b_i", f"{p}b_f", f"{p}b_c", f"{p}b_o"), f"{p}units")
    shapes |= {f"{p}h_in": f"batch {p}output", f"{p}c_in": f"batch {p}units"}
    peepholes = dict.fromkeys((f"{p}w_ci", f"{p}w_cf", f"{p}w_co"), f"{p}units")
    norms = dict.fromkeys((f"{p}n_i", f"{p}n_f", f"{p}n_c", f"{p}n_o"), f"{p}units")
    projection = {f"{p}w_proj": f"{p}output {p}units", f"{p}b_proj": f"{p}output"}

    def new(sample: str, extra: dict[str, str]) -> tuple[Rule, ...]:
        found = sizes(sample=named[sample], **more, **shapes, **extra)
        return tuple(rule for rule in found if rule.operands[0] in extra)

    # Of two cells each takes the same input, which is told once.
    whole = sizes(sample=named["plain"], **more, **shapes)
    return (
        *(rule for rule in whole if not prefix or rule.operands[0] not in more),
        *new("peephole", peepholes),
        *new("projection-bias", projection),
        *new("layer-norm", norms),
        *_wholes(p, named),
    )


def _wholes(p: str, named: Mapping[str, str]) -> tuple[Rule, ...]:
    """What of an LSTM cell is there together, or not at all."""
    return (
        together(
            f"{p}input-gate-whole".replace("_", "-"),
            "Input weights, recurrent weights and bias of the input gate are all there or none is.",
            named["plain"],
            without_weights=f"{p}w_xi",
            without_recurrent=f"{p}w_hi",
            without_bias=f"{p}b_i",
            bias_alone=f"{p}w_xi {p}w_hi",
        ),
        together(
            f"{p}peepholes-whole".replace("_", "-"),
            "All peephole weights are there or none is.",
            named["peephole"],
            without_input=f"{p}w_ci",
            without_forget=f"{p}w_cf",
            without_output=f"{p}w_co",
            input_alone=f"{p}w_cf {p}w_co",
        ),
        together(
            f"{p}norms-whole".replace("_", "-"),
            "All layer normalization weights are there or none is.",
            named["layer-norm"],
            without_input=f"{p}n_i",
            without_forget=f"{p}n_f",
            without_cell=f"{p}n_c",
            without_output=f"{p}n_o",
            input_alone=f"{p}n_f {p}n_c {p}n_o",
        ),
        together(
            f"{p}projection-bias-needs-weights".replace("_", "-"),
            "A projection bias needs projection weights.",
            named["projection-bias"],
            bias_alone=f"{p}w_proj",
        ),
    )


def normalized(torch: Any, value: Any) -> Any:
    """Zero mean and unit variance over the last dimension (Ba et al., section 3.1)."""
    centered = value - value.mean(-1, keepdim=True)
    variance = (centered * centered).mean(-1, keepdim=True)
    return centered / torch.sqrt(variance)


def activated(torch: Any, value: Any, code: int) -> Any:
    """The activation function g by its code."""
    if code == 1:
        return torch.relu(value)
    if code == 3:
        return torch.clamp(value, min=0.0, max=6.0)
    if code == 4:
        return torch.tanh(value)
    return torch.sigmoid(value) if code == 6 else value


def step(
    torch: Any,
    x: Any,
    h: Any,
    c: Any,
    cell_clip: float,
    proj_clip: float,
    code: int,
    w: dict[str, Any],
) -> tuple[Any, Any]:
    """One time step by the equations of the LSTM operation.

    Args:
        x, h, c: [batch, input_size], [batch, output_size], [batch, num_units].
        code: the activation g. w: weights by name, None where omitted.

    Returns:
        The new output state and cell state.
    """

    def gate(name: str, cell: Any) -> Any:
        total = torch.matmul(x, w[f"w_x{name}"].t()) + torch.matmul(h, w[f"w_h{name}"].t())
        if cell is not None and w[f"w_c{name}"] is not None:
            total = total + cell * w[f"w_c{name}"]
        if w.get(f"n_{name}") is not None:
            total = normalized(torch, total) * w[f"n_{name}"]
        return total + w[f"b_{name}"]

    forget = torch.sigmoid(gate("f", c))
    enter = 1.0 - forget if w["w_xi"] is None else torch.sigmoid(gate("i", c))
    cell = forget * c + enter * activated(torch, gate("c", None), code)
    if cell_clip > 0:
        cell = torch.clamp(cell, min=-cell_clip, max=cell_clip)
    out = torch.sigmoid(gate("o", cell)) * activated(torch, cell, code)
    if w["w_proj"] is not None:
        out = torch.matmul(out, w["w_proj"].t())
        if w["b_proj"] is not None:
            out = out + w["b_proj"]
        if proj_clip > 0:
            out = torch.clamp(out, min=-proj_clip, max=proj_clip)
    return out, cell
