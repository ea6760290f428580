"""BATCH_TO_SPACE_ND, SPACE_TO_BATCH_ND: blocks of pixels become batches and back."""

from nnapi_testkit.op import Op, Output, Sample, Tensor, exact, ints, layout, numeric

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


def back(label, input, block, **more):
    return Sample(label, input=input, block=block, **more)


def forth(label, input, block, paddings=((0, 0), (0, 0)), **more):
    return Sample(label, input=input, block=block, paddings=[list(p) for p in paddings], **more)


OPS = [
    Op(
        name="BATCH_TO_SPACE_ND",
        signatures=((INPUT, ints("block"), layout()),),
        outputs=(Output(shape=space_shape, like="input", spatial=True),),
        cells=numeric(float32=2, quant8=2),
        reference=to_space,
        bound=exact(),
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
        reference=to_batch,
        bound=exact(),
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
