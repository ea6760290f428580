"""Element by element: arithmetic, activations, comparisons, choices, casts."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import Node

from nnapi_testkit.frontends.coded import bounded
from nnapi_testkit.frontends.export.lower import FUSED, Lowering, Rule, limits, lowers
from nnapi_testkit.frontends.sketch import Quant, Refusal, Value
from nnapi_testkit.frontends.values import combined, grown, typed
from nnapi_testkit.spec.codes import OperandCode

_C = OperandCode
RELU6 = 3


def binary(lowering: Lowering, node: Node, code: str, *, fused: bool = False) -> Value:
    """An operation of two operands that broadcast."""
    first, second = lowering.value(node.args[0]), lowering.value(node.args[1])
    return both(lowering, node, code, first, second, fused=fused)


def both(
    lowering: Lowering, node: Node, code: str, first: Value, second: Value, *, fused: bool = False
) -> Value:
    """The same for values, in the type of the node's result or of the operands."""
    shape, type = lowering.shape(node), lowering.type(node)
    return combined(lowering, code, first, second, shape, type, fused, lowering.mode)


def _arithmetic(code: str) -> Rule:
    def rule(lowering: Lowering, node: Node) -> Value:
        alpha = node.kwargs.get("alpha", 1)
        if alpha != 1:
            if lowering.mode is not None:
                raise Refusal("a factor beside codes")
            first = lowering.value(node.args[0])
            second = lowering.value(node.args[1])
            if second.constant is not None:
                scaled = lowering.sketch.constant(second.constant * float(alpha))  # type: ignore[arg-type]
            else:
                factor = lowering.sketch.constant(torch.tensor(float(alpha)))  # type: ignore[arg-type]
                operands, last = lowering.broadcast([second, factor])
                none = lowering.sketch.int32(0)
                scaled = lowering.sketch.make(
                    "MUL", [*operands, none], second.shape, second.type, last=last
                )
            return both(lowering, node, code, first, scaled, fused=True)
        return binary(lowering, node, code, fused=True)

    return rule


for _name, _code in (("add", "ADD"), ("sub", "SUB"), ("mul", "MUL")):
    lowers(f"aten.{_name}.Tensor", f"aten.{_name}_.Tensor", f"aten.{_name}.Scalar", quantized=True)(
        _arithmetic(_code)
    )


@lowers("aten.div.Tensor", "aten.div_.Tensor", "aten.div.Scalar")
def _div(lowering: Lowering, node: Node) -> Value:
    if lowering.type(node) == _C.TENSOR_INT32:
        raise Refusal("division of integers")
    return binary(lowering, node, "DIV", fused=True)


@lowers("aten.rsub.Scalar")
def _rsub(lowering: Lowering, node: Node) -> Value:
    first, second = lowering.value(node.args[1]), lowering.value(node.args[0])
    return both(lowering, node, "SUB", first, second, fused=True)


def _plain(code: str) -> Rule:
    return lambda lowering, node: lowering.unary(code, lowering.value(node.args[0]))


for _name, _code in (
    ("abs", "ABS"),
    ("exp", "EXP"),
    ("floor", "FLOOR"),
    ("log", "LOG"),
    ("neg", "NEG"),
    ("rsqrt", "RSQRT"),
    ("sin", "SIN"),
    ("sqrt", "SQRT"),
    ("logical_not", "LOGICAL_NOT"),
):
    lowers(f"aten.{_name}.default", f"aten.{_name}_.default")(_plain(_code))


for _name, _code, _steps in (("sigmoid", "LOGISTIC", 256), ("tanh", "TANH", 128)):

    def _curve(lowering: Lowering, node: Node, code: str = _code, steps: int = _steps) -> Value:
        return bounded(lowering, code, lowering.value(node.args[0]), steps)

    lowers(f"aten.{_name}.default", f"aten.{_name}_.default", quantized=True)(_curve)


for _name, _code in (("maximum", "MAXIMUM"), ("minimum", "MINIMUM")):
    lowers(f"aten.{_name}.default", quantized=True)(
        lambda lowering, node, code=_code: binary(lowering, node, code)  # type: ignore[misc]
    )
for _name, _code in (
    ("logical_and", "LOGICAL_AND"),
    ("logical_or", "LOGICAL_OR"),
):
    lowers(f"aten.{_name}.default")(
        lambda lowering, node, code=_code: binary(lowering, node, code)  # type: ignore[misc]
    )
for _name, _code in (
    ("eq", "EQUAL"),
    ("ne", "NOT_EQUAL"),
    ("lt", "LESS"),
    ("le", "LESS_EQUAL"),
    ("gt", "GREATER"),
    ("ge", "GREATER_EQUAL"),
):
    lowers(f"aten.{_name}.Tensor", f"aten.{_name}.Scalar")(
        lambda lowering, node, code=_code: binary(lowering, node, code)  # type: ignore[misc]
    )


