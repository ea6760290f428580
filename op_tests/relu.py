"""RELU, RELU1, RELU6: values limited to an interval; quantized data keep their scale."""

from nnapi_testkit.op import (
    LIMITS,
    RELU,
    RELU1,
    RELU6,
    Given,
    Op,
    Output,
    Reals,
    Sample,
    Tensor,
    nan_operands,
    numeric,
    selected,
    unary,
)


def declare(name, activation):
    """One operation: min(high, max(low, input))."""
    low, high = LIMITS[activation]
    edges = [-9.0, -1.5, -1.0, -0.75, -0.0, 0.0, 0.25, 1.0, 1.25, 5.5, 6.0, 6.5, 9.0]
    return Op(
        name=name,
        signatures=((Tensor("input"),),),
        outputs=(Output(like="input"),),
        batched=("input",),
        cells=numeric(),
        reference=lambda torch, input: torch.clamp(input, low, high),
        bound=selected(),
        exempt=nan_operands(),
        samples=[
            *unary(),
            Sample("edges", input=Given(edges)),
            Sample("wide", input=Reals((2, 3, 5), -8.0, 8.0)),
        ],
        ambiguity="max and min say nothing about NaN: what becomes of it is left open.",
    )


OPS = [declare("RELU", RELU), declare("RELU1", RELU1), declare("RELU6", RELU6)]
