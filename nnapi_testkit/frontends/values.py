"""What is done with values whatever format they come from: joined, cut, moved, reduced."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from nnapi_testkit.frontends.sketch import LAST_FIRST, NHWC, Quant, Refusal, Value
from nnapi_testkit.frontends.steps import Steps
from nnapi_testkit.spec.codes import OperandCode

__all__ = [
    "axis_of",
    "combined",
    "dense",
    "gathered",
    "grown",
    "joined",
    "permuted",
    "product",
    "reduced",
    "sliced",
    "typed",
]

_C = OperandCode
FIRST_OF = {0: 0, 1: 3, 2: 1, 3: 2}  # where a dimension lies when data are channels last


def axis_of(value: Value, dim: int) -> int:
    """The dimension of the operand that holds a value's dimension."""
    dim = dim % max(1, value.rank)
    return FIRST_OF[dim] if value.last else dim


def combined(
    lowering: Steps,
    code: str,
    first: Value,
    second: Value,
    shape: tuple[int, ...],
    result: OperandCode,
    fused: bool = True,
    quant: Quant | None = None,
) -> Value:
    """Two values that broadcast, where shape and type of the result are known.

    Args:
        quant: of the result, where both values are codes.
    """
    type = result
    if type == _C.TENSOR_BOOL8:  # comparisons: the operands' common type
        type = next((v.type for v in (first, second) if v.constant is None), first.type)
    if quant is None:
        first, second = typed(lowering, first, type), typed(lowering, second, type)
    operands, last = lowering.broadcast([first, second])
    extra = [lowering.sketch.int32(0)] if fused else []
    place = 2 if fused else None
    return lowering.sketch.make(
        code, [*operands, *extra], shape, result, last=last, quant=quant, fused=place
    )


def typed(lowering: Steps, value: Value, type: OperandCode) -> Value:
    """A value in another type: constants are converted, others cast."""
    if value.type == type:
        return value
    if value.constant is not None:
        wanted = {
            _C.TENSOR_FLOAT32: torch.float32,
            _C.TENSOR_FLOAT16: torch.float16,
            _C.TENSOR_INT32: torch.int32,
            _C.TENSOR_BOOL8: torch.bool,
        }[type]
        return lowering.sketch.constant(value.constant.to(wanted))
    at = lowering.sketch.read(value, value.last)
    return lowering.sketch.make("CAST", [at], value.shape, type, last=value.last)


