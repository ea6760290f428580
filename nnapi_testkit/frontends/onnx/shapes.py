"""Data that only move: shapes, slices, joins, gathers. Codes move as they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nnapi_testkit.frontends.draft import Refusal
from nnapi_testkit.frontends.onnx.lower import Lowering, lowers
from nnapi_testkit.frontends.onnx.source import Node
from nnapi_testkit.frontends.sketch import Value
from nnapi_testkit.frontends.values import gathered, joined, permuted, sliced


@lowers("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def _reshape(lowering: Lowering, node: Node) -> Value:
    value, shape = lowering.raw(node, 0), lowering.shape(node)
    if value.last and value.shape[2:] == (1, 1):
        value = replace(value, last=False)  # one pixel: both orders are the same bytes
        if shape != value.shape:
            wanted = lowering.sketch.ints(shape or (1,))
            return lowering.sketch.make(
                "RESHAPE", [value.operand, wanted], shape, value.type, quant=value.quant
            )
    chain = _product(lowering, node) if value.last and not value.flat else []
    if chain and shape[:1] == value.shape[:1] and len(shape) == 2:
        # Flattened as it lies; the product behind it has its weights' columns moved instead.
        _, depth, high, wide = value.shape
        places = np.arange(depth * high * wide).reshape(depth, high, wide)
        lowering.moved.update(chain)
        lowering.columns[chain[-1]] = places.transpose(1, 2, 0).reshape(-1)
        inputs = [value.operand, lowering.sketch.ints(shape)]
        return lowering.sketch.make("RESHAPE", inputs, shape, value.type, quant=value.quant)
    return replace(lowering.reshaped(value, shape), fused=None)


_THROUGH = ("QuantizeLinear", "DequantizeLinear", "Relu", "Identity")


def _product(lowering: Lowering, node: Node) -> list[str]:
    """The values from a node to the product with constant weights that alone reads it, or none."""
    source, name = lowering.source, node.outputs[0]
    chain = [name]
    while name not in source.outputs and len(source.users.get(name, [])) == 1:
        (user,) = source.users[name]
        if user.kind in _THROUGH and user.inputs[0] == name:
            name = user.outputs[0]
            chain.append(name)
            continue
        plain = user.kind == "MatMul" or (
            user.kind == "Gemm"
            and not user.attributes.get("transA")
            and (not user.input(2) or source.fixed(user.input(2)))
        )
        weights = plain and user.inputs[0] == name and source.fixed(user.inputs[1])
        return chain if weights and len(source.shapes[user.inputs[1]]) == 2 else []
    return []


@lowers("Identity", "Dropout")
def _identity(lowering: Lowering, node: Node) -> Value:
    if len(node.outputs) > 1 and node.outputs[1] in lowering.source.users:
        raise Refusal("the mask of a Dropout")
    if node.input(2) and lowering.constant(node, 2).any():
        raise Refusal("dropout in training mode")
    return replace(lowering.raw(node, 0), fused=None)


@lowers("Transpose")
def _transpose(lowering: Lowering, node: Node) -> Value:
    value = lowering.raw(node, 0)
    order = node.attributes.get("perm") or list(reversed(range(value.rank)))
    return replace(permuted(lowering, value, [int(at) for at in order]), fused=None)


@lowers("Concat", quantized=True)
def _concat(lowering: Lowering, node: Node) -> Value:
    positions = range(len(node.inputs))
    values = [lowering.raw(node, at) for at in positions]
    same = values[0].quant
    if same is None or any(value.quant != same for value in values):
        values = [lowering.take(node, at) for at in positions]
        same = lowering.mode
    shape = lowering.shape(node)
    if len(shape) > 4:
        raise Refusal("more than 4 dimensions")
    if len(values) == 1:
        return values[0]
    axis = int(node.attributes.get("axis", 1))
    return joined(lowering, values, axis, shape, values[0].type, same)


@lowers("Split")
def _split(lowering: Lowering, node: Node) -> tuple[Value, ...]:
    value = lowering.raw(node, 0)
    axis = int(node.attributes.get("axis", 0)) % value.rank
    found, begin = [], 0
    for at in range(len(node.outputs)):
        shape = lowering.shape(node, at)
        end = begin + shape[axis]
        found.append(replace(sliced(lowering, value, axis, begin, end, 1, shape), fused=None))
        begin = end
    return tuple(found)


@lowers("Slice")
def _slice(lowering: Lowering, node: Node) -> Value:
    """Each axis in turn; a whole one is left alone. Steps may be negative."""
    value = lowering.raw(node, 0)
    begins = lowering.ints(node, 1, "starts") or []
    ends = lowering.ints(node, 2, "ends") or []
    axes = lowering.ints(node, 3, "axes") or list(range(len(begins)))
    steps = lowering.ints(node, 4) or [1] * len(begins)
    for begin, end, axis, step in zip(begins, ends, axes, steps, strict=True):
        axis %= value.rank
        size = value.shape[axis]
        first, stop, step = slice(begin, end, step).indices(size)
        count = len(range(first, stop, step))
        if step < 0:
            if (first, step, count) != (size - 1, -1, size):
                raise Refusal("a slice backwards of less than a whole axis")
            value = _reversed(lowering, value, axis)
            continue
        shape = (*value.shape[:axis], count, *value.shape[axis + 1 :])
        value = sliced(lowering, value, axis, first, stop, step, shape)
    return replace(value, fused=None)


def _reversed(lowering: Lowering, value: Value, axis: int) -> Value:
    at = lowering.sketch.read(value)
    inputs = [at, lowering.sketch.ints([axis])]
    return lowering.sketch.make("REVERSE", inputs, value.shape, value.type, quant=value.quant)


@lowers("Gather")
def _gather(lowering: Lowering, node: Node) -> Value:
    value, index = lowering.raw(node, 0), lowering.take(node, 1)
    axis, shape = int(node.attributes.get("axis", 0)), lowering.shape(node)
    if len(shape) > 4:
        raise Refusal("more than 4 dimensions")
    if index.constant is not None:
        # Positions from the end are legal in ONNX, and not in NNAPI.
        size = value.shape[axis % value.rank]
        index = lowering.sketch.constant(index.constant % size)
        if index.constant is not None and index.constant.numel() == 1:
            at = int(index.constant)
            thin = list(value.shape)
            thin[axis % value.rank] = 1
            part = sliced(lowering, value, axis % value.rank, at, at + 1, 1, thin)
            return replace(lowering.reshaped(part, shape), fused=None)
    if index.rank == 0:
        thin = [*value.shape]
        thin[axis % value.rank] = 1
        made = gathered(lowering, value, replace(index, shape=(1,)), axis, thin)
        return lowering.reshaped(made, shape)
    return gathered(lowering, value, index, axis, shape)
