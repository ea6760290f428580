"""The container of one operation's goldens: an index and raw bytes.

    "NNGOLD01" | u32 index length | u32 crc32 of index | index (JSON) | payload

The index maps a case id to [hash, offset, length, crc32, outputs], `outputs` being for each
input set a list of [dims, value type, flags]. An output's bytes are its values, then (flag 1)
bounds as int16, then (flag 2) a bit mask of exempt elements, then (flag 4) the law of draws as
float64. Without flag 1 all bounds are 0. A layout ends with the kind of an output that has one.

A bound is stored as ceil(8 log2 bound), so it is read back at most 9 % looser and never
tighter; -32768 stands for 0.
"""

from __future__ import annotations

import json
import math
import os
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nnapi_testkit.answers.stale import moved
from nnapi_testkit.errors import KitError
from nnapi_testkit.model.case import Answer, Expected

MAGIC = b"NNGOLD01"
SUFFIX = ".golden"
_ZERO = -32768
_BOUNDS, _EXEMPT, _LAW = 1, 2, 4
# Values are kept in the smallest type that is off by less than this share of the bound.
_LOSS = 2.0**-12
_TYPES = ("i1", "<i2", "<i4", "<f4", "<f8")


class CorruptGolden(KitError):
    """A golden file is damaged; the message names it."""


def _corrupt(path: Path, what: str) -> CorruptGolden:
    return CorruptGolden(
        f"golden {path.name} is damaged ({what}): restore it from version control, or delete it"
        " and run nnapi-testkit golden update"
    )


class Container:
    """A golden file, read lazily: the index at once, answers when asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._bytes = path.read_bytes()
        except OSError as error:
            raise KitError(f"golden {path} cannot be read: {error.strerror}") from error
        raw = self._bytes
        if len(raw) < 16 or raw[:8] != MAGIC:
            raise _corrupt(path, "no header")
        length, crc = struct.unpack_from("<II", raw, 8)
        text = raw[16 : 16 + length]
        if len(text) != length or zlib.crc32(text) != crc:
            raise _corrupt(path, "index checksum")
        self._start = 16 + length
        self.index: dict[str, list[Any]] = json.loads(text)

    def hash_of(self, case_id: str) -> str:
        """The hash of the case this answer was computed for."""
        return str(self.index[case_id][0])

    def unmoved(self, case_id: str, digest: str, live: Answer) -> bool:
        """Whether the stored answer still answers a case with this hash."""
        known = case_id in self.index and self.hash_of(case_id) == digest
        return known and not moved(self.answer(case_id), live)

    def blob(self, case_id: str) -> tuple[list[Any], bytes]:
        """The layout and bytes of an answer, checked against its checksum."""
        _, offset, length, crc, outputs = self.index[case_id]
        data = self._bytes[self._start + offset : self._start + offset + length]
        if len(data) != length or zlib.crc32(data) != crc:
            raise _corrupt(self.path, f"answer of {case_id}")
        return outputs, data

    def answer(self, case_id: str) -> Answer:
        """The stored answer."""
        outputs, data = self.blob(case_id)
        position = 0
        sets = []
        for group in outputs:
            found = []
            for dims, kind, flags, *how in group:
                expected, position = _unpack(data, position, tuple(dims), kind, flags)
                if flags & _LAW:
                    law, position = _law(data, position, (2, *dims[:-1], how[1]))
                    expected = replace(expected, law=law)
                found.append(replace(expected, kind=how[0]) if how else expected)
            sets.append(tuple(found))
        return Answer(tuple(sets), "golden")


def pack(answer: Answer) -> tuple[list[Any], bytes]:
    """The layout and bytes of an answer."""
    layout: list[Any] = []
    parts: list[bytes] = []
    for group in answer.sets:
        row = []
        for expected in group:
            kind = _value_type(expected)
            flags = 0
            if expected.law is None:
                parts.append(expected.value.astype(kind).tobytes())
            if expected.bound.any():
                flags |= _BOUNDS
                parts.append(_pack_bounds(expected.bound))
            if expected.exempt is not None:
                flags |= _EXEMPT
                parts.append(np.packbits(expected.exempt).tobytes())
            how: list[Any] = [expected.kind] if expected.kind else []
            if expected.law is not None:
                flags |= _LAW
                parts.append(expected.law.astype("<f8").tobytes())
                how.append(expected.law.shape[-1])
            row.append([list(expected.value.shape), kind, flags, *how])
        layout.append(row)
    return layout, b"".join(parts)


def write(path: Path, entries: dict[str, tuple[str, list[Any], bytes]]) -> bool:
    """Write a container whole or not at all; False if the file already holds just this.

    Args:
        entries: for each case id its hash, layout and bytes.
    """
    index: dict[str, list[Any]] = {}
    payload: list[bytes] = []
    offset = 0
    for case_id, (digest, layout, data) in sorted(entries.items()):
        index[case_id] = [digest, offset, len(data), zlib.crc32(data), layout]
        payload.append(data)
        offset += len(data)
    text = json.dumps(index, separators=(",", ":")).encode()
    head = MAGIC + struct.pack("<II", len(text), zlib.crc32(text))
    whole = b"".join((head, text, *payload))
    if path.exists() and path.read_bytes() == whole:
        return False
    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        partial.write_bytes(whole)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise KitError(f"golden {path} cannot be written: {error.strerror}") from error
    return True


def _value_type(expected: Expected) -> str:
    value, bound = expected.value, expected.bound
    for kind in _TYPES[:-1]:
        with np.errstate(all="ignore"):
            back = value.astype(kind).astype(np.float64)
        if kind[-2] == "i" and not (
            np.isfinite(value).all() and not np.signbit(value[value == 0]).any()
        ):
            continue
        same = (back == value) | (np.isnan(back) & np.isnan(value))
        with np.errstate(invalid="ignore"):  # equal infinities
            if (same | (np.abs(back - value) <= bound * _LOSS)).all():
                return kind
    return _TYPES[-1]


def _pack_bounds(bound: np.ndarray[Any, np.dtype[np.float64]]) -> bytes:
    with np.errstate(divide="ignore"):
        steps = np.ceil(np.log2(bound) * 8)
    codes = np.where(bound > 0, np.clip(steps, _ZERO + 1, 32767), _ZERO)
    return codes.astype("<i2").tobytes()


def _law(
    data: bytes, position: int, shape: tuple[int, ...]
) -> tuple[np.ndarray[Any, np.dtype[np.float64]], int]:
    count = math.prod(shape)
    law = np.frombuffer(data, dtype="<f8", count=count, offset=position)
    return law.astype(np.float64).reshape(shape), position + 8 * count


def _unpack(
    data: bytes, position: int, dims: tuple[int, ...], kind: str, flags: int
) -> tuple[Expected, int]:
    count = math.prod(dims)
    if flags & _LAW:
        value = np.zeros(count)
    else:
        value = np.frombuffer(data, dtype=kind, count=count, offset=position).astype(np.float64)
        position += count * np.dtype(kind).itemsize
    if flags & _BOUNDS:
        codes = np.frombuffer(data, dtype="<i2", count=count, offset=position)
        position += 2 * count
        bound = np.where(codes == _ZERO, 0.0, np.exp2(codes * 0.125))
    else:
        bound = np.zeros(count)
    exempt = None
    if flags & _EXEMPT:
        size = (count + 7) // 8
        mask = np.frombuffer(data, dtype=np.uint8, count=size, offset=position)
        exempt = np.unpackbits(mask, count=count).astype(bool).reshape(dims)
        position += size
    return Expected(value.reshape(dims), bound.reshape(dims), exempt), position
