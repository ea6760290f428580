"""Older forms of what works on images: convolutions, shuffles, resizing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.frontends.draft import Refusal
from nnapi_testkit.frontends.older.write import Writer, older_form
from nnapi_testkit.model.types import Operation
from nnapi_testkit.spec.codes import OperandCode, OperationCode

_CHANNELS_FIRST = "channels first need feature level 3: convert with the layout nhwc"
# How many inputs come before the layout flag, by kind of padding: explicit, implicit.
_PLAIN = {
    OperationCode.CONV_2D: (10, 7),
    OperationCode.DEPTHWISE_CONV_2D: (11, 8),
    OperationCode.AVERAGE_POOL_2D: (10, 7),
    OperationCode.MAX_POOL_2D: (10, 7),
    OperationCode.L2_POOL_2D: (10, 7),
    OperationCode.RESIZE_BILINEAR: (3, 3),
    OperationCode.DEPTH_TO_SPACE: (2, 2),
    OperationCode.SPACE_TO_DEPTH: (2, 2),
    OperationCode.BATCH_TO_SPACE_ND: (2, 2),
    OperationCode.SPACE_TO_BATCH_ND: (3, 3),
}


def _cut(w: Writer, operation: Operation) -> tuple[list[int], list[int]]:
    """The inputs that the older form has, and those behind the layout flag."""
    for count in sorted(_PLAIN[OperationCode(operation.code)]):
        flag = operation.inputs[count : count + 1]
        if flag and w.operands[flag[0]].type == OperandCode.BOOL:
            if bool(w.known(flag[0])):
                raise Refusal(_CHANNELS_FIRST)
            return list(operation.inputs[:count]), list(operation.inputs[count + 1 :])
    return list(operation.inputs), []


@older_form(
    "AVERAGE_POOL_2D",
    "MAX_POOL_2D",
    "L2_POOL_2D",
    "DEPTH_TO_SPACE",
    "SPACE_TO_DEPTH",
    "BATCH_TO_SPACE_ND",
    "SPACE_TO_BATCH_ND",
)
def _without_flag(w: Writer, operation: Operation) -> None:
    inputs, _ = _cut(w, operation)
    w.operation(OperationCode(operation.code).name, inputs, operation.outputs)


@older_form("CONV_2D", "DEPTHWISE_CONV_2D")
def _convolution(w: Writer, operation: Operation) -> None:
    """Dilation becomes zeros between the weights, which computes the same."""
    inputs, more = _cut(w, operation)
    width, height = (int(w.known(at)) for at in more[:2]) if more else (1, 1)
    _one_scale(w, inputs[1])
    if (width, height) != (1, 1):
        weights = w.known(inputs[1])
        out, high, wide, depth = weights.shape
        shape = (out, (high - 1) * height + 1, (wide - 1) * width + 1, depth)
        spread = np.full(shape, w.operands[inputs[1]].zero_point, weights.dtype)
        spread[:, ::height, ::width] = weights
        inputs[1] = w.alike(inputs[1], spread)
    w.operation(OperationCode(operation.code).name, inputs, operation.outputs)


def _one_scale(w: Writer, filters: int) -> None:
    if w.operands[filters].type == OperandCode.TENSOR_QUANT8_SYMM_PER_CHANNEL:
        raise Refusal(
            "filters with scales by channel need feature level 3: quantize each with one scale"
        )


@older_form("GROUPED_CONV_2D")
def _grouped(w: Writer, operation: Operation) -> None:
    """CONV_2D with zeros for the channels of other groups."""
    *inputs, layout = operation.inputs
    if bool(w.known(layout)):
        raise Refusal(_CHANNELS_FIRST)
    _one_scale(w, inputs[1])
    groups = int(w.known(inputs.pop(-2)))
    weights = w.known(inputs[1])
    out, high, wide, depth = weights.shape
    whole = np.full(
        (out, high, wide, depth * groups), w.operands[inputs[1]].zero_point, weights.dtype
    )
    each = out // groups
    for group in range(groups):
        rows, columns = slice(group * each, (group + 1) * each), slice(group * depth, None)
        whole[rows, :, :, columns][..., :depth] = weights[rows]
    inputs[1] = w.alike(inputs[1], whole)
    w.operation("CONV_2D", inputs, operation.outputs)


@older_form("CHANNEL_SHUFFLE")
def _shuffled(w: Writer, operation: Operation) -> None:
    """RESHAPE, TRANSPOSE, RESHAPE; at level 1 a convolution that chooses one channel each."""
    x, groups, axis = operation.inputs
    (out,) = operation.outputs
    dims, count = w.dims(x), int(w.known(groups))
    at = int(w.known(axis)) % len(dims)
    if at != len(dims) - 1:
        raise Refusal("its channels are not the last dimension: convert with the layout nhwc")
    depth = dims[-1]
    if w.level >= 2:
        rows = w.reshape(x, (int(np.prod(dims[:-1])), count, depth // count))
        shape = (w.operands[rows].dims[0], depth // count, count)
        w.into(w.make("TRANSPOSE", [rows, w.ints([0, 2, 1])], x, shape), out)
        return
    w.real(operation)
    order = np.arange(depth).reshape(count, -1).T.ravel()
    _chosen(w, x, order, out)


def _chosen(w: Writer, x: int, order: NDArray[Any], out: int) -> None:
    """A convolution of one pixel whose channels are those of `x` at these places."""
    depth = w.dims(x)[-1]
    if len(w.dims(x)) != 4:
        raise Refusal("level 1 moves channels by a convolution, which takes 4 dimensions")
    weights = np.zeros((len(order), 1, 1, depth), np.float32)
    weights[np.arange(len(order)), 0, 0, order] = 1.0
    bias = w.array(np.zeros(len(order), np.float32), OperandCode.TENSOR_FLOAT32)
    numbers = map(w.int32, [0, 0, 0, 0, 1, 1, 0])
    w.operation("CONV_2D", [x, w.alike(x, weights), bias, *numbers], [out])


@older_form("RESIZE_NEAREST_NEIGHBOR")
def _nearest(w: Writer, operation: Operation) -> None:
    """Each channel several times, and DEPTH_TO_SPACE: for whole factors, alike both ways."""
    w.real(operation)
    x, (out,) = operation.inputs[0], operation.outputs
    flags = [bool(w.known(at)) for at in operation.inputs[3:]]
    if flags[:1] == [True]:
        raise Refusal(_CHANNELS_FIRST)
    corners = flags[1:2] == [True]
    _, high, wide, depth = w.dims(x)
    factor = w.dims(out)[1] // high
    if corners or w.dims(out)[1:3] != (factor * high, factor * wide):
        raise Refusal("its older form is one of whole factors, alike in height and width")
    order = np.tile(np.arange(depth), factor * factor)
    many = w.like(x, (*w.dims(x)[:3], len(order)))
    _chosen(w, x, order, many)
    w.operation("DEPTH_TO_SPACE", [many, w.int32(factor)], [out])


@older_form("RESIZE_BILINEAR")
def _bilinear(w: Writer, operation: Operation) -> None:
    """Half pixel centres and aligned corners: products with what each pixel adds to each."""
    inputs, more = _cut(w, operation)
    x, (out,) = inputs[0], operation.outputs
    corners, half = ([bool(w.known(at)) for at in more] + [False, False])[:2]
    if not corners and not half:
        w.operation("RESIZE_BILINEAR", inputs, [out])
        return
    if w.level < 2:
        raise Refusal(
            "half pixel centres and aligned corners have a form by matrices at level 2, which has"
            " TRANSPOSE"
        )
    w.real(operation)
    batch, high, wide, depth = w.dims(x)
    tall, broad = w.dims(out)[1:3]
    # Rows to the end, then columns: [batch, wide, depth, high], [batch, tall, depth, wide].
    columns = w.make("TRANSPOSE", [x, w.ints([0, 2, 3, 1])], x, (batch, wide, depth, high))
    columns = _weighed(w, columns, _weights(high, tall, corners))
    rows = w.make("TRANSPOSE", [columns, w.ints([0, 3, 2, 1])], x, (batch, tall, depth, wide))
    rows = _weighed(w, rows, _weights(wide, broad, corners))
    w.operation("TRANSPOSE", [rows, w.ints([0, 1, 3, 2])], [out])


def _weighed(w: Writer, x: int, weights: NDArray[np.float32]) -> int:
    """The last dimension multiplied by a matrix [new, old]."""
    dims = w.dims(x)
    flat = w.reshape(x, (int(np.prod(dims[:-1])), dims[-1]))
    bias = w.array(np.zeros(len(weights), np.float32), OperandCode.TENSOR_FLOAT32)
    taken = [flat, w.array(weights, OperandCode.TENSOR_FLOAT32), bias, w.int32(0)]
    made = w.make("FULLY_CONNECTED", taken, x, (w.dims(flat)[0], len(weights)))
    return w.reshape(made, (*dims[:-1], len(weights)))


def _weights(old: int, new: int, corners: bool) -> NDArray[np.float32]:
    """How much each of `old` pixels adds to each of `new`; else than corners, half pixels."""
    at = np.arange(new, dtype=np.float64)
    if corners:
        place = at * (old - 1) / max(1, new - 1)
    else:
        place = np.maximum((at + 0.5) * old / new - 0.5, 0)
    low = np.minimum(np.floor(place).astype(int), old - 1)
    share = place - low
    found = np.zeros((new, old))
    rows: Sequence[int] = range(new)
    found[rows, low] += 1 - share
    found[rows, np.minimum(low + 1, old - 1)] += share
    return found.astype(np.float32)
