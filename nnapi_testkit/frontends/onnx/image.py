"""What goes with images: pooling, resizing, padding, blocks, response normalization."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.frontends.draft import Refusal
from nnapi_testkit.frontends.onnx.convolution import Window, window
from nnapi_testkit.frontends.onnx.lower import Lowering, lowers
from nnapi_testkit.frontends.onnx.source import Node
from nnapi_testkit.frontends.sketch import NHWC, Value


def _image(value: Value) -> Value:
    if value.rank != 4:
        raise Refusal(f"{max(0, value.rank - 2)} spatial dimensions: NNAPI has 2")
    return value


def _pooled(
    lowering: Lowering, value: Value, code: str, shape: Sequence[int], how: Window
) -> Value:
    sketch, last = lowering.sketch, lowering.last
    numbers = [*how.pads, how.strides[1], how.strides[0], how.kernel[1], how.kernel[0], 0]
    inputs = [sketch.read(value, last), *map(sketch.int32, numbers)]
    if not last:
        inputs.append(sketch.flag(True))
    return sketch.make(
        code, inputs, shape, value.type, last=last, quant=value.quant, fused=len(numbers)
    )


def _window(node: Node, value: Value, shape: Sequence[int]) -> Window:
    """A pooling window; padding on the right and below grows where the size is rounded up."""
    kernel = node.attributes["kernel_shape"]
    if len(kernel) != 2:
        raise Refusal(f"{len(kernel)} spatial dimensions: NNAPI has 2")
    how = window(node, (int(kernel[0]), int(kernel[1])), value.shape)
    if how.dilations != (1, 1):
        raise Refusal("pooling with dilation: NNAPI has none")
    left, right, top, bottom = how.pads
    if node.attributes.get("ceil_mode"):
        down = (shape[2] - 1) * how.strides[0] + how.kernel[0] - value.shape[2] - top
        wide = (shape[3] - 1) * how.strides[1] + how.kernel[1] - value.shape[3] - left
        right, bottom = max(right, wide), max(bottom, down)
    for pad, size in ((left, 1), (right, 1), (top, 0), (bottom, 0)):
        if pad and pad >= how.kernel[size]:
            raise Refusal("a window outside of the input")
    return replace(how, pads=(left, right, top, bottom))


@lowers("MaxPool")
def _max_pool(lowering: Lowering, node: Node) -> Value:
    value, shape = _image(lowering.raw(node, 0)), lowering.shape(node)
    if len(node.outputs) > 1 and node.outputs[1] in lowering.source.users:
        raise Refusal("positions of the largest: MAX_POOL_2D does not tell them")
    return _pooled(lowering, value, "MAX_POOL_2D", shape, _window(node, value, shape))


@lowers("AveragePool", quantized=True)
def _average_pool(lowering: Lowering, node: Node) -> Value:
    value, shape = _image(_same(lowering, lowering.take(node))), lowering.shape(node)
    how = _window(node, value, shape)
    counted = bool(node.attributes.get("count_include_pad"))
    if counted and any(how.pads):
        if node.attributes.get("ceil_mode"):
            raise Refusal("average pooling that counts its padding, its size rounded up")
        left, right, top, bottom = how.pads
        value = _zeros_around(lowering, value, [[0, 0], [0, 0], [top, bottom], [left, right]])
        how = replace(how, pads=(0, 0, 0, 0))
    return _pooled(lowering, value, "AVERAGE_POOL_2D", shape, how)


def _same(lowering: Lowering, value: Value) -> Value:
    """Refuse codes where NNAPI's operation keeps the scale and the graph changes it."""
    if lowering.mode is not None and value.quant != lowering.mode:
        raise Refusal("the operation keeps scale and zero point, the graph changes them")
    return value


@lowers("GlobalAveragePool", quantized=True)
def _global_average(lowering: Lowering, node: Node) -> Value:
    return _whole(lowering, node, _same(lowering, lowering.take(node)), "AVERAGE_POOL_2D")


@lowers("GlobalMaxPool")
def _global_max(lowering: Lowering, node: Node) -> Value:
    return _whole(lowering, node, lowering.raw(node, 0), "MAX_POOL_2D")


def _whole(lowering: Lowering, node: Node, value: Value, code: str) -> Value:
    size = _image(value).shape[2:]
    how = Window((size[0], size[1]), (1, 1), (1, 1), (0, 0, 0, 0))
    return _pooled(lowering, value, code, lowering.shape(node), how)


