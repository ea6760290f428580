"""Element by element: arithmetic, activations, comparisons, choices, casts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch

from nnapi_testkit.frontends.coded import bounded
from nnapi_testkit.frontends.draft import Quant, Refusal
from nnapi_testkit.frontends.onnx.lower import Lowering, lowers
from nnapi_testkit.frontends.onnx.source import Node
from nnapi_testkit.frontends.sketch import Value
from nnapi_testkit.frontends.values import combined, grown, typed
from nnapi_testkit.spec.codes import OperandCode

__all__ = ["with_number"]

_C = OperandCode
_ACTIVATIONS: dict[tuple[float | None, float | None], tuple[int, str]] = {
    (0.0, None): (1, "RELU"),
    (-1.0, 1.0): (2, "RELU1"),
    (0.0, 6.0): (3, "RELU6"),
}
_Lower = Callable[[Lowering, Node], Value]


def _two(lowering: Lowering, node: Node, code: str, fused: bool) -> Value:
    first, second = lowering.take(node, 0), lowering.take(node, 1)
    type = lowering.type(node)
    shape = lowering.shape(node)
    if max(first.rank, second.rank) > 4:
        raise Refusal("more than 4 dimensions")
    return combined(lowering, code, first, second, shape, type, fused, lowering.mode)


def _arithmetic(code: str) -> _Lower:
    def rule(lowering: Lowering, node: Node) -> Value:
        if lowering.type(node) == _C.TENSOR_INT32 and code == "DIV":
            raise Refusal("division of integers: NNAPI's rounds down, ONNX's towards zero")
        if node.version < 7 and node.attributes.get("axis") is not None:
            raise Refusal("broadcasting by axis, of operator sets before 7")
        return _two(lowering, node, code, True)

    return rule


for _kind, _code in (("Add", "ADD"), ("Sub", "SUB"), ("Mul", "MUL")):
    lowers(_kind, quantized=True)(_arithmetic(_code))
lowers("Div")(_arithmetic("DIV"))


def with_number(lowering: Lowering, code: str, value: Value, number: float) -> Value:
    """An operation of a real value and a number."""
    other = lowering.number(number, value)
    return combined(lowering, code, value, other, value.shape, value.type)


def _both(lowering: Lowering, code: str, first: Value, second: Value) -> Value:
    return combined(lowering, code, first, second, first.shape, first.type)


def _unary(code: str) -> _Lower:
    def rule(lowering: Lowering, node: Node) -> Value:
        value = lowering.take(node)
        if value.type == _C.TENSOR_INT32 and code not in ("ABS", "NEG"):
            raise Refusal("integers: NNAPI has it for floats")
        return lowering.unary(code, value)

    return rule


for _kind, _code in (
    ("Abs", "ABS"),
    ("Exp", "EXP"),
    ("Floor", "FLOOR"),
    ("Log", "LOG"),
    ("Neg", "NEG"),
    ("Not", "LOGICAL_NOT"),
    ("Sin", "SIN"),
    ("Sqrt", "SQRT"),
):
    lowers(_kind)(_unary(_code))


def _bounded(code: str, steps: int) -> _Lower:
    """An operation whose quantized result has one scale: 1 / steps, from the lowest code."""

    def rule(lowering: Lowering, node: Node) -> Value:
        return bounded(lowering, code, lowering.take(node), steps)

    return rule


lowers("Sigmoid", quantized=True)(_bounded("LOGISTIC", 256))
lowers("Tanh", quantized=True)(_bounded("TANH", 128))


def _extreme(code: str) -> _Lower:
    """MAXIMUM or MINIMUM of any number of operands."""

    def rule(lowering: Lowering, node: Node) -> Value:
        values = [lowering.take(node, at) for at in range(len(node.inputs))]
        found = values[0]
        for value in values[1:]:
            shape = tuple(torch.broadcast_shapes(found.shape, value.shape))  # type: ignore[no-untyped-call]
            type = lowering.type(node)
            found = combined(lowering, code, found, value, shape, type, False, lowering.mode)
        return found

    return rule


lowers("Max", quantized=True)(_extreme("MAXIMUM"))
lowers("Min", quantized=True)(_extreme("MINIMUM"))


for _kind, _code in (
    ("And", "LOGICAL_AND"),
    ("Or", "LOGICAL_OR"),
    ("Equal", "EQUAL"),
    ("Less", "LESS"),
    ("LessOrEqual", "LESS_EQUAL"),
    ("Greater", "GREATER"),
    ("GreaterOrEqual", "GREATER_EQUAL"),
):

    def _compare(lowering: Lowering, node: Node, code: str = _code) -> Value:
        return _two(lowering, node, code, False)

    lowers(_kind)(_compare)


@lowers("Pow")
def _pow(lowering: Lowering, node: Node) -> Value:
    value = lowering.take(node)
    if value.type not in (_C.TENSOR_FLOAT32, _C.TENSOR_FLOAT16):
        raise Refusal("powers of integers")
    power = lowering.take(node, 1)
    if power.constant is not None and power.constant.numel() == 1 and power.rank <= value.rank:
        number = float(power.constant)
        if number in (2, 3):  # of negative numbers too, of which POW does not speak
            square = _both(lowering, "MUL", value, value)
            return square if number == 2 else _both(lowering, "MUL", square, value)
        if number == 0.5:
            return lowering.unary("SQRT", value)
    shape = lowering.shape(node)
    return combined(lowering, "POW", value, power, shape, value.type, False)


@lowers("Relu")
def _relu(lowering: Lowering, node: Node) -> Value:
    return _clamped(lowering, node, lowering.raw(node, 0), 1, "RELU")


@lowers("Clip")
def _clip(lowering: Lowering, node: Node) -> Value:
    limits = lowering.limits(node)
    value = lowering.raw(node, 0)
    known = _ACTIVATIONS.get(limits)
    if known and value.type != _C.TENSOR_INT32:
        if value.quant is not None and value.quant != lowering.unit(node):
            value = lowering.real(value)  # a limit that no code stands for would be rounded twice
        return _clamped(lowering, node, value, *known)
    value = lowering.real(value)
    for limit, code in zip(limits, ("MAXIMUM", "MINIMUM"), strict=True):
        if limit is not None:
            other = typed(lowering, lowering.number(limit, value), value.type)
            value = combined(lowering, code, value, other, value.shape, value.type, False)
    return value


def _clamped(lowering: Lowering, node: Node, value: Value, activation: int, code: str) -> Value:
    """An activation: fused into the operation before it if nobody else reads that."""
    if value.type == _C.TENSOR_INT32:
        raise Refusal("integers: NNAPI has it for floats")
    name = node.inputs[0]
    alone = len(lowering.source.users[name]) == 1 and name not in lowering.source.outputs
    if value.fused is not None and alone:
        return lowering.sketch.fuse(value, activation)
    return lowering.unary(code, value)


@lowers("Elu")
def _elu(lowering: Lowering, node: Node) -> Value:
    value = lowering.take(node)
    alpha = float(node.attributes.get("alpha", 1.0))
    return lowering.unary("ELU", value, [lowering.sketch.real(alpha, value)])


@lowers("LeakyRelu", quantized=True)
def _leaky(lowering: Lowering, node: Node) -> Value:
    value = lowering.take(node)
    slope = float(node.attributes.get("alpha", 0.01))
    if lowering.mode is None:
        return _sloped(lowering, value, lowering.number(slope, value))
    # The slope as one code: 1 at the scale of the slope, so that it stays what it is.
    signed = lowering.mode.type == _C.TENSOR_QUANT8_ASYMM_SIGNED
    dtype, zero = (torch.int8, 0) if signed else (torch.uint8, 128)
    if slope == 0:
        raise Refusal("a slope of 0: Relu")
    codes = torch.tensor(zero + (1 if slope > 0 else -1), dtype=dtype)
    quant = Quant(lowering.mode.type, abs(slope), zero)
    return _sloped(lowering, value, lowering.sketch.constant(codes, quant))


@lowers("PRelu", quantized=True)
def _prelu(lowering: Lowering, node: Node) -> Value:
    value, slope = lowering.take(node), lowering.take(node, 1)
    if node.version < 7 and slope.rank == 1 and value.rank > 2:  # one a channel
        slope = lowering.reshaped(slope, (slope.shape[0], *(1,) * (value.rank - 2)))
    return _sloped(lowering, value, slope)


def _sloped(lowering: Lowering, value: Value, slope: Value) -> Value:
    operands, last = lowering.broadcast([value, slope])
    return lowering.sketch.make(
        "PRELU", operands, value.shape, value.type, last=last, quant=lowering.mode
    )


@lowers("HardSwish", quantized=True)
def _hard_swish(lowering: Lowering, node: Node) -> Value:
    value = lowering.take(node)
    at = lowering.sketch.read(value, value.last)
    return lowering.sketch.make(
        "HARD_SWISH", [at], value.shape, value.type, last=value.last, quant=lowering.mode
    )


@lowers("HardSigmoid")
def _hard_sigmoid(lowering: Lowering, node: Node) -> Value:
    """max(0, min(1, alpha x + beta)); relu6(6 alpha x + 6 beta) / 6."""
    alpha = float(node.attributes.get("alpha", 0.2))
    beta = float(node.attributes.get("beta", 0.5))
    value = lowering.take(node)
    if not math.isclose(alpha, 1 / 6, rel_tol=1e-6):
        value = with_number(lowering, "MUL", value, 6 * alpha)
    moved = lowering.sketch.fuse(with_number(lowering, "ADD", value, 6 * beta), 3)
    return with_number(lowering, "MUL", moved, 1 / 6)


@lowers("com.microsoft.FastGelu")
def _fast_gelu(lowering: Lowering, node: Node) -> Value:
    value = lowering.take(node)
    if node.input(1):
        other = lowering.take(node, 1)
        value = combined(lowering, "ADD", value, other, value.shape, value.type)
    return _gelu(lowering, value)


@lowers("Gelu")
def _gelu_of(lowering: Lowering, node: Node) -> Value:
    if node.attributes.get("approximate", "none") != "tanh":
        raise Refusal("NNAPI has no error function: export GELU with approximate='tanh'")
    return _gelu(lowering, lowering.take(node))


def _gelu(lowering: Lowering, x: Value) -> Value:
    """x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))."""
    square = _both(lowering, "MUL", x, x)
    inner = with_number(lowering, "MUL", square, 0.044715)
    inner = _both(lowering, "MUL", x, with_number(lowering, "ADD", inner, 1.0))
    inner = with_number(lowering, "MUL", inner, math.sqrt(2 / math.pi))
    outer = with_number(lowering, "ADD", lowering.unary("TANH", inner), 1.0)
    return _both(lowering, "MUL", with_number(lowering, "MUL", x, 0.5), outer)


@lowers("Reciprocal")
def _reciprocal(lowering: Lowering, node: Node) -> Value:
    value = lowering.take(node)
    one = lowering.number(1.0, value)
    return combined(lowering, "DIV", one, value, value.shape, value.type)


@lowers("Sum")
def _sum(lowering: Lowering, node: Node) -> Value:
    found = lowering.take(node)
    for at in range(1, len(node.inputs)):
        value = lowering.take(node, at)
        shape = tuple(torch.broadcast_shapes(found.shape, value.shape))  # type: ignore[no-untyped-call]
        found = combined(lowering, "ADD", found, value, shape, found.type)
    return found


@lowers("Where")
def _where(lowering: Lowering, node: Node) -> Value:
    """SELECT takes three tensors of one shape: smaller ones are multiplied out."""
    shape, type = lowering.shape(node), lowering.type(node)
    if len(shape) > 4:
        raise Refusal("more than 4 dimensions")
    values = [grown(lowering, lowering.take(node, at), shape) for at in range(3)]
    operands = [lowering.sketch.read(value) for value in values]
    return lowering.sketch.make("SELECT", operands, shape, type)


@lowers("Expand")
def _expand(lowering: Lowering, node: Node) -> Value:
    shape = lowering.shape(node)
    if len(shape) > 4:
        raise Refusal("more than 4 dimensions")
    return grown(lowering, lowering.raw(node, 0), shape)


@lowers("Tile")
def _tile(lowering: Lowering, node: Node) -> Value:
    return grown(lowering, lowering.raw(node, 0), lowering.shape(node))


@lowers("Cast")
def _cast(lowering: Lowering, node: Node) -> Value:
    value, type = lowering.raw(node, 0), lowering.type(node)
    if lowering.source.types[node.inputs[0]] not in (2, 3):
        value = lowering.real(value)
    if value.quant is None:
        if lowering.source.types[node.outputs[0]] in (2, 3):
            raise Refusal("a cast to 8 bits, which ONNX wraps and NNAPI cuts off")
        if lowering.source.types[node.outputs[0]] == 9 and value.type != _C.TENSOR_BOOL8:
            zero = typed(lowering, lowering.number(0.0, value), value.type)
            return combined(lowering, "NOT_EQUAL", value, zero, value.shape, _C.TENSOR_BOOL8, False)
        if value.type == _C.TENSOR_BOOL8:
            return _numbers(lowering, value, type)
        return typed(lowering, value, type)
    plain = Quant(_C.TENSOR_QUANT8_ASYMM, 1.0, 0)
    if value.quant == plain and type == _C.TENSOR_FLOAT32:
        return lowering.real(value)  # the code is the number
    if value.quant.type != _C.TENSOR_QUANT8_ASYMM:
        raise Refusal("a cast of signed codes: CAST has none")
    return typed(lowering, replace(value, quant=None), type)


def _numbers(lowering: Lowering, value: Value, type: OperandCode) -> Value:
    """Truth values as numbers: CAST has none of them, SELECT chooses 1 or 0."""
    if type == _C.TENSOR_BOOL8:
        return value
    if value.rank > 4:
        raise Refusal("more than 4 dimensions")
    dtype = {
        _C.TENSOR_FLOAT32: torch.float32,
        _C.TENSOR_FLOAT16: torch.float16,
        _C.TENSOR_INT32: torch.int32,
    }[type]
    chosen = [
        lowering.sketch.constant(torch.full(value.shape, fill, dtype=dtype)) for fill in (1, 0)
    ]
    at = lowering.sketch.read(value, value.last)
    operands = [at, *(lowering.sketch.read(item, value.last) for item in chosen)]
    return lowering.sketch.make("SELECT", operands, value.shape, type, last=value.last)
