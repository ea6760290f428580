"""What a driver gives back: executions and whole lives repeated, while the runner counts.

Each case is a small one of its operation, executed 1,000 times more by one path and kind of memory,
and built, compiled, executed and freed 100 times. The runner counts file descriptors, threads,
mappings and resident memory of its process before and after (`nnapi_testkit/judge/leaks.py`), on
any target. ADD goes by every path; other operations, with weights, tables, state and referenced
models, by one each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from hashlib import blake2b

from nnapi_testkit.cases.build import choose_signature, level_of
from nnapi_testkit.cases.edits import base_of, base_variant
from nnapi_testkit.cases.graph_shapes import samples_in
from nnapi_testkit.cases.paths import (
    CACHE_LEVEL,
    MEMORY_LEVEL,
    MEMORY_WORD,
    PATH_LEVEL,
    PATH_WORD,
)
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.model.case import Case, ExecutionPath, Extra, MemoryKind
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.op.declare import Op

__all__ = ["endure_refs"]

EXECUTIONS, LIVES = 1000, 100
DEADLINE_MS = 120_000
TOKEN = blake2b(b"endure", digest_size=32).digest()
# ADD goes by each path; by fences and copies through every kind of memory.
WAYS = (
    (ExecutionPath.COMPUTE, MemoryKind.POINTER),
    (ExecutionPath.START_WAIT, MemoryKind.SHARED),
    (ExecutionPath.BURST, MemoryKind.SHARED),
    (ExecutionPath.FENCED, MemoryKind.POINTER),
    (ExecutionPath.FENCED, MemoryKind.DEVICE),
    (ExecutionPath.REUSABLE, MemoryKind.SHARED),
)
ONE_WAY = {
    "CONV_2D": (ExecutionPath.BURST, MemoryKind.POINTER),
    "LSTM": (ExecutionPath.FENCED, MemoryKind.SHARED),
    "SOFTMAX": (ExecutionPath.COMPUTE, MemoryKind.DEVICE),
}


def endure_refs(op: Op) -> Iterator[CaseRef]:
    """The endurance cases of an operation, if it is one of those that have them."""
    ways = WAYS if op.name == "ADD" else (ONE_WAY[op.name],) if op.name in ONE_WAY else ()
    if not ways:
        return
    cell, samples = next(samples_in(op))
    sample, first = samples[0], ""
    for path, memory in ways:
        case_id = f"{op.name}[{cell.name}-endure-{PATH_WORD[path]}-{MEMORY_WORD[memory]}-"
        case_id += f"{sample.name}]"
        level = max(
            level_of(op, cell, sample, choose_signature(op, sample)),
            base_variant(op).level,
            PATH_LEVEL.get(path, 1),
            MEMORY_LEVEL.get(memory, 1),
        )
        make = partial(_repeated, op.name, cell.name, sample.name, path, memory, case_id)
        yield CaseRef(case_id, op.name, cell.name, level, Kind.ENDURE, make, first)
        first = first or case_id
    if op.name == "ADD":
        case_id = f"{op.name}[{cell.name}-endure-cached-{sample.name}]"
        make = partial(_cached, op.name, cell.name, sample.name, case_id)
        level = max(level_of(op, cell, sample, choose_signature(op, sample)), CACHE_LEVEL)
        yield CaseRef(case_id, op.name, cell.name, level, Kind.ENDURE, make, first)


def _repeated(
    op_name: str,
    cell_name: str,
    sample_name: str,
    path: ExecutionPath,
    memory: MemoryKind,
    case_id: str,
) -> Case:
    base = base_of(op_name, cell_name, sample_name).case
    return replace(
        base,
        id=case_id,
        path=path,
        memory=memory,
        deadline_ms=DEADLINE_MS,
        extra=Extra(executions=EXECUTIONS, lives=LIVES),
    )


def _cached(op_name: str, cell_name: str, sample_name: str, case_id: str) -> Case:
    """Each life compiles with a cache, which is warm but for the first."""
    way = (ExecutionPath.COMPUTE, MemoryKind.POINTER)
    return replace(_repeated(op_name, cell_name, sample_name, *way, case_id), cache_token=TOKEN)
