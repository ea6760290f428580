"""Shapes of graphs in which a value is still needed after what could take its memory.

A residual block adds its input to what several operations have made of it. A driver that gives a
value's memory away after the first reader, or that computes in place, breaks it:

    result needed: y = op(x), a = f(y), c = g(a), out = c + y
    input needed:  y = x, z = op(y), a = f(x), c = g(a), out = c + y

f and g change each element, so that what lies in the memory of y afterwards is another value. Each
operation is asked in a real cell with two of them, in a quantized cell with three.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from nnapi_testkit.cases.graph_shapes import BOOL8, INT32, Place, Wiring, graph_ref, samples_in
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.model.types import Lifetime, Operand
from nnapi_testkit.op.declare import Op
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import CODE_RANGE, DTYPE, is_quantized

__all__ = ["kept_refs"]

STEPS = (2, 3)  # operations between the first reader and the last, by cell
# What negates an operand, and what makes the same of it twice.
TURNED = {BOOL8: ("LOGICAL_NOT", "LOGICAL_AND"), INT32: ("NEG", "MAXIMUM")}
SHIFT = 24  # codes that each of them adds: far more than rounding moves


def kept_refs(op: Op) -> Iterator[CaseRef]:
    """The graphs around an operation whose result, or whose input, is needed once more."""
    for (cell, samples), steps in zip(samples_in(op), STEPS, strict=False):
        place = Place(op, cell, samples[0])
        read = [at for at, output in enumerate(op.outputs) if place.readable(output)]
        if read:
            word = f"result-needed-after-{steps}"
            yield graph_ref(replace(place, at=read[0]), word, partial(_result_kept, steps))
        if place.inputs():
            yield graph_ref(place, f"input-needed-after-{steps}", partial(_input_kept, steps))


def _result_kept(steps: int, w: Wiring) -> None:
    """y = op(x); out = (y changed so many times) + y."""
    index = w.base.output(w.place.at)
    w.temporary(index)
    _joined(w, _changed(w, index, w.dims.pop(index), steps), index)


def _input_kept(steps: int, w: Wiring) -> None:
    """y = x; z = op(y); out = (x changed so many times) + y."""
    source = w.source()
    dims = w.operands[source].dims
    first = w.operations.pop()
    copy = _copied(w, source)
    inputs = tuple(copy if index == source else index for index in first.inputs)
    w.operations.append(replace(first, inputs=inputs))
    _joined(w, _changed(w, source, dims, steps), copy)


def _copied(w: Wiring, source: int) -> int:
    """A temporary of the same values."""
    operand = w.operands[source]
    copy = w.like(source, operand.dims, Lifetime.TEMPORARY)
    if operand.type == BOOL8:
        middle = w.like(source, operand.dims, Lifetime.TEMPORARY)
        w.operation("LOGICAL_NOT", (source,), (middle,))
        w.operation("LOGICAL_NOT", (middle,), (copy,))
    elif operand.type == INT32:
        begin = w.ints([0] * len(operand.dims))
        w.operation("SLICE", (source, begin, w.ints(operand.dims)), (copy,))
    else:
        flat = w.like(source, (int(np.prod(operand.dims)),), Lifetime.TEMPORARY)
        w.operation("RESHAPE", (source, w.ints((-1,))), (flat,))
        w.operation("RESHAPE", (flat, w.ints(operand.dims)), (copy,))
    return copy


def _changed(w: Wiring, index: int, dims: tuple[int, ...], steps: int) -> int:
    """A temporary of other values, so many operations behind the operand.

    Numbers become larger with each, by 1 or by some codes. Truth values and integers are negated
    by the first one, and the others hand on what it made, for a second one would undo it.
    """
    operand = w.operands[index]
    for number in range(steps):
        after = w.like(index, dims, Lifetime.TEMPORARY)
        if operand.type in (BOOL8, INT32):
            turned, same = TURNED[OperandCode(operand.type)]
            if number:
                w.operation(same, (index, index), (after,))
            else:
                w.operation(turned, (index,), (after,))
        else:
            w.operation("ADD", (index, _shift(w, operand), w.int32(0)), (after,))
        index = after
    return index


def _shift(w: Wiring, operand: Operand) -> int:
    """A constant of one element: 1, or so many codes, towards the middle of the type."""
    code = OperandCode(operand.type)
    value = 1.0
    if is_quantized(code):
        low, high = CODE_RANGE[code]
        up = operand.zero_point + SHIFT <= high
        value = operand.zero_point + (SHIFT if up else -SHIFT)
        assert low <= value <= high
    data = np.full(1, value, DTYPE[code]).tobytes()
    return w.add(replace(operand, dims=(1,), lifetime=Lifetime.CONSTANT, value=data))


def _joined(w: Wiring, changed: int, kept: int) -> None:
    """A new output of both: their sum, the larger one, or whether truth values are equal."""
    operand = w.operands[changed]
    out = w.output(changed, operand.dims, 2 * operand.scale)
    if operand.type == BOOL8:
        w.operation("EQUAL", (changed, kept), (out,))
    elif operand.type == INT32:
        w.operation("MAXIMUM", (changed, kept), (out,))
    else:
        w.operation("ADD", (changed, kept, w.int32(0)), (out,))
