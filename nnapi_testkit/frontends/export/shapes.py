"""Data that only move: shapes, slices, joins, gathers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch.fx import Node

from nnapi_testkit.frontends.export.lower import Lowering, lowers
from nnapi_testkit.frontends.sketch import Quant, Refusal, Value
from nnapi_testkit.frontends.values import axis_of, gathered, joined, permuted, sliced


@lowers(
    "aten.view.default",
    "aten.reshape.default",
    "aten._unsafe_view.default",
    "aten.flatten.using_ints",
    "aten.unflatten.int",
    "aten.unsqueeze.default",
    "aten.squeeze.dim",
    "aten.squeeze.dims",
    "aten.squeeze.default",
    moves=True,
)
def _reshape(lowering: Lowering, node: Node) -> Value:
    value, shape = lowering.raw(node.args[0]), lowering.shape(node)
    if value.last and value.shape[2:] == (1, 1):
        # One pixel: both orders are the same bytes.
        value = replace(value, last=False)
        if shape == value.shape:
            return value
        wanted = lowering.sketch.ints(shape or (1,))
        return lowering.sketch.make(
            "RESHAPE", [value.operand, wanted], shape, value.type, quant=value.quant
        )
    return lowering.reshaped(value, shape)


@lowers(
    "aten.permute.default",
    "aten.transpose.int",
    "aten.t.default",
    "aten.numpy_T.default",
    "aten.swapaxes.default",
    moves=True,
)
def _permute(lowering: Lowering, node: Node) -> Value:
    value = lowering.raw(node.args[0])
    name = str(node.target)
    order = list(range(value.rank))
    if "permute" in name:
        dims: Any = node.args[1]
        order = [int(dim) % value.rank for dim in dims]
    elif "transpose" in name or "swapaxes" in name:
        first, second = (int(dim) % value.rank for dim in node.args[1:3])  # type: ignore[arg-type]
        order[first], order[second] = order[second], order[first]
    else:
        order.reverse()
    return permuted(lowering, value, order)


@lowers("aten.cat.default", quantized=True)
def _cat(lowering: Lowering, node: Node) -> Value:
    listed: Any = node.args[0]
    values, quant = _alike(lowering, listed)
    dim = int(node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0))  # type: ignore[arg-type]
    return joined(lowering, values, dim, lowering.shape(node), values[0].type, quant)


@lowers("aten.stack.default", quantized=True)
def _stack(lowering: Lowering, node: Node) -> Value:
    listed: Any = node.args[0]
    shape = lowering.shape(node)
    dim = int(node.args[1] if len(node.args) > 1 else 0) % len(shape)  # type: ignore[arg-type]
    thin = (*shape[:dim], 1, *shape[dim + 1 :])
    values, quant = _alike(lowering, listed)
    values = [lowering.reshaped(value, thin) for value in values]
    return joined(lowering, values, dim, shape, values[0].type, quant)


def _alike(lowering: Lowering, listed: Any) -> tuple[list[Value], Quant | None]:
    """What is to be joined, and the quantization of the whole: codes of one kind stay as they are.

    Constants are real, unless the rule is asked for codes.
    """
    values = [lowering.raw(item) for item in listed]
    same = values[0].quant
    if same is None or any(value.quant != same for value in values):
        return [lowering.value(item) for item in listed], lowering.mode
    return values, same


@lowers("aten.chunk.default", "aten.split.Tensor", "aten.split_with_sizes.default")
def _split(lowering: Lowering, node: Node) -> tuple[Value, ...]:
    value = lowering.raw(node.args[0])
    dim = int(node.args[2] if len(node.args) > 2 else node.kwargs.get("dim", 0))  # type: ignore[arg-type]
    shapes = [tuple(int(size) for size in part.shape) for part in node.meta["val"]]
    at = dim % value.rank
    found, begin = [], 0
    for shape in shapes:
        found.append(sliced(lowering, value, at, begin, begin + shape[at], 1, shape))
        begin += shape[at]
    return tuple(found)


@lowers("aten.unbind.int")
def _unbind(lowering: Lowering, node: Node) -> tuple[Value, ...]:
    value = lowering.raw(node.args[0])
    dim = int(node.args[1] if len(node.args) > 1 else 0) % value.rank  # type: ignore[arg-type]
    thin = (*value.shape[:dim], 1, *value.shape[dim + 1 :])
    found = []
    for at in range(value.shape[dim]):
        part = sliced(lowering, value, dim, at, at + 1, 1, thin)
        found.append(lowering.reshaped(part, thin[:dim] + thin[dim + 1 :]))
    return tuple(found)


@lowers("aten.slice.Tensor", moves=True)
def _slice(lowering: Lowering, node: Node) -> Value:
    value, shape = lowering.raw(node.args[0]), lowering.shape(node)
    dim, begin, end, step = [*node.args[1:5], *[None] * 4][:4]
    at = int(dim or 0) % value.rank  # type: ignore[arg-type]
    size = value.shape[at]
    first = 0 if begin is None else int(begin)  # type: ignore[arg-type]
    first = max(0, first + size) if first < 0 else min(first, size)
    stop = size if end is None else int(end)  # type: ignore[arg-type]
    stop = max(0, stop + size) if stop < 0 else min(stop, size)
    return sliced(lowering, value, at, first, stop, int(step or 1), shape)  # type: ignore[arg-type]


@lowers("aten.select.int", moves=True)
def _select(lowering: Lowering, node: Node) -> Value:
    value, shape = lowering.raw(node.args[0]), lowering.shape(node)
    dim, index = (int(item) for item in node.args[1:3])  # type: ignore[arg-type]
    dim %= value.rank
    index %= value.shape[dim]
    thin = (*value.shape[:dim], 1, *value.shape[dim + 1 :])
    return lowering.reshaped(sliced(lowering, value, dim, index, index + 1, 1, thin), shape)


@lowers("aten.index_select.default", moves=True)
def _index_select(lowering: Lowering, node: Node) -> Value:
    value, index = lowering.raw(node.args[0]), lowering.raw(node.args[2])
    dim = int(node.args[1])  # type: ignore[arg-type]
    return gathered(lowering, value, index, dim, lowering.shape(node))


@lowers("aten.embedding.default")
def _embedding(lowering: Lowering, node: Node) -> Value:
    table, index = lowering.raw(node.args[0]), lowering.raw(node.args[1])
    return gathered(lowering, table, index, 0, lowering.shape(node))


@lowers("aten.flip.default", moves=True)
def _flip(lowering: Lowering, node: Node) -> Value:
    value = lowering.raw(node.args[0])
    dims: Any = node.args[1]
    for dim in dims:
        sketch = lowering.sketch
        axis = sketch.ints([axis_of(value, int(dim))])
        at = sketch.read(value, value.last)
        value = sketch.make(
            "REVERSE", [at, axis], value.shape, value.type, last=value.last, quant=value.quant
        )
    return value


@lowers("<built-in function getitem>")
def _getitem(lowering: Lowering, node: Node) -> Any:
    source: Any = node.args[0]
    found = lowering.values[source]
    value = found[node.args[1]]
    if value is None and node.users:
        raise Refusal("this result is not computed by NNAPI's operation")
    return value


@lowers("aten.arange.default", "aten.arange.start_step", "aten.arange.start")
def _arange(lowering: Lowering, node: Node) -> Value:
    numbers: Any = node.args
    if not all(isinstance(number, int | float) for number in numbers):
        raise Refusal("a range whose ends are computed")
    return lowering.sketch.constant(torch.arange(*numbers, dtype=node.meta["val"].dtype))
