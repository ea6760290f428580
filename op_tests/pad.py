"""PAD, PAD_V2: constants around a tensor: zero, or a given value."""

from nnapi_testkit.op import (
    Op,
    Output,
    Sample,
    Scalar,
    Tensor,
    cells,
    exact,
    ints,
    later,
    numeric,
    padded,
    rule,
)


def reference(torch, input, paddings, value=0.0):
    flat = [n for pair in reversed(paddings.tolist()) for n in pair]
    return torch.nn.functional.pad(input, flat, value=value)


CASES = [
    ("rank2", (3, 5), [[1, 2], [0, 3]]),
    ("rank4", (1, 3, 4, 2), [[0, 0], [1, 1], [2, 1], [0, 0]]),
    ("rank1", (7,), [[3, 2]]),
    ("rank3", (2, 4, 3), [[0, 1], [2, 0], [1, 1]]),
    ("nothing", (4, 6), [[0, 0], [0, 0]]),
    ("front", (3, 4), [[5, 0], [0, 0]]),
    ("batch", (2, 2, 3, 2), [[1, 0], [0, 0], [0, 0], [1, 2]]),
    ("wider-than-data", (2, 1), [[3, 4], [0, 6]]),
    ("single", (1, 1, 1, 1), [[1, 1], [1, 1], [1, 1], [1, 1]]),
    ("large", (2, 8, 9, 7), [[0, 0], [1, 2], [3, 0], [0, 1]]),
]
PADDED = (later(3, "quant8 is padded with the logical zero; before, it is undefined."),)
VALUES = (1.5, -0.75, 0.0, 2.0)
VALUED = (
    *cells("FLOAT32:3", value="FLOAT32"),
    *cells("FLOAT16:3", value="FLOAT16"),
    *cells("QUANT8_ASYMM:3 QUANT8_ASYMM_SIGNED:4", value="INT32"),
)
CODES = {"quant8": (9, 200, 0, 255), "quant8_signed": (-7, 100, -128, 127)}


def samples(cell):
    """Before feature level 3, what TENSOR_QUANT8_ASYMM is padded with is undefined."""
    level = 3 if cell.name == "quant8" else 1
    return [
        Sample(name, input=shape, paddings=pairs, level=level, large=name == "large")
        for name, shape, pairs in CASES
    ]


def valued(cell):
    """The same with values, which are codes at the input's scale where that is quantized."""
    found = samples(cell)
    for number, sample in enumerate(found):
        sample.operands["value"] = CODES.get(cell.name, VALUES)[number % 4]
    return found


CODE = rule(
    "value-is-code",
    "value",
    "What quantized tensors are padded with is one of their codes.",
    only=("quant8", "quant8_signed"),
    open="No sentence of the documentation says so.",
    above={"value": 256},
    below={"value": -129},
)


def declare(name, rows, samples, *value):
    """One of both."""
    return Op(
        name=name,
        signatures=((Tensor("input"), ints("paddings", rank=2), *value),),
        outputs=(Output(shape=padded("input"), like="input"),),
        cells=rows,
        ties=("paddings.0=rank(input)",),
        rules=(
            *((CODE,) if value else ()),
            rule(
                "paddings-not-negative",
                "paddings",
                "Elements are added, not taken away.",
                before={"input": (3, 5), "paddings": [[-1, 2], [0, 3]]},
                after={"input": (3, 5), "paddings": [[1, 2], [0, -1]]},
            ),
            rule(
                "pair-for-each-dimension",
                "input paddings",
                "paddings has shape [rank, 2].",
                fewer={"input": (3, 5), "paddings": [[1, 2]]},
                more={"input": (3, 5), "paddings": [[1, 2], [0, 3], [0, 0]]},
                three={"input": (3, 5), "paddings": [[1, 2, 0], [0, 3, 0]]},
                flat={"input": (3, 3, 3, 3), "paddings": [[1, 2, 0, 3], [0, 1, 0, 0]]},
            ),
        ),
        reference=reference,
        later=() if value else PADDED,
        bound=exact(),
        samples=samples,
    )


OPS = [
    declare("PAD", numeric(2, 2), samples),
    declare("PAD_V2", VALUED, valued, Scalar("value", "value", like="input")),
]
