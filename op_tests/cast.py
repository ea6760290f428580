"""CAST: values of one type as another, without regard to scale and zero point."""

from nnapi_testkit.op import (
    DOCUMENTED,
    FIELD,
    Choice,
    Contest,
    Given,
    Op,
    Output,
    Reading,
    Reals,
    Sample,
    Tensor,
    bounded_by,
    cells,
    exact,
    rounded,
    unary,
)

MAIN = ("FLOAT16", "FLOAT32", "INT32", "QUANT8_ASYMM")
SAME = ("BOOL8", "QUANT16_ASYMM", "QUANT16_SYMM", "QUANT8_ASYMM_SIGNED", "QUANT8_SYMM")
ROWS = [f"{a}>{b}:3" for a in MAIN for b in MAIN] + [f"{a}>{a}:4" for a in SAME]
# Scales that an implementation would notice if it used them.
OUT = {
    f"TENSOR_{name}": (0.1, zero)
    for name, zero in zip(("QUANT8_ASYMM", *SAME[1:]), (7, 9, 0, -5, 0), strict=True)
}
RANGE = {"int32": (-(2**31), 2**31 - 1), "quant8": (0, 255)}
EXACT = {"float16>float32", "quant8>float32", "quant8>float16", "quant8>int32", "int32>quant8"}


def ends(cell):
    source, _, target = cell.name.partition(">")
    return source, target


def reference(torch, input, cell):
    whole = ends(cell)[0].startswith("float") and not ends(cell)[1].startswith("float")
    return input.trunc() if whole else input.clone()


def bound(s):
    """Exact if the type is the same or wider; one rounding else; whole numbers as their input.

    Where float32 may be read as float16, truncation may give what it gives at either end.
    """
    source, target = ends(s.facts["cell"])
    if source == target or s.facts["cell"].name in EXACT:
        return exact().error(s)[0]
    if not (source.startswith("float") and target in RANGE):
        return rounded(1).error(s)[0]
    x, (y,) = s.args["input"], s.outputs
    if not s.reading.relaxed:
        return s.torch.zeros_like(y)
    # An integer that the reading just reaches is reached, whatever the last place says.
    reach = x.abs() * (s.reading.u * (1 + 2.0**-20))
    gaps = [(s.torch.trunc(x + e) - y).abs() for e in (-reach, reach)]
    scale = s.facts["outputs"][0].scale or 1.0
    return s.torch.maximum(*gaps) * scale


def outside(s):
    """Numbers that the type of the output cannot hold, and NaN."""
    source, target = ends(s.facts["cell"])
    (y,) = s.outputs
    if source == target or target not in RANGE:
        return (s.torch.zeros_like(y, dtype=s.torch.bool),)
    low, high = RANGE[target]
    return (~((y >= low) & (y <= high)),)


def nothing(s):
    """Every value is told."""
    return tuple(s.torch.zeros_like(y, dtype=s.torch.bool) for y in s.outputs)


SATURATED = Contest(
    "integers-beyond-codes",
    "An integer beyond the codes of QUANT8_ASYMM: no word of the header; deployed devices give the"
    " nearest code.",
    (
        Reading(DOCUMENTED),
        Reading(FIELD, lambda torch, input, cell: input.clamp(0, 255), exempt=nothing),
    ),
)


def samples(cell):
    """Shapes of every rank, with data that the output can mostly hold."""
    source, target = ends(cell)
    found = [s for s in unary(ranks=(1, 5)) if s.name != "empty"]
    if source == target and source != "int32":
        return found
    for number, sample in enumerate(found):
        shape = sample.operands["input"]
        edge = 20 if sample.name == "rank3" else 0
        if target == "quant8" and source == "int32":
            sample.operands["input"] = Choice(shape, -edge // 2, 255 + edge // 2)
        elif target == "quant8" and source != target:
            sample.operands["input"] = Reals(shape, -edge / 2, 255.9 + edge / 2)
        elif target == "int32" and source.startswith("float"):
            reach = 10.0 ** (number % 4 + 1)
            sample.operands["input"] = Reals(shape, -reach, reach)
        elif source == "int32":
            reach = 2**31 - 1 if target != "float16" and number % 2 else 3000
            sample.operands["input"] = Choice(shape, -reach, reach)
    if cell.name == "int32>quant8":
        beyond = Given([-(2**31), -300, -1, 0, 1, 254, 255, 256, 257, 1000, 2**31 - 1])
        found.append(Sample("saturated", input=beyond, contest=SATURATED, variations=()))
    if cell.name == "bool8>bool8":
        found.append(Sample("any-nonzero", input=Choice((4, 9), 0, 255)))
    return found


OP = Op(
    name="CAST",
    signatures=((Tensor("input", rank=(1, 5), codes=True),),),
    outputs=(Output(quant=lambda code, f: OUT[code.name], codes=True),),
    batched=("input",),
    cells=cells(" ".join(ROWS)),
    reference=reference,
    by_cell=True,
    bound=bounded_by(bound, "exact where the type can hold the value, one rounding else"),
    exempt=outside,
    samples=samples,
    ambiguity="Fractions are cut off towards zero; what the output cannot hold is left open.",
)
