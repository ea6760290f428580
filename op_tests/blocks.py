"""DEPTH_TO_SPACE, SPACE_TO_DEPTH: blocks of pixels become channels and back."""

from nnapi_testkit.op import Op, Output, Sample, Scalar, Tensor, exact, layout, numeric, rule


def to_space(torch, input, block):
    # A channel is (row in block, column in block, output channel), outermost first.
    batch, depth, height, width = input.shape
    parts = input.reshape(batch, block, block, depth // block**2, height, width)
    moved = parts.permute(0, 3, 4, 1, 5, 2)
    return moved.reshape(batch, depth // block**2, height * block, width * block)


def to_depth(torch, input, block):
    batch, depth, height, width = input.shape
    parts = input.reshape(batch, depth, height // block, block, width // block, block)
    moved = parts.permute(0, 3, 5, 1, 2, 4)
    return moved.reshape(batch, depth * block**2, height // block, width // block)


def space_shape(f):
    batch, height, width, depth = f.shape("input")
    return batch, height * f["block"], width * f["block"], depth // f["block"] ** 2


def depth_shape(f):
    batch, height, width, depth = f.shape("input")
    return batch, height // f["block"], width // f["block"], depth * f["block"] ** 2


# (output-like shape with many pixels, block): one operation takes it, the other gives it.
PIXELS = {
    "block2": ((1, 4, 6, 1), 2),
    "batch": ((3, 2, 4, 2), 2),
    "block3": ((1, 6, 3, 2), 3),
    "block1": ((2, 3, 2, 4), 1),
    "column": ((1, 8, 2, 3), 2),
    "row": ((1, 2, 10, 1), 2),
    "block4": ((1, 4, 8, 1), 4),
    "one-block": ((1, 3, 3, 2), 3),
    "large": ((2, 12, 16, 3), 2),
}


RULES = {
    "DEPTH_TO_SPACE": rule(
        "block-divides-depth",
        "input block",
        "The depth is divisible by block_size * block_size.",
        five={"input": (1, 2, 3, 5), "block": 2},
        half={"input": (1, 2, 3, 6), "block": 2},
        block_alone={"input": (1, 2, 3, 3), "block": 3},
        far={"input": (1, 2, 3, 4), "block": 65536},
    ),
    "SPACE_TO_DEPTH": rule(
        "block-divides-pixels",
        "input block",
        "Height and width are divisible by block_size.",
        height={"input": (1, 5, 4, 2), "block": 2},
        width={"input": (1, 4, 5, 2), "block": 2},
        both={"input": (1, 2, 2, 2), "block": 3},
        far={"input": (1, 4, 4, 2), "block": 2**30},
    ),
}


def folds(f):
    return f.shape("input")[3] % f["block"] ** 2 == 0


def unfolds(f):
    return all(size % f["block"] == 0 for size in f.shape("input")[1:3])


def declare(name, reference, shape, fold):
    def sample(label, pixels, block):
        batch, height, width, depth = pixels
        folded = batch, height // block, width // block, depth * block**2
        return Sample(label, input=folded if fold else pixels, block=block, large=label == "large")

    return Op(
        name=name,
        signatures=(
            (Tensor("input", rank=(4, 4), spatial=True), Scalar("block", minimum=1), layout()),
        ),
        outputs=(Output(shape=shape, like="input", spatial=True),),
        batched=("input",),
        cells=numeric(),
        rules=(RULES[name],),
        reference=reference,
        bound=exact(),
        valid=folds if fold else unfolds,
        samples=[sample(label, *row) for label, row in PIXELS.items()],
    )


OPS = [
    declare("DEPTH_TO_SPACE", to_space, space_shape, fold=True),
    declare("SPACE_TO_DEPTH", to_depth, depth_shape, fold=False),
]
