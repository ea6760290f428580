"""CONCATENATION: tensors one after another along an axis; quantized ones are rescaled."""

from nnapi_testkit.op import (
    Op,
    Output,
    Sample,
    Scalar,
    Tensor,
    later,
    moved,
    numeric,
    refused_or_computed,
    rule,
)

SHARED = {"inputs": "inputs[0]", "out": "inputs[0]"}


def joined(f):
    shapes = [list(shape) for shape in f.shapes["inputs"]]
    result, axis = shapes[0], f["axis"]
    result[axis] = sum(shape[axis] for shape in shapes)
    return tuple(result)


def samples(cell):
    """Before feature level 3, TENSOR_QUANT8_ASYMM shares one scale and zero point."""

    def sample(name, axis, *inputs, level=1, like=SHARED, **more):
        if cell.name == "quant8" and not like:
            level = max(level, 3)
        return Sample(name, inputs=inputs, axis=axis, level=level, like=like, **more)

    return [
        sample("depth", 3, (2, 3, 4, 2), (2, 3, 4, 5)),
        sample("rescaled", 1, (3, 4), (3, 5), (3, 2), like=None),
        sample("first", 0, (2, 5), (1, 5), (3, 5)),
        sample("rank1", 0, (7,), (5,)),
        sample("rank1-rescaled", 0, (7,), (6,), (1,), (3,), like=None),
        sample("middle", 1, (2, 3, 4), (2, 1, 4), (2, 2, 4)),
        sample("rescaled-depth", 3, (1, 3, 2, 4), (1, 3, 2, 3), like=None),
        sample("height", 1, (2, 1, 3, 4), (2, 4, 3, 4)),
        sample("one", 1, (4, 6)),
        sample("one-rescaled", 0, (5, 4), like=None),
        sample("five", 2, *((2, 3, 1) for _ in range(5))),
        sample("some-empty", 1, (2, 3, 4), (2, 0, 4), level=3),
        sample("empty", 0, (0, 3), (0, 3), level=3),
        sample("of-64", 1, *((2, 1 + i % 3) for i in range(64)), variations=()),
        sample("large", 3, (2, 8, 9, 3), (2, 8, 9, 6), like=None, large=True),
        sample("negative", -2, (2, 3, 4), (2, 1, 4), contest=NEGATIVE, variations=()),
    ]


NEGATIVE = refused_or_computed(
    "negative-axis",
    "A negative axis, of which nothing is said: counted from the end by deployed devices, or"
    " refused.",
)
OP = Op(
    name="CONCATENATION",
    signatures=((Tensor("inputs", many=True), Scalar("axis")),),
    outputs=(Output(shape=joined, span=lambda f: (-f.amplitude("inputs"), f.amplitude("inputs"))),),
    cells=numeric(),
    rules=(
        rule(
            "axis-in-rank",
            "inputs axis",
            "The axis is one of the inputs' dimensions.",
            above={"inputs": ((2, 3), (2, 4)), "axis": 2},
            far_below={"inputs": ((2, 3), (2, 4)), "axis": -3},
        ),
        rule(
            "other-dimensions-agree",
            "inputs axis",
            "All dimensions but the one of the axis are the same.",
            last={"inputs": ((2, 3), (4, 4)), "axis": 0},
            first={"inputs": ((2, 3), (3, 4)), "axis": 1},
            rank={"inputs": ((2, 3), (2, 3, 1)), "axis": 1},
            third={"inputs": ((2, 3), (2, 3), (1, 3)), "axis": 1},
        ),
    ),
    reference=lambda torch, inputs, axis: torch.cat(inputs, axis),
    later=(
        later(3, "Scales and zero points of quant8 tensors may differ; before, they are the same."),
    ),
    bound=moved(),
    samples=samples,
    ambiguity="A negative axis is not mentioned: it counts from the end, or is refused.",
)
