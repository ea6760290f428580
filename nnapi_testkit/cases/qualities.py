"""The API's own values: preferences, priorities, timeouts, cache tokens, each with a valid model.

None of them may change what is computed. Timeouts are those that cannot expire in a case's own
time, up to the largest number: an hour, and the numbers around the limits of signed and unsigned
64 bits, to which no clock can be added. Tokens differ in one byte each, and each has a model of
its own, so that a cache which looks at a part of the token answers with another one's model.
Paddings are longer than the preferred one, caches go to folders that are missing or sealed, and one
model is compiled for all devices of the runtime, whose answer is the same as that of one.

Sources: `ANeuralNetworksCompilation_setPreference`, `_setPriority`, `_setTimeout`, `_setCaching`,
`ANeuralNetworksExecution_setTimeout` in the NNAPI reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from typing import Any

import numpy as np

from nnapi_testkit.cases.build import choose_signature, level_of
from nnapi_testkit.cases.edits import base_of, base_variant
from nnapi_testkit.cases.graph_shapes import samples_in
from nnapi_testkit.cases.paths import (
    CACHE_LEVEL,
    MEMORY_WORD,
    PADDING_LEVEL,
    PATH_LEVEL,
    PATH_WORD,
)
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.model.builder import Builder
from nnapi_testkit.model.case import (
    Case,
    Execution,
    ExecutionPath,
    Extra,
    Folder,
    MemoryKind,
    Quality,
)
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.op.declare import Cell, Op, Sample
from nnapi_testkit.spec.codes import PreferenceCode, PriorityCode

__all__ = ["quality_refs"]

# Operations of different kinds: with and without weights, of tables, that move data, with state.
OPERATIONS = ("ADD", "CONV_2D", "FULLY_CONNECTED", "SOFTMAX", "CONCATENATION", "LSTM")
EVERYTHING = "ADD"  # gets all combinations
PREFERENCES = {
    "low-power": PreferenceCode.PREFER_LOW_POWER,
    "single-answer": PreferenceCode.PREFER_FAST_SINGLE_ANSWER,
    "sustained-speed": PreferenceCode.PREFER_SUSTAINED_SPEED,
}
PRIORITIES = {
    "low": PriorityCode.PRIORITY_LOW,
    "medium": PriorityCode.PRIORITY_MEDIUM,
    "high": PriorityCode.PRIORITY_HIGH,
}
HOUR = 3600 * 10**9
TIMEOUTS = {
    "hour": HOUR,
    "signed-limit": 2**63 - 1,
    "beyond-signed": 2**63,
    "unsigned-limit": 2**64 - 1,
}
PRIORITY_LEVEL = TIMEOUT_LEVEL = 4
TOKEN_BYTES = 32
DEVICES_LEVEL = 3
FOLDER = "Whether a folder that cannot be used is an error the documentation does not say."


def quality_refs(op: Op) -> Iterator[CaseRef]:
    """The values of the API around an operation, if it is one of those that ask for them."""
    if op.name not in OPERATIONS:
        return
    for number, (cell, samples) in enumerate(samples_in(op)):
        sample = samples[0]
        first = ""
        for word, path, quality in _qualities(op.name == EVERYTHING and not number):
            case_id = f"{op.name}[{cell.name}-quality-{word}-{sample.name}]"
            level = max(
                level_of(op, cell, sample, choose_signature(op, sample)),
                base_variant(op).level,
                PATH_LEVEL.get(path, 1),
                _level(quality),
            )
            make = partial(_asked, op.name, cell.name, sample.name, path, quality, case_id)
            yield CaseRef(
                case_id,
                op.name,
                cell.name,
                level,
                Kind.QUALITY,
                make,
                first,
                contest=sample.contest,
            )
            first = first or case_id
        yield from _unusual(op, cell, sample, first)
    if op.name == EVERYTHING:
        yield from _tokens(op)


def _unusual(op: Op, cell: Cell, sample: Sample, answer: str) -> Iterator[CaseRef]:
    """Longer paddings, folders without caches, all devices at once."""
    token = blake2b(f"{op.name} {cell.name}".encode(), digest_size=TOKEN_BYTES).digest()
    changes: dict[str, tuple[int, str, dict[str, Any]]] = {
        # "If set to 0, the timeout duration is considered infinite."
        "timeouts-of-0": (TIMEOUT_LEVEL, "", {"extra": Extra(no_timeout=True)}),
        "all-devices": (DEVICES_LEVEL, "", {"extra": Extra(devices=True)}),
        "folder-missing": (
            CACHE_LEVEL,
            FOLDER,
            {"extra": Extra(folder=Folder.MISSING), "cache_token": token},
        ),
        "folder-sealed": (
            CACHE_LEVEL,
            FOLDER,
            {"extra": Extra(folder=Folder.SEALED), "cache_token": token},
        ),
    }
    for more, memory in ((1, MemoryKind.POINTER), (3, MemoryKind.SHARED), (64, MemoryKind.POINTER)):
        changes[f"padding-{more}-more-{MEMORY_WORD[memory]}"] = (
            PADDING_LEVEL,
            "",
            {"extra": Extra(padding=more), "padding": True, "memory": memory},
        )
    for word, (level, why, change) in changes.items():
        case_id = f"{op.name}[{cell.name}-quality-{word}-{sample.name}]"
        make = partial(_changed, op.name, cell.name, sample.name, change, case_id)
        level = max(
            level_of(op, cell, sample, choose_signature(op, sample)), base_variant(op).level, level
        )
        yield CaseRef(
            case_id,
            op.name,
            cell.name,
            level,
            Kind.QUALITY,
            make,
            answer,
            contest=sample.contest,
            refusable=why,
        )


def _changed(
    op_name: str, cell_name: str, sample_name: str, change: Mapping[str, Any], case_id: str
) -> Case:
    return replace(base_of(op_name, cell_name, sample_name).case, id=case_id, **change)


def _qualities(all_: bool) -> Iterator[tuple[str, ExecutionPath, Quality]]:
    for preference, code in PREFERENCES.items():
        yield preference, ExecutionPath.COMPUTE, Quality(preference=code)
        for priority, rank in PRIORITIES.items() if all_ else ():
            yield f"{preference}-{priority}", ExecutionPath.COMPUTE, Quality(code, rank)
    for priority, rank in PRIORITIES.items():
        yield f"{priority}-priority", ExecutionPath.COMPUTE, Quality(priority=rank)
    for number, (word, time) in enumerate(TIMEOUTS.items()):
        yield f"compile-{word}", ExecutionPath.COMPUTE, Quality(compile_timeout_ns=time)
        # Each path counts its time by itself.
        for path in ExecutionPath if all_ else [tuple(ExecutionPath)[number]]:
            yield f"execute-{word}-{PATH_WORD[path]}", path, Quality(execute_timeout_ns=time)


def _level(quality: Quality) -> int:
    timed = quality.compile_timeout_ns or quality.execute_timeout_ns
    return max(TIMEOUT_LEVEL if timed else 1, PRIORITY_LEVEL if quality.priority >= 0 else 1)


def _asked(
    op_name: str,
    cell_name: str,
    sample_name: str,
    path: ExecutionPath,
    quality: Quality,
    case_id: str,
) -> Case:
    base = base_of(op_name, cell_name, sample_name).case
    return replace(base, id=case_id, path=path, quality=quality)


def _tokens(op: Op) -> Iterator[CaseRef]:
    """One token, then with each of its bytes changed, then itself again; and the plainest two."""
    first = blake2b(b"quality token", digest_size=TOKEN_BYTES).digest()
    tokens = {"first": first}
    for at in range(TOKEN_BYTES):
        changed = bytes((first[at] ^ 1,))
        tokens[f"byte{at:02}"] = first[:at] + changed + first[at + 1 :]
    tokens |= {"zeros": bytes(TOKEN_BYTES), "ones": b"\xff" * TOKEN_BYTES, "again": first}
    numbers = {token: number for number, token in enumerate(dict.fromkeys(tokens.values()))}
    for word, token in tokens.items():
        case_id = f"{op.name}[float32-quality-token-{word}]"
        make = partial(_cached, numbers[token], token, case_id)
        yield CaseRef(case_id, op.name, "float32", CACHE_LEVEL, Kind.QUALITY, make)


def _cached(number: int, token: bytes, case_id: str) -> Case:
    """x + number, compiled with a token."""
    b = Builder()
    x = b.input("TENSOR_FLOAT32", (2, 3))
    added = b.constant("TENSOR_FLOAT32", np.full((2, 3), number))
    b.operation("ADD", (x, added, b.constant("INT32", 0)), (b.output("TENSOR_FLOAT32", (2, 3)),))
    data = np.linspace(-1, 1, 6, dtype="<f4").reshape(2, 3)
    return Case(case_id, b.build(), (Execution((data,), ((2, 3),)),), cache_token=token)
