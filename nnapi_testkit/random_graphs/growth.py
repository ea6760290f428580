"""A graph under growth, with the value that the reference gives to each of its operands.

Nothing is appended before it has been computed: an operation stands only if the oracle can follow
it, its results are finite, and its bound is narrow enough to judge it by. Quantized results get
the scale and zero point that their own range asks for. So values neither vanish nor overflow,
however long the graph becomes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.cases.quant import float_32, span_quant
from nnapi_testkit.cases.vary import Dice
from nnapi_testkit.judge.profiles import profile
from nnapi_testkit.judge.vacuous import vacuous
from nnapi_testkit.model.case import Case, Execution, Expected
from nnapi_testkit.model.types import Graph, Lifetime, Model, Operand, Operation
from nnapi_testkit.models.steps import single
from nnapi_testkit.oracle import answer
from nnapi_testkit.spec.codes import OperandCode, OperationCode
from nnapi_testkit.spec.kinds import OutputKind
from nnapi_testkit.spec.levels import NEWEST
from nnapi_testkit.spec.operands import ASYMMETRIC, CODE_RANGE, DTYPE, FLOATS, Array, is_quantized

__all__ = ["FLAT", "Growth", "NotGrown", "Result", "Value", "stored"]

# Real values that are handed on lie in this range: far from where float16 overflows or vanishes.
LEAST, MOST = 1e-3, 200.0
MOST_INTEGER = 1 << 20
# Steps of an affine quantization between neighbouring codes that a constant tensor stands for.
FLAT = 1e-6
MOST_ELEMENTS = 20_000


class NotGrown(Exception):
    """A proposal that does not stand: the graph is as it was before."""


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of the graph.

    Args:
        index: its operand. operand: the same with all dimensions.
        array: what the reference leaves there, in the operand's own type.
        low, high: the smallest and largest real value; 0 for empty ones.
        readable: another operation may read it and will be judged on what it reads.
    """

    index: int
    operand: Operand
    array: Array
    low: float
    high: float
    readable: bool

    @property
    def code(self) -> OperandCode:
        """Its type."""
        return OperandCode(self.operand.type)

    @property
    def quant(self) -> tuple[float, int]:
        """Scale and zero point; zeros where the type has none."""
        return self.operand.scale, self.operand.zero_point


@dataclass(frozen=True, slots=True)
class Result:
    """An output that an operation is asked for.

    Args:
        operand: with the dimensions that the shape rules give.
        free: scale and zero point follow from the range of the values.
        readable: what another operation reads there means something.
        open: dimension 0 follows from the data and is left unknown.
    """

    operand: Operand
    free: bool = False
    readable: bool = True
    open: bool = False


