"""From a value of the graph to what an operand asks for: its type, scale, shape and range.

The way there is made of documented operations (CAST, QUANTIZE, DEQUANTIZE, comparisons, MUL, ADD,
RESHAPE, SLICE, TILE), which are judged like all others.
"""

from __future__ import annotations

import math

import numpy as np

from nnapi_testkit.cases.vary import Dice
from nnapi_testkit.model.types import Operand
from nnapi_testkit.random_graphs.growth import FLAT, MOST_ELEMENTS, Growth, NotGrown, Result, Value
from nnapi_testkit.random_graphs.parts import highest_rank, takes
from nnapi_testkit.spec.codes import OperandCode, OperationCode
from nnapi_testkit.spec.operands import FLOATS, is_quantized

__all__ = ["fit", "tamed"]

F32, F16 = OperandCode.TENSOR_FLOAT32, OperandCode.TENSOR_FLOAT16
I32, B8 = OperandCode.TENSOR_INT32, OperandCode.TENSOR_BOOL8
Domain = tuple[float, float] | None
GOAL = 2.0  # what values are scaled to


def fit(
    growth: Growth,
    value: Value,
    code: OperandCode,
    dims: tuple[int, ...],
    quant: tuple[float, int] | None,
    domain: Domain,
    dice: Dice,
) -> Value:
    """A value of the wanted type, shape and range made from another. Raises NotGrown.

    Args:
        quant: the scale and zero point that it must have; None for any.
    """
    value = _shaped(growth, value, dims, dice)
    other = value.code != code or (quant is not None and value.quant != quant)
    if other or not _inside(value, domain):
        value = _typed(growth, value, code, quant, domain, dice)
    if not _inside(value, domain):
        raise NotGrown("the values are out of the operand's range")
    return value


def tamed(growth: Growth, value: Value, dice: Dice) -> Value:
    """The value brought back to where others can read it: scaled, if it is a float. Or NotGrown."""
    size = max(abs(value.low), abs(value.high))
    if value.code not in FLOATS or not FLAT < size < 1e30 or value.high == value.low:
        raise NotGrown("there is nothing to scale")
    factor = growth.reals(value.code, 2.0 ** round(math.log2(GOAL / size)))
    return _binary(growth, "MUL", value, factor, dice)


def _inside(value: Value, domain: Domain) -> bool:
    return domain is None or (domain[0] <= value.low and value.high <= domain[1])


def _one(
    growth: Growth,
    name: str,
    value: Value,
    inputs: list[int],
    operand: Operand,
    dice: Dice,
    free: bool = False,
) -> Value:
    if not takes(name, value.code.name, growth.level, growth.without):
        raise NotGrown(f"{name} does not take {value.code.name}")
    if max(len(value.operand.dims), len(operand.dims)) > highest_rank(name):
        raise NotGrown(f"{name} does not take such a rank")
    code = OperationCode[name]
    (made,) = growth.emit(code, (value.index, *inputs), (Result(operand, free),), dice)
    if not made.readable:
        raise NotGrown("nothing is left to read")
    return made


def _binary(growth: Growth, name: str, value: Value, other: int, dice: Dice) -> Value:
    operand = Operand(value.code, value.operand.dims)
    inputs = [other, growth.number(OperandCode.INT32, 0)]
    return _one(growth, name, value, inputs, operand, dice)


