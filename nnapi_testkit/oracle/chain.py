"""A whole model in float64, operation by operation, and how far legal rounding may move its end.

A worst-case bound through many layers exceeds the data. So the tolerance of a model's outputs is
sampled (Monte Carlo arithmetic: D. S. Parker, UCLA CSD-970002, 1997): each operation has a
certified bound for its own rounding on exact inputs, and a sample evaluates the model while every
element of every result moves by a random part of that bound; a quantized result moves by up to
half a code before it is rounded. The tolerance of an output is `SAFETY` times the largest
movement of any of its elements in `SAMPLES` samples; of an output of 8-bit codes the largest
movement itself, and of a quantized one at least one code.

Choices that are left to a driver are made in the samples too: what is beyond the largest number may
be infinite or that number, and what an op file leaves open may be anything. An element of the end
that is infinite or NaN by one choice and not by another is open. Where a choice decides which
elements are picked (equal scores, rows in any order), all that follows from it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nnapi_testkit.model.types import Graph, Lifetime, Model, Operand, Operation
from nnapi_testkit.op.bounds import produced
from nnapi_testkit.oracle.arguments import arguments
from nnapi_testkit.oracle.bind import bind
from nnapi_testkit.oracle.choices import apart, chosen, picks
from nnapi_testkit.oracle.evaluate import operation_values
from nnapi_testkit.oracle.value import Value, constant, decode, decoded, result_of
from nnapi_testkit.spec.codes import OperandCode, OperationCode
from nnapi_testkit.spec.kinds import OutputKind
from nnapi_testkit.spec.operands import CODE_RANGE, DTYPE, is_quantized

__all__ = ["SAFETY", "SAMPLES", "Chain", "follow"]

SAMPLES = 4
SAFETY = 4.0
_SUBGRAPHS = (OperationCode.IF, OperationCode.WHILE)
Array = NDArray[np.generic]


@dataclass(frozen=True)
class Chain:
    """What a model computes.

    Args:
        values: for each operand of the main graph that is fed or computed, its value rounded to
            the operand's own type, as a driver without an error would leave it.
        outputs: float64 real values of the model's outputs, before the last rounding.
        tolerances: for each output, how far any element may be from it, in real units; infinite
            where the end follows from choices that rounding can change.
        open: for each output, the elements that a driver may leave as it likes.
    """

    values: Mapping[int, Array]
    outputs: tuple[NDArray[np.float64], ...]
    tolerances: tuple[float, ...]
    open: tuple[NDArray[np.bool_], ...]


def follow(
    model: Model,
    order: Sequence[int],
    inputs: Sequence[Array | None],
    samples: int = SAMPLES,
) -> Chain:
    """Evaluate a model on one input set.

    Args:
        order: the operations of the main graph, each behind what it reads.
        inputs: one array for each model input, None for an omitted one.
        samples: evaluations for the tolerance; with 0 it is infinite.

    Raises OracleError for what no op file declares.
    """
    with torch.no_grad():
        return _follow(model, order, inputs, samples)


def _follow(
    model: Model, order: Sequence[int], inputs: Sequence[Array | None], samples: int
) -> Chain:
    graph = model.main
    start = _known(model, graph, inputs)
    values = dict(start)
    exact: dict[int, Value] = {}
    open_: set[int] = set()
    for index in order:
        operation = graph.operations[index]
        taken = [values[i] for i in operation.inputs]
        found = _told(
            graph, operation, open_, partial(operation_values, model, graph, operation, taken)
        )
        for at, value in zip(operation.outputs, found, strict=True):
            exact[at] = value
            values[at] = _stored(graph.operands[at], value)
    for at in graph.outputs:
        exact.setdefault(at, values[at])
    ends = [_end(graph.operands[at], exact[at]) for at in graph.outputs]
    masks = [_left_open(exact[at], end) for at, end in zip(graph.outputs, ends, strict=True)]
    moved = [0.0 if samples else np.inf] * len(ends)
    for sample in range(samples):
        shaken, undecided = _shaken(model, order, start, exact, sample)
        open_ |= undecided
        for position, (at, value) in enumerate(zip(graph.outputs, shaken, strict=True)):
            end, mask = ends[position], masks[position]
            far = _farthest(graph.operands[at], value, end, mask, model.relaxed)
            moved[position] = max(moved[position], far)
    tolerances = [
        _tolerance(graph.operands[at], np.inf if at in open_ else movement)
        for at, movement in zip(graph.outputs, moved, strict=True)
    ]
    typed = {at: _typed(graph.operands[at], value) for at, value in values.items() if at in exact}
    typed |= {at: a for at, a in zip(graph.inputs, inputs, strict=True) if a is not None}
    arrays = tuple(end.numpy() for end in ends)
    return Chain(typed, arrays, tuple(tolerances), tuple(mask.numpy() for mask in masks))


def _left_open(value: Value, end: Any) -> Any:
    """The elements of an output that its own operation leaves open."""
    if value.exempt is None or value.exempt.shape != end.shape:
        return torch.zeros_like(end, dtype=torch.bool)
    return value.exempt.clone()


def _farthest(operand: Operand, value: Any, end: Any, mask: Any, relaxed: bool) -> float:
    """How far the farthest element of an end was moved; infinite where its shape was.

    Elements that differ by a choice are added to `mask`, which is left out.
    """
    if value.shape != end.shape:
        return float("inf")
    distance, differs = apart(operand, value, end, relaxed)
    mask |= differs
    return float(torch.where(mask, 0.0, distance).max()) if value.numel() else 0.0


def _tolerance(operand: Operand, movement: float) -> float:
    """How far an output may be off, from how far it was moved."""
    coarse = is_quantized(OperandCode(operand.type))
    # Rounding of the end itself: a quarter of all 8-bit codes moves by one already, which is
    # generous; a float's own last rounding is part of its bound. Codes of 16 bits are as fine
    # as what moves them, so their sample says no more than that of floats.
    short = np.dtype(DTYPE[OperandCode(operand.type)]).itemsize == 1
    reach = movement if coarse and short else SAFETY * movement
    return max(reach, operand.scale) if coarse else reach


def _known(model: Model, graph: Graph, inputs: Sequence[Array | None]) -> dict[int, Value]:
    values: dict[int, Value] = {}
    for index, array in zip(graph.inputs, inputs, strict=True):
        values[index] = Value(None) if array is None else decode(graph.operands[index], array)
    for index, operand in enumerate(graph.operands):
        if operand.lifetime == Lifetime.CONSTANT:
            values[index] = constant(operand)
        elif operand.lifetime == Lifetime.OMITTED:
            values[index] = Value(None)
        elif operand.lifetime == Lifetime.SUBGRAPH:
            values[index] = Value(model.subgraphs[operand.subgraph])
    return values


def _shaken(
    model: Model,
    order: Sequence[int],
    start: Mapping[int, Value],
    exact: Mapping[int, Value],
    sample: int,
) -> tuple[list[Any], set[int]]:
    """The ends of one sample, each result moved at random within its own bound; what is open.

    Args:
        exact: for each computed operand its value with its bound, and what is left open in it.
        sample: its number, which says how choices are made.
    """
    graph = model.main
    generator = torch.Generator().manual_seed(sample)
    values = dict(start)
    open_: set[int] = set()
    picked: set[int] = set()  # what follows from these is open, they themselves in part
    for index in order:
        operation = graph.operations[index]
        if picked.intersection(operation.inputs):
            open_.update(operation.outputs)
        taken = [values[i] for i in operation.inputs]
        tell = partial(_plain, model, graph, operation, taken)
        found = _told(graph, operation, open_, tell, anything=True)
        for at, value in zip(operation.outputs, found, strict=True):
            operand, known = graph.operands[at], exact[at]
            if picks(operand, known):
                picked.add(at)
                if known.kind != OutputKind.EACH:
                    open_.add(at)
            moved = _moved(operand, value, known.error, generator)
            if moved.data.is_floating_point():
                data = chosen(operand, moved.data, known.exempt, model.relaxed, sample, generator)
                moved = replace(moved, data=data)
            values[at] = moved
    return [_end(graph.operands[at], values[at]) for at in graph.outputs], open_


def _told(
    graph: Graph,
    operation: Operation,
    open_: set[int],
    tell: Callable[[], list[Value]],
    *,
    anything: bool = False,
) -> list[Value]:
    """What an operation gives; zeros where its reference says that rounding decides on these data.

    Args:
        open_: grows by the operands that follow from such a choice.
        anything: the inputs are what a driver may make of open values, indexes among them.
    """
    if open_.intersection(operation.inputs):
        open_.update(operation.outputs)
    refusals = (ValueError, LookupError, RuntimeError) if anything else ValueError
    try:
        return tell()
    except refusals:
        operands = [graph.operands[at] for at in operation.outputs]
        if not all(all(operand.dims) and operand.dims for operand in operands):
            raise
        open_.update(operation.outputs)
        zeros = [torch.zeros(operand.dims, dtype=torch.float64) for operand in operands]
        return [
            _stored(operand, replace(Value(data), error=torch.zeros_like(data)))
            for operand, data in zip(operands, zeros, strict=True)
        ]


def _plain(model: Model, graph: Graph, operation: Operation, inputs: list[Value]) -> list[Value]:
    """An operation's values without bounds."""
    if operation.code in _SUBGRAPHS:
        found = operation_values(model, graph, operation, inputs)
        return [replace(value, error=None) for value in found]
    operands = [graph.operands[i] for i in operation.inputs]
    outputs = [graph.operands[i] for i in operation.outputs]
    types = tuple(int(o.type) for o in operands), tuple(int(o.type) for o in outputs)
    binding = bind(operation.code, *types)
    if any(spec.kind == OutputKind.DRAWS for spec in binding.op.outputs):
        found = operation_values(model, graph, operation, inputs)
        return [replace(value, error=None) for value in found]
    args, _, channels_first = arguments(binding, operands, inputs)
    produced_values = produced(binding.reference(torch, **args))
    results = []
    specs = binding.op.outputs
    # A reference may give more than the model asks for: states that are optional outputs.
    for position, (operand, raw) in enumerate(zip(outputs, produced_values, strict=False)):
        spec = specs[min(position, len(specs) - 1)]
        value = decoded(spec, operand, raw)
        none = torch.zeros_like(value, dtype=torch.float64)
        flip = spec.spatial and not channels_first
        results.append(replace(result_of(operand, value, none, None, flip), error=None))
    return results