@lowers("aten.bitwise_and.Tensor", "aten.__and__.Tensor")
def _and(lowering: Lowering, node: Node) -> Value:
    return _logical(lowering, node, "LOGICAL_AND")


@lowers("aten.bitwise_or.Tensor", "aten.__or__.Tensor")
def _or(lowering: Lowering, node: Node) -> Value:
    return _logical(lowering, node, "LOGICAL_OR")


def _logical(lowering: Lowering, node: Node, code: str) -> Value:
    if lowering.type(node) != _C.TENSOR_BOOL8:
        raise Refusal("bits of integers")
    first, second = lowering.value(node.args[0]), lowering.value(node.args[1])
    operands, last = lowering.broadcast([first, second])
    return lowering.sketch.make(code, operands, lowering.shape(node), _C.TENSOR_BOOL8, last=last)


@lowers("aten.pow.Tensor_Scalar", "aten.pow.Tensor_Tensor")
def _pow(lowering: Lowering, node: Node) -> Value:
    if node.args[1] == 2:
        value = lowering.value(node.args[0])
        return both(lowering, node, "MUL", value, value, fused=True)
    if node.args[1] == 0.5:
        return lowering.unary("SQRT", lowering.value(node.args[0]))
    return binary(lowering, node, "POW")


@lowers(
    "aten.relu.default",
    "aten.relu_.default",
    "aten.relu6.default",
    "aten.relu6_.default",
    "aten.hardtanh.default",
    "aten.hardtanh_.default",
    "aten.clamp.default",
    "aten.clamp_.default",
)
def _clamp(lowering: Lowering, node: Node) -> Value:
    value, ends = lowering.raw(node.args[0]), limits(node)
    if ends in FUSED:
        # 0 is a code; a limit that none stands for would be rounded twice.
        if value.quant is not None and ends != (0, None) and value.quant != lowering.unit(node):
            value = lowering.real(value)
        return lowering.activated(node, value, *FUSED[ends])
    value = lowering.real(value)
    for limit, code in zip(ends or (), ("MAXIMUM", "MINIMUM"), strict=False):
        if limit is not None:
            value = both(lowering, node, code, value, lowering.value(limit))
    return value


@lowers("aten.clamp_min.default")
def _clamp_min(lowering: Lowering, node: Node) -> Value:
    return binary(lowering, node, "MAXIMUM")


@lowers("aten.hardswish.default", "aten.hardswish_.default", quantized=True)
def _hardswish(lowering: Lowering, node: Node) -> Value:
    value = lowering.value(node.args[0])
    at = lowering.sketch.read(value, value.last)
    return lowering.sketch.make(
        "HARD_SWISH", [at], value.shape, value.type, last=value.last, quant=lowering.mode
    )


@lowers("aten.hardsigmoid.default", "aten.hardsigmoid_.default")
def _hardsigmoid(lowering: Lowering, node: Node) -> Value:
    """relu6(x + 3) / 6."""
    moved = _with(lowering, node, "ADD", lowering.value(node.args[0]), 3.0)
    return _with(lowering, node, "MUL", lowering.sketch.fuse(moved, RELU6), 1 / 6)


@lowers("aten.silu.default", "aten.silu_.default")
def _silu(lowering: Lowering, node: Node) -> Value:
    value = lowering.value(node.args[0])
    return both(lowering, node, "MUL", value, lowering.unary("LOGISTIC", value), fused=True)


@lowers("aten.gelu.default")
def _gelu(lowering: Lowering, node: Node) -> Value:
    """x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) of approximate='tanh'."""
    if node.kwargs.get("approximate") != "tanh":
        raise Refusal("NNAPI has no error function; use approximate='tanh'")
    x = lowering.value(node.args[0])
    square = both(lowering, node, "MUL", x, x, fused=True)
    inner = _with(lowering, node, "ADD", _with(lowering, node, "MUL", square, 0.044715), 1.0)
    inner = both(lowering, node, "MUL", x, inner, fused=True)
    inner = _with(lowering, node, "MUL", inner, 0.7978845608028654)
    outer = _with(lowering, node, "ADD", lowering.unary("TANH", inner), 1.0)
    return both(lowering, node, "MUL", _with(lowering, node, "MUL", x, 0.5), outer, fused=True)


def _with(lowering: Lowering, node: Node, code: str, value: Value, number: float) -> Value:
    return both(lowering, node, code, value, lowering.value(float(number)), fused=True)


