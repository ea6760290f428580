"""The LSTM cell that LSTM and the sequence LSTMs share: operands, samples, one step."""

from __future__ import annotations

from typing import Any

from nnapi_testkit.op.declare import Input, Sample, Scalar, Tensor

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
