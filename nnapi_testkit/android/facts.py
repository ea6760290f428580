"""What must be true of a runner before it goes to a device."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from nnapi_testkit.android.abis import API_LEVEL, PAGE_SIZE, Abi
from nnapi_testkit.android.elf import Elf

__all__ = ["LIBRARIES", "complaints"]

# What every Android has; libneuralnetworks.so is opened at run time.
LIBRARIES = ("libc.so", "libdl.so")
POSITION_INDEPENDENT = 3
WRITABLE, EXECUTABLE = 2, 1


def complaints(elf: Elf, abi: Abi, known: frozenset[str]) -> list[str]:
    """Return one line for each fact that does not hold; empty when the runner is sound.

    Args:
        elf: the runner.
        abi: what it was built for.
        known: the symbols it may take from Android (`symbols.txt`).
    """
    return [*_of_file(elf, abi), *_of_segments(elf), *_of_android(elf, known)]


def _of_file(elf: Elf, abi: Abi) -> Iterator[str]:
    if (elf.bits, elf.machine) != (abi.bits, abi.machine):
        yield f"is for machine {elf.machine} with {elf.bits} bits"
    if elf.kind != POSITION_INDEPENDENT or not elf.entry:
        yield "is not a position-independent executable"
    if elf.interpreter != abi.interpreter:
        yield f"asks for the loader {elf.interpreter!r}, not {abi.interpreter}"
    if not set(elf.needed) <= set(LIBRARIES) or "libc.so" not in elf.needed:
        yield f"needs {', '.join(elf.needed) or 'no library'}"


def _of_segments(elf: Elf) -> Iterator[str]:
    for segment in elf.loads:
        if segment.alignment < PAGE_SIZE or segment.alignment % PAGE_SIZE:
            yield f"has a segment aligned to {segment.alignment}, not to {PAGE_SIZE}"
        if (segment.address - segment.offset) % segment.alignment:
            yield f"has a segment at {segment.address:#x} off its alignment"
        if segment.flags & WRITABLE and segment.flags & EXECUTABLE:
            yield "has a segment that is writable and executable"
    if elf.has_tls:
        yield "has thread-local storage, which needs API 29"


def _of_android(elf: Elf, known: frozenset[str]) -> Iterator[str]:
    levels = [
        struct.unpack_from("<I", note.value)[0]
        for note in elf.notes
        if note.name == "Android" and note.kind == 1 and len(note.value) >= 4
    ]
    if levels != [API_LEVEL]:
        yield f"has Android notes for API {levels}, not one for {API_LEVEL}"
    if not elf.undefined:
        yield "takes no symbol from Android, not even libc's start"
    foreign = sorted(elf.undefined - known)
    if foreign:
        yield f"uses {', '.join(foreign)}, which symbols.txt does not list"
