"""DIV: element-wise with broadcasting, then a fused activation; int32 divides with floor."""

from nnapi_testkit.op import (
    Choice,
    Given,
    Op,
    Output,
    Reals,
    Sample,
    Tensor,
    activation,
    aligned,
    broadcast,
    broadcast_pairs,
    cells,
    compatible,
    fused,
    rounded,
    rule,
)


def reference(torch, a, b, activation, cell):
    if cell.name == "int32":
        # The floor of the exact quotient: rounding lifts no quotient over an integer.
        return torch.div(a, b, rounding_mode="floor")
    return fused(torch, a / b, activation)


def zero(s):
    """The quotient of an integer and 0 is left open."""
    whole = s.facts["cell"].name == "int32"
    return ((s.args["b"] == 0).expand_as(s.outputs[0]) & whole,)


def apart(sample):
    """The sample with a divisor away from 0, which quotients of any size come from."""
    sample.operands["b"] = Reals(sample.operands["b"], 0.25, 3.0)
    return sample


QUOTIENTS = Given([[5, -5, 5, -5], [7, -7, 0, 1], [6, -6, -1, 100]])
DIVISORS = Given([[2, 2, -2, -2], [7, 7, -3, 100], [3, 3, 1, -7]])
NUMBERS = [apart(sample) for sample in broadcast_pairs(activation=0)]
SIGNED = broadcast_pairs(activation=0)[:4]
for signed in SIGNED:
    signed.name += "-signed"
BELOW, ABOVE = Choice((3, 1, 7), -90, -1), Choice((7,), 1, 11)
WHOLE = [
    Sample("floors", a=QUOTIENTS, b=DIVISORS, activation=0),
    Sample("negative", a=BELOW, b=ABOVE, activation=0),
    Sample("by-negative", a=(3, 5), b=Choice((3, 1), -9, -1), activation=0),
    Sample("rank4", a=(2, 3, 4, 5), b=Choice((5,), 1, 9), activation=0),
    Sample("both", a=(4, 1, 2), b=Choice((5, 4, 3, 1), 1, 20), activation=0),
    Sample("wide", a=Choice((40,), -(2**31) + 1, 2**31 - 1), b=Choice((40,), 2, 999), activation=0),
    Sample("second-larger", a=(3,), b=Choice((2, 5, 3), -20, -1), activation=0),
    Sample("empty", a=(0, 2), b=(1, 2), activation=0),
    Sample("large", a=(2, 8, 9, 10), b=Choice((2, 8, 9, 10), 1, 30), activation=0, large=True),
]

OP = Op(
    name="DIV",
    signatures=((Tensor("a", rank=(1, 4)), Tensor("b", rank=(1, 4)), activation()),),
    outputs=(Output(shape=broadcast("a", "b")),),
    batched=aligned("a", "b"),
    cells=cells("FLOAT32:2 FLOAT16:3 INT32:4"),
    ties=("b.0=a.0",),
    rules=(
        compatible(),
        rule(
            "integers-have-no-activation",
            "a activation",
            "For TENSOR_INT32 the FuseCode is NONE.",
            only=("int32",),
            level=4,
            relu={"activation": 1},
        ),
    ),
    reference=reference,
    by_cell=True,
    # A correctly rounded quotient is within u; one from a reciprocal within 2.5 u.
    bound=rounded(2.5),
    exempt=zero,
    samples=lambda cell: WHOLE if cell.name == "int32" else [*NUMBERS, *SIGNED],
    ambiguity="Division of an int32 by zero is not described: such elements are left open.",
)