def grown(lowering: Steps, value: Value, shape: tuple[int, ...]) -> Value:
    """A value multiplied out to the shape that it broadcasts to."""
    if value.shape == shape:
        return value
    if value.constant is not None:
        grown = value.constant.expand(shape).contiguous()
        return lowering.sketch.constant(grown, value.quant)
    value = lowering.reshaped(value, (1,) * (len(shape) - value.rank) + value.shape)
    times = [want // have for want, have in zip(shape, value.shape, strict=True)]
    inputs = [lowering.sketch.read(value), lowering.sketch.ints(times)]
    return lowering.sketch.make("TILE", inputs, shape, value.type, quant=value.quant)


def permuted(lowering: Steps, value: Value, order: Sequence[int]) -> Value:
    """A value with its dimensions in another order."""
    shape = tuple(value.shape[at] for at in order)
    if value.constant is not None:
        return replace(value, shape=shape, constant=value.constant.permute(*order).contiguous())
    if list(order) == list(range(value.rank)):
        return value
    if value.last and tuple(order) == NHWC:
        return Value(shape, value.type, value.operand, quant=value.quant)  # as it lies there
    if not value.last and tuple(order) == LAST_FIRST and lowering.last:
        return Value(shape, value.type, value.operand, True, quant=value.quant)
    if value.rank > 4:
        return _in_four(lowering, value, list(order), shape)
    at = lowering.sketch.read(value)
    inputs = [at, lowering.sketch.ints(order)]
    return lowering.sketch.make("TRANSPOSE", inputs, shape, value.type, quant=value.quant)


def _in_four(lowering: Steps, value: Value, order: list[int], shape: tuple[int, ...]) -> Value:
    """NNAPI's TRANSPOSE has four dimensions: join those that stay neighbours, drop those of 1."""
    kept = [at for at in order if value.shape[at] != 1]
    groups: list[list[int]] = []
    for at in kept:
        between = range(groups[-1][-1] + 1, at) if groups else range(0)
        if groups and at > groups[-1][-1] and all(value.shape[i] == 1 for i in between):
            groups[-1].append(at)
        else:
            groups.append([at])
    if len(groups) > 4:
        raise Refusal(f"a transposition of {value.rank} dimensions that does not fit in 4")
    ordered = sorted(groups)
    sizes = [1] * len(ordered)
    for position, group in enumerate(ordered):
        for at in group:
            sizes[position] *= value.shape[at]
    joined = lowering.reshaped(value, tuple(sizes) or (1,))
    small = [ordered.index(group) for group in groups] or [0]
    turned = permuted(lowering, joined, small)
    return lowering.reshaped(turned, shape)


def joined(
    lowering: Steps,
    values: Sequence[Value],
    dim: int,
    shape: Sequence[int],
    type: OperandCode,
    quant: Quant | None = None,
) -> Value:
    """Values one behind another in a dimension; `quant` is that of the result."""
    last = any(value.last for value in values)
    operands = [lowering.sketch.read(value, last) for value in values]
    axis = dim % len(shape)
    axis = FIRST_OF[axis] if last else axis
    inputs = [*operands, lowering.sketch.int32(axis)]
    return lowering.sketch.make("CONCATENATION", inputs, shape, type, last=last, quant=quant)


def sliced(
    lowering: Steps,
    value: Value,
    dim: int,
    begin: int,
    end: int,
    step: int,
    shape: Sequence[int],
) -> Value:
    """A part of one dimension."""
    if value.constant is not None:
        index = [slice(None)] * value.rank
        index[dim] = slice(begin, end, step)
        return lowering.sketch.constant(value.constant[tuple(index)].contiguous(), value.quant)
    if tuple(shape) == value.shape:
        return value
    if 0 in shape:
        raise Refusal("an empty slice")
    if value.rank > 4:
        before, after = math.prod(value.shape[:dim]), math.prod(value.shape[dim + 1 :])
        flat = lowering.reshaped(value, (before, value.shape[dim], after))
        part = sliced(lowering, flat, 1, begin, end, step, (before, shape[dim], after))
        return lowering.reshaped(part, shape)
    axis = axis_of(value, dim)
    dims = [value.shape[at] for at in NHWC] if value.last else list(value.shape)
    begins = [0] * value.rank
    begins[axis] = begin
    sketch = lowering.sketch
    at = sketch.read(value, value.last)
    if step == 1:
        dims[axis] = end - begin
        inputs = [at, sketch.ints(begins), sketch.ints(dims)]
        return sketch.make("SLICE", inputs, shape, value.type, last=value.last, quant=value.quant)
    ends, strides = list(dims), [1] * value.rank
    ends[axis], strides[axis] = end, step
    numbers = [sketch.ints(row) for row in (begins, ends, strides)]
    inputs = [at, *numbers, *(sketch.int32(0) for _ in range(3))]
    return sketch.make(
        "STRIDED_SLICE", inputs, shape, value.type, last=value.last, quant=value.quant
    )


def gathered(lowering: Steps, value: Value, index: Value, dim: int, shape: Sequence[int]) -> Value:
    """Slices of one dimension, by their positions."""
    sketch = lowering.sketch
    inputs = [sketch.read(value), sketch.int32(dim % value.rank), sketch.read(index)]
    return sketch.make("GATHER", inputs, shape, value.type, quant=value.quant)


def reduced(
    lowering: Steps, value: Value, code: str, dims: Sequence[int] | None, keep: bool
) -> Value:
    """MEAN or a REDUCE operation over dimensions; None for all of them."""
    sketch = lowering.sketch
    listed = sorted({dim % max(1, value.rank) for dim in dims or range(value.rank)})
    axes = sketch.ints([axis_of(value, dim) for dim in listed])
    held = tuple(1 if dim in listed else size for dim, size in enumerate(value.shape))
    shape = tuple(size for dim, size in enumerate(value.shape) if dim not in listed)
    if all(value.shape[dim] == 1 for dim in listed):
        return value if keep else _dropped(lowering, value, shape)
    direct = not keep and not value.last
    held = shape if direct else held
    flag = sketch.int32(not direct) if code == "MEAN" else sketch.flag(not direct)
    at = sketch.read(value, value.last)
    made = sketch.make(code, [at, axes, flag], held, value.type, last=value.last, quant=value.quant)
    return made if keep or direct else _dropped(lowering, made, shape)


def _dropped(lowering: Steps, value: Value, shape: tuple[int, ...]) -> Value:
    if value.last and value.shape[2:] == (1, 1):
        value = replace(value, last=False)  # one pixel: the same bytes
    return lowering.reshaped(value, shape)


def dense(
    lowering: Steps,
    value: Value,
    matrix: torch.Tensor,
    offset: torch.Tensor,
    shape: tuple[int, ...],
) -> Value:
    """FULLY_CONNECTED; its output has two dimensions, so others are folded into the first."""
    sketch = lowering.sketch
    out, size = int(matrix.shape[0]), int(matrix.shape[1])
    flat = math.prod(value.shape[:-1])
    value = lowering.reshaped(Value(value.shape, value.type, sketch.read(value)), (flat, size))
    inputs = [
        sketch.read(value),
        sketch.read(sketch.constant(matrix)),
        sketch.read(sketch.constant(offset)),
        sketch.int32(0),
    ]
    made = sketch.make("FULLY_CONNECTED", inputs, (flat, out), value.type, fused=3)
    return made if shape == (flat, out) else lowering.reshaped(made, shape)


def product(
    lowering: Steps,
    first: Value,
    second: Value,
    shape: tuple[int, ...],
    *,
    adjoint: bool = False,
    quant: Quant | None = None,
) -> Value:
    """BATCH_MATMUL, of 2 to 4 dimensions; the second operand transposed if `adjoint`."""
    if first.rank != second.rank or not 2 <= first.rank <= 4:
        raise Refusal("a product of tensors of different rank, or of more than 4 dimensions")
    if first.shape[:-2] != second.shape[:-2]:
        raise Refusal("a product that broadcasts its batch: expand the operands")
    sketch = lowering.sketch
    inputs = [
        sketch.read(first),
        sketch.read(second),
        sketch.flag(False),
        sketch.flag(adjoint),
    ]
    return sketch.make("BATCH_MATMUL", inputs, shape, first.type, quant=quant)