def _shaped(growth: Growth, value: Value, dims: tuple[int, ...], dice: Dice) -> Value:
    """Same rank by RESHAPE, then TILE where a dimension is small and SLICE where it is large."""
    have = value.operand.dims
    if have == dims:
        return value
    if math.prod(have) == math.prod(dims):
        return _reshaped(growth, value, dims, dice)
    if len(have) < len(dims):
        value = _reshaped(growth, value, (1,) * (len(dims) - len(have)) + have, dice)
    elif len(have) > len(dims):
        extra = len(have) - len(dims) + 1
        value = _reshaped(growth, value, (math.prod(have[:extra]), *have[extra:]), dice)

    def like(shape: tuple[int, ...]) -> Operand:
        return Operand(value.code, shape, *value.quant)

    have = value.operand.dims
    times = tuple(-(-want // size) for want, size in zip(dims, have, strict=True))
    if max(times) > 1:
        have = tuple(n * size for n, size in zip(times, have, strict=True))
        if math.prod(have) > MOST_ELEMENTS:
            raise NotGrown("the tensors are large")
        value = _one(growth, "TILE", value, [growth.ints(times)], like(have), dice)
    if have != dims:
        first = [dice.below(size - want + 1) for size, want in zip(have, dims, strict=True)]
        inputs = [growth.ints(first), growth.ints(dims)]
        value = _one(growth, "SLICE", value, inputs, like(dims), dice)
    return value


def _reshaped(growth: Growth, value: Value, dims: tuple[int, ...], dice: Dice) -> Value:
    operand = Operand(value.code, dims, *value.quant)
    return _one(growth, "RESHAPE", value, [growth.ints(dims)], operand, dice)


def _typed(
    growth: Growth,
    value: Value,
    code: OperandCode,
    quant: tuple[float, int] | None,
    domain: Domain,
    dice: Dice,
) -> Value:
    """Through float32, or float16 where it comes from there, to the wanted type."""
    dims = value.operand.dims
    if is_quantized(value.code):
        value = _one(growth, "DEQUANTIZE", value, [], Operand(F32, dims), dice)
    elif value.code == B8:
        value = _chosen(growth, value, dice)
    elif value.code == I32:
        value = _one(growth, "CAST", value, [], Operand(F32, dims), dice)
    if (code == F16 and value.code == F32) or (code == F32 and value.code == F16):
        value = _one(growth, "CAST", value, [], Operand(code, dims), dice)
    if not _inside(value, domain):
        value = _moved(growth, value, domain, dice)
    if code in FLOATS:
        return value
    if code == B8:
        middle = growth.reals(value.code, (value.low + value.high) / 2)
        return _one(growth, "GREATER", value, [middle], Operand(B8, dims), dice)
    if code == I32:
        return _one(growth, "CAST", value, [], Operand(I32, dims), dice)
    operand = Operand(code, dims, *(quant or (1.0, 0)))
    if code not in (OperandCode.TENSOR_QUANT8_ASYMM, OperandCode.TENSOR_QUANT8_ASYMM_SIGNED):
        raise NotGrown(f"nothing makes a {code.name}")
    if code == OperandCode.TENSOR_QUANT8_ASYMM_SIGNED and growth.level < 4:
        raise NotGrown("such codes are newer")
    return _one(growth, "QUANTIZE", value, [], operand, dice, free=quant is None)


def _chosen(growth: Growth, value: Value, dice: Dice) -> Value:
    """Truth values as floats, by SELECT: nothing casts them."""
    dims = value.operand.dims
    sides = [
        growth.constant(Operand(F32, dims), np.full(dims, real, "<f4")) for real in (1.5, -0.75)
    ]
    operation = OperationCode.SELECT
    if not takes(operation.name, F32.name, growth.level, growth.without):
        raise NotGrown("nothing reads truth values")
    result = Result(Operand(F32, dims))
    (made,) = growth.emit(operation, (value.index, *sides), (result,), dice)
    return made


def _moved(growth: Growth, value: Value, domain: Domain, dice: Dice) -> Value:
    """The values moved and scaled into the inner nine tenths of an interval."""
    assert domain is not None
    low, high = domain
    low, high = low + (high - low) / 20, high - (high - low) / 20
    size = value.high - value.low
    factor = min(1.0, (high - low) / size) if size else 1.0
    if factor < 1.0:
        value = _binary(growth, "MUL", value, growth.reals(value.code, factor), dice)
    offset = (low + high) / 2 - (value.low + value.high) / 2
    if value.low < low or value.high > high:
        value = _binary(growth, "ADD", value, growth.reals(value.code, offset), dice)
    return value
