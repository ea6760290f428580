"""Convolutions and what goes with images: batch norm, pooling, resizing, padding, pixel shuffle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.fx import Node

from nnapi_testkit.frontends.coded import Codes, filters
from nnapi_testkit.frontends.coded import bias as bias_operand
from nnapi_testkit.frontends.export.elementwise import both
from nnapi_testkit.frontends.export.lower import Lowering, lowers
from nnapi_testkit.frontends.sketch import NHWC, Refusal, Value
from nnapi_testkit.frontends.values import reduced

__all__ = ["pair"]


def pair(value: Any, default: Any = None) -> tuple[int, int]:
    """Two numbers from one or two."""
    if value is None or value == []:
        value = default
    if isinstance(value, int):
        return value, value
    found = [int(item) for item in value]
    return (found[0], found[0]) if len(found) == 1 else (found[0], found[1])


def arguments(node: Node, count: int) -> list[Any]:
    """The positional arguments, None where they end early."""
    return [*node.args, *[None] * (count - len(node.args))][:count]


@lowers("aten.conv2d.default", "aten.conv2d.padding", "aten.convolution.default", quantized=True)
def _convolution(lowering: Lowering, node: Node) -> Value:
    given, weight, bias, stride, padding, dilation, *rest = arguments(node, 9)
    transposed, groups = False, rest[0]
    if "convolution" in str(node.target):
        transposed, _, groups = rest[0], rest[1], rest[2]
    if transposed:
        raise Refusal("a transposed convolution in this form; export before decomposition")
    value = lowering.value(given)
    data = lowering.constant(weight)
    offset = _bias(lowering, bias, data.shape[0], data)
    following = _normalized(lowering, node)
    if following is not None:
        data, offset = _folded(lowering, following, data, offset)
    if data.dim() != 4 or value.rank != 4:
        raise Refusal("a convolution of other than 2 dimensions with a batch")
    strides, dilations = pair(stride, 1), pair(dilation, 1)
    kernel = (data.shape[2], data.shape[3])
    pads = _pads(padding, kernel, strides, dilations, value.shape)
    groups = int(groups or 1)
    coded = _Coded(lowering.held(weight), lowering.held(bias))
    return convolved(lowering, node, value, data, offset, coded, pads, strides, dilations, groups)


@dataclass(frozen=True)
class _Coded:
    """Weights and bias as codes, where the graph has them so."""

    weights: Codes | None = None
    bias: Codes | None = None


def _constants(
    lowering: Lowering,
    value: Value,
    data: torch.Tensor,
    offset: torch.Tensor,
    coded: _Coded,
    order: Sequence[int],
    axis: int = 0,
) -> tuple[int, int]:
    """The operands of filter, its dimensions in this order, and of bias.

    Args:
        axis: of `data`, where output channels are.
    """
    sketch = lowering.sketch
    if lowering.mode is None:
        if tuple(order) == NHWC:
            filter_ = sketch.read(sketch.constant(data), True)
        else:
            filter_ = sketch.read(sketch.constant(data.permute(*order).contiguous()))
        return filter_, sketch.read(sketch.constant(offset))
    assert value.quant is not None
    weights = filters(lowering, coded.weights, axis)
    quant = weights.quant(list(order).index(axis))
    filter_ = sketch.array(weights.codes.transpose(order), quant.type, quant)
    out = int(data.shape[axis])
    given = coded.bias or offset.numpy()
    return filter_, bias_operand(lowering, given, value.quant.scale, weights, out)


def convolved(
    lowering: Lowering,
    node: Node,
    value: Value,
    data: torch.Tensor,
    offset: torch.Tensor,
    coded: _Coded,
    pads: Sequence[int],
    strides: tuple[int, int],
    dilations: tuple[int, int],
    groups: int,
) -> Value:
    """CONV_2D, DEPTHWISE_CONV_2D or GROUPED_CONV_2D.

    Args:
        data: [out, in / groups, height, width]. pads: left, right, top, bottom.
    """
    sketch, last = lowering.sketch, lowering.last
    depth = value.shape[1]
    at = sketch.read(value, last)
    out, shape = int(data.shape[0]), lowering.shape(node)
    numbers = [*pads, strides[1], strides[0]]
    order = NHWC  # [out, height, width, in]
    if groups == 1:
        code, before, after = "CONV_2D", [], [dilations[1], dilations[0]]
    elif groups == depth and out % depth == 0:
        # [1, height, width, out]: output channel c * multiplier + m reads input channel c.
        order = (1, 2, 3, 0)
        code, before, after = "DEPTHWISE_CONV_2D", [out // depth], [dilations[1], dilations[0]]
    else:
        if dilations != (1, 1):
            raise Refusal("a grouped convolution with dilation: GROUPED_CONV_2D has none")
        code, before, after = "GROUPED_CONV_2D", [groups], []
    filter_, bias = _constants(lowering, value, data, offset, coded, order)
    inputs = [at, filter_, bias, *map(sketch.int32, [*numbers, *before, 0])]
    fused = len(inputs) - 1
    if after == [1, 1] and last:
        after = []  # the older form, which devices of level 1 know
    if code == "GROUPED_CONV_2D":
        inputs.append(sketch.flag(not last))
    elif after or not last:
        inputs += [sketch.flag(not last), *map(sketch.int32, after if after != [1, 1] else [])]
    return sketch.make(code, inputs, shape, value.type, last=last, quant=lowering.mode, fused=fused)


def _bias(lowering: Lowering, bias: Any, size: int, like: torch.Tensor) -> torch.Tensor:
    return torch.zeros(size, dtype=like.dtype) if bias is None else lowering.constant(bias)


def _normalized(lowering: Lowering, node: Node) -> Node | None:
    """The batch norm that alone reads a convolution; it is folded into the weights."""
    users = list(node.users)
    if len(users) != 1 or str(users[0].target) not in _BATCH_NORMS or users[0].args[0] is not node:
        return None
    return users[0]


_BATCH_NORMS = ("aten.batch_norm.default", "aten._native_batch_norm_legit_no_training.default")


def _scale_and_shift(lowering: Lowering, node: Node) -> tuple[torch.Tensor, torch.Tensor]:
    """y = x scale + shift of a batch norm in evaluation mode."""
    _, weight, bias, mean, variance, *rest = node.args
    legit = "legit" in str(node.target)
    if not legit and rest[0]:
        raise Refusal("batch norm in training mode; call model.eval() before the export")
    epsilon: Any = rest[1] if legit else rest[2]
    spread = lowering.constant(variance).double()
    scale = (spread + float(epsilon)).rsqrt()
    if weight is not None:
        scale = scale * lowering.constant(weight).double()
    shift = -lowering.constant(mean).double() * scale
    if bias is not None:
        shift = shift + lowering.constant(bias).double()
    return scale, shift


def _folded(
    lowering: Lowering, norm: Node, data: torch.Tensor, offset: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    scale, shift = _scale_and_shift(lowering, norm)
    folded = data.double() * scale.reshape(-1, *(1,) * (data.dim() - 1))
    return folded.to(data.dtype), (offset.double() * scale + shift).to(data.dtype)


@lowers(*_BATCH_NORMS)
def _batch_norm(lowering: Lowering, node: Node) -> Value:
    source = node.args[0]
    value = lowering.value(source)
    convolution = ("aten.conv2d.default", "aten.conv2d.padding")
    if isinstance(source, Node) and str(source.target) in convolution and len(source.users) == 1:
        return value  # folded already
    scale, shift = _scale_and_shift(lowering, node)
    shape = (-1,) + (1,) * (value.rank - 2)
    dtype = node.meta["val"].dtype
    factor = lowering.sketch.constant(scale.to(dtype).reshape(shape))
    scaled = both(lowering, node, "MUL", value, factor, fused=True)
    return both(
        lowering,
        node,
        "ADD",
        scaled,
        lowering.sketch.constant(shift.to(dtype).reshape(shape)),
        fused=True,
    )


def _pads(
    padding: Any,
    kernel: tuple[int, int],
    strides: tuple[int, int],
    dilations: tuple[int, int],
    shape: Sequence[int],
) -> list[int]:
    """Left, right, top, bottom."""
    if padding == "valid":
        return [0, 0, 0, 0]
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(dilations, kernel, strict=True)]
        return [total[1] // 2, total[1] - total[1] // 2, total[0] // 2, total[0] - total[0] // 2]
    high, wide = pair(padding, 0)
    for pad, size, step in zip((high, wide), kernel, dilations, strict=True):
        if pad and pad >= (size - 1) * step + 1:
            raise Refusal("padding as large as the filter, which devices refuse")
    return [wide, wide, high, high]


@lowers("aten.conv_transpose2d.input", quantized=True)
def _transposed(lowering: Lowering, node: Node) -> Value:
    given, weight, bias, stride, padding, extra, groups, dilation = arguments(node, 8)
    value, data = lowering.value(given), lowering.constant(weight)
    if int(groups or 1) != 1 or pair(dilation, 1) != (1, 1):
        raise Refusal("a transposed convolution with groups or dilation: NNAPI has none")
    sketch, last = lowering.sketch, lowering.last
    shape = lowering.shape(node)
    offset = _bias(lowering, bias, data.shape[1], data)
    # PyTorch's weight is [in, out, height, width], NNAPI's [out, height, width, in].
    coded = _Coded(lowering.held(weight), lowering.held(bias))
    filter_, added = _constants(lowering, value, data, offset, coded, (1, 2, 3, 0), 1)
    (high, wide), (down, right) = pair(padding, 0), pair(extra, 0)
    if down > high or right > wide:
        raise Refusal("output_padding above padding: NNAPI's padding would be negative")
    pads = [wide, wide - right, high, high - down]
    strides = pair(stride, 1)
    inputs = [
        sketch.read(value, last),
        filter_,
        added,
        *map(sketch.int32, [*pads, strides[1], strides[0], 0]),
        sketch.flag(not last),
    ]
    return sketch.make(
        "TRANSPOSE_CONV_2D", inputs, shape, value.type, last=last, quant=lowering.mode, fused=9
    )


def _pooled(
    lowering: Lowering,
    value: Value,
    code: str,
    shape: Sequence[int],
    kernel: tuple[int, int],
    strides: tuple[int, int],
    pads: Sequence[int],
) -> Value:
    sketch, last = lowering.sketch, lowering.last
    numbers = [*pads, strides[1], strides[0], kernel[1], kernel[0], 0]
    inputs = [sketch.read(value, last), *map(sketch.int32, numbers)]
    if not last:
        inputs.append(sketch.flag(True))
    return sketch.make(
        code, inputs, shape, value.type, last=last, quant=value.quant, fused=len(numbers)
    )


def _ceiled(
    value: Value, shape: Sequence[int], kernel: Any, strides: Any, high: int, wide: int
) -> list[int]:
    """Padding on the right and below grows where PyTorch rounds the output's size up."""
    pads = [wide, wide, high, high]
    for axis, pad, position in ((2, high, 3), (3, wide, 1)):
        at = axis - 2
        needed = (shape[axis] - 1) * strides[at] + kernel[at] - value.shape[axis] - pad
        pads[position] = max(pad, needed)
        if pads[position] >= kernel[at] and pads[position]:
            raise Refusal("ceil_mode with a window outside the input")
    return pads


