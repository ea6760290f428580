"""Convolutions and batch norm: 2-dimensional, with constant weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from nnapi_testkit.frontends.coded import bias, filters
from nnapi_testkit.frontends.draft import Refusal
from nnapi_testkit.frontends.onnx.lower import Lowering, lowers
from nnapi_testkit.frontends.onnx.quantized import given_bias
from nnapi_testkit.frontends.onnx.source import Node
from nnapi_testkit.frontends.sketch import Value
from nnapi_testkit.frontends.values import combined
from nnapi_testkit.spec.codes import OperandCode

__all__ = ["Window", "window"]

_C = OperandCode


@dataclass(frozen=True)
class Window:
    """How a filter moves: height before width; pads are left, right, top, bottom."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[int, int, int, int]


def _pair(node: Node, name: str) -> tuple[int, int]:
    given = node.attributes.get(name) or [1, 1]
    if len(given) != 2:
        raise Refusal(f"{len(given)} spatial dimensions: NNAPI has 2")
    return int(given[0]), int(given[1])


def window(node: Node, kernel: tuple[int, int], shape: Sequence[int]) -> Window:
    """The window of a node over an input of this shape, NCHW; its padding explicit."""
    strides, dilations = _pair(node, "strides"), _pair(node, "dilations")
    mode = node.attributes.get("auto_pad", "NOTSET")
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        sides = []
        for at in range(2):
            size, reach = shape[2 + at], dilations[at] * (kernel[at] - 1) + 1
            count = -(-size // strides[at])
            total = max(0, (count - 1) * strides[at] + reach - size)
            small, large = total // 2, total - total // 2
            sides.append((small, large) if mode == "SAME_UPPER" else (large, small))
        (top, bottom), (left, right) = sides
    elif mode == "VALID":
        top = left = bottom = right = 0
    else:
        top, left, bottom, right = node.attributes.get("pads") or [0, 0, 0, 0]
    if min(top, left, bottom, right) < 0:
        raise Refusal("padding below zero")
    return Window(kernel, strides, dilations, (left, right, top, bottom))


def _image(value: Value) -> Value:
    if value.rank != 4:
        raise Refusal(f"{max(0, value.rank - 2)} spatial dimensions: NNAPI has 2")
    return value


@lowers("Conv", quantized=True)
def _conv(lowering: Lowering, node: Node) -> Value:
    value = _image(lowering.take(node))
    weight = lowering.constant(node, 1)
    out, depth = int(weight.shape[0]), value.shape[1]
    groups = int(node.attributes.get("group", 1))
    how = window(node, (int(weight.shape[2]), int(weight.shape[3])), value.shape)
    _padded_less(how)
    if groups == 1:
        code, order = "CONV_2D", (0, 2, 3, 1)  # [out, height, width, in]
    elif groups == depth and out % depth == 0:
        # [1, height, width, out]: output channel c * multiplier + m reads input channel c.
        code, order = "DEPTHWISE_CONV_2D", (1, 2, 3, 0)
    elif how.dilations != (1, 1):
        raise Refusal("a grouped convolution with dilation: GROUPED_CONV_2D has none")
    else:
        code, order = "GROUPED_CONV_2D", (0, 2, 3, 1)
    at, filter_, offset = _operands(lowering, node, value, order, out)
    sketch, last = lowering.sketch, lowering.last
    before = {"DEPTHWISE_CONV_2D": [out // depth], "GROUPED_CONV_2D": [groups]}.get(code, [])
    numbers = [*how.pads, how.strides[1], how.strides[0], *before, 0]
    inputs = [at, filter_, offset, *map(sketch.int32, numbers)]
    fused = len(inputs) - 1
    dilated = how.dilations != (1, 1)
    if code == "GROUPED_CONV_2D" or dilated or not last:
        inputs.append(sketch.flag(not last))  # left out, devices of level 1 know the form
    if dilated:
        inputs += [sketch.int32(how.dilations[1]), sketch.int32(how.dilations[0])]
    return sketch.make(
        code,
        inputs,
        lowering.shape(node),
        value.type,
        last=last,
        quant=lowering.mode,
        fused=fused,
    )


def _padded_less(how: Window) -> None:
    """Refuse padding as large as the filter, which devices refuse."""
    left, right, top, bottom = how.pads
    for pad, at in ((left, 1), (right, 1), (top, 0), (bottom, 0)):
        if pad and pad >= (how.kernel[at] - 1) * how.dilations[at] + 1:
            raise Refusal("padding as large as the filter, which devices refuse")


def _operands(
    lowering: Lowering,
    node: Node,
    value: Value,
    order: Sequence[int],
    out: int,
    axis: int = 0,
) -> tuple[int, int, int]:
    """Input, filter in this order of dimensions, and bias; `axis` is that of output channels."""
    sketch = lowering.sketch
    at = sketch.read(value, lowering.last)
    if lowering.mode is None:
        weight = np.ascontiguousarray(lowering.constant(node, 1).transpose(order))
        filter_ = sketch.array(weight, value.type)
        offset = np.zeros(out, weight.dtype)
        if node.input(2):
            offset = lowering.constant(node, 2)
        return at, filter_, sketch.array(offset, value.type)
    assert value.quant is not None
    weights = filters(lowering, lowering.codes.get(node.inputs[1]), axis)
    codes = weights.codes.transpose(order)
    quant = weights.quant(list(order).index(axis))
    filter_ = sketch.array(codes, quant.type, quant)
    return (
        at,
        filter_,
        bias(lowering, given_bias(lowering, node, 2), value.quant.scale, weights, out),
    )


@lowers("ConvTranspose", quantized=True)
def _transposed(lowering: Lowering, node: Node) -> Value:
    value = _image(lowering.take(node))
    weight = lowering.constant(node, 1)  # [in, out, height, width]
    if int(node.attributes.get("group", 1)) != 1 or _pair(node, "dilations") != (1, 1):
        raise Refusal("a transposed convolution with groups or dilation: NNAPI has none")
    kernel, strides = (int(weight.shape[2]), int(weight.shape[3])), _pair(node, "strides")
    shape = lowering.shape(node)
    # What lies outside of the result: full size less the result's, split as the node says.
    top, left, _, _ = _cropped(node, value.shape, shape, kernel, strides)
    total = [(value.shape[2 + i] - 1) * strides[i] + kernel[i] - shape[2 + i] for i in range(2)]
    pads = (left, total[1] - left, top, total[0] - top)
    if min(pads) < 0:
        raise Refusal("output_padding above padding: NNAPI's padding would be negative")
    # NNAPI's filter is [out, height, width, in].
    at, filter_, offset = _operands(lowering, node, value, (1, 2, 3, 0), int(weight.shape[1]), 1)
    sketch, last = lowering.sketch, lowering.last
    numbers = [*pads, strides[1], strides[0], 0]
    inputs = [at, filter_, offset, *map(sketch.int32, numbers), sketch.flag(not last)]
    return sketch.make(
        "TRANSPOSE_CONV_2D", inputs, shape, value.type, last=last, quant=lowering.mode, fused=9
    )


def _cropped(
    node: Node,
    shape: Sequence[int],
    result: Sequence[int],
    kernel: tuple[int, int],
    strides: tuple[int, int],
) -> Sequence[int]:
    """Padding of a transposed convolution as the node gives it: top, left, bottom, right."""
    mode = node.attributes.get("auto_pad", "NOTSET")
    if mode == "NOTSET" and "output_shape" not in node.attributes:
        return node.attributes.get("pads") or [0, 0, 0, 0]
    extra = node.attributes.get("output_padding") or [0, 0]
    found = []
    for at in range(2):
        total = (shape[2 + at] - 1) * strides[at] + kernel[at] + extra[at] - result[2 + at]
        found.append(total - total // 2 if mode == "SAME_LOWER" else total // 2)
    return [*found, 0, 0]


@lowers("BatchNormalization")
def _batch_norm(lowering: Lowering, node: Node) -> Value:
    """y = x scale + shift; behind a convolution it is part of the weights already."""
    if node.attributes.get("training_mode"):
        raise Refusal("batch norm in training mode")
    if not node.attributes.get("spatial", 1):
        raise Refusal("batch norm of each place, of operator sets before 9")
    value = lowering.take(node)
    gamma, beta, mean, variance = (
        lowering.constant(node, at).astype(np.float64) for at in range(1, 5)
    )
    scale = gamma / np.sqrt(variance + float(node.attributes.get("epsilon", 1e-5)))
    shape = (-1,) + (1,) * (value.rank - 2)
    dtype = torch.half if value.type == _C.TENSOR_FLOAT16 else torch.float
    for code, data in (("MUL", scale), ("ADD", beta - mean * scale)):
        factor = torch.from_numpy(data.reshape(shape)).to(dtype)
        other = lowering.sketch.constant(factor)
        value = combined(lowering, code, value, other, value.shape, value.type)
    return value


@lowers("InstanceNormalization")
def _instance_norm(lowering: Lowering, node: Node) -> Value:
    value = _image(lowering.take(node))
    sketch, last = lowering.sketch, lowering.last
    inputs = [
        sketch.read(value, last),
        sketch.real(1.0, value),
        sketch.real(0.0, value),
        sketch.real(float(node.attributes.get("epsilon", 1e-5)), value),
        sketch.flag(not last),
    ]
    made = sketch.make("INSTANCE_NORMALIZATION", inputs, value.shape, value.type, last=last)
    for code, position in (("MUL", 1), ("ADD", 2)):
        data = torch.from_numpy(lowering.constant(node, position).reshape(-1, 1, 1).copy())
        other = sketch.constant(data)
        made = combined(lowering, code, made, other, value.shape, value.type)
    return made
