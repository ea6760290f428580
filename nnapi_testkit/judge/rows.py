"""Outputs whose rows come in an order that is not guaranteed: put into the expected one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.model.case import Expected, OutputResult
from nnapi_testkit.model.types import Graph, Operand
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.kinds import OutputKind
from nnapi_testkit.spec.operands import DTYPE, is_quantized

# An element that is off by this many bounds counts no more than one that is entirely wrong.
_WORST = 1e6


def in_expected_order(
    operands: Sequence[Operand],
    expected: Sequence[Expected],
    outputs: tuple[OutputResult, ...],
    writers: Sequence[int] = (),
) -> tuple[OutputResult, ...]:
    """The outputs, the rows of those of kind "rows" moved together to where they fit best.

    Rows only change places within a run of equal expected values of the output of kind
    "groups", if there is one. Outputs of unexpected dimensions are left as they are.

    Args:
        writers: for each output the operation that writes it, whose rows move together; by
            default they are one operation's.
    """
    if not any(told.kind == OutputKind.ROWS for told in expected):
        return outputs
    for writer in dict.fromkeys(writers) if writers else (0,):
        mine = [i for i in range(len(expected)) if not writers or writers[i] == writer]
        outputs = _of_one(operands, expected, outputs, mine)
    return outputs


def writers_of(graph: Graph) -> tuple[int, ...]:
    """For each output of a graph the position of the operation that writes it."""
    writer = {at: number for number, o in enumerate(graph.operations) for at in o.outputs}
    return tuple(writer.get(at, -1) for at in graph.outputs)


def _of_one(
    operands: Sequence[Operand],
    expected: Sequence[Expected],
    outputs: tuple[OutputResult, ...],
    mine: Sequence[int],
) -> tuple[OutputResult, ...]:
    """The same for the outputs of one operation."""
    members = [i for i in mine if expected[i].kind == OutputKind.ROWS]
    if not members:
        return outputs
    for i in members:
        dims = outputs[i].dims
        if dims is not None and tuple(dims) != expected[i].value.shape:
            return outputs
    count = expected[members[0]].value.shape[0]
    cost = np.zeros((count, count))
    for i in members:
        cost += _distance(operands[i], expected[i], outputs[i].data)
    groups = (expected[i].value for i in mine if expected[i].kind == OutputKind.GROUPS)
    runs = next(groups, np.zeros(count))
    order = np.arange(count)
    start = 0
    for end in range(1, count + 1):
        if end == count or runs[end] != runs[start]:
            order[start:end] = start + _matched(cost[start:end, start:end])
            start = end
    moved = list(outputs)
    for i in members:
        rows, tail = _rows(operands[i], expected[i], outputs[i].data)
        moved[i] = replace(outputs[i], data=rows[order].tobytes() + tail)
    return tuple(moved)


def _rows(operand: Operand, expected: Expected, data: bytes) -> tuple[NDArray[np.generic], bytes]:
    """The output's rows as one long row each, and the bytes that follow them."""
    dtype = DTYPE[OperandCode(operand.type)]
    size = math.prod(expected.value.shape)
    array = np.frombuffer(data, dtype=dtype, count=size)
    rows = array.reshape(expected.value.shape[0], -1) if size else array.reshape(0, 1)
    return rows, data[size * dtype.itemsize :]


def _distance(operand: Operand, expected: Expected, data: bytes) -> NDArray[np.float64]:
    """For each expected row and each actual one, the sum of their errors in bounds."""
    rows, _ = _rows(operand, expected, data)
    actual = rows.astype(np.float64)
    if is_quantized(OperandCode(operand.type)):
        actual = (actual - operand.zero_point) * operand.scale
    value = expected.value.reshape(actual.shape)
    allowed = np.maximum(expected.bound.reshape(actual.shape), 1e-6 * (1 + np.abs(value)))
    with np.errstate(all="ignore"):
        off = np.abs(actual[None, :, :] - value[:, None, :]) / allowed[:, None, :]
    total: NDArray[np.float64] = np.minimum(np.nan_to_num(off, nan=_WORST), _WORST).sum(axis=2)
    return total


def _matched(cost: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each expected row an actual one, the best pairs first."""
    order = np.zeros(len(cost), dtype=np.int64)
    free, taken = set(range(len(cost))), set()
    for flat in np.argsort(cost, axis=None, kind="stable"):
        want, got = divmod(int(flat), len(cost))
        if want in free and got not in taken:
            order[want] = got
            free.discard(want)
            taken.add(got)
    return order
