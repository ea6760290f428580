"""BATCH_TO_SPACE_ND, SPACE_TO_BATCH_ND: blocks of pixels become batches and back."""

from nnapi_testkit.op import Op, Output, Sample, Tensor, exact, ints, later, layout, numeric, rule

INPUT = Tensor("input", rank=(4, 4), spatial=True)


def to_space(torch, input, block):
    # The batch is (row in block, column in block, original batch), outermost first.
    rows, columns = block.tolist()
    batch, depth, height, width = input.shape
    parts = input.reshape(rows, columns, batch // (rows * columns), depth, height, width)
    moved = parts.permute(2, 3, 4, 0, 5, 1)
    return moved.reshape(batch // (rows * columns), depth, height * rows, width * columns)


def to_batch(torch, input, block, paddings):
    rows, columns = block.tolist()
    (top, bottom), (left, right) = paddings.tolist()
    padded = torch.nn.functional.pad(input, (left, right, top, bottom))
    batch, depth, height, width = padded.shape
    parts = padded.reshape(batch, depth, height // rows, rows, width // columns, columns)
    moved = parts.permute(3, 5, 0, 1, 2, 4)
    return moved.reshape(batch * rows * columns, depth, height // rows, width // columns)


def space_shape(f):
    batch, height, width, depth = f.shape("input")
    rows, columns = map(int, f["block"])
    return batch // (rows * columns), height * rows, width * columns, depth


def batch_shape(f):
    batch, height, width, depth = f.shape("input")
    rows, columns = map(int, f["block"])
    (top, bottom), (left, right) = f["paddings"]
    tall, wide = int(height + top + bottom), int(width + left + right)
    return batch * rows * columns, tall // rows, wide // columns, depth


def padded_blocks(f):
    padded = zip(f.shape("input")[1:3], f["paddings"], f["block"], strict=True)
    return all((size + sum(map(int, pair))) % int(block) == 0 for size, pair, block in padded)


def back(label, input, block, **more):
    return Sample(label, input=input, block=block, **more)


def forth(label, input, block, paddings=((0, 0), (0, 0)), **more):
    return Sample(label, input=input, block=block, paddings=[list(p) for p in paddings], **more)


BLOCK = (
    rule(
        "two-block-sizes",
        "block",
        "There is a block size for height and one for width.",
        one={"block": [2]},
        three={"block": [2, 2, 1]},
    ),
    rule(
        "block-sizes-positive",
        "block",
        "Block sizes are at least 1.",
        zero={"block": [0, 2]},
        zero_width={"block": [2, 0]},
        negative={"block": [-2, -2]},
    ),
)


OPS = [
    Op(
        name="BATCH_TO_SPACE_ND",
        signatures=((INPUT, ints("block"), layout()),),
        outputs=(Output(shape=space_shape, like="input", spatial=True),),
        cells=numeric(float32=2, quant8=2),
        rules=(
            *BLOCK,
            rule(
                "block-divides-batch",
                "input block",
                "The batch is divisible by the product of the block sizes.",
                three={"input": (3, 2, 3, 2), "block": [2, 2]},
                half={"input": (2, 2, 3, 2), "block": [2, 2]},
                height_alone={"input": (4, 2, 3, 2), "block": [2, 3]},
            ),
        ),
        reference=to_space,
        bound=exact(),
        valid=lambda f: f.shape("input")[0] % int(f["block"][0] * f["block"][1]) == 0,
        samples=[
            back("block2", (4, 2, 3, 2), [2, 2]),
            back("two-images", (8, 2, 1, 1), [2, 2]),
            back("rows", (3, 2, 4, 2), [3, 1]),
            back("columns", (2, 3, 2, 2), [1, 2]),
            back("uneven", (6, 2, 3, 1), [2, 3]),
            back("unit", (2, 3, 2, 3), [1, 1]),
            back("pixels", (4, 1, 1, 5), [2, 2]),
            back("deep", (4, 2, 2, 7), [4, 1]),
            back("large", (4, 9, 10, 3), [2, 2], large=True),
        ],
    ),
    Op(
        name="SPACE_TO_BATCH_ND",
        signatures=((INPUT, ints("block"), ints("paddings", rank=2), layout()),),
        outputs=(Output(shape=batch_shape, like="input", spatial=True),),
        cells=numeric(float32=2, quant8=2),
        rules=(
            *BLOCK,
            rule(
                "block-divides-padded",
                "input block paddings",
                "Padded height and width are divisible by their block sizes.",
                height={"input": (1, 5, 6, 2), "block": [2, 2]},
                width={"input": (1, 4, 5, 2), "block": [2, 2]},
                padded={"input": (1, 4, 6, 2), "block": [2, 2], "paddings": [[1, 0], [0, 0]]},
                padded_width={"input": (1, 4, 6, 2), "block": [2, 2], "paddings": [[0, 0], [0, 1]]},
            ),
            rule(
                "paddings-not-negative",
                "paddings",
                "Paddings are at least 0.",
                before={"input": (1, 4, 6, 2), "paddings": [[-2, 0], [0, 0]]},
                after={"input": (1, 4, 6, 2), "paddings": [[0, 0], [0, -2]]},
                balanced={"input": (1, 4, 6, 2), "paddings": [[0, 0], [-1, 1]]},
            ),
            rule(
                "two-pairs",
                "paddings",
                "paddings has shape [2, 2].",
                one={"paddings": [[0, 0]]},
                three={"paddings": [[0, 0], [0, 0], [0, 0]]},
                flat={"paddings": [[0, 0, 0, 0]]},
            ),
        ),
        reference=to_batch,
        later=(later(3, "quant8 is padded with the logical zero; before, it is undefined."),),
        bound=exact(),
        valid=padded_blocks,
        samples=[
            forth("block2", (1, 4, 6, 2), [2, 2]),
            forth("padded", (1, 3, 5, 2), [2, 2], ((1, 0), (0, 1)), level=3),
            forth("two-images", (2, 4, 2, 1), [2, 2]),
            forth("rows", (1, 6, 3, 2), [3, 1]),
            forth("columns-padded", (2, 2, 3, 2), [1, 2], ((0, 0), (2, 1)), level=3),
            forth("uneven-padded", (1, 4, 5, 1), [2, 3], ((1, 1), (0, 1)), level=3),
            forth("unit", (2, 3, 2, 3), [1, 1]),
            forth("far", (1, 1, 2, 2), [2, 2], ((2, 1), (3, 1)), level=3),
            forth("large", (1, 18, 20, 3), [2, 2], large=True),
        ],
    ),
]
