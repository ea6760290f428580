"""Data that move: shapes, orders, parts, joins, repetitions, blocks; and images in other sizes."""

from __future__ import annotations

import numpy as np

from nnapi_testkit.frontends.draft import Refusal
from nnapi_testkit.frontends.tflite.file import Node, Tensor
from nnapi_testkit.frontends.tflite.lower import Lowering, Rule, lowers, needed
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import is_quantized

_C = OperandCode
# SQUEEZE and others have no int32; RESHAPE has it since level 6.
_WHOLE = (_C.TENSOR_INT32,)


def axis_of(axis: int, rank: int) -> int:
    """An axis counted from the front. Raises Refusal if the tensor has no such one."""
    found = axis + rank if axis < 0 else axis
    if not 0 <= found < max(rank, 1):
        raise Refusal(f"axis {axis} of a tensor of {rank} dimensions")
    return found


def as_shape(lowering: Lowering, node: Node, at: int, shape: list[int]) -> None:
    """RESHAPE into the node's result."""
    if len(shape) > 4:
        raise Refusal(f"a result of {len(shape)} dimensions: NNAPI makes 4 at most here")
    lowering.plain(node, "RESHAPE", [at, lowering.draft.ints(shape or [1])])


@lowers("RESHAPE")
def _reshape(lowering: Lowering, node: Node) -> None:
    at = lowering.read(needed(node, 0))
    made, wanted = node.outputs[0], node.input(1)
    if wanted is not None:
        shape = lowering.ints(wanted, "the new shape")
    elif node.options is not None and node.options.newShape is not None:
        shape = [int(size) for size in node.options.newShape]
    else:
        shape = list(made.shape)
        if 0 in shape:
            raise Refusal("its new shape is open")
    as_shape(lowering, node, at, shape)


@lowers("SQUEEZE")
def _squeeze(lowering: Lowering, node: Node) -> None:
    tensor, made = needed(node, 0), node.outputs[0]
    at = lowering.read(tensor)
    given = node.option("squeezeDims", ())
    axes = [axis_of(int(axis), tensor.rank) for axis in given]
    axes = axes or [axis for axis, size in enumerate(tensor.shape) if size == 1]
    if not made.rank or not axes or lowering.operand(at).type in _WHOLE:
        if 0 in made.shape:
            raise Refusal("of int32 with open dimensions: NNAPI's SQUEEZE has none")
        as_shape(lowering, node, at, list(made.shape))
        return
    lowering.plain(node, "SQUEEZE", [at, lowering.draft.ints(axes)])


@lowers("EXPAND_DIMS")
def _expand_dims(lowering: Lowering, node: Node) -> None:
    tensor = needed(node, 0)
    at = lowering.read(tensor)
    axis = lowering.ints(needed(node, 1), "the axis")[0]
    if not tensor.rank:
        raise Refusal("of a scalar: NNAPI has no tensor without dimensions")
    axis = axis_of(axis, tensor.rank + 1)
    lowering.plain(node, "EXPAND_DIMS", [at, lowering.draft.int32(axis)])


@lowers("TRANSPOSE")
def _transpose(lowering: Lowering, node: Node) -> None:
    order = lowering.ints(needed(node, 1), "the permutation")
    inputs = [lowering.read(needed(node, 0)), lowering.draft.ints(order)]
    lowering.plain(node, "TRANSPOSE", inputs)


def _paddings(lowering: Lowering, node: Node) -> int:
    given = lowering.constant(needed(node, 1), "the paddings")
    return lowering.draft.ints(given.reshape(-1, 2))


@lowers("PAD")
def _pad(lowering: Lowering, node: Node) -> None:
    at = lowering.read(needed(node, 0))
    lowering.plain(node, "PAD", [at, _paddings(lowering, node)])


@lowers("PADV2")
def _pad_v2(lowering: Lowering, node: Node) -> None:
    at = lowering.read(needed(node, 0))
    value = lowering.constant(needed(node, 2, "the padding value"), "the padding value")
    number = value.reshape(-1)[0]
    code = OperandCode(lowering.operand(at).type)
    if is_quantized(code):  # its code, in the input's scale
        scalar = lowering.draft.int32(int(number))
    else:
        scalar = lowering.real(float(number), at)
    lowering.plain(node, "PAD_V2", [at, _paddings(lowering, node), scalar])


@lowers("MIRROR_PAD")
def _mirror_pad(lowering: Lowering, node: Node) -> None:
    at = lowering.read(needed(node, 0))
    mode = lowering.draft.int32(int(node.option("mode")))  # 0 REFLECT, 1 SYMMETRIC: NNAPI's too
    lowering.plain(node, "MIRROR_PAD", [at, _paddings(lowering, node), mode])


@lowers("REVERSE_V2")
def _reverse(lowering: Lowering, node: Node) -> None:
    tensor = needed(node, 0)
    at = lowering.read(tensor)
    axes = lowering.ints(needed(node, 1), "the axes")
    if not axes:
        raise Refusal("without an axis")
    for axis in axes[:-1]:  # NNAPI reverses one axis at a time
        between = lowering.temporary(at, tensor.shape)
        lowering.emit("REVERSE", [at, lowering.draft.ints([axis_of(axis, tensor.rank)])], [between])
        at = between
    last = lowering.draft.ints([axis_of(axes[-1], tensor.rank)])
    lowering.plain(node, "REVERSE", [at, last])


