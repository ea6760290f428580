"""Older forms of what moves data and of what goes over dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nnapi_testkit.frontends.draft import Refusal
from nnapi_testkit.frontends.older.write import Writer, older_form
from nnapi_testkit.model.types import Operation
from nnapi_testkit.spec.codes import OperationCode

_NO_SLICES = "level 1 has no operation that takes a part of a tensor"


@older_form("SQUEEZE", "EXPAND_DIMS")
def _reshaped(w: Writer, operation: Operation) -> None:
    w.into(operation.inputs[0], operation.outputs[0])


@older_form("TRANSPOSE")
def _transpose(w: Writer, operation: Operation) -> None:
    """RESHAPE, where only dimensions of 1 change their place."""
    x, (out,) = operation.inputs[0], operation.outputs
    dims = w.dims(x)
    order = w.known(operation.inputs[1]).tolist() or list(range(len(dims)))[::-1]
    moved = [at for at in order if dims[at] != 1]
    if moved != sorted(moved):
        raise Refusal("level 1 has no TRANSPOSE, and no layout is the same without it")
    w.into(x, out)


@older_form("PAD", "PAD_V2")
def _pad(w: Writer, operation: Operation) -> None:
    """CONCATENATION with constants, dimension by dimension."""
    x, table, *rest = operation.inputs
    (out,) = operation.outputs
    fill = float(w.known(rest[0])) if rest else float(w.operands[x].zero_point)
    sides = w.known(table).reshape(-1, 2).tolist()
    dims = list(w.dims(x))
    padded = [axis for axis, side in enumerate(sides) if any(side)]
    if not padded:
        w.into(x, out)
        return
    for axis in padded:
        parts = [x]
        for place, amount in enumerate(sides[axis]):
            if amount:
                shape = [*dims[:axis], amount, *dims[axis + 1 :]]
                parts.insert(place * len(parts), w.alike(x, np.full(shape, fill)))
        dims[axis] += sum(sides[axis])
        made = out if axis == padded[-1] else w.like(x, dims)
        w.operation("CONCATENATION", [*parts, w.int32(axis)], [made])
        x = made


@older_form("TILE")
def _tile(w: Writer, operation: Operation) -> None:
    """CONCATENATION of a tensor with itself, dimension by dimension."""
    x, (out,) = operation.inputs[0], operation.outputs
    times = w.known(operation.inputs[1]).tolist()
    dims = list(w.dims(x))
    repeated = [axis for axis, count in enumerate(times) if count > 1]
    for axis in repeated:
        dims[axis] *= times[axis]
        x = w.make("CONCATENATION", [*[x] * times[axis], w.int32(axis)], x, dims)
    w.into(x, out)


@older_form("SLICE")
def _slice(w: Writer, operation: Operation) -> None:
    x, begin, size = operation.inputs
    starts, sizes, dims = w.known(begin).tolist(), w.known(size).tolist(), w.dims(x)
    ends = [
        dims[at] if count < 0 else start + count
        for at, (start, count) in enumerate(zip(starts, sizes, strict=True))
    ]
    _strided(w, x, starts, ends, operation.outputs[0])


@older_form("SPLIT")
def _split(w: Writer, operation: Operation) -> None:
    x, axis = operation.inputs[0], int(w.known(operation.inputs[1]))
    dims = w.dims(x)
    each = dims[axis] // len(operation.outputs)
    for number, out in enumerate(operation.outputs):
        starts, ends = [0] * len(dims), list(dims)
        starts[axis % len(dims)], ends[axis % len(dims)] = number * each, (number + 1) * each
        _strided(w, x, starts, ends, out)


def _strided(w: Writer, x: int, starts: Sequence[int], ends: Sequence[int], out: int) -> None:
    if w.level < 2:
        raise Refusal(_NO_SLICES)
    tables = [w.ints(starts), w.ints(ends), w.ints([1] * len(starts))]
    w.operation("STRIDED_SLICE", [x, *tables, *(w.int32(0) for _ in range(3))], [out])


@older_form("STRIDED_SLICE")
def _no_slice(w: Writer, operation: Operation) -> None:
    raise Refusal(_NO_SLICES)


@older_form("MEAN", "REDUCE_SUM", "REDUCE_MAX", "REDUCE_MIN")
def _reduced(w: Writer, operation: Operation) -> None:
    """A pool as large as the dimensions, which lie together; a sum is a mean, multiplied."""
    name = OperationCode(operation.code).name
    x, (out,) = operation.inputs[0], operation.outputs
    if name != "MEAN":
        w.real(operation)
    dims = w.dims(x)
    axes = sorted({axis % len(dims) for axis in w.known(operation.inputs[1]).reshape(-1).tolist()})
    if axes != list(range(axes[0], axes[-1] + 1)):
        raise Refusal("the dimensions that it goes over do not lie together")
    count = math.prod(dims[axis] for axis in axes)
    before = math.prod(dims[: axes[0]])
    after = math.prod(dims[axes[-1] + 1 :])
    if name == "REDUCE_MIN":
        x = w.make("MUL", [x, w.number(-1.0), w.int32(0)], x)
    # NHWC with the reduced dimensions as the height.
    image = w.reshape(x, (before, count, 1, after))
    code = "AVERAGE_POOL_2D" if name in ("MEAN", "REDUCE_SUM") else "MAX_POOL_2D"
    numbers = [0, 0, 0, 0, 1, 1, 1, count, 0]
    pooled = w.make(code, [image, *map(w.int32, numbers)], x, (before, 1, 1, after))
    factor = {"REDUCE_SUM": float(count), "REDUCE_MIN": -1.0}.get(name)
    if factor is not None:
        pooled = w.make("MUL", [pooled, w.number(factor), w.int32(0)], pooled)
    w.into(pooled, out)
