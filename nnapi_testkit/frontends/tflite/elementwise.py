"""Element by element: arithmetic, activations, comparisons, choices, casts, quantization."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnapi_testkit.frontends.draft import Quant, Refusal
from nnapi_testkit.frontends.tflite.file import Node, Tensor
from nnapi_testkit.frontends.tflite.lower import Lowering, Rule, lowers, needed
from nnapi_testkit.model.types import Operand
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import CODE_RANGE, DTYPE, is_quantized

_C = OperandCode


def requantized(lowering: Lowering, at: int, out: int) -> None:
    """Write one quantized operand into another: NNAPI's only way leads through float32."""
    real = lowering.draft.add(Operand(_C.TENSOR_FLOAT32, lowering.operand(at).dims))
    lowering.emit("DEQUANTIZE", [at], [real])
    lowering.emit("QUANTIZE", [real], [out])


def filled(lowering: Lowering, like: int, dims: Sequence[int], value: float) -> int:
    """A constant tensor of one value, in another operand's type and quantization."""
    operand = lowering.operand(like)
    code = OperandCode(operand.type)
    quant = None
    if is_quantized(code):
        quant = Quant(code, operand.scale, operand.zero_point)
        low, high = CODE_RANGE[code]
        value = min(high, max(low, round(value / operand.scale) + operand.zero_point))
    return lowering.draft.array(np.full(tuple(dims), value, DTYPE[code]), code, quant)


def same_quant(lowering: Lowering, first: int, second: int) -> bool:
    """Whether two operands read their codes alike."""
    a, b = lowering.operand(first), lowering.operand(second)
    return (np.float32(a.scale), a.zero_point) == (np.float32(b.scale), b.zero_point)


def _arithmetic(code: str) -> Rule:
    def rule(lowering: Lowering, node: Node) -> None:
        first, second = lowering.read(needed(node, 0)), lowering.read(needed(node, 1))
        lowering.fused(node, code, [first, second])

    return rule


for _code in ("ADD", "SUB", "MUL"):
    lowers(_code)(_arithmetic(_code))


@lowers("DIV")
def _div(lowering: Lowering, node: Node) -> None:
    if needed(node, 0).type == "INT32":
        raise Refusal("of int32: LiteRT rounds toward zero, NNAPI down")
    _arithmetic("DIV")(lowering, node)


@lowers("FLOOR_DIV")
def _floor_div(lowering: Lowering, node: Node) -> None:
    first, second = lowering.read(needed(node, 0)), lowering.read(needed(node, 1))
    if lowering.operand(first).type == _C.TENSOR_INT32:
        lowering.plain(node, "DIV", [first, second, lowering.draft.int32(0)])
        return
    out = lowering.write(node.outputs[0])
    quotient = lowering.temporary(out, lowering.operand(out).dims)
    lowering.emit("DIV", [first, second, lowering.draft.int32(0)], [quotient])
    lowering.emit("FLOOR", [quotient], [out])


def _pair(code: str) -> Rule:
    return lambda lowering, node: lowering.plain(
        node, code, [lowering.read(needed(node, 0)), lowering.read(needed(node, 1))]
    )


for _kind in (
    *("MAXIMUM", "MINIMUM", "POW", "LOGICAL_AND", "LOGICAL_OR"),
    *("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL"),
):
    lowers(_kind)(_pair(_kind))


def _single(code: str) -> Rule:
    return lambda lowering, node: lowering.plain(node, code, [lowering.read(needed(node, 0))])


for _kind in (
    *("ABS", "EXP", "FLOOR", "LOG", "LOGICAL_NOT", "NEG", "RSQRT", "SIN", "SQRT"),
    *("HARD_SWISH", "LOGISTIC", "TANH"),
):
    lowers(_kind)(_single(_kind))


def _clamp(code: str) -> Rule:
    def rule(lowering: Lowering, node: Node) -> None:
        at = lowering.read(needed(node, 0))
        out = lowering.write(node.outputs[0])
        if same_quant(lowering, at, out):
            lowering.emit(code, [at], [out])
            return
        # NNAPI clamps within one scale, LiteRT into another one.
        clamped = lowering.temporary(at, lowering.operand(at).dims)
        lowering.emit(code, [at], [clamped])
        requantized(lowering, clamped, out)

    return rule


for _kind, _code in (("RELU", "RELU"), ("RELU_N1_TO_1", "RELU1"), ("RELU6", "RELU6")):
    lowers(_kind)(_clamp(_code))


@lowers("RELU_0_TO_1")
def _relu_0_to_1(lowering: Lowering, node: Node) -> None:
    at = lowering.read(needed(node, 0))
    out = lowering.write(node.outputs[0])
    below = lowering.temporary(at, lowering.operand(at).dims)
    lowering.emit("RELU", [at], [below])
    lowering.emit("MINIMUM", [below, filled(lowering, at, (1,), 1.0)], [out])


@lowers("ELU")
def _elu(lowering: Lowering, node: Node) -> None:
    at = lowering.read(needed(node, 0))
    lowering.plain(node, "ELU", [at, lowering.real(1.0, at)])


@lowers("PRELU")
def _prelu(lowering: Lowering, node: Node) -> None:
    alpha = lowering.read(needed(node, 1))
    lowering.plain(node, "PRELU", [lowering.read(needed(node, 0)), alpha])