@lowers("SLICE")
def _slice(lowering: Lowering, node: Node) -> None:
    at = lowering.read(needed(node, 0))
    begin = lowering.ints(needed(node, 1), "its begin")
    size = lowering.ints(needed(node, 2), "its size")
    lowering.plain(node, "SLICE", [at, lowering.draft.ints(begin), lowering.draft.ints(size)])


@lowers("STRIDED_SLICE")
def _strided_slice(lowering: Lowering, node: Node) -> None:
    for name in ("ellipsisMask", "newAxisMask", "offset"):
        if node.option(name):
            raise Refusal(f"with {name}: NNAPI has begin, end and shrink masks")
    at = lowering.read(needed(node, 0))
    names = ("its begin", "its end", "its strides")
    lists = [lowering.ints(needed(node, 1 + i), name) for i, name in enumerate(names)]
    inputs = [at, *(lowering.draft.ints(values) for values in lists)]
    for name in ("beginMask", "endMask", "shrinkAxisMask"):
        inputs.append(lowering.draft.int32(int(node.option(name))))
    lowering.plain(node, "STRIDED_SLICE", inputs)


@lowers("SPLIT")
def _split(lowering: Lowering, node: Node) -> None:
    tensor = needed(node, 1)
    axis = axis_of(lowering.ints(needed(node, 0), "the axis")[0], tensor.rank)
    at = lowering.read(tensor)
    inputs = [at, lowering.draft.int32(axis), lowering.draft.int32(len(node.outputs))]
    lowering.plain(node, "SPLIT", inputs)


@lowers("SPLIT_V")
def _split_v(lowering: Lowering, node: Node) -> None:
    tensor = needed(node, 0)
    sizes = lowering.ints(needed(node, 1), "the sizes")
    axis = axis_of(lowering.ints(needed(node, 2), "the axis")[0], tensor.rank)
    at = lowering.read(tensor)
    if -1 in sizes:
        if not tensor.shape[axis]:
            raise Refusal("into a rest of an open dimension")
        rest = sizes.index(-1)
        sizes[rest] = tensor.shape[axis] - sum(sizes) - 1
    first = 0
    for size, made in zip(sizes, node.outputs, strict=True):
        begin, count = [0] * tensor.rank, [-1] * tensor.rank
        begin[axis], count[axis] = first, size
        inputs = [at, lowering.draft.ints(begin), lowering.draft.ints(count)]
        lowering.emit("SLICE", inputs, [lowering.write(made)])
        first += size


def _all_inputs(lowering: Lowering, node: Node) -> list[int]:
    return [lowering.read(needed(node, position)) for position in range(len(node.inputs))]


@lowers("CONCATENATION")
def _concatenation(lowering: Lowering, node: Node) -> None:
    if node.option("fusedActivationFunction"):
        raise Refusal("with a fused activation: NNAPI's CONCATENATION has none")
    axis = axis_of(int(node.option("axis")), node.outputs[0].rank)
    inputs = _all_inputs(lowering, node)
    lowering.plain(node, "CONCATENATION", [*inputs, lowering.draft.int32(axis)])


@lowers("PACK")
def _pack(lowering: Lowering, node: Node) -> None:
    axis = axis_of(int(node.option("axis")), node.outputs[0].rank)
    inputs = _all_inputs(lowering, node)
    lowering.plain(node, "PACK", [lowering.draft.int32(axis), *inputs])


@lowers("UNPACK")
def _unpack(lowering: Lowering, node: Node) -> None:
    tensor = needed(node, 0)
    axis = axis_of(int(node.option("axis")), tensor.rank)
    at = lowering.read(tensor)
    dims = list(tensor.shape)
    dims[axis] = 1
    parts = [lowering.temporary(at, dims) for _ in node.outputs]
    inputs = [at, lowering.draft.int32(axis), lowering.draft.int32(len(parts))]
    lowering.emit("SPLIT", inputs, parts)
    for part, made in zip(parts, node.outputs, strict=True):
        if made.rank and lowering.operand(at).type not in _WHOLE:
            inputs = [part, lowering.draft.ints([axis])]
            lowering.emit("SQUEEZE", inputs, [lowering.write(made)])
            continue
        if 0 in made.shape:
            raise Refusal("of int32 with open dimensions: NNAPI's SQUEEZE has none")
        shape = lowering.draft.ints(list(made.shape) or [1])
        lowering.emit("RESHAPE", [part, shape], [lowering.write(made)])


@lowers("TILE")
def _tile(lowering: Lowering, node: Node) -> None:
    at = lowering.read(needed(node, 0))
    times = lowering.ints(needed(node, 1), "its multiples")
    lowering.plain(node, "TILE", [at, lowering.draft.ints(times)])