@lowers("aten.elu.default", "aten.elu_.default")
def _elu(lowering: Lowering, node: Node) -> Value:
    if any(argument != 1 for argument in node.args[2:]):
        raise Refusal("ELU with a scale")
    value = lowering.value(node.args[0])
    alpha: Any = node.args[1] if len(node.args) > 1 else 1.0
    return lowering.unary("ELU", value, [lowering.sketch.real(float(alpha), value)])


@lowers("aten.leaky_relu.default", "aten.leaky_relu_.default")
def _leaky(lowering: Lowering, node: Node) -> Value:
    value = lowering.value(node.args[0])
    slope: Any = node.args[1] if len(node.args) > 1 else 0.01
    return _slope(lowering, node, value, lowering.value(float(slope)))


@lowers("aten.prelu.default")
def _prelu(lowering: Lowering, node: Node) -> Value:
    value = lowering.value(node.args[0])
    weight = lowering.constant(node.args[1])
    if weight.numel() > 1:
        weight = weight.reshape((-1,) + (1,) * (value.rank - 2))
    return _slope(lowering, node, value, lowering.sketch.constant(weight))


def _slope(lowering: Lowering, node: Node, value: Value, slope: Value) -> Value:
    operands, last = lowering.broadcast([value, slope])
    return lowering.sketch.make("PRELU", operands, value.shape, value.type, last=last)


@lowers("aten.where.self")
def _where(lowering: Lowering, node: Node) -> Value:
    """SELECT takes three tensors of one shape: smaller ones are multiplied out."""
    shape, type = lowering.shape(node), lowering.type(node)
    chosen = lowering.value(node.args[0])
    first = typed(lowering, lowering.value(node.args[1]), type)
    second = typed(lowering, lowering.value(node.args[2]), type)
    operands = [lowering.sketch.read(grown(lowering, v, shape)) for v in (chosen, first, second)]
    return lowering.sketch.make("SELECT", operands, shape, type)


@lowers("aten.expand.default", moves=True)
def _expand(lowering: Lowering, node: Node) -> Value:
    return grown(lowering, lowering.raw(node.args[0]), lowering.shape(node))


@lowers("aten.repeat.default", moves=True)
def _repeat(lowering: Lowering, node: Node) -> Value:
    value = lowering.raw(node.args[0])
    times: Any = node.args[1]
    value = lowering.reshaped(value, (1,) * (len(times) - value.rank) + value.shape)
    inputs = [lowering.sketch.read(value), lowering.sketch.ints(times)]
    shape = lowering.shape(node)
    return lowering.sketch.make("TILE", inputs, shape, value.type, quant=value.quant)


@lowers("aten.to.dtype", "aten._to_copy.default", "aten.to.dtype_layout", "aten.type_as.default")
def _cast(lowering: Lowering, node: Node) -> Value:
    held = lowering.raw(node.args[0])
    plain = Quant(_C.TENSOR_QUANT8_ASYMM, 1.0, 0)
    if held.quant == plain and lowering.type(node) == _C.TENSOR_FLOAT32:
        return lowering.real(held)  # the code is the number
    return typed(lowering, lowering.value(node.args[0]), lowering.type(node))


@lowers(
    "aten.alias.default",
    "aten.clone.default",
    "aten.contiguous.default",
    "aten.detach.default",
    "aten.detach_.default",
    "aten.dropout.default",
    "aten.dropout_.default",
    "aten.feature_dropout.default",
    "aten.lift_fresh_copy.default",
    "aten.alpha_dropout.default",
    moves=True,
)
def _same(lowering: Lowering, node: Node) -> Value:
    if "dropout" in str(node.target) and len(node.args) > 2 and node.args[2]:
        raise Refusal("dropout in training mode; call model.eval() before the export")
    return lowering.raw(node.args[0])


@lowers(
    "aten._assert_tensor_metadata.default",
    "aten.sym_size.int",
    "aten._assert_scalar.default",
    "aten.sym_constrain_range_for_size.default",
    "aten.sym_constrain_range.default",
)
def _nothing(lowering: Lowering, node: Node) -> None:
    return None


def _filled(lowering: Lowering, node: Node) -> Value:
    """A tensor of one number, known when the model is made."""
    name = str(node.target)
    dtype = node.meta["val"].dtype
    fill: Any = 1 if "ones" in name else 0
    if "full" in name:
        fill = node.args[1]
    return lowering.sketch.constant(torch.full(lowering.shape(node), fill, dtype=dtype))


lowers(
    "aten.zeros.default",
    "aten.ones.default",
    "aten.full.default",
    "aten.zeros_like.default",
    "aten.ones_like.default",
    "aten.full_like.default",
)(_filled)
