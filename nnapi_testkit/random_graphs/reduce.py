"""Smaller sizes and simpler values for a failing model of few operations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache

import numpy as np

from nnapi_testkit.catalog import operation
from nnapi_testkit.model.types import ChannelQuant, Lifetime, Model, Operand
from nnapi_testkit.op.declare import Facts, Scalar, Tensor
from nnapi_testkit.oracle.bind import Binding, bind
from nnapi_testkit.random_graphs.graph import RandomGraph
from nnapi_testkit.random_graphs.pieces import computed
from nnapi_testkit.spec.codes import OperandCode, OperationCode
from nnapi_testkit.spec.operands import CODE_RANGE, DTYPE, FLOATS, Array, is_quantized

__all__ = ["reductions"]

Way = Callable[[RandomGraph], RandomGraph | None]
_FLOW = (OperationCode.IF, OperationCode.WHILE)
_I32, _B8 = OperandCode.TENSOR_INT32, OperandCode.TENSOR_BOOL8


def reductions(graph: RandomGraph) -> list[Way]:
    """Ways to make a model smaller or simpler, the bold ones first.

    Each leaves a model that the shape rules and the reference allow, or gives None.
    """
    data = _data(graph)
    sizes = sorted({n for at in data for n in _dims(graph, at) if n > 1}, reverse=True)
    ways: list[Way] = []
    for size in sizes:
        for other in sorted({1, 2, size // 2, size - 1} - {0, size}):
            if other < size:
                ways.append(_Resize(size, other))
    if any(graph.model.main.operands[at].lifetime == Lifetime.CONSTANT for at in _fused(graph)):
        ways.append(_unfused)
    given = _given(graph)
    for at in data:
        if at in given:
            continue
        ways += [_Simplify(at, how) for how in ("zero", "one", "whole", "few")]
    return ways


# ---- which operands are data ----


def _bindings(model: Model) -> Iterator[tuple[Binding, tuple[int, ...], tuple[int, ...]]]:
    graph = model.main
    for each in graph.operations:
        if each.code in _FLOW:
            continue
        types = [
            tuple(int(graph.operands[at].type) for at in row) for row in (each.inputs, each.outputs)
        ]
        yield bind(each.code, *types), each.inputs, each.outputs


def _data(graph: RandomGraph) -> list[int]:
    """Tensors that are fed or constant, and no attributes: what they hold may be anything."""
    main = graph.model.main
    brought = (Lifetime.INPUT, Lifetime.CONSTANT)
    attributes: set[int] = set()
    read: dict[int, None] = {}
    for binding, inputs, _ in _bindings(graph.model):
        for spec, at in zip(binding.specs, inputs, strict=True):
            operand = main.operands[at]
            if operand.lifetime not in brought or not operand.dims:
                continue
            read[at] = None
            if not isinstance(spec, Tensor) or operand.type != _I32:
                continue
            if spec.weight and not spec.bias_of:
                attributes.add(at)
    flow = [o for o in main.operations if o.code in _FLOW]
    for each in flow:
        for at in each.inputs:
            if main.operands[at].lifetime in brought and main.operands[at].dims:
                read[at] = None
    return [at for at in read if at not in attributes]


@cache
def _structured(name: str, operand: str) -> bool:
    """Whether the op file gives most values of an operand: boxes and keys are no free numbers."""
    op = operation(name)
    told = [
        sample.operands[operand]
        for cell in op.cells
        for sample in op.samples_for(cell)
        if sample.operands.get(operand) is not None
    ]
    drawn = sum(isinstance(value, tuple) or _shapes(value) for value in told)
    return 2 * drawn < len(told)


def _shapes(value: object) -> bool:
    """Whether a sample gives a list of shapes."""
    return isinstance(value, list) and all(isinstance(item, tuple) for item in value)


def _given(graph: RandomGraph) -> set[int]:
    """Operands whose values mean something to an operation that reads them."""
    return {
        at
        for binding, inputs, _ in _bindings(graph.model)
        for spec, at in zip(binding.specs, inputs, strict=True)
        if isinstance(spec, Tensor) and _structured(binding.op.name, spec.name)
    }


def _fused(graph: RandomGraph) -> list[int]:
    found = []
    for binding, inputs, _ in _bindings(graph.model):
        for spec, at in zip(binding.specs, inputs, strict=True):
            if isinstance(spec, Scalar) and spec.name == "activation":
                found.append(at)
    return found


def _dims(graph: RandomGraph, at: int) -> tuple[int, ...]:
    operand = graph.model.main.operands[at]
    return graph.values[at].shape if at in graph.values else operand.dims


def _array(graph: RandomGraph, at: int) -> Array:
    if at in graph.values:
        return graph.values[at]
    operand = graph.model.main.operands[at]
    return np.frombuffer(operand.value, DTYPE[OperandCode(operand.type)]).reshape(operand.dims)


# ---- the ways ----


def _unfused(graph: RandomGraph) -> RandomGraph | None:
    """Without fused activations."""
    none = np.asarray(0, "<i4").tobytes()
    operands = list(graph.model.main.operands)
    for at in _fused(graph):
        operands[at] = replace(operands[at], value=none)
    return _again(graph, operands, {})


class _Simplify:
    """Other values of one operand."""

    def __init__(self, at: int, how: str) -> None:
        self._at, self._how = at, how

    def __call__(self, graph: RandomGraph) -> RandomGraph | None:
        operand = graph.model.main.operands[self._at]
        array = _array(graph, self._at)
        simple = _simple(operand, array, self._how)
        if simple is None or simple.tobytes() == array.tobytes():
            return None
        return _again(graph, list(graph.model.main.operands), {self._at: simple})


def _simple(operand: Operand, array: Array, how: str) -> Array | None:
    code = OperandCode(operand.type)
    nothing, one = 0.0, 1.0
    if is_quantized(code):
        high = CODE_RANGE[code][1]
        nothing = operand.zero_point
        one = min(high, nothing + max(1, round(1 / operand.scale))) if operand.scale else 1
    if how == "zero":
        return np.full_like(array, nothing)
    if how == "one":
        return np.full_like(array, one)
    if how == "few":
        few = np.full(array.size, nothing, array.dtype)
        few[:1] = array.reshape(-1)[:1]
        return few.reshape(array.shape)
    if code in FLOATS:
        whole: Array = np.round(array.astype(np.float64)).astype(array.dtype)
        return whole
    return None


class _Resize:
    """A size of dimensions made another in all operands alike."""

    def __init__(self, size: int, other: int) -> None:
        self._size, self._other = size, other

    def __call__(self, graph: RandomGraph) -> RandomGraph | None:
        operands = list(graph.model.main.operands)
        changed: dict[int, Array] = {}
        for at in _data(graph):
            array = _array(graph, at)
            cut = tuple(
                slice(0, self._other) if n == self._size else slice(None) for n in array.shape
            )
            changed[at] = np.ascontiguousarray(array[cut])
            quant = operands[at].channel_quant
            if quant is not None and array.shape[quant.dim] == self._size:
                scales = quant.scales[: self._other]
                operands[at] = replace(operands[at], channel_quant=ChannelQuant(quant.dim, scales))
        return _again(graph, operands, changed)


def _again(
    graph: RandomGraph, operands: list[Operand], changed: Mapping[int, Array]
) -> RandomGraph | None:
    """The model with other data; None unless it is a sound one."""
    known = {at: graph.values[at] for at in graph.model.main.inputs}
    for at, array in changed.items():
        operand = operands[at]
        dims = array.shape if operand.dims and all(operand.dims) else operand.dims
        if operand.lifetime == Lifetime.CONSTANT:
            operands[at] = replace(operand, dims=dims, value=array.tobytes())
        else:
            operands[at] = replace(operand, dims=dims)
            known[at] = array
    main = replace(graph.model.main, operands=tuple(operands))
    made = computed(replace(graph.model, main=main), known)
    return made if made is not None and _sound(made) else None


def _sound(graph: RandomGraph) -> bool:
    """Whether shape rules and the operations themselves allow every operation as it is."""
    try:
        for binding, inputs, outputs in _bindings(graph.model):
            facts = _facts(graph, binding, inputs)
            if binding.op.valid is not None and not binding.op.valid(facts):
                return False
            for spec, at in zip(binding.op.outputs, outputs, strict=False):
                shape = tuple(int(n) for n in spec.shape(facts))
                if spec.spatial and facts.get("nchw"):
                    shape = (shape[0], shape[3], shape[1], shape[2])
                have = graph.values[at].shape
                if have != shape and not (spec.counted and have[1:] == shape[1:]):
                    return False
    except (ValueError, IndexError, KeyError, ZeroDivisionError, ArithmeticError, TypeError):
        return False
    return True


def _facts(graph: RandomGraph, binding: Binding, inputs: tuple[int, ...]) -> Facts:
    """What an op file's rules look at, from the operands of a model."""
    main = graph.model.main
    facts = Facts(binding.cell, [], {}, {}, {}, {})
    lists: dict[str, list[tuple[int, ...]]] = {}
    for spec, at in zip(binding.specs, inputs, strict=True):
        operand = main.operands[at]
        if isinstance(spec, Scalar):
            value = None
            if operand.lifetime == Lifetime.CONSTANT:
                value = np.frombuffer(operand.value, DTYPE[OperandCode(operand.type)])[0].item()
            facts.values[spec.name] = spec.default if value is None else value
    nchw = bool(facts.get("nchw"))
    for spec, at in zip(binding.specs, inputs, strict=True):
        if isinstance(spec, Scalar):
            continue
        operand = main.operands[at]
        if operand.lifetime == Lifetime.OMITTED:
            facts.values[spec.name] = None
            continue
        array = _array(graph, at)
        shape = array.shape
        if spec.spatial and nchw:
            shape = (shape[0], shape[2], shape[3], shape[1])
        facts.quants.setdefault(spec.name, (operand.scale, operand.zero_point))
        if spec.many:
            lists.setdefault(spec.name, []).append(shape)
            continue
        facts.inputs = [*facts.inputs, spec.name]
        facts.shapes[spec.name] = shape
        whole = operand.type == _I32 and (spec.weight or spec.type != "T")
        facts.values[spec.name] = array.tolist() if whole else shape
    for name, shapes in lists.items():
        facts.inputs = [*facts.inputs, name]
        facts.shapes[name] = shapes
        facts.values[name] = shapes
    return facts
