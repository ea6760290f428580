"""EQUAL, NOT_EQUAL, GREATER, GREATER_EQUAL, LESS, LESS_EQUAL: element-wise, broadcasting."""

from nnapi_testkit.op import (
    NO_WORD_OF_EMPTY,
    Choice,
    Given,
    Op,
    Output,
    Sample,
    Tensor,
    broadcast,
    broadcast_pairs,
    cells,
    compatible,
    exact,
    reread,
)

NAMES = {"EQUAL": "eq", "NOT_EQUAL": "ne", "GREATER": "gt", "GREATER_EQUAL": "ge"}
NAMES |= {"LESS": "lt", "LESS_EQUAL": "le"}


def double(code, f):
    """Twice the first input's scale: the same number has codes in both, and none is rounded."""
    scale, zero = f.quants["a"]
    highest = 127 if code.name.endswith("SIGNED") else 255
    return 2 * scale, zero + 3 if zero and zero + 3 <= highest else zero


def undecided(s):
    """Pairs that rounding to float16 or flushing to zero may order differently."""
    a, b = s.args["a"], s.args["b"]
    if not a.is_floating_point():
        return (s.torch.zeros_like(s.outputs[0]),)
    close = (a != b) & ((a - b).abs() <= (a.abs() + b.abs()) * s.reading.u)
    near = close & s.reading.relaxed
    (other,) = s.run(lambda x: reread(s, x))
    return (near | (other != s.outputs[0]),)


def samples(cell):
    """Pairs that are often equal, in every type: few integers, codes of a shared scale."""
    few = (2, 3, 4, 5)
    if cell.name in ("float32", "float16", "int32"):
        ties = [("ties", Choice(few, -2, 2), Choice((4, 1), -2, 2))]
    elif cell.name == "bool8":
        # Any byte but 0 is true.
        ties = [("any-nonzero", Choice(few, 0, 3), Choice(few, 0, 3))]
    else:
        ties = [("ties", Choice(few, 120, 127), Choice(few, 120, 127))]
    found = [
        *broadcast_pairs(empty=NO_WORD_OF_EMPTY),
        *(Sample(name, a=a, b=b, like={"b": "a"}) for name, a, b in ties),
        Sample("shared-scale", a=(3, 33), b=(33,), like={"b": "a"}),
        Sample("rank5", a=(2, 1, 3, 2, 3), b=(2, 1, 2, 1)),
    ]
    if cell.name in ZERO:
        # Half a step apart in the first one's scale, and three quarters: no rounding may close it.
        zero = ZERO[cell.name]
        rows = [zero + k for k in range(-4, 5)]
        found += [
            Sample(
                word,
                a=Given([[row] for row in rows]),
                b=Given(rows),
                quants={"a": (0.5, zero), "b": (scale, other)},
                variations=(),
            )
            for word, scale, other in (
                ("finer-scale", 0.125, zero),
                ("coarser-scale", 0.75, zero),
                ("other-zero-point", 0.5, zero - 2),
            )
        ]
    if cell.name in ("float32", "float16", "int32"):
        large = (2, 8, 9, 10)
        found.append(Sample("large-ties", a=large, b=Choice(large, -2, 2), large=True))
        # Generated numbers are never equal, these often are.
        for sample in [*found[4:10:2], *found[-2:]]:
            for name, shape in sample.operands.items():
                if isinstance(shape, tuple):
                    sample.operands[name] = Choice(shape, -2, 2)
    return [s for s in found if s.name != "empty" or cell.name != "bool8"]


ZERO = {"quant8": 130, "quant8_signed": -9}


def declare(name):
    """One relation."""
    return Op(
        name=name,
        signatures=((Tensor("a", rank=(1, 5)), Tensor("b", rank=(1, 5), quant=double)),),
        outputs=(Output(shape=broadcast("a", "b"), type="TENSOR_BOOL8"),),
        cells=cells("BOOL8:3 FLOAT16:3 FLOAT32:3 INT32:3 QUANT8_ASYMM:3 QUANT8_ASYMM_SIGNED:4"),
        ties=("b.0=a.0",),
        rules=(compatible(),),
        reference=lambda torch, a, b: getattr(torch, NAMES[name])(a, b),
        bound=exact(),
        exempt=undecided,
        samples=samples,
        ambiguity="Quantized data compare by real value; false < true; NaN as in IEEE 754.",
    )


OPS = [declare(name) for name in NAMES]
