"""Sums of products: convolutions, fully connected layers, products of matrices; and pooling."""

from __future__ import annotations

import numpy as np

from nnapi_testkit.frontends.draft import Quant, Refusal
from nnapi_testkit.frontends.tflite.file import Node, Tensor
from nnapi_testkit.frontends.tflite.lower import Lowering, Rule, lowers, needed, operand_of
from nnapi_testkit.model.types import ChannelQuant, Operand
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import is_quantized

_C = OperandCode
SAME, VALID = 1, 2  # NNAPI's padding codes; LiteRT's are one less


def padding(lowering: Lowering, node: Node) -> int:
    """The operand of the padding scheme."""
    return lowering.draft.int32(SAME if int(node.option("padding")) == 0 else VALID)


def strides(lowering: Lowering, node: Node) -> list[int]:
    """The operands of the strides, width first."""
    names = ("strideW", "strideH")
    return [lowering.draft.int32(int(node.option(name)) or 1) for name in names]


def weights(lowering: Lowering, tensor: Tensor, like: int) -> int:
    """The operand of weights; 8-bit ones beside float data are dequantized in the model.

    So does LiteRT's own delegate; its kernels quantize the data instead, to 8 bits.
    """
    if lowering.operand(like).type != _C.TENSOR_FLOAT32 or tensor.type not in ("INT8", "UINT8"):
        return lowering.read(tensor)
    return dequantized(lowering, tensor)


def dequantized(lowering: Lowering, tensor: Tensor) -> int:
    """The operand of 8-bit weights as real values, by an operation of the model."""
    data = lowering.constant(tensor, "8-bit weights beside float data")
    if not tensor.scales:
        raise Refusal(f"{tensor.name} is {tensor.type.lower()} without a scale")
    if len(tensor.scales) > 1:
        operand = operand_of(tensor)
        quant = Quant(_C.TENSOR_QUANT8_SYMM_PER_CHANNEL, 0.0, 0, operand.channel_quant)
    elif tensor.type == "INT8" and not tensor.zero_point:
        quant = Quant(_C.TENSOR_QUANT8_SYMM, tensor.scale)
    else:
        signed = tensor.type == "INT8"
        code = _C.TENSOR_QUANT8_ASYMM_SIGNED if signed else _C.TENSOR_QUANT8_ASYMM
        quant = Quant(code, tensor.scale, tensor.zero_point)
    codes = lowering.draft.array(data, quant.type, quant)
    real = lowering.draft.add(Operand(_C.TENSOR_FLOAT32, tensor.shape), tensor.name)
    lowering.emit("DEQUANTIZE", [codes], [real])
    lowering.hybrid.add(tensor.index)
    return real


def bias(lowering: Lowering, tensor: Tensor | None, data: int, filters: int, units: int) -> int:
    """The operand of a bias; zeros where it is left out.

    Its scale is the product of the others', or 0 with scales for each channel.
    """
    given, filter = lowering.operand(data), lowering.operand(filters)
    if not is_quantized(OperandCode(given.type)):
        if tensor is not None:
            return lowering.read(tensor)
        code = OperandCode(given.type)
        return lowering.draft.array(np.zeros(units), code)
    values = np.zeros(units, np.int32)
    if tensor is not None:
        if tensor.type != "INT32":
            raise Refusal(f"a bias of {tensor.type.lower()}: NNAPI has int32 with 8-bit data")
        values = lowering.constant(tensor, "a bias")
    scale = float(np.float32(given.scale) * np.float32(filter.scale))
    at = lowering.draft.array(values, _C.TENSOR_INT32, Quant(_C.TENSOR_INT32, scale))
    if tensor is not None:
        lowering.draft.names[at] = tensor.name
    return at


def _dilated(lowering: Lowering, node: Node) -> list[int]:
    width = int(node.option("dilationWFactor", 1)) or 1
    height = int(node.option("dilationHFactor", 1)) or 1
    if width == height == 1:
        return []
    draft = lowering.draft
    return [draft.flag(False), draft.int32(width), draft.int32(height)]


@lowers("CONV_2D")
def _conv_2d(lowering: Lowering, node: Node) -> None:
    tensor, filter = needed(node, 0), needed(node, 1)
    data = lowering.read(tensor)
    filters = weights(lowering, filter, data)
    biases = bias(lowering, node.input(2), data, filters, filter.shape[0])
    scheme = [padding(lowering, node), *strides(lowering, node)]
    inputs = [data, filters, biases, *scheme]
    depth = tensor.shape[3] if tensor.rank == 4 else 0
    if not depth or depth == filter.shape[3]:
        lowering.fused(node, "CONV_2D", inputs, _dilated(lowering, node))
        return
    groups, rest = divmod(depth, filter.shape[3])
    if rest or _dilated(lowering, node):
        raise Refusal(f"{depth} channels in groups of {filter.shape[3]}, dilated or not whole")
    inputs.append(lowering.draft.int32(groups))
    lowering.fused(node, "GROUPED_CONV_2D", inputs, [lowering.draft.flag(False)])


