"""Conditions under which kernels choose another path, where reports say that it was wrong: strides
with dilations, strides beyond the filter, filters of one row or of more than sixteen columns, many
outputs of a channel, tiles that are not full, images of one row, columns and elements that 11 or 16
bits do not count, bounds of activations beyond the codes.

Each sample is one case in every cell that it is for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from nnapi_testkit.cases.derive import Base
from nnapi_testkit.op.declare import Codes, Given, Reals, Sample
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import CODE_RANGE, FLOATS, is_quantized

Operands = dict[str, Any]
Shape = tuple[int, ...]
SAME, VALID = 1, 2
RELU1, RELU6 = 2, 3
WIDE = 2056  # columns: float16 does not tell those beyond 2,048 apart
DEEP = 32  # so many times are more elements than 16 bits count
FINE = 0.003  # a scale by which neither 1 nor 6 is a code
INT_LIMITS = [-(2**31), 2**31 - 1, -(2**31) + 1, 2**24 + 1, -1, 2**30 + 65]
POOLS = ("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D")
RESIZES = ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
PER_CHANNEL = OperandCode.TENSOR_QUANT8_SYMM_PER_CHANNEL


def _slide(padding: int, strides: tuple[int, int] = (1, 1), **operands: Any) -> Operands:
    """Operands of a window; strides: width, height."""
    return {"padding": padding, "stride_w": strides[0], "stride_h": strides[1], **operands}


def _filter(
    image: Shape,
    filters: Shape,
    padding: int = VALID,
    strides: tuple[int, int] = (1, 1),
    *,
    dilations: tuple[int, int] | None = None,
    **more: Any,
) -> Operands:
    """Operands of a convolution; strides and dilations: width, height."""
    if dilations is not None:
        more |= {"nchw": False, "dilation_w": dilations[0], "dilation_h": dilations[1]}
    outputs = filters[3] if "multiplier" in more else filters[0]
    return _slide(padding, strides, input=image, filter=filters, bias=(outputs,), **more)


def _pool(image: Shape, window: tuple[int, int], **more: Any) -> Operands:
    """Operands of a pool; window: width, height."""
    return _slide(**{"padding": SAME, **more}, input=image, filter_w=window[0], filter_h=window[1])


GROUPED: Operands = {"groups": 2, "nchw": False}
UNPADDED = dict.fromkeys(("pad_left", "pad_right", "pad_top", "pad_bottom"), 0)
CORNERS = {"nchw": False, "align_corners": True, "half_pixel_centers": False}
# Samples of every cell, by operation and name.
SAMPLES: dict[str, dict[str, Operands]] = {
    "CONV_2D": {
        "stride-beyond-filter": _filter((1, 7, 8, 3), (2, 1, 1, 3), SAME, (4, 4)),
        "pointwise-fours": _filter((1, 3, 4, 8), (4, 1, 1, 8)),
        "tile-tail": _filter((1, 4, 13, 4), (5, 3, 3, 4), SAME),
        "strided-dilated": _filter((1, 9, 8, 3), (4, 3, 2, 3), VALID, (2, 2), dilations=(3, 2)),
        "one-row": _filter((1, 1, 6, 3), (1, 3, 3, 3), SAME),
        "one-column": _filter((1, 6, 1, 3), (1, 3, 3, 3), SAME),
    },
    "DEPTHWISE_CONV_2D": {
        "stride-beyond-filter": _filter((1, 7, 8, 3), (1, 1, 1, 3), SAME, (4, 4), multiplier=1),
        "strided-dilated": _filter(
            (1, 9, 8, 3), (1, 3, 2, 6), VALID, (2, 2), dilations=(3, 2), multiplier=2
        ),
        "dilated-fours": _filter((1, 5, 5, 4), (1, 3, 3, 4), SAME, dilations=(2, 2), multiplier=1),
        "multiplier16": _filter((1, 3, 3, 2), (1, 2, 2, 32), multiplier=16),
        "strided-multiplier2": _filter((1, 6, 7, 2), (1, 3, 3, 4), SAME, (2, 2), multiplier=2),
        "row-filter-strided": _filter((1, 5, 7, 3), (1, 1, 3, 3), SAME, (2, 2), multiplier=1),
        "column-filter-strided": _filter((1, 7, 5, 3), (1, 3, 1, 3), SAME, (2, 2), multiplier=1),
        "one-row": _filter((1, 1, 6, 1), (1, 3, 3, 1), SAME, multiplier=1),
        "one-column": _filter((1, 6, 1, 1), (1, 3, 3, 1), SAME, multiplier=1),
    },
    "GROUPED_CONV_2D": {
        "stride-beyond-filter": _filter((1, 7, 8, 4), (2, 1, 1, 2), SAME, (4, 4), **GROUPED),
        "one-row": _filter((1, 1, 6, 2), (1, 3, 3, 2), SAME, groups=1, nchw=False),
    },
    "TRANSPOSE_CONV_2D": {
        "nchw-batch": {
            **UNPADDED,
            "pad_left": 1,
            "stride_w": 2,
            "stride_h": 1,
            "input": (2, 2, 3, 3),
            "filter": (2, 2, 3, 3),
            "bias": (2,),
            "nchw": True,
        },
    },
    **{
        name: {
            "stride-beyond-window": _pool((1, 7, 8, 3), (2, 1), strides=(4, 4)),
            "one-row": _pool((1, 1, 6, 3), (3, 3)),
        }
        for name in POOLS
    },
    "BATCH_MATMUL": {
        "adjoint-both-square": {"x": (2, 3, 3), "y": (2, 4, 3), "adj_x": True, "adj_y": True},
    },
    **{
        name: {
            "corners-to-one-pixel": {"input": (1, 3, 4, 2), "height": 1, "width": 1, **CORNERS},
            "doubled-batch": {"input": (2, 3, 4, 2), "height": 6, "width": 8},
        }
        for name in RESIZES
    },
    "LOCAL_RESPONSE_NORMALIZATION": {
        "neighbours-axis-minus2": {
            "input": (2, 3, 4, 2),
            "radius": 1,
            "bias": 1.5,
            "alpha": 0.75,
            "beta": 0.5,
            "axis": -2,
        },
    },
}
# Samples of one cell of floats and one of codes, for they are large.
LARGE: dict[str, dict[str, Operands]] = {
    "CONV_2D": {
        "wide": _filter((1, 1, WIDE, DEEP), (1, 1, 1, DEEP)),
        "wide-filter": _filter((1, 18, 20, 1), (2, 17, 18, 1)),
    },
    "DEPTHWISE_CONV_2D": {
        "wide": _filter((1, DEEP + 1, WIDE, 1), (1, DEEP + 1, 1, 1), multiplier=1),
    },
    "GROUPED_CONV_2D": {
        "wide": _filter((1, 1, WIDE, DEEP), (2, 1, 1, DEEP // 2), **GROUPED),
    },
    "TRANSPOSE_CONV_2D": {
        "wide": {
            **UNPADDED,
            "stride_w": 2,
            "stride_h": 1,
            "input": (1, 1, WIDE // 2, 2 * DEEP),
            "filter": (1, 1, 3, 2 * DEEP),
            "bias": (1,),
            "nchw": False,
        },
    },
    "FULLY_CONNECTED": {"tall": {"input": (WIDE, DEEP), "filter": (1, DEEP), "bias": (1,)}},
    "BATCH_MATMUL": {
        "tall": {"x": (WIDE, DEEP), "y": (DEEP, 1), "adj_x": False, "adj_y": False},
    },
    **{
        name: {"wide": _pool((1, DEEP + 1, WIDE, 1), (1, DEEP + 1), padding=VALID)}
        for name in POOLS
    },
    **{
        name: {"wide": {"input": (1, 2 * DEEP, WIDE, 1), "height": 2, "width": WIDE}}
        for name in RESIZES
    },
    # More rows than a grid of work groups has in a dimension.
    "SOFTMAX": {"rows-65537": {"input": Reals((2**16 + 1, 1), 0.0, 0.0), "beta": 1.0}},
    "LOG_SOFTMAX": {
        "rows-65537": {"input": Reals((2**16 + 1, 1), 0.0, 0.0), "beta": 1.0, "axis": 1}
    },
}
# What the bound of a fused activation is set on: pointwise, with free scales of the output.
FUSED: dict[str, Operands] = {
    "ADD": {"a": (3, 7), "b": (3, 7)},
    "SUB": {"a": (3, 7), "b": (3, 7)},
    "MUL": {"a": (3, 7), "b": (3, 7)},
    "FULLY_CONNECTED": {"input": (3, 4), "filter": (5, 4), "bias": (5,)},
    "CONV_2D": _filter((1, 2, 3, 4), (5, 1, 1, 4)),
    "DEPTHWISE_CONV_2D": _filter((1, 2, 3, 4), (1, 1, 1, 4), multiplier=1),
    "GROUPED_CONV_2D": _filter((1, 2, 3, 4), (4, 1, 1, 2), **GROUPED),
    "TRANSPOSE_CONV_2D": {
        **UNPADDED,
        "stride_w": 1,
        "stride_h": 1,
        "input": (1, 2, 3, 4),
        "filter": (5, 1, 1, 4),
        "bias": (5,),
        "nchw": False,
    },
    "AVERAGE_POOL_2D": _pool((1, 4, 5, 2), (2, 2)),
    "MAX_POOL_2D": _pool((1, 4, 5, 2), (2, 2)),
}
# Filters that hold the least signed code alone.
LEAST: dict[str, tuple[Shape, Shape]] = {
    "FULLY_CONNECTED": ((4, 6), (3, 6)),
    "CONV_2D": ((1, 2, 3, 4), (3, 1, 1, 4)),
    "DEPTHWISE_CONV_2D": ((1, 3, 4, 3), (1, 1, 2, 3)),
    "GROUPED_CONV_2D": ((1, 2, 3, 4), (2, 1, 1, 2)),
    "TRANSPOSE_CONV_2D": ((1, 2, 3, 4), (3, 1, 1, 4)),
}


def condition_probes(base: Base) -> Iterator[Sample]:
    """The probes of a cell, each of one case."""
    name, main = base.op.name, base.cell.main
    for word, operands in SAMPLES.get(name, {}).items():
        yield Sample(word, variations=(), **operands)
    if _is_first(base):
        for word, operands in LARGE.get(name, {}).items():
            yield Sample(word, variations=(), **operands)
    if name == "MAX_POOL_2D" and main in FLOATS:
        below = Reals((1, 4, 5, 2), -60000.0, -50000.0)
        yield Sample("far-below", variations=(), **{**FUSED[name], "input": below})
    if name == "CAST" and base.cell.name == "int32>float32":
        yield Sample("limits", variations=(), input=Given(INT_LIMITS))
    if is_quantized(main):
        yield from _bounds(base)
        yield from _least_codes(base)


def _is_first(base: Base) -> bool:
    """Whether the cell is the operation's first one of float32, or its first one of codes."""
    cells = base.op.cells
    real = [cell for cell in cells if cell.main == OperandCode.TENSOR_FLOAT32]
    coded = [cell for cell in cells if is_quantized(cell.main)]
    return base.cell in (*real[:1], *coded[:1])