@lowers("LEAKY_RELU")
def _leaky_relu(lowering: Lowering, node: Node) -> None:
    at = lowering.read(needed(node, 0))
    slope = float(node.option("alpha", 0.0))
    code = OperandCode(lowering.operand(at).type)
    if not is_quantized(code):
        alpha = lowering.draft.array(np.array([slope]), code)
    else:
        # One code that is the slope exactly: 1 above the zero point, or 1 below.
        zero = 0 if slope > 0 else 1
        quant = Quant(code, abs(slope) or 1.0, zero)
        alpha = lowering.draft.array(np.array([zero + int(np.sign(slope))]), code, quant)
    lowering.plain(node, "PRELU", [at, alpha])


def _real_range(operand: Operand) -> tuple[float, float]:
    low, high = CODE_RANGE[OperandCode(operand.type)]
    return (low - operand.zero_point) * operand.scale, (high - operand.zero_point) * operand.scale


@lowers("SQUARED_DIFFERENCE")
def _squared_difference(lowering: Lowering, node: Node) -> None:
    first, second = lowering.read(needed(node, 0)), lowering.read(needed(node, 1))
    out = lowering.write(node.outputs[0])
    a, b = lowering.operand(first), lowering.operand(second)
    code = OperandCode(a.type)
    between = Operand(a.type, lowering.operand(out).dims)
    if is_quantized(code):
        # A difference fits into what lies between the farthest codes of both.
        (low_a, high_a), (low_b, high_b) = _real_range(a), _real_range(b)
        low, high = low_a - high_b, high_a - low_b
        scale = (high - low) / 255
        zero = round(-low / scale) + CODE_RANGE[code][0]
        between = Operand(a.type, between.dims, scale, zero)
    difference = lowering.draft.add(between)
    none = lowering.draft.int32(0)
    lowering.emit("SUB", [first, second, none], [difference])
    lowering.emit("MUL", [difference, difference, none], [out])


@lowers("SQUARE")
def _square(lowering: Lowering, node: Node) -> None:
    at = lowering.read(needed(node, 0))
    lowering.plain(node, "MUL", [at, at, lowering.draft.int32(0)])


@lowers("CEIL")
def _ceil(lowering: Lowering, node: Node) -> None:
    at = lowering.read(needed(node, 0))
    dims = lowering.operand(at).dims
    down, below = lowering.temporary(at, dims), lowering.temporary(at, dims)
    lowering.emit("NEG", [at], [down])
    lowering.emit("FLOOR", [down], [below])
    lowering.plain(node, "NEG", [below])


@lowers("SELECT", "SELECT_V2")
def _select(lowering: Lowering, node: Node) -> None:
    shape = node.outputs[0].shape
    parts = [_spread(lowering, needed(node, position), shape, "SELECT") for position in (0, 1, 2)]
    lowering.plain(node, "SELECT", parts)


def _spread(lowering: Lowering, tensor: Tensor, shape: tuple[int, ...], code: str) -> int:
    """The operand of a tensor in the shape of the result; constants are repeated."""
    if tensor.shape == shape:
        return lowering.read(tensor)
    data = lowering.data(tensor)
    if data is None or 0 in shape:
        raise Refusal(f"NNAPI's {code} takes one shape for all; {tensor.name} has another")
    at = lowering.read(tensor)
    operand = lowering.operand(at)
    code_ = OperandCode(operand.type)
    quant = Quant(code_, operand.scale, operand.zero_point) if is_quantized(code_) else None
    return lowering.draft.array(np.broadcast_to(data, shape), code_, quant)


@lowers("CAST")
def _cast(lowering: Lowering, node: Node) -> None:
    source, made = needed(node, 0), node.outputs[0]
    at = lowering.read(source)
    dims = lowering.operand(at).dims
    if made.type == "BOOL" and source.type != "BOOL":
        zero = lowering.draft.array(np.zeros(1), OperandCode(lowering.operand(at).type))
        lowering.plain(node, "NOT_EQUAL", [at, zero])
    elif source.type == "BOOL" and made.type != "BOOL":
        if 0 in dims:
            raise Refusal("of bool with open dimensions: NNAPI chooses between whole tensors")
        out = lowering.write(made)
        one, zero = filled(lowering, out, dims, 1), filled(lowering, out, dims, 0)
        lowering.emit("SELECT", [at, one, zero], [out])
    else:
        lowering.plain(node, "CAST", [at])


@lowers("QUANTIZE")
def _quantize(lowering: Lowering, node: Node) -> None:
    at = lowering.read(needed(node, 0))
    if is_quantized(OperandCode(lowering.operand(at).type)):
        requantized(lowering, at, lowering.write(node.outputs[0]))
    else:
        lowering.plain(node, "QUANTIZE", [at])


@lowers("DEQUANTIZE")
def _dequantize(lowering: Lowering, node: Node) -> None:
    source = needed(node, 0)
    if source.type == "FLOAT16":
        data = lowering.data(source)
        if data is not None:  # weights in half precision: LiteRT computes in float32
            lowering.folded[node.outputs[0].index] = data.astype(np.float32)
            return
        lowering.plain(node, "CAST", [lowering.read(source)])
        return
    lowering.plain(node, "DEQUANTIZE", [lowering.read(source)])
