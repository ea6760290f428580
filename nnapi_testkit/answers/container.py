"""The container of one operation's goldens: an index and raw bytes.

    "NNGOLD02" | u32 index length | u32 crc32 of index | index (JSON, zlib) | payload

The index maps a case id to [hash, offset, length, crc32, outputs], where length and checksum are of
the answer's bytes as they are stored: one zlib stream each, so that one is read alone. `outputs`
are for each input set a list of [dims, value type, flags]; of a contested case they are an object
that gives this for each reading by its name, null where who reads so refuses the model, and the
bytes of the readings follow one another. An output's bytes are its values, then (flag 1) bounds as
int16, then (flag 2) a bit mask of exempt elements, then (flag 4) the distribution of draws as
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
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from nnapi_testkit.answers.stale import moved
from nnapi_testkit.errors import KitError
from nnapi_testkit.model.case import Answer, Expected
from nnapi_testkit.model.kinds import Source
from nnapi_testkit.spec.kinds import OutputKind

MAGIC = b"NNGOLD02"
# Far above any index or answer: what unpacks to more was not written by this kit.
MOST_BYTES = 64 << 20
SUFFIX = ".golden"
_ZERO = -32768
_BOUNDS, _EXEMPT, _DISTRIBUTION = 1, 2, 4
# Values are kept in the smallest type that is off by less than this share of the bound.
_LOSS = 2.0**-12
# 2 ** (n / 8) for n from 0 to 8, written out: `exp2` and `log2` differ between processors.
_EIGHTHS = np.array(
    [
        1.0,
        1.0905077326652577,
        1.189207115002721,
        1.2968395546510096,
        1.4142135623730951,
        1.5422108254079407,
        1.681792830507429,
        1.8340080864093424,
        2.0,
    ]
)
Sets = tuple[tuple[Expected, ...], ...]
Layout = list[Any] | dict[str, Any]
_TYPES = {kind: np.dtype(kind) for kind in ("i1", "<i2", "<i4", "<f4", "<f8")}


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
        self._last: tuple[str, Answer] = "", Answer(())
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
        # A checksum says that the bytes are as they were written, not by whom.
        try:
            self.index: dict[str, list[Any]] = json.loads(_unpacked(text).decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise _corrupt(path, "its index is no JSON") from error
        if not isinstance(self.index, dict) or not all(map(_is_entry, self.index.values())):
            raise _corrupt(path, "its index is of another form")

    def hash_of(self, case_id: str) -> str:
        """The hash of the case this answer was computed for."""
        return str(self.index[case_id][0])

    def unmoved(self, case_id: str, digest: str, live: Answer) -> bool:
        """Whether the stored answer still answers a case with this hash."""
        known = case_id in self.index and self.hash_of(case_id) == digest
        return known and not moved(self.answer(case_id), live)

    def blob(self, case_id: str) -> tuple[Layout, bytes]:
        """The layout and bytes of an answer, checked against its checksum."""
        _, offset, length, crc, outputs = self.index[case_id]
        data = self._bytes[self._start + offset : self._start + offset + length]
        if len(data) != length or zlib.crc32(data) != crc:
            raise _corrupt(self.path, f"answer of {case_id}")
        try:
            return outputs, _unpacked(data)
        except ValueError as error:
            raise _corrupt(self.path, f"answer of {case_id}") from error

    def answer(self, case_id: str) -> Answer:
        """The stored answer. Raises CorruptGolden if the bytes are none."""
        # Cases that share an answer follow one another.
        if self._last[0] != case_id:
            self._last = case_id, self._read(case_id)
        return self._last[1]

    def _read(self, case_id: str) -> Answer:
        outputs, data = self.blob(case_id)
        try:
            answer, read = _answer(outputs, data)
        except (ValueError, TypeError, IndexError, OverflowError, MemoryError) as error:
            raise _corrupt(self.path, f"answer of {case_id} is of another form") from error
        if read != len(data):
            raise _corrupt(self.path, f"answer of {case_id} has bytes to spare")
        return answer


def _unpacked(data: bytes) -> bytes:
    """The content of a zlib stream. Raises ValueError if it is none, or unpacks to too much."""
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(data, MOST_BYTES)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not stream.eof or stream.unused_data:
        raise ValueError("not one whole zlib stream")
    return content


def _is_entry(entry: object) -> bool:
    """Whether it is [hash, offset, length, crc32, outputs]."""
    return (
        isinstance(entry, list)
        and len(entry) == 5
        and isinstance(entry[0], str)
        and all(type(number) is int and number >= 0 for number in entry[1:4])
        and isinstance(entry[4], (list, dict))
    )


def _answer(outputs: Layout, data: bytes) -> tuple[Answer, int]:
    """An answer by its layout, and how many bytes it takes."""
    if isinstance(outputs, list):
        sets, position = _sets(outputs, data, 0)
        return Answer(sets, Source.GOLDEN), position
    position = 0
    readings: list[tuple[str, Sets | None]] = []
    for name, layout in outputs.items():
        told = None
        if layout is not None:
            told, position = _sets(layout, data, position)
        readings.append((name, told))
    computed = [told for _, told in readings if told is not None]
    return Answer(computed[-1], Source.GOLDEN, readings=tuple(readings)), position


def _sets(outputs: list[Any], data: bytes, position: int) -> tuple[Sets, int]:
    """The answer of one reading, and where its bytes end."""
    sets = []
    for group in outputs:
        found = []
        for dims, kind, flags, *how in group:
            for n in dims:
                if type(n) is not int or n < 0:
                    raise ValueError("no layout")
            if kind not in _TYPES:
                raise ValueError("no layout")
            expected, position = _unpack(data, position, tuple(dims), kind, flags)
            if flags & _DISTRIBUTION:
                distribution, position = _distribution(data, position, (2, *dims[:-1], how[1]))
                expected = replace(expected, distribution=distribution)
            found.append(replace(expected, kind=OutputKind(how[0])) if how else expected)
        sets.append(tuple(found))
    return tuple(sets), position


def pack(answer: Answer) -> tuple[Layout, bytes]:
    """The layout and bytes of an answer."""
    if not answer.readings:
        return _pack_sets(answer.sets)
    layout: dict[str, Any] = {}
    parts: list[bytes] = []
    for name, sets in answer.readings:
        layout[name], data = (None, b"") if sets is None else _pack_sets(sets)
        parts.append(data)
    return layout, b"".join(parts)


def _pack_sets(sets: Sets) -> tuple[list[Any], bytes]:
    layout: list[Any] = []
    parts: list[bytes] = []
    for group in sets:
        row = []
        for expected in group:
            kind = _value_type(expected)
            flags = 0
            if expected.distribution is None:
                parts.append(expected.value.astype(kind).tobytes())
            if expected.bound.any():
                flags |= _BOUNDS
                parts.append(_pack_bounds(expected.bound))
            if expected.exempt is not None:
                flags |= _EXEMPT
                parts.append(np.packbits(expected.exempt).tobytes())
            how: list[Any] = [expected.kind.value] if expected.kind != OutputKind.EACH else []
            if expected.distribution is not None:
                flags |= _DISTRIBUTION
                parts.append(expected.distribution.astype("<f8").tobytes())
                how.append(expected.distribution.shape[-1])
            row.append([list(expected.value.shape), kind, flags, *how])
        layout.append(row)
    return layout, b"".join(parts)


def _holds(path: Path, entries: dict[str, tuple[str, Layout, bytes]]) -> bool:
    """Whether a file holds just these answers."""
    try:
        kept = Container(path)
        return kept.index.keys() == entries.keys() and all(
            kept.hash_of(case_id) == digest
            and kept.blob(case_id) == (json.loads(json.dumps(layout)), content)
            for case_id, (digest, layout, content) in entries.items()
        )
    except KitError:
        return False


def write(path: Path, entries: dict[str, tuple[str, Layout, bytes]]) -> bool:
    """Write a container whole or not at all; False if the file already holds just this.

    Args:
        entries: for each case id its hash, layout and bytes.
    """
    if path.exists() and _holds(path, entries):
        return False  # zlib's versions pack the same content into other bytes
    index: dict[str, list[Any]] = {}
    payload: list[bytes] = []
    offset = 0
    for case_id, (digest, layout, content) in sorted(entries.items()):
        data = zlib.compress(content, 9)
        index[case_id] = [digest, offset, len(data), zlib.crc32(data), layout]
        payload.append(data)
        offset += len(data)
    text = zlib.compress(json.dumps(index, separators=(",", ":")).encode(), 9)
    head = MAGIC + struct.pack("<II", len(text), zlib.crc32(text))
    whole = b"".join((head, text, *payload))
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
    for kind in list(_TYPES)[:-1]:
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
    return list(_TYPES)[-1]


def _pack_bounds(bound: np.ndarray[Any, np.dtype[np.float64]]) -> bytes:
    # bound = share * 2 ** power, and share lies in [1/2, 1).
    share, power = np.frexp(bound)
    steps = (power - 1) * 8 + np.searchsorted(_EIGHTHS, share * 2)
    return np.where(bound > 0, steps, _ZERO).astype("<i2").tobytes()


@cache
def _bound_of_each() -> np.ndarray[Any, np.dtype[np.float64]]:
    """The bound of each code, by its bits as uint16."""
    codes = np.arange(1 << 16, dtype=np.uint16).view(np.int16)
    steps = codes.astype(np.int64)
    with np.errstate(over="ignore"):
        bounds = np.ldexp(_EIGHTHS[steps % 8], steps // 8)
    return np.where(codes == _ZERO, 0.0, bounds)


def _distribution(
    data: bytes, position: int, shape: tuple[int, ...]
) -> tuple[np.ndarray[Any, np.dtype[np.float64]], int]:
    count = math.prod(shape)
    distribution = np.frombuffer(data, dtype="<f8", count=count, offset=position)
    return distribution.astype(np.float64).reshape(shape), position + 8 * count


def _unpack(
    data: bytes, position: int, dims: tuple[int, ...], kind: str, flags: int
) -> tuple[Expected, int]:
    count = math.prod(dims)
    if flags & _DISTRIBUTION:
        value = np.zeros(count)
    else:
        dtype = _TYPES[kind]
        value = np.frombuffer(data, dtype=dtype, count=count, offset=position).astype(np.float64)
        position += count * dtype.itemsize
    if flags & _BOUNDS:
        codes = np.frombuffer(data, dtype="<u2", count=count, offset=position)
        position += 2 * count
        bound = _bound_of_each()[codes]
    else:
        bound = np.zeros(count)
    exempt = None
    if flags & _EXEMPT:
        size = (count + 7) // 8
        mask = np.frombuffer(data, dtype=np.uint8, count=size, offset=position)
        exempt = np.unpackbits(mask, count=count).astype(bool).reshape(dims)
        position += size
    return Expected(value.reshape(dims), bound.reshape(dims), exempt), position
