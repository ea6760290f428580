"""Executions in circumstances that a phone meets and a test of one operation does not.

- Executions in a chain: each reads what the one before writes, to shared memory, and waits for it
  by a fence. They are long, so that one which does not wait reads what is not there yet; and
  outputs are looked at as soon as the fence has signalled.
- An execution whose output does not fit, and right after it, in the same burst, one whose output
  does.
- A reusable execution whose output changes its shape, as the data of an input ask.
- One buffer for two inputs; a model compiled twice; constants in a file that is open for reading
  alone; buffers aligned for their type alone; device memory with several roles; a cache that was
  cut; a loop timeout beyond the longest.

None of it may change what is computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from typing import Any

import numpy as np

from nnapi_testkit.cases.build import choose_signature, level_of
from nnapi_testkit.cases.edits import base_of, base_variant
from nnapi_testkit.cases.graph_shapes import samples_in
from nnapi_testkit.cases.graphs import graph_refs
from nnapi_testkit.cases.paths import (
    CACHE_LEVEL,
    MEMORY_LEVEL,
    MEMORY_WORD,
    PATH_LEVEL,
    PATH_WORD,
    UNKNOWN_LEVEL,
    opened,
)
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.model.builder import Builder
from nnapi_testkit.model.case import Case, Execution, ExecutionPath, Extra, MemoryKind
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.op.declare import Cell, Op, Sample

__all__ = ["way_refs"]

# Operations with and without weights, of tables, that move data, with state.
OPERATIONS = ("ADD", "CONV_2D", "FULLY_CONNECTED", "SOFTMAX", "CONCATENATION")
EVERYTHING = "ADD"  # by every path
PATHS = (ExecutionPath.COMPUTE, ExecutionPath.BURST, ExecutionPath.START_WAIT)
ROLES_LEVEL = MEMORY_LEVEL[MemoryKind.DEVICE]
# A chain: rows times columns elements, which so many operations raise and lower by 1 in turn.
ROWS, COLUMNS, STEPS, LINKS = 128, 1024, 21, 4
# Of each operation that can be the link: what undoes it, and a constant for both.
LINKED = {"ADD": ("SUB", 1), "MUL": ("DIV", 2)}
LINK_LEVEL = max(PATH_LEVEL[ExecutionPath.FENCED], 3)
# float32 holds small integers exactly, as do codes; name of the cell, type and quantization.
CELLS = {"float32": ("TENSOR_FLOAT32", (0.0, 0)), "quant8": ("TENSOR_QUANT8_ASYMM", (1.0, 0))}
LOOP_TIMEOUTS = {"beyond-signed": 2**63, "unsigned-limit": 2**64 - 1}


def way_refs(op: Op) -> Iterator[CaseRef]:
    """The circumstances around an operation, if it is one of those that meet them."""
    if op.name in OPERATIONS:
        for cell, samples in samples_in(op):
            yield from _around(op, cell, samples[0])
            yield from _short(op, cell, samples[0])
    for name in CELLS if op.name == "ADD" else ("float32",) if op.name in LINKED else ():
        first = ""
        for word, path in (("chained", ExecutionPath.FENCED), ("long", ExecutionPath.START_WAIT)):
            case_id = f"{op.name}[{name}-state-{word}]"
            make = partial(_chain, op.name, name, path, case_id)
            yield CaseRef(case_id, op.name, name, LINK_LEVEL, Kind.STATE, make, first)
            first = case_id
    if op.name in ("RESHAPE", "TILE"):
        for memory in (MemoryKind.POINTER, MemoryKind.SHARED, MemoryKind.DYNAMIC):
            case_id = f"{op.name}[float32-state-reusable-shapes-{MEMORY_WORD[memory]}]"
            level = max(PATH_LEVEL[ExecutionPath.REUSABLE], MEMORY_LEVEL.get(memory, 1))
            make = partial(_reshaped, op.name, memory, case_id)
            yield CaseRef(case_id, op.name, "float32", level, Kind.STATE, make)
    if op.name in ("ADD", "MAXIMUM", "CONCATENATION"):
        for memory in (MemoryKind.POINTER, MemoryKind.SHARED):
            case_id = f"{op.name}[float32-state-one-buffer-{MEMORY_WORD[memory]}]"
            make = partial(_one_buffer, op.name, memory, case_id)
            yield CaseRef(case_id, op.name, "float32", op.since, Kind.STATE, make)
    if op.name in CONSTANTS:
        for word, extra in (
            ("read-only", Extra(read_only=True)),
            ("packed", Extra(packed=True)),
        ):
            case_id = f"{op.name}[float32-state-{word}-constants]"
            make = partial(_constants, op.name, extra, case_id)
            yield CaseRef(case_id, op.name, "float32", op.since, Kind.STATE, make)
    if op.name == "WHILE":
        yield from _loops(op)


def _around(op: Op, cell: Cell, sample: Sample) -> Iterator[CaseRef]:
    """The base case, with one thing changed around it."""
    token = blake2b(f"cut {op.name} {cell.name}".encode(), digest_size=32).digest()
    changes: dict[str, tuple[int, dict[str, Any]]] = {
        "compiled-twice": (1, {"extra": Extra(compiled_twice=True)}),
        "cache-cut": (CACHE_LEVEL, {"extra": Extra(cut_cache=True), "cache_token": token}),
        "packed": (1, {"extra": Extra(packed=True), "memory": MemoryKind.SHARED}),
        "more-roles": (
            ROLES_LEVEL,
            {"extra": Extra(more_roles=True), "memory": MemoryKind.DEVICE},
        ),
    }
    first = ""
    for word, (level, change) in changes.items():
        case_id = f"{op.name}[{cell.name}-state-{word}-{sample.name}]"
        make = partial(_changed, op.name, cell.name, sample.name, change, case_id)
        yield CaseRef(
            case_id,
            op.name,
            cell.name,
            max(_level(op, cell, sample), level),
            Kind.STATE,
            make,
            first,
            contest=sample.contest,
        )
        first = first or case_id


def _level(op: Op, cell: Cell, sample: Sample) -> int:
    level = level_of(op, cell, sample, choose_signature(op, sample))
    return max(level, base_variant(op).level)


def _changed(
    op_name: str, cell_name: str, sample_name: str, change: dict[str, Any], case_id: str
) -> Case:
    return replace(base_of(op_name, cell_name, sample_name).case, id=case_id, **change)


def _short(op: Op, cell: Cell, sample: Sample) -> Iterator[CaseRef]:
    """An output that does not fit, then one that does, in the same compilation or burst."""
    if any(output.counted for output in op.outputs):
        return
    for number, path in enumerate(PATHS):
        if op.name != EVERYTHING and number != OPERATIONS.index(op.name) % len(PATHS):
            continue
        case_id = f"{op.name}[{cell.name}-state-short-{PATH_WORD[path]}-{sample.name}]"
        level = max(_level(op, cell, sample), PATH_LEVEL.get(path, 1), UNKNOWN_LEVEL)
        make = partial(_too_short, op.name, cell.name, sample.name, path, case_id)
        yield CaseRef(case_id, op.name, cell.name, level, Kind.STATE, make, contest=sample.contest)


def _too_short(
    op_name: str, cell_name: str, sample_name: str, path: ExecutionPath, case_id: str
) -> Case:
    case = base_of(op_name, cell_name, sample_name).case
    sets = tuple(replace(s, set_output_dims=False) for s in case.sets[:1])
    model = opened(case.model, inputs=False)
    return replace(case, id=case_id, model=model, sets=sets, path=path, extra=Extra(short=True))


def _chain(name: str, cell: str, path: ExecutionPath, case_id: str) -> Case:
    """x + 1 of small integers, by many operations on copies of x; the next begins with the sum."""
    other, step = LINKED[name]
    code, quant = CELLS[cell]
    builder = Builder()
    x = builder.input(code, (1, COLUMNS), *quant)
    constant = builder.constant(code, np.full((1,), step), *quant)
    zeros = builder.constant(code, np.zeros((ROWS, 1)), *quant)
    none = builder.constant("INT32", 0)
    at = builder.tensor(code, (ROWS, COLUMNS), *quant)
    builder.operation("ADD", (x, zeros, none), (at,))
    for number in range(STEPS):
        after = builder.tensor(code, (ROWS, COLUMNS), *quant)
        builder.operation(other if number % 2 else name, (at, constant, none), (after,))
        at = after
    begin = builder.constant("TENSOR_INT32", np.array([ROWS - 1, 0]))
    size = builder.constant("TENSOR_INT32", np.array([1, COLUMNS]))
    builder.operation("SLICE", (at, begin, size), (builder.output(code, (1, COLUMNS), *quant),))
    start = np.arange(COLUMNS).reshape(1, COLUMNS) % 7 + 1
    links = [start + n * step if name == "ADD" else start * step**n for n in range(LINKS)]
    data = [link.astype("<f4" if cell == "float32" else "u1") for link in links]
    sets = tuple(Execution((array,), ((1, COLUMNS),)) for array in data)
    extra = Extra(together=True, chained=path == ExecutionPath.FENCED)
    return Case(case_id, builder.build(), sets, path=path, memory=MemoryKind.SHARED, extra=extra)


def _reshaped(name: str, memory: MemoryKind, case_id: str) -> Case:
    """Outputs of as many elements and other shapes, which an input asks for."""
    builder = Builder()
    x = builder.input("TENSOR_FLOAT32", (2, 3))
    asked = builder.input("TENSOR_INT32", (2,))
    builder.operation(name, (x, asked), (builder.output("TENSOR_FLOAT32", (0, 0)),))
    data = np.arange(6, dtype="<f4").reshape(2, 3)
    sets = []
    for number, values in enumerate(
        ((3, 2), (6, 1), (2, 3)) if name == "RESHAPE" else ((2, 1), (1, 2), (2, 1))
    ):
        shape = values if name == "RESHAPE" else (2 * values[0], 3 * values[1])
        sets.append(Execution((data + number, np.array(values, "<i4")), (shape,)))
    return Case(case_id, builder.build(), tuple(sets), path=ExecutionPath.REUSABLE, memory=memory)


def _one_buffer(name: str, memory: MemoryKind, case_id: str) -> Case:
    """Two inputs of the model that are the same bytes of the application."""
    builder = Builder()
    x, y = (builder.input("TENSOR_FLOAT32", (2, 3)) for _ in range(2))
    last = () if name == "MAXIMUM" else (builder.constant("INT32", 0),)
    shape = (4, 3) if name == "CONCATENATION" else (2, 3)
    builder.operation(name, (x, y, *last), (builder.output("TENSOR_FLOAT32", shape),))
    data = np.linspace(-2, 3, 6, dtype="<f4").reshape(2, 3)
    execution = Execution((data, data.copy()), (shape,))
    extra = Extra(one_buffer=True)
    return Case(case_id, builder.build(), (execution,), memory=memory, extra=extra)


def _add(builder: Builder, x: int, out: int) -> None:
    values = np.arange(72, dtype="<f4").reshape(4, 18) - 30
    builder.operation(
        "ADD", (x, builder.constant("TENSOR_FLOAT32", values), builder.constant("INT32", 0)), (out,)
    )


def _fully_connected(builder: Builder, x: int, out: int) -> None:
    weights = np.arange(324, dtype="<f4").reshape(18, 18) % 5 - 2
    bias = np.arange(18, dtype="<f4")
    operands = (x, *(builder.constant("TENSOR_FLOAT32", array) for array in (weights, bias)))
    builder.operation("FULLY_CONNECTED", (*operands, builder.constant("INT32", 0)), (out,))


CONSTANTS = {"ADD": _add, "FULLY_CONNECTED": _fully_connected}


def _constants(name: str, extra: Extra, case_id: str) -> Case:
    """Constants that are too long to be copied, in shared memory."""
    builder = Builder()
    x = builder.input("TENSOR_FLOAT32", (4, 18))
    CONSTANTS[name](builder, x, builder.output("TENSOR_FLOAT32", (4, 18)))
    data = (np.arange(72, dtype="<f4") % 9 - 4).reshape(4, 18)
    execution = Execution((data,), ((4, 18),))
    return Case(case_id, builder.build(), (execution,), memory=MemoryKind.SHARED, extra=extra)


def _loops(op: Op) -> Iterator[CaseRef]:
    """A loop with more time than the longest that there is, which counts instead."""
    base = next(graph_refs(op, op.cells[0], 0))
    for word, time in LOOP_TIMEOUTS.items():
        case_id = f"WHILE[{base.cell}-quality-loop-{word}]"
        make = partial(_timed, base, time, case_id)
        level = base.level
        yield CaseRef(case_id, op.name, base.cell, level, Kind.QUALITY, make, base.id)


def _timed(base: CaseRef, time: int, case_id: str) -> Case:
    return replace(base.make(), id=case_id, loop_timeout_ns=time)