@lowers("BROADCAST_TO")
def _broadcast_to(lowering: Lowering, node: Node) -> None:
    tensor = needed(node, 0)
    wanted = lowering.ints(needed(node, 1), "the new shape")
    at = lowering.read(tensor)
    if 0 in tensor.shape:
        raise Refusal("of open dimensions")
    wide = [1] * (len(wanted) - tensor.rank) + list(tensor.shape)
    at = lowering.reshaped(at, wide)
    times = [size // have for size, have in zip(wanted, wide, strict=True)]
    lowering.plain(node, "TILE", [at, lowering.draft.ints(times)])


def _indices(lowering: Lowering, tensor: Tensor) -> int:
    if tensor.type == "INT64":
        lowering.constant(tensor, "indices of int64")
    return lowering.read(tensor)


@lowers("GATHER")
def _gather(lowering: Lowering, node: Node) -> None:
    tensor, indices = needed(node, 0), needed(node, 1)
    if node.option("batchDims"):
        raise Refusal("with batch dimensions: NNAPI gathers along one axis for all")
    axis = lowering.draft.int32(axis_of(int(node.option("axis")), tensor.rank))
    inputs = [lowering.read(tensor), axis, _indices(lowering, indices)]
    made = node.outputs[0]
    if indices.rank:
        lowering.plain(node, "GATHER", inputs)
        return
    # A scalar index takes the axis away; NNAPI's shortest list of indices has one.
    place = axis_of(int(node.option("axis")), tensor.rank)
    dims = (*tensor.shape[:place], 1, *tensor.shape[place + 1 :])
    if 0 in made.shape:
        raise Refusal("of one index, with open dimensions")
    part = lowering.temporary(inputs[0], dims)
    lowering.emit("GATHER", inputs, [part])
    as_shape(lowering, node, part, list(made.shape))


@lowers("FILL")
def _fill(lowering: Lowering, node: Node) -> None:
    shape, value = needed(node, 0), needed(node, 1)
    number = lowering.constant(value, "its value").reshape(-1)[0]
    kinds = {"FLOAT32": _C.FLOAT32, "FLOAT16": _C.FLOAT16, "INT32": _C.INT32}
    if value.type not in kinds:
        raise Refusal(f"with {value.type.lower()}: NNAPI fills with float and int32")
    dims = lowering.draft.ints(lowering.ints(shape, "its shape"))
    lowering.plain(node, "FILL", [dims, lowering.draft.scalar(kinds[value.type], number)])


@lowers("SPACE_TO_BATCH_ND")
def _space_to_batch(lowering: Lowering, node: Node) -> None:
    at = lowering.read(needed(node, 0))
    block = lowering.draft.ints(lowering.ints(needed(node, 1), "its blocks"))
    pads = lowering.constant(needed(node, 2), "the paddings").reshape(-1, 2)
    lowering.plain(node, "SPACE_TO_BATCH_ND", [at, block, lowering.draft.ints(pads)])


@lowers("BATCH_TO_SPACE_ND")
def _batch_to_space(lowering: Lowering, node: Node) -> None:
    tensor, made = needed(node, 0), node.outputs[0]
    at = lowering.read(tensor)
    sizes = lowering.ints(needed(node, 1), "its blocks")
    crops = lowering.constant(needed(node, 2), "the crops").reshape(-1, 2)
    inputs = [at, lowering.draft.ints(sizes)]
    if not crops.any():
        lowering.plain(node, "BATCH_TO_SPACE_ND", inputs)
        return
    if 0 in (*tensor.shape, *made.shape):
        raise Refusal("with crops and open dimensions")
    batch = tensor.shape[0] // int(np.prod(sizes))
    spatial = [size * block for size, block in zip(tensor.shape[1:3], sizes, strict=True)]
    whole = lowering.temporary(at, (batch, *spatial, tensor.shape[3]))
    lowering.emit("BATCH_TO_SPACE_ND", inputs, [whole])
    begin = lowering.draft.ints([0, *(int(first) for first, _ in crops), 0])
    lowering.plain(node, "SLICE", [whole, begin, lowering.draft.ints(list(made.shape))])


def _blocks(code: str) -> Rule:
    def rule(lowering: Lowering, node: Node) -> None:
        at = lowering.read(needed(node, 0))
        block = lowering.draft.int32(int(node.option("blockSize")))
        lowering.plain(node, code, [at, block])

    return rule


for _code in ("DEPTH_TO_SPACE", "SPACE_TO_DEPTH"):
    lowers(_code)(_blocks(_code))


@lowers("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
def _resize(lowering: Lowering, node: Node) -> None:
    at = lowering.read(needed(node, 0))
    height, width = lowering.ints(needed(node, 1), "the new size")
    inputs = [at, lowering.draft.int32(width), lowering.draft.int32(height)]
    flags = [bool(node.option("alignCorners")), bool(node.option("halfPixelCenters"))]
    if any(flags):  # since level 4
        inputs += [lowering.draft.flag(flag) for flag in (False, *flags)]
    lowering.plain(node, node.kind, inputs)