@lowers("aten.max_pool2d.default", moves=True)
def _max_pool(lowering: Lowering, node: Node) -> Value:
    given, kernel, stride, padding, dilation, _ = arguments(node, 6)
    if pair(dilation, 1) != (1, 1):
        raise Refusal("max pooling with dilation: MAX_POOL_2D has none")
    value, shape = lowering.raw(given), lowering.shape(node)
    size, strides = pair(kernel), pair(stride, kernel)
    pads = _ceiled(value, shape, size, strides, *pair(padding, 0))
    return _pooled(lowering, value, "MAX_POOL_2D", shape, size, strides, pads)


@lowers("aten.avg_pool2d.default", quantized=True)
def _average_pool(lowering: Lowering, node: Node) -> Value:
    given, kernel, stride, padding, ceil, counted, divisor = arguments(node, 7)
    value, shape = lowering.value(given), lowering.shape(node)
    lowering.keeps(value)
    size, strides = pair(kernel), pair(stride, kernel)
    high, wide = pair(padding, 0)
    if divisor is not None:
        raise Refusal("average pooling with divisor_override")
    if (high or wide) and counted is not False:
        raise Refusal(
            "average pooling that counts its padding, NNAPI divides by the elements inside: say"
            " count_include_pad=False"
        )
    pads = _ceiled(value, shape, size, strides, high, wide) if ceil else [wide, wide, high, high]
    return _pooled(lowering, value, "AVERAGE_POOL_2D", shape, size, strides, pads)


