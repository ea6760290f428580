"""Which LiteRT operator computes the same as an NNAPI operation, and how its operands map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from litert_models import Call, NotShared

from nnapi_testkit.spec.codes import OperandCode

# Attribute name to value; tensors by name; lists of tensors.
Operands = dict[str, Any]
Row = Callable[[Operands], Call]
SAME = 1


def need(condition: bool, what: str) -> None:
    """Raise NotShared for attributes that LiteRT does not have."""
    if not condition:
        raise NotShared(f"LiteRT has no {what}")


def last_axis(o: Operands, name: str = "input") -> None:
    axis = -1 if o.get("axis") is None else o["axis"]
    need(axis in (-1, len(o[name].dims) - 1), "other axis than the last")


def plain(builtin: str, names: str, options: str = "", **fields: Any) -> Row:
    """Operands by name, in order; fields are constants, or names of attributes after `=`."""

    def call(o: Operands) -> Call:
        values = {
            key: o[value[1:]] if isinstance(value, str) and value[0] == "=" else value
            for key, value in fields.items()
        }
        return Call(builtin, [o[name] for name in names.split()], options, values)

    return call


def fused(builtin: str, names: str, options: str) -> Row:
    """The same with a fused activation; the codes are those of NNAPI."""
    return plain(builtin, names, options, fusedActivationFunction="=activation")


def padding(o: Operands) -> int:
    need("padding" in o, "explicit padding")
    return 0 if o["padding"] == SAME else 1


def window(o: Operands, *, dilations: bool = False) -> dict[str, Any]:
    fields = {"padding": padding(o), "strideW": o["stride_w"], "strideH": o["stride_h"]}
    fields["fusedActivationFunction"] = o["activation"]
    if dilations:
        fields["dilationWFactor"] = o.get("dilation_w") or 1
        fields["dilationHFactor"] = o.get("dilation_h") or 1
    return fields


def pool(builtin: str) -> Row:
    def call(o: Operands) -> Call:
        size = {"filterWidth": o["filter_w"], "filterHeight": o["filter_h"]}
        return Call(builtin, [o["input"]], "Pool2DOptions", window(o) | size)

    return call


def convolution(o: Operands) -> Call:
    symmetric_filter(o)
    data = [o["input"], o["filter"], o["bias"]]
    return Call("CONV_2D", data, "Conv2DOptions", window(o, dilations=True))


def depthwise(o: Operands) -> Call:
    symmetric_filter(o)
    fields = window(o, dilations=True) | {"depthMultiplier": o["multiplier"]}
    data = [o["input"], o["filter"], o["bias"]]
    return Call("DEPTHWISE_CONV_2D", data, "DepthwiseConv2DOptions", fields)


def transposed(o: Operands) -> Call:
    symmetric_filter(o)
    data = [o.get("output_shape"), o["filter"], o["input"], o["bias"]]
    return Call("TRANSPOSE_CONV", data, "TransposeConvOptions", window(o), 3)


def reduction(builtin: str) -> Row:
    def call(o: Operands) -> Call:
        keep = {"keepDims": o["keep_dims"] > 0}
        return Call(builtin, [o["input"], o["axes"]], "ReducerOptions", keep)

    return call


def softmax(o: Operands) -> Call:
    last_axis(o)
    return Call("SOFTMAX", [o["input"]], "SoftmaxOptions", {"beta": o["beta"]})


def log_softmax(o: Operands) -> Call:
    last_axis(o)
    need(o["beta"] == 1, "beta of LOG_SOFTMAX")
    return Call("LOG_SOFTMAX", [o["input"]], "LogSoftmaxOptions", {})


def transpose(o: Operands) -> Call:
    need(o.get("perm") is not None, "TRANSPOSE without a permutation")
    return Call("TRANSPOSE", [o["input"], o["perm"]])


def same_scale(builtin: str, names: str, options: str = "") -> Row:
    """It moves codes and does not look at scales."""

    def call(o: Operands) -> Call:
        data = [o[name] for name in names.split()]
        quants = {(item.scale, item.zero_point) for item in (*data[-2:], *o["outputs"])}
        need(len(quants) == 1, f"{builtin} of different scales")
        return Call(builtin, data, options, {})

    return call


def symmetric_filter(o: Operands) -> None:
    signed = o["filter"].type == OperandCode.TENSOR_QUANT8_ASYMM_SIGNED
    need(not signed or o["filter"].zero_point == 0, "zero point of an int8 filter")


def l2_normalization(o: Operands) -> Call:
    last_axis(o)
    return Call("L2_NORMALIZATION", [o["input"]], "L2NormOptions", {})


def response(o: Operands) -> Call:
    last_axis(o)
    fields = {name: o[name] for name in ("radius", "bias", "alpha", "beta")}
    options = "LocalResponseNormalizationOptions"
    return Call("LOCAL_RESPONSE_NORMALIZATION", [o["input"]], options, fields)


def concatenation(o: Operands) -> Call:
    axis = {"axis": o["axis"], "fusedActivationFunction": 0}
    return Call("CONCATENATION", o["inputs"], "ConcatenationOptions", axis)


def pack(o: Operands) -> Call:
    fields = {"axis": o["axis"], "valuesCount": len(o["inputs"])}
    return Call("PACK", o["inputs"], "PackOptions", fields)


def split(o: Operands) -> Call:
    axis = np.array(o["axis"], "<i4")
    return Call("SPLIT", [axis, o["input"]], "SplitOptions", {"numSplits": o["num_splits"]})


def strided_slice(o: Operands) -> Call:
    fields = {
        "beginMask": o["begin_mask"],
        "endMask": o["end_mask"],
        "shrinkAxisMask": o["shrink_axis_mask"],
    }
    data = [o["input"], o["begin"], o["end"], o["strides"]]
    return Call("STRIDED_SLICE", data, "StridedSliceOptions", fields)


def squeeze(o: Operands) -> Call:
    axes = [] if o.get("axes") is None else np.frombuffer(o["axes"].value, "<i4").tolist()
    return Call("SQUEEZE", [o["input"]], "SqueezeOptions", {"squeezeDims": axes})


def blocks(builtin: str, options: str) -> Row:
    return lambda o: Call(builtin, [o["input"]], options, {"blockSize": o["block"]})


def to_space(o: Operands) -> Call:
    return Call("BATCH_TO_SPACE_ND", [o["input"], o["block"], np.zeros((2, 2), "<i4")])


def resize(builtin: str) -> Row:
    def call(o: Operands) -> Call:
        need(o.get("height") is not None, "scales of a resize")
        flags = {
            "alignCorners": bool(o.get("align_corners")),
            "halfPixelCenters": bool(o.get("half_pixel_centers")),
        }
        options = {"RESIZE_BILINEAR": "ResizeBilinearOptions"}
        size = np.array([o["height"], o["width"]], "<i4")
        name = options.get(builtin, "ResizeNearestNeighborOptions")
        return Call(builtin, [o["input"], size], name, flags, 3)

    return call


def along(builtin: str, axis: str = "axis") -> Row:
    return lambda o: Call(builtin, [o["input"], np.array(o[axis], "<i4")])


def gather(o: Operands) -> Call:
    return Call("GATHER", [o["input"], o["indices"]], "GatherOptions", {"axis": o["axis"]})


def arg(builtin: str, options: str) -> Row:
    return lambda o: Call(
        builtin, [o["input"], np.array([o["axis"]], "<i4")], options, {"outputType": 2}
    )


def topk(o: Operands) -> Call:
    return Call("TOPK_V2", [o["input"], np.array(o["k"], "<i4")])


def mirror_pad(o: Operands) -> Call:
    return Call("MIRROR_PAD", [o["input"], o["paddings"]], "MirrorPadOptions", {"mode": o["mode"]})


def reverse(o: Operands) -> Call:
    return Call("REVERSE_V2", [o["input"], o["axis"]])


def product(o: Operands) -> Call:
    fields = {"adjX": bool(o.get("adj_x")), "adjY": bool(o.get("adj_y"))}
    return Call("BATCH_MATMUL", [o["x"], o["y"]], "BatchMatMulOptions", fields)


ROWS: dict[str, Row] = {
    **{n: fused(n, "a b", f"{n.capitalize()}Options") for n in ("ADD", "SUB", "MUL", "DIV")},
    **{n: same_scale(n, "a b", "MaximumMinimumOptions") for n in ("MAXIMUM", "MINIMUM")},
    **{
        n: plain(n, "a b", f"{n.title().replace('_', '')}Options")
        for n in ("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL")
    },
    **{n: plain(n, "a b") for n in ("LOGICAL_AND", "LOGICAL_OR")},
    **{
        n: plain(n, "input")
        for n in ("ABS", "EXP", "FLOOR", "LOG", "LOGISTIC", "NEG", "RELU", "RELU6", "RSQRT", "SIN")
    },
    **{n: plain(n, "input") for n in ("SQRT", "TANH", "DEQUANTIZE", "QUANTIZE", "HARD_SWISH")},
    "LOGICAL_NOT": plain("LOGICAL_NOT", "input"),
    "RELU1": plain("RELU_N1_TO_1", "input"),
    "POW": plain("POW", "base exponent", "PowOptions"),
    "PRELU": plain("PRELU", "input alpha"),
    "SOFTMAX": softmax,
    "LOG_SOFTMAX": log_softmax,
    "L2_NORMALIZATION": l2_normalization,
    "LOCAL_RESPONSE_NORMALIZATION": response,
    **{n: pool(n) for n in ("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D")},
    "CONV_2D": convolution,
    "DEPTHWISE_CONV_2D": depthwise,
    "TRANSPOSE_CONV_2D": transposed,
    "FULLY_CONNECTED": fused("FULLY_CONNECTED", "input filter bias", "FullyConnectedOptions"),
    "BATCH_MATMUL": product,
    "MEAN": reduction("MEAN"),
    "REDUCE_SUM": reduction("SUM"),
    **{f"REDUCE_{n}": reduction(f"REDUCE_{n}") for n in ("PROD", "MAX", "MIN", "ANY", "ALL")},
    "CONCATENATION": concatenation,
    "PACK": pack,
    "SPLIT": split,
    "RESHAPE": plain("RESHAPE", "input shape"),
    "SQUEEZE": squeeze,
    "EXPAND_DIMS": along("EXPAND_DIMS"),
    "TRANSPOSE": transpose,
    "SLICE": plain("SLICE", "input begin size"),
    "STRIDED_SLICE": strided_slice,
    "GATHER": gather,
    "EMBEDDING_LOOKUP": plain("EMBEDDING_LOOKUP", "lookups values"),
    "PAD": plain("PAD", "input paddings"),
    "MIRROR_PAD": mirror_pad,
    "TILE": plain("TILE", "input multiples"),
    "REVERSE": reverse,
    "SELECT": same_scale("SELECT_V2", "condition x y"),
    "SPACE_TO_DEPTH": blocks("SPACE_TO_DEPTH", "SpaceToDepthOptions"),
    "DEPTH_TO_SPACE": blocks("DEPTH_TO_SPACE", "DepthToSpaceOptions"),
    "SPACE_TO_BATCH_ND": plain("SPACE_TO_BATCH_ND", "input block paddings"),
    "BATCH_TO_SPACE_ND": to_space,
    "TOPK_V2": topk,
    "ARGMAX": arg("ARG_MAX", "ArgMaxOptions"),
    "ARGMIN": arg("ARG_MIN", "ArgMinOptions"),
    "CAST": plain("CAST", "input"),
    **{n: resize(n) for n in ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")},
}
