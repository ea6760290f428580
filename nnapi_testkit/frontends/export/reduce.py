"""Over dimensions: sums, means, extremes, softmax, layer norm, matrix products, attention."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch.fx import Node

from nnapi_testkit.frontends.coded import dense_codes, softened
from nnapi_testkit.frontends.export.lower import Lowering, lowers
from nnapi_testkit.frontends.sketch import Refusal, Value
from nnapi_testkit.frontends.values import axis_of, combined, dense, product, reduced
from nnapi_testkit.spec.codes import OperandCode


def _over(node: Node) -> tuple[list[int] | None, bool]:
    dims: Any = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
    keep = node.args[2] if len(node.args) > 2 else node.kwargs.get("keepdim", False)
    listed = [dims] if isinstance(dims, int) else None if dims in (None, []) else list(dims)
    return listed, bool(keep)


def _reduction(code: str) -> Any:
    def rule(lowering: Lowering, node: Node) -> Value:
        dims, keep = _over(node)
        value = lowering.value(node.args[0])
        if value.type != lowering.type(node) and lowering.mode is None:
            raise Refusal("a reduction into another type")
        lowering.keeps(value)
        return reduced(lowering, value, code, dims, keep)

    return rule


lowers("aten.mean.dim", "aten.mean.default", quantized=True)(_reduction("MEAN"))
lowers("aten.sum.dim_IntList", "aten.sum.default")(_reduction("REDUCE_SUM"))
lowers("aten.amax.default", "aten.max.default")(_reduction("REDUCE_MAX"))
lowers("aten.amin.default", "aten.min.default")(_reduction("REDUCE_MIN"))
lowers("aten.prod.dim_int", "aten.prod.default")(_reduction("REDUCE_PROD"))
lowers("aten.any.dim", "aten.any.default")(_reduction("REDUCE_ANY"))
lowers("aten.all.dim", "aten.all.default")(_reduction("REDUCE_ALL"))


@lowers("aten.argmax.default", "aten.argmin.default")
def _arg(lowering: Lowering, node: Node) -> Value:
    dims, keep = _over(node)
    if dims is None:
        raise Refusal("the position in a whole tensor: flatten it and name dim")
    value = lowering.value(node.args[0])
    code = "ARGMAX" if "argmax" in str(node.target) else "ARGMIN"
    sketch = lowering.sketch
    value = Value(value.shape, value.type, sketch.read(value))
    shape = tuple(size for dim, size in enumerate(value.shape) if dim != dims[0] % value.rank)
    inputs = [value.operand, sketch.int32(dims[0] % value.rank)]
    made = sketch.make(code, inputs, shape, lowering.type(node))
    return lowering.reshaped(made, lowering.shape(node)) if keep else made


@lowers("aten.softmax.int", "aten._softmax.default", quantized=True)
def _softmax(lowering: Lowering, node: Node) -> Value:
    value = lowering.value(node.args[0])
    dim = int(node.args[1])  # type: ignore[arg-type]
    sketch = lowering.sketch
    axis = axis_of(value, dim)
    inputs = [sketch.read(value, value.last), sketch.real(1.0, value)]
    if axis != value.rank - 1 or value.rank not in (2, 4):
        inputs.append(sketch.int32(axis))
    quant = softened(lowering.mode)
    return sketch.make("SOFTMAX", inputs, value.shape, value.type, last=value.last, quant=quant)


@lowers("aten.log_softmax.int", "aten._log_softmax.default")
def _log_softmax(lowering: Lowering, node: Node) -> Value:
    value = lowering.value(node.args[0])
    dim = int(node.args[1])  # type: ignore[arg-type]
    sketch = lowering.sketch
    inputs = [
        sketch.read(value, value.last),
        sketch.real(1.0, value),
        sketch.int32(axis_of(value, dim)),
    ]
    return sketch.make("LOG_SOFTMAX", inputs, value.shape, value.type, last=value.last)


@lowers("aten.layer_norm.default", "aten.native_layer_norm.default")
def _layer_norm(lowering: Lowering, node: Node) -> Any:
    """(x - mean) / sqrt(mean of squares + epsilon) * weight + bias, in NNAPI's operations."""
    given, normalized, weight, bias, epsilon = [*node.args[:5], *[None] * 5][:5]
    value = lowering.value(given)
    count = len(normalized)  # type: ignore[arg-type]
    dims = list(range(value.rank - count, value.rank))

    type = value.type

    def of(code: str, first: Value, second: Value) -> Value:
        shape = torch.broadcast_shapes(first.shape, second.shape)  # type: ignore[no-untyped-call]
        return combined(lowering, code, first, second, tuple(shape), type)

    mean = reduced(lowering, value, "MEAN", dims, True)
    centred = of("SUB", value, mean)
    variance = reduced(lowering, of("MUL", centred, centred), "MEAN", dims, True)
    shift = lowering.value(float(epsilon or 1e-5))  # type: ignore[arg-type]
    result = of("MUL", centred, lowering.unary("RSQRT", of("ADD", variance, shift)))
    for code, factor in (("MUL", weight), ("ADD", bias)):
        if factor is not None:
            result = of(code, result, lowering.value(factor))
    return (result, None, None) if "native" in str(node.target) else result