@lowers("DEPTHWISE_CONV_2D")
def _depthwise(lowering: Lowering, node: Node) -> None:
    tensor, filter = needed(node, 0), needed(node, 1)
    data = lowering.read(tensor)
    filters = weights(lowering, filter, data)
    biases = bias(lowering, node.input(2), data, filters, filter.shape[3])
    depth = tensor.shape[3] if tensor.rank == 4 else 0
    multiplier = filter.shape[3] // depth if depth else int(node.option("depthMultiplier"))
    inputs = [data, filters, biases, padding(lowering, node), *strides(lowering, node)]
    inputs.append(lowering.draft.int32(multiplier))
    lowering.fused(node, "DEPTHWISE_CONV_2D", inputs, _dilated(lowering, node))


@lowers("TRANSPOSE_CONV")
def _transpose_conv(lowering: Lowering, node: Node) -> None:
    filter = needed(node, 1)
    data = lowering.read(needed(node, 2))
    filters = weights(lowering, filter, data)
    biases = bias(lowering, node.input(3), data, filters, filter.shape[0])
    shape = lowering.draft.ints(lowering.ints(needed(node, 0), "the shape of its result"))
    inputs = [data, filters, biases, shape, padding(lowering, node), *strides(lowering, node)]
    lowering.fused(node, "TRANSPOSE_CONV_2D", inputs, [lowering.draft.flag(False)])


def _pool(code: str) -> Rule:
    def rule(lowering: Lowering, node: Node) -> None:
        size = [
            lowering.draft.int32(int(node.option(f"filter{side}"))) for side in ("Width", "Height")
        ]
        data = lowering.read(needed(node, 0))
        inputs = [data, padding(lowering, node), *strides(lowering, node), *size]
        lowering.fused(node, code, inputs)

    return rule


for _code in ("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"):
    lowers(_code)(_pool(_code))


@lowers("FULLY_CONNECTED")
def _fully_connected(lowering: Lowering, node: Node) -> None:
    if int(node.option("weightsFormat")):
        raise Refusal("its weights are shuffled for one processor: convert the model anew")
    tensor, filter = needed(node, 0), needed(node, 1)
    if filter.rank != 2:
        raise Refusal(f"its weights have {filter.rank} dimensions, NNAPI has 2")
    units, size = filter.shape
    data = lowering.read(tensor)
    if not 2 <= tensor.rank <= 4:
        data = lowering.reshaped(data, (int(np.prod(tensor.shape)) // size, size))
    out = node.outputs[0]
    filters = weights(lowering, filter, data)
    by_channel = lowering.operand(filters).channel_quant is not None
    if by_channel:  # NNAPI has such filters in convolutions alone: a window of one pixel
        if filter.channel:
            raise Refusal("weights with scales for each input: NNAPI has them for each unit")
        rows = int(np.prod(tensor.shape)) // size
        data = lowering.reshaped(data, (rows, 1, 1, size))
        quant = Quant(_C.TENSOR_QUANT8_SYMM_PER_CHANNEL, 0.0, 0, ChannelQuant(0, filter.scales))
        array = lowering.constant(filter, "weights").reshape(units, 1, 1, size)
        filters = lowering.draft.array(array, quant.type, quant)
    inputs = [data, filters, bias(lowering, node.input(2), data, filters, units)]
    if by_channel:
        one = lowering.draft.int32(1)
        _rows(lowering, node, "CONV_2D", [*inputs, lowering.draft.int32(VALID), one, one])
    elif out.rank == 2:
        lowering.fused(node, "FULLY_CONNECTED", inputs)
    else:
        _rows(lowering, node, "FULLY_CONNECTED", inputs)


def _rows(lowering: Lowering, node: Node, code: str, inputs: list[int]) -> None:
    """Rows that get the shape of the node's result behind the operation."""
    made = node.outputs[0]
    out = lowering.write(made)
    rows = int(np.prod(made.shape[:-1]))
    dims = (rows, 1, 1, made.shape[-1]) if code == "CONV_2D" else (rows, made.shape[-1])
    between = lowering.temporary(out, dims)
    activation = int(node.option("fusedActivationFunction"))
    if activation > 3:
        raise Refusal(f"its fused activation {activation}: NNAPI fuses ReLUs")
    lowering.emit(code, [*inputs, lowering.draft.int32(activation)], [between])
    lowering.emit("RESHAPE", [between, lowering.sizes(made.shape)], [out])


@lowers("BATCH_MATMUL")
def _batch_matmul(lowering: Lowering, node: Node) -> None:
    first, second = needed(node, 0), needed(node, 1)
    batch = node.outputs[0].shape[:-2]
    pair = []
    for tensor, other in ((first, second), (second, first)):
        wanted = (*batch, *tensor.shape[-2:])
        if tensor.shape == wanted:
            like = lowering.held.get(other.index, -1)
            pair.append(lowering.read(tensor) if like < 0 else weights(lowering, tensor, like))
            continue
        data = lowering.data(tensor)
        if data is None or 0 in wanted or tensor.type != "FLOAT32":
            raise Refusal(f"{tensor.name} is repeated along the batch: NNAPI takes equal batches")
        pair.append(lowering.draft.array(np.broadcast_to(data, wanted), _C.TENSOR_FLOAT32))
    flags = [lowering.draft.flag(bool(node.option(name))) for name in ("adjX", "adjY")]
    lowering.plain(node, "BATCH_MATMUL", [*pair, *flags])
