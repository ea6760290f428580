"""Over dimensions: matrix products, softmax, reductions, positions, layer norm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from nnapi_testkit.frontends.coded import Codes, dense_codes, softened
from nnapi_testkit.frontends.draft import Quant, Refusal
from nnapi_testkit.frontends.onnx.lower import Lowering, lowers
from nnapi_testkit.frontends.onnx.quantized import given_bias
from nnapi_testkit.frontends.onnx.source import Node
from nnapi_testkit.frontends.sketch import Value
from nnapi_testkit.frontends.values import axis_of, combined, grown, permuted, product, reduced
from nnapi_testkit.spec.codes import OperandCode

_C = OperandCode


@lowers("Gemm", quantized=True)
def _gemm(lowering: Lowering, node: Node) -> Value:
    """alpha A' B' + beta C."""
    value = lowering.take(node)
    given = node.attributes
    if given.get("transA"):
        value = permuted(lowering, value, [1, 0])
    alpha, beta = float(given.get("alpha", 1.0)), float(given.get("beta", 1.0))
    out = lowering.shape(node)[1]
    if lowering.mode is not None:
        if alpha != 1 or beta != 1:
            raise Refusal("alpha or beta beside codes")
        return _dense_codes(lowering, node, value, bool(given.get("transB")), 2)
    weight = lowering.take(node, 1)
    if not given.get("transB"):
        weight = permuted(lowering, weight, [1, 0])
    weight = _in_order(lowering, node, weight)
    if weight.constant is not None and alpha != 1:
        weight = lowering.sketch.constant(weight.constant * alpha)
    elif alpha != 1:
        raise Refusal("alpha beside computed weights")
    offset, late = _offset(lowering, node, out, beta)
    made = _dense(lowering, value, weight, offset, lowering.shape(node))
    if late is not None:
        shape = lowering.shape(node)
        made = combined(lowering, "ADD", made, late, shape, made.type)
    return made


def _in_order(lowering: Lowering, node: Node, weight: Value) -> Value:
    """Constant weights [out, in], their columns in the order of the input that they meet."""
    columns = lowering.columns.get(node.inputs[0])
    if columns is None or weight.constant is None:
        return weight
    return lowering.sketch.constant(weight.constant[:, torch.from_numpy(columns)].contiguous())


def _offset(
    lowering: Lowering, node: Node, out: int, beta: float
) -> tuple[torch.Tensor | None, Value | None]:
    """The bias of a Gemm: one number an output, or what has to be added behind it."""
    if not node.input(2) or beta == 0:
        return None, None
    value = lowering.take(node, 2)
    if value.constant is None:
        if beta != 1:
            raise Refusal("beta beside a computed C")
        return None, value
    data = value.constant * beta
    if data.numel() in (1, out) and (data.dim() < 2 or data.shape[0] == 1):
        return data.reshape(-1).expand(out).contiguous(), None
    return None, lowering.sketch.constant(data)


def _dense(
    lowering: Lowering,
    value: Value,
    weight: Value,
    offset: torch.Tensor | None,
    shape: tuple[int, ...],
) -> Value:
    """FULLY_CONNECTED; its output has two dimensions, so others are folded into the first.

    Args:
        weight: [out, in].
    """
    sketch = lowering.sketch
    out, size = weight.shape
    flat = math.prod(value.shape[:-1])
    value = lowering.reshaped(replace(value, fused=None), (flat, size))
    if offset is None:
        half = value.type == _C.TENSOR_FLOAT16
        offset = torch.zeros(out, dtype=torch.half if half else torch.float)
    inputs = [
        sketch.read(value),
        sketch.read(weight),
        sketch.read(sketch.constant(offset)),
        sketch.int32(0),
    ]
    made = sketch.make("FULLY_CONNECTED", inputs, (flat, out), value.type, fused=3)
    return made if shape == (flat, out) else lowering.reshaped(made, shape)


def _dense_codes(lowering: Lowering, node: Node, value: Value, rows: bool, position: int) -> Value:
    """FULLY_CONNECTED of codes; weights by channel make it CONV_2D, which has them.

    Args:
        rows: whether the weights are [out, in], and not the other way round.
        position: of the bias.
    """
    assert lowering.mode is not None and value.quant is not None
    shape = lowering.shape(node)
    held = lowering.codes.get(node.input(1))
    if held is None or held.codes.ndim != 2:
        raise Refusal("weights that are not quantized")
    if not rows:
        axis = 1 - held.axis if held.channels else 0
        held = Codes(held.codes.T, held.scale, held.zero, axis)
    columns = lowering.columns.get(node.inputs[0])
    if columns is not None:
        held = replace(held, codes=held.codes[:, columns])
    return dense_codes(lowering, value, held, given_bias(lowering, node, position), shape)


@lowers("MatMul", quantized=True)
def _matmul(lowering: Lowering, node: Node) -> Value:
    first, shape = lowering.take(node, 0), lowering.shape(node)
    held = lowering.source.shapes[node.inputs[1]]
    if lowering.mode is not None and lowering.codes.get(node.inputs[1]) and len(held) == 2:
        return _dense_codes(lowering, node, first, False, 9)
    second = lowering.take(node, 1)
    if first.constant is None and second.constant is not None and second.rank == 2:
        weight = lowering.sketch.constant(second.constant.t().contiguous())
        return _dense(lowering, first, _in_order(lowering, node, weight), None, shape)
    if first.rank == 1 or second.rank == 1:
        return _with_vectors(lowering, first, second, shape)
    rank = max(first.rank, second.rank)
    if rank > 4:
        raise Refusal("a product of more than 4 dimensions")
    first, second = (_batched(lowering, value, rank, shape) for value in (first, second))
    return product(lowering, first, second, shape, quant=lowering.mode)


def _with_vectors(lowering: Lowering, first: Value, second: Value, shape: tuple[int, ...]) -> Value:
    """A product with a vector: a matrix of one row, or of one column."""
    if first.rank == 1:
        first = lowering.reshaped(first, (1, *first.shape))
    if second.rank == 1:
        second = lowering.reshaped(second, (*second.shape, 1))
    rank = max(first.rank, second.rank)
    if rank > 4:
        raise Refusal("a product of more than 4 dimensions")
    batch = first.shape[:-2] if first.rank == rank else second.shape[:-2]
    whole = (*batch, first.shape[-2], second.shape[-1])
    first, second = (_batched(lowering, value, rank, whole) for value in (first, second))
    return lowering.reshaped(product(lowering, first, second, whole, quant=lowering.mode), shape)


def _batched(lowering: Lowering, value: Value, rank: int, shape: Sequence[int]) -> Value:
    """A matrix, or several, multiplied out to the batch of the product."""
    value = replace(value, fused=None)
    if value.rank < rank:
        value = lowering.reshaped(value, (1,) * (rank - value.rank) + value.shape)
    return grown(lowering, value, (*shape[:-2], *value.shape[-2:]))


@lowers("Softmax", quantized=True)
def _softmax(lowering: Lowering, node: Node) -> Value:
    return _over_axis(lowering, node, "SOFTMAX", softened(lowering.mode))


@lowers("LogSoftmax")
def _log_softmax(lowering: Lowering, node: Node) -> Value:
    return _over_axis(lowering, node, "LOG_SOFTMAX", None)


def _over_axis(lowering: Lowering, node: Node, code: str, quant: Quant | None) -> Value:
    """Over one axis; before operator set 13 over all from `axis` on, as one."""
    value = lowering.take(node)
    old = node.version < 13
    axis = int(node.attributes.get("axis", 1 if old else -1)) % value.rank
    shape = value.shape
    if old and axis != value.rank - 1:
        value = lowering.reshaped(value, (math.prod(shape[:axis]), math.prod(shape[axis:])))
        axis = 1
    if value.rank > 4:
        raise Refusal("more than 4 dimensions")
    sketch = lowering.sketch
    position = axis_of(value, axis)
    inputs = [sketch.read(value, value.last), sketch.real(1.0, value)]
    if code != "SOFTMAX" or position != value.rank - 1 or value.rank not in (2, 4):
        inputs.append(sketch.int32(position))
    made = sketch.make(code, inputs, value.shape, value.type, last=value.last, quant=quant)
    return made if made.shape == shape else lowering.reshaped(made, shape)


@lowers("ReduceMean", quantized=True)
def _mean(lowering: Lowering, node: Node) -> Value:
    value = lowering.take(node)
    if lowering.mode is not None and value.quant != lowering.mode:
        raise Refusal("MEAN keeps scale and zero point, the graph changes them")
    return _reduced(lowering, node, value, "MEAN")


for _kind, _code in (
    ("ReduceSum", "REDUCE_SUM"),
    ("ReduceMax", "REDUCE_MAX"),
    ("ReduceMin", "REDUCE_MIN"),
    ("ReduceProd", "REDUCE_PROD"),
):

    def _reduction(lowering: Lowering, node: Node, code: str = _code) -> Value:
        return _reduced(lowering, node, lowering.take(node), code)

    lowers(_kind)(_reduction)


def _reduced(lowering: Lowering, node: Node, value: Value, code: str) -> Value:
    if value.type == _C.TENSOR_INT32:
        raise Refusal("a reduction of integers")
    if value.rank > 4:
        raise Refusal("more than 4 dimensions")
    dims = lowering.ints(node, 1, "axes")
    if not dims and node.attributes.get("noop_with_empty_axes"):
        return value
    keep = bool(node.attributes.get("keepdims", 1))
    return replace(reduced(lowering, replace(value, fused=None), code, dims, keep), fused=None)


@lowers("ReduceL2")
def _norm(lowering: Lowering, node: Node) -> Value:
    """The Euclidean norm: square, sum, root."""
    value = lowering.take(node)
    square = combined(lowering, "MUL", value, value, value.shape, value.type)
    return lowering.unary("SQRT", _reduced(lowering, node, square, "REDUCE_SUM"))


@lowers("ArgMax", "ArgMin")
def _arg(lowering: Lowering, node: Node) -> Value:
    value = lowering.raw(node, 0)
    if node.attributes.get("select_last_index"):
        raise Refusal("the last of equal ones: NNAPI does not say which it takes")
    axis = int(node.attributes.get("axis", 0)) % value.rank
    shape = tuple(size for dim, size in enumerate(value.shape) if dim != axis)
    inputs = [lowering.sketch.read(value), lowering.sketch.int32(axis)]
    code = "ARGMAX" if node.kind == "ArgMax" else "ARGMIN"
    made = lowering.sketch.make(code, inputs, shape, _C.TENSOR_INT32)
    return lowering.reshaped(made, lowering.shape(node))


@lowers("TopK")
def _topk(lowering: Lowering, node: Node) -> tuple[Value, Value]:
    value = lowering.raw(node, 0)
    axis = int(node.attributes.get("axis", -1)) % value.rank
    if axis != value.rank - 1 or not node.attributes.get("largest", 1):
        raise Refusal("the smallest, or of another dimension than the last: TOPK_V2 has neither")
    sketch, shape = lowering.sketch, lowering.shape(node)
    told = len(node.outputs) > 1 and (
        node.outputs[1] in lowering.source.users or node.outputs[1] in lowering.source.outputs
    )
    at = sketch.read(value)
    if told:
        # Of equal values ONNX names the first, NNAPI the last: so the row is turned round.
        axes = sketch.ints([value.rank - 1])
        turned = sketch.make("REVERSE", [at, axes], value.shape, value.type, quant=value.quant)
        at = turned.operand
    best = sketch.temporary(shape, value.type, quant=value.quant)
    places = sketch.temporary(shape, _C.TENSOR_INT32)
    sketch.emit("TOPK_V2", [at, sketch.int32(shape[-1])], [best, places])
    if told:
        end = sketch.constant(torch.tensor([value.shape[-1] - 1], dtype=torch.int32))
        places = combined(lowering, "SUB", end, places, shape, _C.TENSOR_INT32)
    return best, places


@lowers("LayerNormalization")
def _layer_norm(lowering: Lowering, node: Node) -> Value:
    """(x - mean) / sqrt(mean of squares + epsilon) * weight + bias, in NNAPI's operations."""
    if any(name in lowering.source.users for name in node.outputs[1:] if name):
        raise Refusal("mean and deviation as results")
    value = lowering.take(node)
    axis = int(node.attributes.get("axis", -1)) % value.rank
    dims = list(range(axis, value.rank))

    def of(code: str, first: Value, second: Value) -> Value:
        shape = torch.broadcast_shapes(first.shape, second.shape)  # type: ignore[no-untyped-call]
        return combined(lowering, code, first, second, tuple(shape), value.type)

    centred = of("SUB", value, reduced(lowering, value, "MEAN", dims, True))
    variance = reduced(lowering, of("MUL", centred, centred), "MEAN", dims, True)
    shift = lowering.number(float(node.attributes.get("epsilon", 1e-5)), value)
    result = of("MUL", centred, lowering.unary("RSQRT", of("ADD", variance, shift)))
    for position, code in ((1, "MUL"), (2, "ADD")):
        if node.input(position):
            result = of(code, result, lowering.take(node, position))
    return result