def _bounds(base: Base) -> Iterator[Sample]:
    """Activations whose bounds are far beyond the codes, on either side."""
    operands = FUSED.get(base.op.name)
    if operands is None:
        return
    middle = sum(CODE_RANGE[base.cell.main], 1) // 2
    pooled = base.op.outputs[0].like is not None
    quants = {"input" if pooled else "out": (FINE, middle)}
    for word, activation in (("relu1", RELU1), ("relu6", RELU6)):
        yield Sample(
            f"{word}-beyond-codes",
            variations=(),
            quants=quants,
            activation=activation,
            **operands,
        )


def _least_codes(base: Base) -> Iterator[Sample]:
    """Filters of -128 alone, which are more than an eighth bit of sign and seven of magnitude."""
    shapes = LEAST.get(base.op.name)
    filters = base.cell.type_of("filter", "T")
    if shapes is None or filters == OperandCode.TENSOR_QUANT8_ASYMM:
        return
    image, taps = shapes
    middle = sum(CODE_RANGE[base.cell.main], 1) // 2
    quants: dict[str, Any] = {
        "input": (0.5, middle),
        "filter": (0.5,) if filters == PER_CHANNEL else (0.5, 0),
        "out": (2.0, middle),
    }
    # Neighbours cancel, so that a code of another size is all that is left.
    signs = [25.0 * (1 - 2 * (k % 2)) for k in range(math.prod(image))]
    operands = {**FUSED[base.op.name], "input": Given(signs, image), "filter": Codes(taps, "low")}
    operands["bias"] = [0.0] * (taps[3] if "multiplier" in operands else taps[0])
    yield Sample("least-filter", variations=(), level=3, quants=quants, **operands)
