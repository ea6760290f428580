"""Reads what an ELF file says of itself: header, segments, dynamic section, notes, symbols."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from nnapi_testkit.errors import KitError

__all__ = ["Elf", "Note", "Segment", "read_elf"]

PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE, PT_TLS = 1, 2, 3, 4, 7
DT_NEEDED, DT_STRTAB, DT_SYMTAB = 1, 5, 6
DT_HASH = 4


@dataclass(frozen=True)
class Segment:
    """One program header; sizes and addresses in bytes."""

    kind: int
    flags: int
    offset: int
    address: int
    file_size: int
    memory_size: int
    alignment: int


@dataclass(frozen=True)
class Note:
    """One ELF note."""

    name: str
    kind: int
    value: bytes


@dataclass(frozen=True)
class Elf:
    """An executable or shared library.

    `undefined` holds the names of the symbols it takes from others, `defined` those it offers;
    `kind` is `e_type` (3: position independent) and `bits` 32 or 64.
    """

    bits: int
    machine: int
    kind: int
    entry: int
    segments: tuple[Segment, ...]
    interpreter: str
    needed: tuple[str, ...]
    notes: tuple[Note, ...]
    undefined: frozenset[str]
    defined: frozenset[str]

    @property
    def loads(self) -> tuple[Segment, ...]:
        """The segments that are mapped."""
        return tuple(s for s in self.segments if s.kind == PT_LOAD)

    @property
    def has_tls(self) -> bool:
        """Whether it has thread-local storage of its own."""
        return any(s.kind == PT_TLS for s in self.segments)


def read_elf(path: Path) -> Elf:
    """Read a little-endian ELF file. Raises KitError when it is none."""
    try:
        return _parse(path.read_bytes())
    except OSError as error:
        raise KitError(f"{path} cannot be read: {error.strerror}") from error
    except (struct.error, IndexError, ValueError) as error:
        raise KitError(f"{path} is not a little-endian ELF file: {error}") from error


def _parse(data: bytes) -> Elf:
    if data[:4] != b"\x7fELF" or data[5] != 1:
        raise ValueError("wrong magic or byte order")
    wide = data[4] == 2
    kind, machine = struct.unpack_from("<HH", data, 16)
    if wide:
        entry, table = struct.unpack_from("<QQ", data, 24)
        size, count = struct.unpack_from("<HH", data, 54)
    else:
        entry, table = struct.unpack_from("<II", data, 24)
        size, count = struct.unpack_from("<HH", data, 42)
    segments = tuple(_segment(data, table + i * size, wide) for i in range(count))
    interpreter = ""
    notes: list[Note] = []
    dynamic: list[tuple[int, int]] = []
    for segment in segments:
        part = data[segment.offset : segment.offset + segment.file_size]
        if segment.kind == PT_INTERP:
            interpreter = part.rstrip(b"\0").decode()
        elif segment.kind == PT_NOTE:
            notes += _notes(part)
        elif segment.kind == PT_DYNAMIC:
            dynamic = list(struct.iter_unpack("<qQ" if wide else "<iI", part))
    values = dict(dynamic)
    strings = _offset(segments, values[DT_STRTAB]) if DT_STRTAB in values else 0
    undefined, defined = _symbols(data, segments, values, strings, wide)
    return Elf(
        bits=64 if wide else 32,
        machine=machine,
        kind=kind,
        entry=entry,
        segments=segments,
        interpreter=interpreter,
        needed=tuple(_string(data, strings + at) for tag, at in dynamic if tag == DT_NEEDED),
        notes=tuple(notes),
        undefined=undefined,
        defined=defined,
    )


def _segment(data: bytes, at: int, wide: bool) -> Segment:
    if wide:
        kind, flags, offset, address, _, stored, used, align = struct.unpack_from(
            "<IIQQQQQQ", data, at
        )
    else:
        kind, offset, address, _, stored, used, flags, align = struct.unpack_from(
            "<IIIIIIII", data, at
        )
    return Segment(kind, flags, offset, address, stored, used, align)


def _notes(data: bytes) -> list[Note]:
    notes = []
    at = 0
    while at + 12 <= len(data):
        name_size, value_size, kind = struct.unpack_from("<III", data, at)
        at += 12
        name = data[at : at + name_size].rstrip(b"\0").decode()
        at += -(-name_size // 4) * 4
        notes.append(Note(name, kind, data[at : at + value_size]))
        at += -(-value_size // 4) * 4
    return notes


def _offset(segments: tuple[Segment, ...], address: int) -> int:
    for segment in segments:
        if segment.kind == PT_LOAD and 0 <= address - segment.address < segment.file_size:
            return address - segment.address + segment.offset
    raise ValueError(f"address {address:#x} is in no segment")


def _string(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode()


def _symbols(
    data: bytes, segments: tuple[Segment, ...], values: dict[int, int], strings: int, wide: bool
) -> tuple[frozenset[str], frozenset[str]]:
    """The dynamic symbols; their number is that of the SysV hash table's chains."""
    undefined: set[str] = set()
    defined: set[str] = set()
    if DT_SYMTAB in values and DT_HASH in values:
        table = _offset(segments, values[DT_SYMTAB])
        (count,) = struct.unpack_from("<I", data, _offset(segments, values[DT_HASH]) + 4)
        for i in range(1, count):
            if wide:
                name, _, _, section = struct.unpack_from("<IBBH", data, table + i * 24)
            else:
                name, _, _, _, _, section = struct.unpack_from("<IIIBBH", data, table + i * 16)
            (undefined if section == 0 else defined).add(_string(data, strings + name))
    return frozenset(undefined), frozenset(defined)
