"""A saved case, read back from its batch."""

from __future__ import annotations

from pathlib import Path
from struct import Struct
from struct import error as StructError
from zlib import crc32

import numpy as np

from nnapi_testkit.errors import KitError
from nnapi_testkit.model import wire_codes as w
from nnapi_testkit.model.case import (
    Answer,
    Case,
    Execution,
    Expected,
    Extra,
    Folder,
    MemoryKind,
    Quality,
    Stage,
)
from nnapi_testkit.model.case import (
    ExecutionPath as ExecutionPath,
)
from nnapi_testkit.model.kinds import Source
from nnapi_testkit.model.types import ChannelQuant, Graph, Lifetime, Model, Operand, Operation
from nnapi_testkit.model.wire_codes import Field, FrameKind
from nnapi_testkit.model.wire_format import PAIR, SUMMED
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.kinds import OutputKind
from nnapi_testkit.spec.operands import DTYPE

__all__ = ["read_answer", "read_case"]


def read_case(path: Path, name: str) -> Case:
    """Return the first case of a batch. Raises KitError if the file holds none.

    Args:
        name: its id, which a batch does not carry.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise KitError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return _case(_payload(data), name)
    except (StructError, ValueError, IndexError, KeyError, OverflowError) as error:
        raise KitError(f"{path} holds no case: {error}") from error


def _payload(data: bytes) -> bytes:
    """The payload of the first CASE frame."""
    at = 0
    while at < len(data):
        magic, version, kind, length, total = w.FRAME.unpack_from(data, at)
        payload = data[at + w.FRAME.size : at + w.FRAME.size + length]
        if magic != w.MAGIC or version != w.VERSION or len(payload) != length:
            raise ValueError("its frames are damaged")
        summed = SUMMED.pack(version, kind, length)
        if crc32(payload, crc32(summed)) != total:
            raise ValueError("a checksum is wrong")
        if kind == FrameKind.CASE:
            return payload
        at += w.FRAME.size + length
    raise ValueError("no case frame")


def _case(payload: bytes, name: str) -> Case:
    head: tuple[int, ...] = ()
    token, quality, extra = b"", Quality(), Extra()
    graphs: list[Graph] = []
    sets: list[bytes] = []
    at = 0
    while at < len(payload):
        tag, _, length = w.FIELD.unpack_from(payload, at)
        at += w.FIELD.size
        data = payload[at : at + length]
        at += length
        if tag == Field.CASE_HEAD:
            head = w.CASE_HEAD.unpack(data)
        elif tag == Field.TOKEN:
            token = data
        elif tag == Field.QUALITY:
            quality = Quality(*w.QUALITY.unpack(data))
        elif tag == Field.EXTRA:
            extra = _extra(data)
        elif tag == Field.GRAPH:
            graphs.append(_graph(data))
        elif tag == Field.SET:
            sets.append(data)
        else:
            raise ValueError(f"a field {tag} that this version does not know")
    _, path, memory, expect, flags, repetitions, deadline, loop = head
    main = graphs[-1]
    return Case(
        name,
        Model(main, tuple(graphs[:-1]), bool(flags & w.CASE_RELAXED)),
        tuple(_set(data, main) for data in sets),
        ExecutionPath(path),
        MemoryKind(memory),
        repetitions,
        deadline,
        Stage(expect),
        token,
        bool(flags & w.CASE_PADDING),
        loop,
        bool(flags & w.CASE_MEASURE),
        quality,
        extra,
    )


def _extra(data: bytes) -> Extra:
    executions, lives, padding, flags = w.EXTRA.unpack(data)
    return Extra(
        executions,
        lives,
        padding,
        bool(flags & w.EXTRA_ORPHAN),
        bool(flags & w.EXTRA_TOGETHER),
        bool(flags & w.EXTRA_DEVICES),
        Folder(flags & (Folder.MISSING | Folder.SEALED)),
        bool(flags & w.EXTRA_NO_TIMEOUT),
        bool(flags & w.EXTRA_CHAINED),
        bool(flags & w.EXTRA_SHORT),
        bool(flags & w.EXTRA_ONE_BUFFER),
        bool(flags & w.EXTRA_COMPILED_TWICE),
        bool(flags & w.EXTRA_READ_ONLY),
        bool(flags & w.EXTRA_CUT_CACHE),
        bool(flags & w.EXTRA_PACKED),
        bool(flags & w.EXTRA_MORE_ROLES),
        bool(flags & w.EXTRA_UNALIGNED),
    )


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, form: Struct) -> tuple[int, ...]:
        values = form.unpack_from(self.data, self.at)
        self.at += form.size
        return values

    def words(self, count: int) -> tuple[int, ...]:
        return self.take(Struct(f"<{count}I"))

    def bytes(self, count: int) -> bytes:
        found = self.data[self.at : self.at + count]
        if len(found) != count:
            raise ValueError("it ends early")
        self.at += count
        return found


def _graph(data: bytes) -> Graph:
    r = _Reader(data)
    operands, operations, inputs, outputs = r.take(w.GRAPH)
    made = []
    for _ in range(operands):
        type_, lifetime, channels, rank, scale, zero, subgraph, length = r.take(w.OPERAND)
        dims = r.words(rank)
        quant = None
        if channels:
            dim, count = r.take(PAIR)
            scales = np.frombuffer(r.bytes(4 * count), "<f4")
            quant = ChannelQuant(dim, tuple(float(s) for s in scales))
        code = OperandCode(type_) if type_ in {c.value for c in OperandCode} else type_
        made.append(
            Operand(code, dims, scale, zero, Lifetime(lifetime), r.bytes(length), subgraph, quant)
        )
    listed = []
    for _ in range(operations):
        code, ins, outs = r.take(w.OPERATION)
        row = r.words(ins + outs)
        listed.append(Operation(code, row[:ins], row[ins:]))
    return Graph(tuple(made), tuple(listed), r.words(inputs), r.words(outputs))


def _set(data: bytes, main: Graph) -> Execution:
    r = _Reader(data)
    told, inputs, outputs = r.take(w.SET)
    arrays: list[np.ndarray | None] = []
    for at in range(inputs):
        omitted, rank, _, length = r.take(w.ARGUMENT)
        dims = r.words(rank)
        value = r.bytes(length)
        if omitted:
            arrays.append(None)
            continue
        kind = DTYPE[OperandCode(main.operands[main.inputs[at]].type)]
        arrays.append(np.frombuffer(value, kind).reshape(dims))
    dims_of, sizes = [], []
    for _ in range(outputs):
        _, rank, _, length = r.take(w.ARGUMENT)
        dims_of.append(r.words(rank))
        sizes.append(length)
    return Execution(tuple(arrays), tuple(dims_of), tuple(sizes), bool(told))


def read_answer(folder: Path, case: Case) -> Answer | None:
    """Return the saved answer of a case; None if it has none. Raises KitError if it is damaged."""
    if not (folder / "expected").exists():
        return None
    rows = []
    try:
        for number in range(len(case.sets)):
            place = folder / "expected" / f"set{number}"
            row = []
            for at in range(len(case.model.main.outputs)):
                exempt = place / f"output{at}.exempt.npy"
                distribution, kind = place / f"output{at}.law.npy", place / f"output{at}.kind.txt"
                row.append(
                    Expected(
                        np.load(place / f"output{at}.npy"),
                        np.load(place / f"output{at}.bound.npy"),
                        np.load(exempt) if exempt.exists() else None,
                        OutputKind(kind.read_text().strip() if kind.exists() else ""),
                        np.load(distribution) if distribution.exists() else None,
                    )
                )
            rows.append(tuple(row))
    except (OSError, ValueError) as error:
        raise KitError(f"the expected values in {folder} cannot be read: {error}") from error
    return Answer(tuple(rows), source=Source.SAVED)
