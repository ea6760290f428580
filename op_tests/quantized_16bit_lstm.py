"""QUANTIZED_16BIT_LSTM: one time step of an LSTM with 16-bit internal state."""

from nnapi_testkit.op import (
    Given,
    Op,
    Output,
    Reals,
    Sample,
    Tensor,
    cells,
    computed_otherwise,
    held,
    propagated,
    sizes,
)

GATES = "ifco"
UNIT, STATE = (1 / 128, 128), (2.0**-11, 0)
# Inside, products are kept to 2^-12 and what leaves sigmoid and tanh to 2^-15: half a step each
# for the rounding, half a step more for tables and polynomials. Samples keep products below 8.
PRODUCT, GATE = 2.0**-12, 2.0**-15


def reference(torch, x, c_in, h_in, **w):
    """The columns are crossed: recurrent weights first, input first."""
    joined = torch.cat((x, h_in), 1)

    def total(name):
        weights = torch.cat((w[f"w_h{name}"], w[f"w_x{name}"]), 1)
        return torch.matmul(joined, weights.t()) + w[f"b_{name}"]

    return cell(torch, c_in, total)


def documented(torch, x, c_in, h_in, **w):
    """Input weights take the input, recurrent weights the state."""

    def total(name):
        products = torch.matmul(x, w[f"w_x{name}"].t()) + torch.matmul(h_in, w[f"w_h{name}"].t())
        return products + w[f"b_{name}"]

    return cell(torch, c_in, total)


def cell(torch, c_in, total):
    """The new state and the output, from what `total` gives for each gate."""

    def gate(name, function):
        return held(function(held(total(name), PRODUCT)), GATE)

    enter, forget, out = (gate(name, torch.sigmoid) for name in "ifo")
    # Both products of the new state may be rounded before they are added.
    fresh = held(forget * c_in + enter * gate("c", torch.tanh), STATE[0] / 2)
    fresh = torch.clamp(fresh, min=-16.0, max=16 - STATE[0])
    return fresh, out * held(torch.tanh(held(fresh, STATE[0] / 2)), GATE)


CROSSED = computed_otherwise(
    "gate-columns",
    "W_x x + W_h h by the header; deployed devices multiply [W_h, W_x] by [x, h].",
    documented,
)


def sample(name, batch, size, units, reach=2.0, **more):
    shapes = {f"w_x{g}": (units, size) for g in GATES}
    shapes |= {f"w_h{g}": (units, units) for g in GATES} | {f"b_{g}": (units,) for g in GATES}
    state = Reals((batch, units), -reach, reach)
    shapes |= {"x": (batch, size), "h_in": (batch, units)}
    return Sample(name, c_in=state, contest=CROSSED, **shapes, **more)


def overflowing(name):
    """A cell state at both ends of its range, and gates that push it further."""
    found = sample(name, 2, 3, 4, variations=())
    signs = [1, -1, 1, -1]
    for gate in GATES:
        # 5 in steps of 0.005 / 128.
        found.operands[f"b_{gate}"] = Given(
            [128_000 * s if gate == "c" else 128_000 for s in signs]
        )
        found.operands[f"w_x{gate}"] = Given([[0.25] * 3] * 4)
        found.operands[f"w_h{gate}"] = Given([[-0.25] * 4] * 4)
    found.operands["x"] = Given([[0.5, 0.25, 0.0]] * 2)
    found.operands["h_in"] = Given([[0.25, 0.5, 0.0, -0.25]] * 2)
    found.operands["c_in"] = Given([[15.97 * s for s in signs], [15.5 * s for s in signs]])
    return found


SHARED = [f"w_{part}{gate}" for part in "xh" for gate in GATES]
OP = Op(
    name="QUANTIZED_16BIT_LSTM",
    signatures=(
        (
            Tensor("x", rank=(2, 2), quant=UNIT),
            # Scale and zero point must be the same across all the weights.
            Tensor(SHARED[0], rank=(2, 2), weight=True, quant=(0.005, 121)),
            *(Tensor(name, rank=(2, 2), weight=True, like=SHARED[0]) for name in SHARED[1:]),
            *(
                Tensor(f"b_{g}", "TENSOR_INT32", rank=(1, 1), weight=True, bias_of=("x", SHARED[0]))
                for g in GATES
            ),
            Tensor("c_in", "TENSOR_QUANT16_SYMM", rank=(2, 2), quant=STATE),
            Tensor("h_in", rank=(2, 2), quant=UNIT),
        ),
    ),
    outputs=(
        Output(
            "c_out",
            lambda f: f.shape("c_in"),
            "TENSOR_QUANT16_SYMM",
            quant={"TENSOR_QUANT16_SYMM": STATE},
        ),
        Output("out", lambda f: f.shape("h_in"), quant={"TENSOR_QUANT8_ASYMM": UNIT}),
    ),
    cells=cells("QUANT8_ASYMM:3"),
    rules=sizes(
        x="batch input",
        c_in="batch units",
        h_in="batch units",
        **{f"w_x{gate}": "units input" for gate in GATES},
        **{f"w_h{gate}": "units units" for gate in GATES},
        **{f"b_{gate}": "units" for gate in GATES},
    ),
    reference=reference,
    bound=propagated("error analysis of the equations with 16-bit intermediate results"),
    samples=[
        sample("plain", 2, 3, 4),
        sample("one-row", 1, 5, 3),
        sample("one-unit", 4, 3, 1),
        sample("one-input", 3, 1, 4),
        sample("wide", 2, 9, 2),
        sample("tall", 7, 2, 3),
        sample("far-state", 3, 2, 4, reach=15.0),
        sample("near-state", 3, 4, 3, reach=0.25),
        sample("square", 5, 5, 5),
        sample("large", 128, 4, 8, large=True),
        overflowing("state-saturates"),
    ],
    ambiguity=(
        "In deployed devices recurrent weights meet the first columns of [input, state]. The"
        " equations are those of LSTM without peephole, projection and clipping; how the"
        " 16-bit intermediate results are kept is not documented."
    ),
)