@lowers("aten.linear.default", "aten.addmm.default", quantized=True)
def _linear(lowering: Lowering, node: Node) -> Value:
    if "addmm" in str(node.target):
        bias, given, weight = node.args[:3]
        matrix = lowering.constant(weight).t().contiguous()
    else:
        given, weight = node.args[:2]
        bias = node.args[2] if len(node.args) > 2 else None
        matrix = lowering.constant(weight)
    value = lowering.value(given)
    offset = torch.zeros(matrix.shape[0], dtype=matrix.dtype)
    if bias is not None:
        offset = lowering.constant(bias)
    if lowering.mode is not None:
        held = lowering.held(weight)
        if held is None:
            raise Refusal("weights that are not quantized")
        added = lowering.held(bias) or offset.numpy()
        return dense_codes(lowering, value, held, added, lowering.shape(node))
    return dense(lowering, value, matrix, offset, lowering.shape(node))


@lowers("aten.matmul.default", "aten.bmm.default", "aten.mm.default", quantized=True)
def _matmul(lowering: Lowering, node: Node) -> Value:
    if lowering.mode is not None:
        held = lowering.held(node.args[1])
        if held is not None and held.codes.ndim == 2:
            turned = replace(held, codes=held.codes.T, axis=1 - held.axis if held.channels else 0)
            value = lowering.value(node.args[0])
            return dense_codes(lowering, value, turned, None, lowering.shape(node))
    first, second = lowering.value(node.args[0]), lowering.value(node.args[1])
    shape = lowering.shape(node)
    if second.constant is not None and second.rank == 2:
        matrix = second.constant.t().contiguous()
        zeros = torch.zeros(matrix.shape[0], dtype=matrix.dtype)
        return dense(lowering, first, matrix, zeros, shape)
    return product(lowering, first, second, shape, quant=lowering.mode)


@lowers("aten.scaled_dot_product_attention.default")
def _attention(lowering: Lowering, node: Node) -> Value:
    """softmax(q k^T scale) v."""
    query, key, data = (lowering.value(item) for item in node.args[:3])
    mask: Any = node.args[3] if len(node.args) > 3 else node.kwargs.get("attn_mask")
    causal = node.args[5] if len(node.args) > 5 else node.kwargs.get("is_causal", False)
    scale: Any = node.kwargs.get("scale") or 1 / math.sqrt(query.shape[-1])
    length, width = query.shape[-2], key.shape[-2]
    scores = (*query.shape[:-1], width)
    sketch = lowering.sketch

    def of(code: str, first: Value, second: Value) -> Value:
        return combined(lowering, code, first, second, scores, query.type)

    found = product(lowering, query, key, scores, adjoint=True)
    found = of("MUL", found, lowering.value(float(scale)))
    if causal:
        allowed = torch.ones(length, width, dtype=torch.bool).tril()
        masked = torch.zeros(length, width).masked_fill(~allowed, -1e9)
        found = of("ADD", found, sketch.constant(masked))
    if mask is not None:
        given = lowering.value(mask)
        if given.constant is not None and given.constant.dtype == torch.bool:
            added = torch.zeros(given.shape).masked_fill(~given.constant, -1e9)
            given = sketch.constant(added)
        elif given.type != found.type:
            raise Refusal("an attention mask that is computed, of truth values: add one of floats")
        found = of("ADD", found, given)
    inputs = [sketch.read(found), sketch.real(1.0, found), sketch.int32(found.rank - 1)]
    soft = sketch.make("SOFTMAX", inputs, scores, found.type)
    return product(lowering, soft, data, lowering.shape(node))


@lowers("aten.topk.default")
def _topk(lowering: Lowering, node: Node) -> tuple[Value, Value]:
    value = lowering.value(node.args[0])
    count = int(node.args[1])  # type: ignore[arg-type]
    dim = int(node.args[2]) if len(node.args) > 2 else -1  # type: ignore[arg-type]
    if dim % value.rank != value.rank - 1 or (len(node.args) > 3 and not node.args[3]):
        raise Refusal("the smallest, or of another dimension than the last: TOPK_V2 has neither")
    sketch = lowering.sketch
    shape = (*value.shape[:-1], count)
    best = sketch.temporary(shape, value.type)
    places = sketch.temporary(shape, OperandCode.TENSOR_INT32)
    sketch.emit("TOPK_V2", [sketch.read(value), sketch.int32(count)], [best, places])
    return best, places


@lowers("aten.linalg_vector_norm.default")
def _norm(lowering: Lowering, node: Node) -> Value:
    """The Euclidean norm: square, sum, root."""
    value = lowering.value(node.args[0])
    order: Any = node.args[1] if len(node.args) > 1 else 2
    dims: Any = node.args[2] if len(node.args) > 2 else None
    keep = bool(node.args[3]) if len(node.args) > 3 else False
    if order != 2:
        raise Refusal(f"a norm of order {order}: NNAPI's operations give the second")
    sketch = lowering.sketch
    at = sketch.read(value, value.last)
    square = sketch.make("MUL", [at, at, sketch.int32(0)], value.shape, value.type, last=value.last)
    listed = [dims] if isinstance(dims, int) else dims
    return lowering.unary("SQRT", reduced(lowering, square, "REDUCE_SUM", listed, keep))
