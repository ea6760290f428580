"""What the tables of faults that rewrite models are made of: changes, operations, sources."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nnapi_testkit.model.types import ChannelQuant, Operand
from nnapi_testkit.power.edit import (
    Array,
    CaseEdit,
    argument,
)
from nnapi_testkit.power.fault import Fault

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "GROUPED_CONV_2D", "TRANSPOSE_CONV_2D")
POOLS = ("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D")
FUSED = ("ADD", "SUB", "MUL", "DIV", "FULLY_CONNECTED", *CONVOLUTIONS, *POOLS)
SLIDING = (*CONVOLUTIONS, *POOLS)
LSTMS = (
    "LSTM",
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "BIDIRECTIONAL_SEQUENCE_LSTM",
    "QUANTIZED_LSTM",
)
REDUCTIONS = (
    "MEAN",
    "REDUCE_SUM",
    "REDUCE_MAX",
    "REDUCE_MIN",
    "REDUCE_PROD",
    "REDUCE_ANY",
    "REDUCE_ALL",
)
RESIZES = ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
SPATIAL = (*SLIDING, "DEPTH_TO_SPACE", "SPACE_TO_DEPTH", *RESIZES, "INSTANCE_NORMALIZATION")
REGIONS = ("ROI_ALIGN", "ROI_POOLING")


def zero(x: Array) -> Array:
    """All zeros."""
    return np.zeros_like(x)


def is_(old: int, new: int, name: str = "activation") -> CaseEdit:
    """Take one value of a scalar for another."""
    return argument(name, lambda x: np.where(x == old, new, x))


def always(value: float, name: str, *ops: str) -> CaseEdit:
    """Take an operand for this value, whatever it is."""
    return argument(name, lambda x: np.full_like(x, value), *ops)


def first_channel_scale(operand: Operand) -> Operand:
    """Give every channel the scale of the first."""
    quant = operand.channel_quant
    if quant is None:
        return operand
    scales = (quant.scales[0],) * len(quant.scales)
    return replace(operand, channel_quant=ChannelQuant(quant.dim, scales))


def filter_spatial(change: str) -> CaseEdit:
    """Turn a filter by 180 degrees, or exchange its rows and columns."""

    def edit(x: Array) -> Array:
        if x.ndim != 4:
            return x
        if change == "turned":
            return x[:, ::-1, ::-1, :]
        return np.swapaxes(x, 1, 2) if x.shape[1] == x.shape[2] else x

    return argument("filter", edit)


def bias_16(x: Array) -> Array:
    """Cut an integer bias to 16 bits."""
    return np.clip(x, -32768, 32767) if x.dtype == np.int32 else x


def columns_exchanged(x: Array) -> Array:
    """Exchange both columns of a table of paddings."""
    return x[..., ::-1] if x.ndim == 2 and x.shape[-1] == 2 else x


def inverse(x: Array) -> Array:
    """The inverse of a permutation."""
    return np.argsort(x) if x.size and (np.sort(x) == np.arange(x.size)).all() else x


def symmetric_zero(operand: Operand) -> Operand:
    """Take an asymmetric zero point for 0."""
    asymmetric = operand.zero_point not in (0, 128) and operand.scale
    return replace(operand, zero_point=0) if asymmetric else operand


def fault(
    id: str, what: str, seen: str, operations: tuple[str, ...] | str, edit: CaseEdit
) -> Fault:
    """A row of the table."""
    ops = (operations,) if isinstance(operations, str) else operations
    return Fault(id, what, seen, ops, "in", case=edit)


SEEN_ACTIVATIONS = "microsoft/onnxruntime#9039 (Redmi Note 9, wrong activations)"
SEEN_PADDING = "microsoft/onnxruntime#27805 (padding of {1, 2, 3, 1} with a 2 x 2 kernel)"
SEEN_DEPTHWISE = "tensorflow/tensorflow#57475 (DEPTHWISE_CONV_2D on Snapdragon)"
SEEN_LAYOUT = "microsoft/onnxruntime#15949, #16095 (axes and layouts)"
SEEN_RESIZE = "tensorflow/tensorflow#28963; LiteRT nnapi_delegate.cc (driver differences)"
SEEN_CODES = "tensorflow/tensorflow#39923, #45394 (quantized models differ)"
SEEN_RESTRICTIONS = "LiteRT nnapi_delegate.cc (restrictions by operation)"
SEEN_ARGUMENTS = "intel/webml-polyfill#393 (arguments read otherwise)"
SEEN_CELLS = "LiteRT acceleration_test_list.cc (recurrent cells left out)"
SEEN_BOXES = "NeuralNetworksTypes.h (details that devices differ in)"