@lowers("LRN")
def _response_norm(lowering: Lowering, node: Node) -> Value:
    """x / (bias + alpha / size * sum of squares) ** beta over neighbouring channels."""
    value = _image(lowering.take(node))
    size = int(node.attributes["size"])
    if size % 2 == 0:
        raise Refusal("an even number of channels: NNAPI takes as many before as behind")
    sketch, given = lowering.sketch, node.attributes
    inputs = [
        sketch.read(value, lowering.last),
        sketch.int32(size // 2),
        sketch.real(float(given.get("bias", 1.0)), value),
        sketch.real(float(given.get("alpha", 1e-4)) / size, value),
        sketch.real(float(given.get("beta", 0.75)), value),
    ]
    if not lowering.last:
        inputs.append(sketch.int32(1))
    return sketch.make(
        "LOCAL_RESPONSE_NORMALIZATION", inputs, value.shape, value.type, last=lowering.last
    )


@lowers("DepthToSpace")
def _depth_to_space(lowering: Lowering, node: Node) -> Value:
    value = _image(lowering.raw(node, 0))
    factor = int(node.attributes["blocksize"])
    if node.attributes.get("mode", "DCR") == "CRD":
        value = _blocks_first(lowering, value, factor)
    return _blocks(lowering, "DEPTH_TO_SPACE", value, factor, lowering.shape(node))


@lowers("SpaceToDepth")
def _space_to_depth(lowering: Lowering, node: Node) -> Value:
    if node.attributes.get("mode", "DCR") != "DCR":
        raise Refusal("blocks behind channels: NNAPI's come before them")
    value, factor = _image(lowering.raw(node, 0)), int(node.attributes["blocksize"])
    return _blocks(lowering, "SPACE_TO_DEPTH", value, factor, lowering.shape(node))


def _blocks(
    lowering: Lowering, code: str, value: Value, factor: int, shape: Sequence[int]
) -> Value:
    sketch, last = lowering.sketch, lowering.last
    inputs = [sketch.read(value, last), sketch.int32(factor)]
    if not last:
        inputs.append(sketch.flag(True))
    return sketch.make(code, inputs, shape, value.type, last=last, quant=value.quant)


def _blocks_first(lowering: Lowering, value: Value, factor: int) -> Value:
    """Channels [c, r, r] in the order [r, r, c] that DEPTH_TO_SPACE reads."""
    batch, depth, high, wide = value.shape
    kept, square = depth // factor**2, factor**2
    sketch = lowering.sketch
    plain = replace(value, operand=sketch.read(value), last=False)
    mixed = lowering.reshaped(plain, (batch, kept, square, high * wide))
    turned = sketch.make(
        "TRANSPOSE",
        [sketch.read(mixed), sketch.ints([0, 2, 1, 3])],
        (batch, square, kept, high * wide),
        value.type,
        quant=value.quant,
    )
    return lowering.reshaped(turned, value.shape)


@lowers("Pad")
def _pad(lowering: Lowering, node: Node) -> Value:
    value = lowering.raw(node, 0)
    mode = node.attributes.get("mode", "constant")
    amounts = lowering.ints(node, 1, "pads" if node.version >= 2 else "paddings") or []
    axes = lowering.ints(node, 3) or list(range(value.rank))
    sides = [[0, 0] for _ in value.shape]
    for at, axis in enumerate(axes):
        sides[axis % value.rank] = [amounts[at], amounts[at + len(axes)]]
    if any(amount < 0 for side in sides for amount in side):
        raise Refusal("padding below zero: slice instead")
    if value.rank > 4:
        raise Refusal("padding of more than 4 dimensions")
    fill = float(node.attributes.get("value", 0.0))
    if node.input(2):
        fill = float(lowering.constant(node, 2).reshape(()))
    if mode == "constant" and not fill:
        return _zeros_around(lowering, value, sides)
    value = lowering.real(value)
    table = lowering.sketch.ints(_ordered(value, sides))
    at = lowering.sketch.read(value, value.last)
    if mode == "reflect":
        code, more = "MIRROR_PAD", lowering.sketch.int32(0)
    elif mode == "constant":
        code, more = "PAD_V2", lowering.sketch.real(fill, value)
    else:
        raise Refusal(f"padding of mode {mode}: NNAPI has constant and reflect")
    shape = lowering.shape(node)
    return lowering.sketch.make(code, [at, table, more], shape, value.type, last=value.last)


def _ordered(value: Value, sides: Sequence[list[int]]) -> list[list[int]]:
    return [sides[at] for at in (NHWC if value.last else range(value.rank))]


def _zeros_around(lowering: Lowering, value: Value, sides: Sequence[list[int]]) -> Value:
    """PAD: with the code of zero, if it is held as codes."""
    sketch = lowering.sketch
    shape = tuple(size + sum(side) for size, side in zip(value.shape, sides, strict=True))
    inputs = [sketch.read(value, value.last), sketch.ints(_ordered(value, sides))]
    return sketch.make("PAD", inputs, shape, value.type, last=value.last, quant=value.quant)


@lowers("Resize", "Upsample", quantized=True)
def _resize(lowering: Lowering, node: Node) -> Value:
    """The form of NNAPI's whose pixels are those of the node; compared one by one."""
    mode = node.attributes.get("mode", "nearest")
    if mode not in ("nearest", "linear"):
        raise Refusal(f"resizing of mode {mode}: NNAPI has nearest and linear")
    if node.attributes.get("antialias") or node.attributes.get("exclude_outside"):
        raise Refusal("resizing with antialias or exclude_outside")
    if node.attributes.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise Refusal("resizing that keeps the aspect ratio: name the sizes")
    linear = mode == "linear"
    value = _image(_same(lowering, lowering.take(node)) if linear else lowering.raw(node, 0))
    shape = lowering.shape(node)
    if shape[:2] != value.shape[:2]:
        raise Refusal("resizing of batch or channels")
    wanted = [_places(lowering, node, value, shape, axis, linear) for axis in (2, 3)]
    corners, half = _form(wanted, value.shape, shape, linear)
    sketch, last = lowering.sketch, lowering.last
    inputs = [sketch.read(value, last), sketch.int32(shape[3]), sketch.int32(shape[2])]
    if not last or corners or half:
        inputs.append(sketch.flag(not last))
    if corners or half:
        inputs += [sketch.flag(corners), sketch.flag(half)]
    code = "RESIZE_BILINEAR" if linear else "RESIZE_NEAREST_NEIGHBOR"
    return sketch.make(code, inputs, shape, value.type, last=last, quant=value.quant)


_Places = NDArray[np.float64]


def _form(
    wanted: Sequence[_Places], before: Sequence[int], after: Sequence[int], linear: bool
) -> tuple[bool, bool]:
    """Align_corners and half_pixel_centers of the operation that reads the wanted places."""
    for corners, half in ((False, False), (False, True), (True, False)):
        found = [_nnapi(before[axis], after[axis], corners, half, linear) for axis in (2, 3)]
        if all(np.allclose(a, b, atol=1e-4) for a, b in zip(wanted, found, strict=True)):
            return corners, half
    raise Refusal("its coordinates are none of NNAPI's: plain, half pixel centers, aligned corners")


def _nnapi(before: int, after: int, corners: bool, half: bool, linear: bool) -> _Places:
    """The places that NNAPI's operation reads, in pixels of its input."""
    at = np.arange(after, dtype=np.float64)
    scale = before / after
    if corners and after > 1:
        scale = (before - 1) / (after - 1)
    at = (at + 0.5) * scale - (0.5 if linear else 0.0) if half else at * scale
    if not linear:
        at = np.floor(at + 0.5 + 1e-9) if corners else np.floor(at + 1e-9)
    return at.clip(0, before - 1)


def _places(
    lowering: Lowering, node: Node, value: Value, shape: Sequence[int], axis: int, linear: bool
) -> _Places:
    """The places that the node reads along an axis, in pixels of its input."""
    before, after = value.shape[axis], shape[axis]
    scale = _scale(lowering, node, value, axis) or after / before
    old = node.kind == "Upsample" or node.version < 11
    mode = node.attributes.get(
        "coordinate_transformation_mode", "asymmetric" if old else "half_pixel"
    )
    at = np.arange(after, dtype=np.float64)
    if mode == "half_pixel" or (mode == "pytorch_half_pixel" and after > 1):
        at = (at + 0.5) / scale - 0.5
    elif mode == "pytorch_half_pixel":
        at = at * 0
    elif mode == "asymmetric":
        at = at / scale
    elif mode == "align_corners":
        at = at * (before - 1) / (after - 1) if after > 1 else at * 0
    elif mode == "half_pixel_symmetric":
        centre = before / 2 * (1 - after / (scale * before))
        at = centre + (at + 0.5) / scale - 0.5
    else:
        raise Refusal(f"resizing with coordinates {mode}")
    if not linear:
        at = _rounded(at, node.attributes.get("nearest_mode", "floor" if old else ""))
    return at.clip(0, before - 1)


def _scale(lowering: Lowering, node: Node, value: Value, axis: int) -> float | None:
    """The factor that the node names for an axis; None where it names sizes."""
    position = 1 if node.kind == "Upsample" or node.version < 11 else 2
    axes = node.attributes.get("axes") or list(range(value.rank))
    axes = [int(item) % value.rank for item in axes]
    if axis not in axes:
        return None
    if "scales" in node.attributes:
        return float(node.attributes["scales"][axis])
    if not node.input(position):
        return None
    scales = lowering.constant(node, position).reshape(-1)
    return float(scales[axes.index(axis)]) if len(scales) else None


def _rounded(at: _Places, mode: str) -> _Places:
    near = {"floor": np.floor, "ceil": np.ceil}
    if mode in near:
        found: _Places = near[mode](at + (1e-9 if mode == "floor" else -1e-9))
        return found
    up = mode == "round_prefer_ceil"
    return np.floor(at + 0.5 + 1e-9) if up else np.ceil(at - 0.5 - 1e-9)
