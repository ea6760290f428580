"""FILL: a tensor of a given shape, every element a given scalar.

The shape is an input: a model has to have one.
"""

import math

from nnapi_testkit.op import (
    Op,
    Output,
    Sample,
    Scalar,
    cells,
    exact,
    ints,
    rule,
)

VALUES = {"int32": (7, -3, 2**31 - 1, -(2**31), 0)}
REAL = (1.5, -0.1, 65504.0, -math.inf, math.nan)
SHAPES = [(5,), (3, 4), (2, 3, 4), (2, 1, 3, 5), (1,), (1, 1, 17), (4, 9), (2, 2, 1, 3, 2), (6, 1)]


def reference(torch, shape, value):
    return torch.full(shape.tolist(), value, dtype=torch.float64)


def samples(cell):
    values = VALUES.get(cell.name, REAL)
    found = [
        Sample(f"rank{len(shape)}-{number}", shape=list(shape), value=values[number % 5])
        for number, shape in enumerate(SHAPES)
    ]
    found.append(Sample("large", shape=[4, 9, 30], value=values[1], large=True))
    return found


OP = Op(
    name="FILL",
    signatures=((ints("shape", weight=False), Scalar("value", "value")),),
    outputs=(Output(shape=lambda f: tuple(int(n) for n in f["shape"])),),
    cells=(
        *cells("FLOAT32:4", value="FLOAT32"),
        *cells("FLOAT16:4", value="FLOAT16"),
        *cells("INT32:4", value="INT32"),
    ),
    rules=(
        rule(
            "output-rank",
            "shape",
            "The output has a rank that tensors have.",
            open="The documentation names no highest rank.",
            beyond={"shape": [1] * 65},
        ),
        rule(
            "dimensions-not-negative",
            "shape",
            "The components of the shape are sizes.",
            first={"shape": [-1, 3]},
            both={"shape": [-2, -3]},
        ),
    ),
    reference=reference,
    bound=exact(),
    samples=samples,
)