@lowers("aten.adaptive_avg_pool2d.default", quantized=True)
def _adaptive(lowering: Lowering, node: Node) -> Value:
    value, shape = lowering.value(node.args[0]), lowering.shape(node)
    lowering.keeps(value)
    if any(_open(node)) and shape[2:] == (1, 1):  # a window as large as the image has no number
        return reduced(lowering, value, "MEAN", [2, 3], True)
    (high, wide), (down, right) = value.shape[2:], shape[2:]
    if high % down or wide % right:
        raise Refusal(f"adaptive pooling from {high}x{wide} to {down}x{right}: sizes must divide")
    size = (high // down, wide // right)
    return _pooled(lowering, value, "AVERAGE_POOL_2D", shape, size, size, [0, 0, 0, 0])


@lowers("aten.upsample_nearest2d.vec", "aten.upsample_nearest2d.default", moves=True)
def _nearest(lowering: Lowering, node: Node) -> Value:
    value = lowering.raw(node.args[0])
    return _resized(lowering, node, value, "RESIZE_NEAREST_NEIGHBOR", [])


@lowers("aten.upsample_bilinear2d.vec", "aten.upsample_bilinear2d.default", quantized=True)
def _bilinear(lowering: Lowering, node: Node) -> Value:
    corners: Any = node.args[2]
    value = lowering.value(node.args[0])
    lowering.keeps(value)
    return _resized(lowering, node, value, "RESIZE_BILINEAR", [bool(corners), not corners])


def _open(node: Node) -> tuple[bool, ...]:
    """Which of height and width of what a node reads are open."""
    source: Any = node.args[0]
    return tuple(source.meta.get("open", ())[2:])


def _resized(
    lowering: Lowering, node: Node, value: Value, code: str, flags: Sequence[bool]
) -> Value:
    """To a size in pixels; PyTorch's bilinear has half pixel centers unless corners are aligned."""
    sketch, last = lowering.sketch, lowering.last
    shape = lowering.shape(node)
    scales: Any = node.args[-1]
    if isinstance(scales, list | tuple) and any(
        scale is not None and not math.isclose(size * float(scale), int(size * float(scale)))
        for scale, size in zip(scales, value.shape[2:], strict=False)
    ):
        raise Refusal("a scale that gives no whole size: name the size")
    wanted = [sketch.int32(shape[3]), sketch.int32(shape[2])]
    if any(_open(node)) and isinstance(scales, list | tuple):  # the form that leaves the size open
        wanted = [sketch.real(float(scale), value) for scale in reversed(scales)]
    inputs = [
        sketch.read(value, last),
        *wanted,
        sketch.flag(not last),
        *map(sketch.flag, flags),
    ]
    if last and not any(flags):
        inputs = inputs[:3]
    return sketch.make(code, inputs, shape, value.type, last=last, quant=value.quant)


@lowers("aten.constant_pad_nd.default", "aten.pad.default")
def _padded(lowering: Lowering, node: Node) -> Value:
    value = lowering.raw(node.args[0])
    amounts: Any = node.args[1]
    mode = node.args[2] if "aten.pad." in str(node.target) and len(node.args) > 2 else "constant"
    fill: Any = node.args[-1] if len(node.args) > 2 and not isinstance(node.args[-1], str) else 0.0
    sides = [[0, 0] for _ in value.shape]
    for at in range(len(amounts) // 2):
        sides[-1 - at] = [int(amounts[2 * at]), int(amounts[2 * at + 1])]
    if any(amount < 0 for side in sides for amount in side):
        raise Refusal("padding below zero: slice instead")
    if fill or mode == "reflect":
        value = lowering.real(value)  # no code stands for any number; 0 has one
    order = [0, 2, 3, 1] if value.last else list(range(value.rank))
    sketch = lowering.sketch
    table = sketch.ints([sides[at] for at in order])
    at = sketch.read(value, value.last)
    shape = lowering.shape(node)
    if mode == "reflect":
        inputs = [at, table, sketch.int32(0)]
        return sketch.make("MIRROR_PAD", inputs, shape, value.type, last=value.last)
    if mode != "constant":
        raise Refusal(f"padding of mode {mode}: NNAPI has constant and reflect")
    if not fill:
        return sketch.make(
            "PAD", [at, table], shape, value.type, last=value.last, quant=value.quant
        )
    inputs = [at, table, sketch.real(float(fill), value)]
    return sketch.make("PAD_V2", inputs, shape, value.type, last=value.last)


@lowers("aten.pixel_shuffle.default", moves=True)
def _pixel_shuffle(lowering: Lowering, node: Node) -> Value:
    """PyTorch's channels are [c, r, r], DEPTH_TO_SPACE's [r, r, c]: reshape and transpose."""
    value, shape = lowering.raw(node.args[0]), lowering.shape(node)
    factor: Any = node.args[1]
    batch, _, high, wide = value.shape
    channels = shape[1]
    # Six dimensions would be needed at once; NNAPI's TRANSPOSE has four, so in two steps.
    sketch = lowering.sketch
    mixed = lowering.reshaped(
        replace(value, operand=sketch.read(value), last=False),
        (batch, channels, factor * factor, high * wide),
    )
    order = sketch.ints([0, 2, 1, 3])
    turned = sketch.make(
        "TRANSPOSE",
        [sketch.read(mixed), order],
        (batch, factor * factor, channels, high * wide),
        value.type,
        quant=value.quant,
    )
    flat = lowering.reshaped(turned, value.shape)
    inputs = [sketch.read(flat, lowering.last), sketch.int32(factor)]
    if not lowering.last:
        inputs.append(sketch.flag(True))
    return sketch.make(
        "DEPTH_TO_SPACE", inputs, shape, value.type, last=lowering.last, quant=value.quant
    )


@lowers("aten.channel_shuffle.default", "aten.native_channel_shuffle.default", moves=True)
def _channel_shuffle(lowering: Lowering, node: Node) -> Value:
    value = lowering.raw(node.args[0])
    groups: Any = node.args[1]
    sketch = lowering.sketch
    inputs = [
        sketch.read(value, value.last),
        sketch.int32(groups),
        sketch.int32(3 if value.last else 1),
    ]
    return sketch.make(
        "CHANNEL_SHUFFLE", inputs, value.shape, value.type, last=value.last, quant=value.quant
    )


@lowers("aten.instance_norm.default")
def _instance_norm(lowering: Lowering, node: Node) -> Value:
    given, weight, bias, mean, _, own, _, epsilon, _ = arguments(node, 9)
    if mean is not None and not own:
        raise Refusal("instance norm of running statistics")
    value = lowering.value(given)
    if value.rank != 4:
        raise Refusal("instance norm of other than 4 dimensions")
    scaled: Any = None
    sketch, last = lowering.sketch, lowering.last
    inputs = [
        sketch.read(value, last),
        sketch.real(1.0, value),
        sketch.real(0.0, value),
        sketch.real(float(epsilon), value),
        sketch.flag(not last),
    ]
    scaled = sketch.make("INSTANCE_NORMALIZATION", inputs, value.shape, value.type, last=last)
    for code, given_ in (("MUL", weight), ("ADD", bias)):
        if given_ is not None:
            data = lowering.constant(given_).reshape(-1, 1, 1)
            scaled = both(lowering, node, code, scaled, sketch.constant(data), fused=True)
    assert isinstance(scaled, Value)
    return scaled
