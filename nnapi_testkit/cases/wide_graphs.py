"""Graphs of many parts, and operands that are left out in other words.

200 operations in a chain, one operation of 200 operands, 64 inputs and outputs: more than tables of
fixed size hold. And each operation whose operands may be omitted once more with those declared as
what some converters write, of dimensions [0] instead of the operand's own rank.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from nnapi_testkit.cases.build import Variant, build_case, choose_signature, level_of, plan_slots
from nnapi_testkit.cases.edits import base_variant, find, with_main
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.model.builder import Builder
from nnapi_testkit.model.case import Case, Execution
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.model.types import Lifetime
from nnapi_testkit.op.declare import Op, Tensor
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import is_tensor

__all__ = ["wide_refs"]

OPERATIONS = 200
OPERANDS = 200
WIDTH = 64
SHAPE = (2, 3)
# Real and quantized: name of the cell, type, scale and zero point, since which level.
CELLS = {
    "float32": ("TENSOR_FLOAT32", (0.0, 0), 1),
    "quant8": ("TENSOR_QUANT8_ASYMM", (0.5, 128), 1),
}
# Of an operation's rows one with each operand left out is enough.
MOST_CELLS = 2


def wide_refs(op: Op) -> Iterator[CaseRef]:
    """The graphs of many parts around an operation, and its operands left out in other words."""
    for word, build in GRAPHS.get(op.name, {}).items():
        for cell, (_, _, level) in CELLS.items():
            case_id = f"{op.name}[{cell}-{word}]"
            make = partial(_make, build, cell, case_id)
            yield CaseRef(case_id, op.name, cell, max(level, op.since), Kind.GRAPH, make)
    if op.graphs is None:
        yield from _left_out(op)


def _make(build: Callable[[Builder, str], Execution], cell: str, case_id: str) -> Case:
    builder = Builder()
    execution = build(builder, cell)
    return Case(case_id, builder.build(), (execution,))


def _data(cell: str, count: int) -> list[np.ndarray[tuple[int, ...], np.dtype[np.generic]]]:
    """Small numbers, different in each array, that float32 and the codes hold exactly."""
    real = [np.arange(6).reshape(SHAPE) % 5 - 2 + (n % 7 - 3) for n in range(count)]
    if cell == "float32":
        return [array.astype("<f4") for array in real]
    return [(128 + array).astype("u1") for array in real]


def _chain(b: Builder, cell: str) -> Execution:
    """x + c, 199 times more, where c is added and taken back in turn."""
    code, quant, _ = CELLS[cell]
    x = b.input(code, SHAPE, *quant)
    up, down = (b.constant(code, _data(cell, 2)[0] * 0 + n, *quant) for n in _steps(cell))
    none = b.constant("INT32", 0)
    at = x
    for number in range(OPERATIONS):
        last = number == OPERATIONS - 1
        after = b.output(code, SHAPE, *quant) if last else b.tensor(code, SHAPE, *quant)
        b.operation("ADD", (at, down if number % 3 == 1 else up, none), (after,))
        at = after
    return Execution((_data(cell, 1)[0],), (SHAPE,))


def _steps(cell: str) -> tuple[int, int]:
    """One up and two down, so that codes stay inside of their type; as stored."""
    return (1, -2) if cell == "float32" else (129, 126)


def _many_inputs(b: Builder, cell: str) -> Execution:
    """64 inputs, each added to the next, and all 64 sums handed out."""
    code, quant, _ = CELLS[cell]
    inputs = [b.input(code, SHAPE, *quant) for _ in range(WIDTH)]
    none = b.constant("INT32", 0)
    for number, x in enumerate(inputs):
        out = b.output(code, SHAPE, *quant)
        b.operation("ADD", (x, inputs[(number + 1) % WIDTH], none), (out,))
    return Execution(tuple(_data(cell, WIDTH)), (SHAPE,) * WIDTH)


def _many_readers(b: Builder, cell: str) -> Execution:
    """One input that 64 operations read, each with a constant of its own."""
    code, quant, _ = CELLS[cell]
    x, *constants = _data(cell, WIDTH + 1)
    source, none = b.input(code, SHAPE, *quant), b.constant("INT32", 0)
    for array in constants:
        out = b.output(code, SHAPE, *quant)
        b.operation("ADD", (source, b.constant(code, array, *quant), none), (out,))
    return Execution((x,), (SHAPE,) * WIDTH)


def _many_operands(b: Builder, cell: str) -> Execution:
    """200 tensors, half of them constants, joined to one."""
    code, quant, _ = CELLS[cell]
    arrays = _data(cell, OPERANDS)
    fed = arrays[::2]
    parts = [
        b.input(code, SHAPE, *quant) if n % 2 == 0 else b.constant(code, array, *quant)
        for n, array in enumerate(arrays)
    ]
    shape = (SHAPE[0] * OPERANDS, SHAPE[1])
    out = b.output(code, shape, *quant)
    b.operation("CONCATENATION", (*parts, b.constant("INT32", 0)), (out,))
    return Execution(tuple(fed), (shape,))


def _many_outputs(b: Builder, cell: str) -> Execution:
    """One tensor split into 64 outputs."""
    code, quant, _ = CELLS[cell]
    whole = np.concatenate(_data(cell, WIDTH))
    x = b.input(code, whole.shape, *quant)
    outputs = [b.output(code, SHAPE, *quant) for _ in range(WIDTH)]
    b.operation("SPLIT", (x, b.constant("INT32", 0), b.constant("INT32", WIDTH)), outputs)
    return Execution((whole,), (SHAPE,) * WIDTH)


GRAPHS: dict[str, dict[str, Callable[[Builder, str], Execution]]] = {
    "ADD": {
        f"chain-of-{OPERATIONS}": _chain,
        f"inputs-and-outputs-{WIDTH}": _many_inputs,
        f"readers-{WIDTH}": _many_readers,
    },
    "CONCATENATION": {f"operands-{OPERANDS}": _many_operands},
    "SPLIT": {f"outputs-{WIDTH}": _many_outputs},
}


# ---- left out ----


def _left_out(op: Op) -> Iterator[CaseRef]:
    for cell in op.cells[:MOST_CELLS]:
        for sample in op.samples_for(cell):
            if sample.large or sample.contest is not None:
                continue
            slots, _ = plan_slots(op, cell, sample, base_variant(op), 0)
            if not any(
                slot.omitted and isinstance(slot.spec, Tensor) and slot.spec.rank[0] > 1
                for slot in slots
            ):
                continue
            case_id = f"{op.name}[{cell.name}-omitted-of-0-{sample.name}]"
            level = level_of(op, cell, sample, choose_signature(op, sample))
            make = partial(_of_nothing, op.name, cell.name, sample.name, case_id)
            level = max(level, base_variant(op).level)
            yield CaseRef(case_id, op.name, cell.name, level, Kind.GRAPH, make)
            break


def _of_nothing(op_name: str, cell_name: str, sample_name: str, case_id: str) -> Case:
    """The sample whose omitted tensors are declared with dimensions [0]."""
    op, cell, sample = find(op_name, cell_name, sample_name)
    variant: Variant = base_variant(op)
    case = build_case(op, cell, sample, variant, case_id, 0)
    operands = tuple(
        replace(operand, dims=(0,))
        if operand.lifetime == Lifetime.OMITTED and is_tensor(OperandCode(operand.type))
        else operand
        for operand in case.model.main.operands
    )
    return replace(case, model=with_main(case.model, operands=operands))
