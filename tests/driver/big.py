"""A large case of every operation: work of a tenth of a second or more, where it can take that."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.cases import build
from nnapi_testkit.cases.build import Slot, Variant, build_case
from nnapi_testkit.cases.slots import Regime
from nnapi_testkit.model.case import Case
from nnapi_testkit.op.declare import Cell, Choice, Given, Op, Sample
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import CODE_RANGE, DTYPE, FLOATS

MANY = (1 << 24,)
PLANES = (4, 512, 512, 16)
ROWS = (1 << 12, 1 << 12)
UNARY = (
    "ABS CAST DEQUANTIZE ELU EXP FLOOR HARD_SWISH LOG LOGICAL_NOT LOGISTIC NEG QUANTIZE RELU RELU1"
    " RELU6 RSQRT SIN SQRT TANH"
)
PAIRS = (
    "ADD DIV MAXIMUM MINIMUM MUL SUB EQUAL GREATER GREATER_EQUAL LESS LESS_EQUAL LOGICAL_AND"
    " LOGICAL_OR NOT_EQUAL"
)
REDUCED = "MEAN REDUCE_ALL REDUCE_ANY REDUCE_MAX REDUCE_MIN REDUCE_PROD REDUCE_SUM"
LAST = [[0, 0], [0, 0], [0, 0], [1, 1]]
# Operations that compute nothing or only copy a few numbers, and those that run others.
QUICK = frozenset({"RANK", "IF", "WHILE"})


def _cell(units: int, size: int, batch: int, way: str = "") -> dict[str, Any]:
    """Weights of an LSTM without any options."""
    found: dict[str, Any] = {}
    for gate in "ifco":
        found[f"{way}w_x{gate}"] = (units, size)
        found[f"{way}w_h{gate}"] = (units, units)
        found[f"{way}b_{gate}"] = (units,)
    return found | {f"{way}h_in": (batch, units), f"{way}c_in": (batch, units)}


def _rois(count: int) -> dict[str, Any]:
    boxes = np.tile([0.0, 0.0, 120.0, 120.0], (count, 1))
    return {"rois": Given(boxes.tolist()), "batches": [0] * count}


def _boxes(count: int) -> list[list[float]]:
    """Boxes far from each other, so that all are kept."""
    return [[8.0 * (i % 512), 8.0 * (i // 512), 0.0, 0.0] for i in range(count)]


def _corners(count: int, classes: int) -> list[list[float]]:
    return [[x, y, x + 4, y + 4] * classes for x, y, _, _ in _boxes(count)]


def _scores(count: int, classes: int) -> list[list[float]]:
    return [[0.2 + 0.7 * ((i * 7919) % 1009) / 1009] * classes for i in range(count)]


CONVOLUTION = {"filter": (128, 3, 3, 64), "bias": (128,)}
LONG = {"x": (64, 32, 128), "time_major": True}
BIG: dict[str, dict[str, Any]] = {
    **{name: {"input": MANY} for name in UNARY.split()},
    **{name: {"a": MANY, "b": MANY} for name in PAIRS.split()},
    **{name: {"input": PLANES} for name in REDUCED.split()},
    "POW": {"base": MANY, "exponent": MANY},
    "PRELU": {"input": MANY, "alpha": MANY},
    "SELECT": {"condition": MANY, "x": MANY, "y": MANY},
    "AVERAGE_POOL_2D": {"input": PLANES, "filter_w": 9, "filter_h": 9},
    "MAX_POOL_2D": {"input": PLANES, "filter_w": 9, "filter_h": 9},
    "L2_POOL_2D": {"input": PLANES, "filter_w": 9, "filter_h": 9},
    "CONV_2D": {"input": (8, 128, 128, 64), **CONVOLUTION},
    "GROUPED_CONV_2D": {"input": (8, 128, 128, 128), **CONVOLUTION},
    "DEPTHWISE_CONV_2D": {
        "input": (8, 256, 256, 64),
        "filter": (1, 5, 5, 64),
        "bias": (64,),
    },
    "TRANSPOSE_CONV_2D": {"input": (4, 64, 64, 64), "filter": (64, 5, 5, 64), "bias": (64,)},
    "FULLY_CONNECTED": {"input": (2048, 2048), "filter": (2048, 2048), "bias": (2048,)},
    "BATCH_MATMUL": {"x": (2048, 2048), "y": (2048, 2048)},
    "CONCATENATION": {"inputs": ((1024, 1024, 8, 2), (1024, 1024, 8, 1)), "axis": 3},
    "PACK": {"axis": 2, "inputs": [ROWS, ROWS]},
    "SPLIT": {"input": ROWS, "axis": 1, "num_splits": 1 << 12},
    "DEPTH_TO_SPACE": {"input": PLANES},
    "SPACE_TO_DEPTH": {"input": PLANES},
    "BATCH_TO_SPACE_ND": {"input": PLANES},
    "SPACE_TO_BATCH_ND": {"input": PLANES},
    "EMBEDDING_LOOKUP": {"lookups": Choice((1 << 23,), 0, 4), "values": (5, 2)},
    "HASHTABLE_LOOKUP": {
        "lookups": [7, -3, 12, 0] * (1 << 18),
        "keys": list(range(-(1 << 11), 1 << 11)),
        "values": (1 << 12, 8),
    },
    "L2_NORMALIZATION": {"input": PLANES},
    "LOCAL_RESPONSE_NORMALIZATION": {"input": PLANES, "radius": 8},
    "INSTANCE_NORMALIZATION": {"input": PLANES},
    "SOFTMAX": {"input": ROWS},
    "LOG_SOFTMAX": {"input": ROWS},
    "LSH_PROJECTION": {"hash": (32, 30), "input": (1 << 16, 32), "weight": (1 << 16,)},
    "LSTM": {"x": (1024, 512), **_cell(512, 512, 1024)},
    "QUANTIZED_LSTM": {"x": (1024, 512), **_cell(512, 512, 1024)},
    "QUANTIZED_16BIT_LSTM": {"x": (1024, 256), **_cell(256, 256, 1024)},
    "UNIDIRECTIONAL_SEQUENCE_LSTM": {**LONG, **_cell(256, 128, 32)},
    "BIDIRECTIONAL_SEQUENCE_LSTM": {
        **LONG,
        **_cell(256, 128, 32, "fw_"),
        **_cell(256, 128, 32, "bw_"),
    },
    "RNN": {
        "input": (4096, 1024),
        "weights": (1024, 1024),
        "recurrent": (1024, 1024),
        "bias": (1024,),
        "state": (4096, 1024),
    },
    "UNIDIRECTIONAL_SEQUENCE_RNN": {
        "input": (256, 32, 256),
        "weights": (512, 256),
        "recurrent": (512, 512),
        "bias": (512,),
        "state": (32, 512),
        "time_major": 1,
    },
    "BIDIRECTIONAL_SEQUENCE_RNN": {
        "input": (256, 32, 256),
        **{
            f"{way}_{name}": shape
            for way in ("fw", "bw")
            for name, shape in {
                "weights": (512, 256),
                "recurrent": (512, 512),
                "bias": (512,),
                "state": (32, 512),
            }.items()
        },
        "time_major": True,
    },
    "SVDF": {
        "input": (1024, 1024),
        "features": (1024, 1024),
        "times": (1024, 16),
        "bias": (1024,),
        "state": (1024, 15 * 1024),
    },
    "RESHAPE": {"input": (1 << 12, 1 << 12, 1)},
    "SQUEEZE": {"input": (1, *ROWS)},
    "EXPAND_DIMS": {"input": ROWS},
    "PAD": {"input": PLANES, "paddings": LAST},
    "PAD_V2": {"input": PLANES, "paddings": LAST},
    "MIRROR_PAD": {"input": PLANES, "paddings": LAST},
    "REVERSE": {"input": ROWS, "axis": [1]},
    "STRIDED_SLICE": {"input": ROWS, "begin": [0, 0], "end": [*ROWS], "strides": [1, 1]},
    "SLICE": {"input": ROWS, "begin": [0, 0], "size": [1 << 12, (1 << 12) - 1]},
    "TRANSPOSE": {"input": PLANES},
    "TILE": {"input": ROWS, "multiples": [1, 2]},
    "FILL": {"shape": [1 << 25]},
    "GATHER": {
        "input": (1 << 22, 4),
        "axis": 1,
        "indices": Choice((16,), 0, 3),
    },
    "ARGMAX": {"input": ROWS, "axis": 0},
    "ARGMIN": {"input": ROWS, "axis": 0},
    "TOPK_V2": {"input": ROWS, "k": 2048},
    "CHANNEL_SHUFFLE": {"input": (4, 512, 512, 12)},
    "RESIZE_BILINEAR": {"input": (4, 64, 64, 32), "height": 512, "width": 512},
    "RESIZE_NEAREST_NEIGHBOR": {"input": (4, 64, 64, 32), "height": 512, "width": 512},
    "RANDOM_MULTINOMIAL": {"logits": (1, 64), "count": 1 << 22},
    "ROI_ALIGN": {"input": (1, 128, 128, 64), **_rois(64), "out_height": 28, "out_width": 28},
    "ROI_POOLING": {"input": (1, 128, 128, 64), **_rois(256), "out_height": 28, "out_width": 28},
    "HEATMAP_MAX_KEYPOINT": {
        "heatmap": (64, 128, 128, 16),
        "boxes": Given([[0.0, 0.0, 64.0, 64.0]] * 64),
    },
    "AXIS_ALIGNED_BBOX_TRANSFORM": {
        "rois": Given(np.tile([0.0, 0.0, 8.0, 8.0], (1 << 13, 1)).tolist()),
        "deltas": (1 << 13, 4 * 256),
        "batches": [0] * (1 << 13),
        "image": Given([[512.0, 512.0]]),
    },
    "BOX_WITH_NMS_LIMIT": {
        "scores": Given(_scores(1 << 13, 3)),
        "boxes": Given(_corners(1 << 13, 3)),
        "batches": [0] * (1 << 13),
    },
    "DETECTION_POSTPROCESSING": {
        "scores": Given([_scores(1 << 13, 3)]),
        "deltas": Given([[[0.0] * 4] * (1 << 13)]),
        "anchors": Given([[y, x, 4.0, 4.0] for x, y, _, _ in _boxes(1 << 13)]),
        "most": 1 << 13,
        "each_class": 1 << 13,
    },
    "GENERATE_PROPOSALS": {
        "scores": (1, 96, 96, 2),
        "deltas": (1, 96, 96, 8),
        "anchors": Given([[0.0, 0.0, 4.0, 4.0]] * 2),
        "image": Given([[4096.0, 4096.0]]),
        "least": 0.0,
        "iou_threshold": 0.9,
    },
}


def fast(slot: Slot, key: int, regime: Regime) -> NDArray[Any]:
    """What `draw` draws, from numpy's own generator: these cases need no golden."""
    if slot.value is not None and not isinstance(slot.value, tuple):
        return DRAW(slot, key, regime)
    rng = np.random.default_rng(1)
    dtype = DTYPE[slot.code]
    if slot.code in FLOATS:
        return rng.random(slot.shape, np.float32).astype(dtype) * 2 - 1
    if slot.code == OperandCode.TENSOR_BOOL8:
        return rng.integers(0, 2, slot.shape, dtype)
    low, high = CODE_RANGE.get(slot.code, (-9, 9))
    return rng.integers(low, high + 1, slot.shape, dtype)


DRAW = build.draw


def big_case(op: Op, cell: Cell) -> Case:
    """The large case of an operation; `draw` should be `fast`."""
    first = next(s for s in op.samples_for(cell) if not s.large)
    sample = Sample("big", **{**first.operands, **BIG[op.name]})
    return build_case(op, cell, sample, Variant(), f"{op.name}[{cell.name}-big]", 0)