def _moved(operand: Operand, value: Value, bound: Any, generator: torch.Generator) -> Value:
    data = value.data
    if not data.is_floating_point():
        return Value(data)
    random = 2 * torch.rand(data.shape, generator=generator, dtype=torch.float64) - 1
    reach = torch.zeros_like(data)
    if bound is not None and bound.shape == data.shape:
        reach = bound.nan_to_num(0.0, 0.0, 0.0)
    if is_quantized(OperandCode(operand.type)):
        # Data that only move are exact: their bound is zero.
        reach = torch.where(reach > 0, reach + operand.scale / 2, reach)
        return _stored(operand, Value(data + random * reach))
    return Value(data + random * reach)


def _stored(operand: Operand, value: Value) -> Value:
    """A result as the operand's type holds it, as a real value."""
    array = _typed(operand, value)
    return decode(operand, array)


def _typed(operand: Operand, value: Value) -> Array:
    code = OperandCode(operand.type)
    data = value.data
    if is_quantized(code):
        low, high = CODE_RANGE[code]
        codes = (data / operand.scale + operand.zero_point).nan_to_num(operand.zero_point)
        codes = torch.where(codes >= 0, (codes + 0.5).floor(), (codes - 0.5).ceil())
        return np.ascontiguousarray(codes.clamp(low, high).numpy().astype(DTYPE[code]))
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(data.numpy().astype(DTYPE[code]))


def _end(operand: Operand, value: Value) -> Any:
    """An output's real value, in the range of its codes if it is quantized."""
    data = value.data.to(torch.float64).contiguous()
    if not is_quantized(OperandCode(operand.type)):
        return data
    low, high = CODE_RANGE[OperandCode(operand.type)]
    scale, zero = operand.scale, operand.zero_point
    return data.clamp((low - zero) * scale, (high - zero) * scale)