class Growth:
    """The graph so far; a proposal that fails raises `NotGrown`.

    Args:
        most: operations. level: the feature level of the devices it is for.
        relaxed: whether the model allows float16 arithmetic.
        without: operations, or `OPERATION[cell]`, that the device does not claim.
        outer: the graph that this one is a branch or body of: it shares the subgraphs, and data
            that the graph brings itself are constants.
    """

    def __init__(
        self,
        most: int,
        level: int = NEWEST,
        *,
        relaxed: bool = False,
        without: frozenset[str] = frozenset(),
        outer: Growth | None = None,
    ) -> None:
        self.most, self.level, self.relaxed, self.outer = most, level, relaxed, outer
        self.without: frozenset[str] = outer.without if outer else without
        self.operands: list[Operand] = []
        self.operations: list[Operation] = []
        self.inputs: list[int] = []
        self.data: dict[int, Array] = {}
        self.values: list[Value] = []
        self.constants: list[Value] = []
        self.subgraphs: list[Graph] = outer.subgraphs if outer else []

    # ---- operands ----

    def add(self, operand: Operand) -> int:
        """Any operand as it is."""
        self.operands.append(operand)
        return len(self.operands) - 1

    def constant(self, operand: Operand, array: Array) -> int:
        """A constant tensor, or with no dimensions a scalar."""
        array = np.ascontiguousarray(array, DTYPE[OperandCode(operand.type)])
        made = replace(operand, lifetime=Lifetime.CONSTANT, value=array.tobytes())
        index = self.add(made)
        if operand.dims and operand.channel_quant is None:
            self.constants.append(_value(index, made, array, True))
        return index

    def number(self, code: OperandCode, value: float | int | bool) -> int:
        """A constant scalar."""
        array = np.asarray(value, DTYPE[code])
        return self.add(Operand(code, (), lifetime=Lifetime.CONSTANT, value=array.tobytes()))

    def ints(self, values: Sequence[int]) -> int:
        """A constant TENSOR_INT32."""
        array = np.asarray(values, "<i4")
        return self.constant(Operand(OperandCode.TENSOR_INT32, array.shape), array)

    def reals(self, code: OperandCode, *values: float) -> int:
        """A constant float tensor of one dimension."""
        array = np.asarray(values, DTYPE[code])
        return self.constant(Operand(code, array.shape), array)

    def bring(self, operand: Operand, array: Array) -> int:
        """Data from outside: an input of the model; in a subgraph a constant."""
        if self.outer is not None:
            return self.constant(operand, array)
        index = self.add(replace(operand, lifetime=Lifetime.INPUT))
        self.inputs.append(index)
        self.data[index] = array
        self.values.append(_value(index, operand, array, operand.channel_quant is None))
        return index

    def handed(self, value: Value) -> Value:
        """An input of this subgraph that stands for a value of the outer graph."""
        index = self.add(replace(value.operand, lifetime=Lifetime.INPUT, value=b""))
        self.inputs.append(index)
        inner = replace(value, index=index)
        self.values.append(inner)
        self.data[index] = value.array
        return inner

    # ---- operations ----

    @property
    def room(self) -> int:
        """How many operations may still be added."""
        return self.most - len(self.operations)

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Undo what a proposal has added if it does not stand, and go on."""
        lists: tuple[list[Any], ...] = (
            self.operands,
            self.operations,
            self.inputs,
            self.values,
            self.constants,
        )
        marks = [len(each) for each in lists]
        graphs = len(self.subgraphs)
        try:
            yield
        except BaseException:
            for each, mark in zip(lists, marks, strict=True):
                del each[mark:]
            del self.subgraphs[graphs:]
            self.data = {at: a for at, a in self.data.items() if at < marks[0]}
            raise

    def emit(
        self,
        code: OperationCode,
        inputs: Sequence[int],
        results: Sequence[Result],
        dice: Dice,
        least_scale: float = 0.0,
    ) -> tuple[Value, ...]:
        """Append an operation and return its results. Raises NotGrown.

        Args:
            inputs: operands that are there. least_scale: of quantized results.
        """
        if self.room < 1:
            raise NotGrown("the graph is full")
        outputs = [self.add(_opened(result)) for result in results]
        operation = Operation(int(code), tuple(inputs), tuple(outputs))
        told = self._computed(operation, results)
        made = []
        for index, result, expected in zip(outputs, results, told, strict=True):
            operand = replace(result.operand, dims=expected.value.shape)
            if result.free and expected.value.size:
                scale, zero = _chosen(operand, expected, dice, least_scale)
                operand = replace(operand, scale=scale, zero_point=zero)
            self.operands[index] = replace(
                self.operands[index], scale=operand.scale, zero_point=operand.zero_point
            )
            whole = expected.exempt is None and expected.kind == OutputKind.EACH and not result.open
            array = stored(operand, expected.value)
            made.append(_value(index, operand, array, result.readable and whole))
        self.operations.append(operation)
        self.values += made
        return tuple(made)

    def _computed(self, operation: Operation, results: Sequence[Result]) -> tuple[Expected, ...]:
        """What the reference gives, if it is worth judging."""
        graph = Graph(tuple(self.operands), (operation,), (), ())
        alone, taken = single(Model(graph, tuple(self.subgraphs), self.relaxed), 0)
        known = {value.index: value.array for value in self.values}
        try:
            fed = tuple(known[at] for at in taken)
            case = Case("grown", alone, (Execution(fed, ()),))
            (told,) = answer(None, case).sets
        except Exception as error:
            # Whatever a reference raises: attributes and shapes do not belong together.
            raise NotGrown(str(error)) from error
        judged = False
        for result, expected in zip(results, told, strict=True):
            shape, dims = expected.value.shape, result.operand.dims
            if shape != dims and not (result.open and shape[1:] == dims[1:]):
                raise NotGrown("the reference gives another shape")
            real = expected.value
            if expected.exempt is not None:
                real = real[~expected.exempt]
            if not np.isfinite(real).all():
                raise NotGrown("a result is not finite")
            judged |= real.size > 0 and not vacuous(result.operand, expected, _STANDARD)
        if not judged:
            raise NotGrown("the bound is as wide as the results")
        return told


_STANDARD = profile("standard")


def _opened(result: Result) -> Operand:
    dims = result.operand.dims
    return replace(result.operand, dims=(0, *dims[1:]) if result.open else dims)


def _chosen(operand: Operand, told: Expected, dice: Dice, least: float) -> tuple[float, int]:
    """Scale and zero point from the range of the values, a little wider or narrower."""
    code = OperandCode(operand.type)
    real = told.value[np.isfinite(told.value)]
    low, high = (float(real.min()), float(real.max())) if real.size else (0.0, 1.0)
    if max(abs(low), abs(high)) < FLAT:
        low, high = -1.0, 1.0
    # One in eight saturates on either side.
    reach = dice.factor(0.7, 0.95) if dice.below(8) == 0 else dice.factor(1.0, 1.25)
    scale, zero = span_quant(code, low * reach, high * reach)
    if scale <= least:
        scale = float_32(least * dice.factor(1.01, 1.5))
        if code in ASYMMETRIC:
            first, last = CODE_RANGE[code]
            middle = (first + last) / 2 - (low + high) / 2 / scale
            zero = max(first, min(last, round(middle)))
    return scale, zero


def stored(operand: Operand, real: NDArray[np.float64]) -> Array:
    """Real values as the operand's type holds them."""
    code = OperandCode(operand.type)
    if is_quantized(code):
        low, high = CODE_RANGE[code]
        codes = np.nan_to_num(real / operand.scale + operand.zero_point)
        codes = np.where(codes >= 0, np.floor(codes + 0.5), np.ceil(codes - 0.5))
        return np.ascontiguousarray(codes.clip(low, high).astype(DTYPE[code]))
    with np.errstate(over="ignore", invalid="ignore"):
        return np.ascontiguousarray(real.astype(DTYPE[code]))


def _value(index: int, operand: Operand, array: Array, readable: bool) -> Value:
    code = OperandCode(operand.type)
    real = array.astype(np.float64)
    if is_quantized(code) and operand.channel_quant is None:
        real = (real - operand.zero_point) * operand.scale
    if not real.size or not np.isfinite(real).all():
        return Value(index, operand, array, 0.0, 0.0, False)
    low, high = float(real.min()), float(real.max())
    size = max(abs(low), abs(high))
    fine = readable and bool(operand.dims)  # RANK gives a scalar
    if code in FLOATS or is_quantized(code):
        # A constant tensor hides what is wrong with whoever reads it.
        fine &= LEAST <= size <= MOST and (high > low or array.size == 1)
    elif code == OperandCode.TENSOR_INT32:
        fine &= size <= MOST_INTEGER
    return Value(index, operand, array, low, high, fine)
