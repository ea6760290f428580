"""The sync service: stat, list, send and receive files, versions 1 and 2."""

from __future__ import annotations

import contextlib
import os
import stat
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

from nnapi_testkit.loopback.packets import Stream

__all__ = ["serve_files"]

REQUEST = struct.Struct("<4sI")
STAT_2 = struct.Struct("<IQQIIIIQqqq")
CHUNK = 64 * 1024


class _Reader:
    """Exact counts of bytes out of a stream."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._pending = bytearray()

    def take(self, count: int) -> bytes:
        while len(self._pending) < count:
            data = self._stream.read()
            if not data:
                raise EOFError
            self._pending += data
        taken = bytes(self._pending[:count])
        del self._pending[:count]
        return taken


def serve_files(
    stream: Stream, place: Callable[[str], Path], push_error: str, noexec: Sequence[Path] = ()
) -> None:
    """Answer requests until the host quits.

    Args:
        place: where a path of the device lies.
        push_error: the reason every push fails with; empty for none.
        noexec: folders whose files cannot be executed, whatever their mode.
    """

    def mode_at(path: Path, mode: int) -> int:
        return mode & ~0o111 if any(path.is_relative_to(folder) for folder in noexec) else mode

    reader = _Reader(stream)
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            word, length = REQUEST.unpack(reader.take(REQUEST.size))
            if word == b"QUIT":
                return
            path = reader.take(length).decode("utf-8", "replace")
            if word == b"STAT":
                stream.write(b"STAT" + struct.pack("<III", *_stat_1(place(path))))
            elif word in (b"STA2", b"LST2"):
                stream.write(word + _stat_2(place(path), follow=word == b"STA2"))
            elif word in (b"LIST", b"LIS2"):
                stream.write(_listing(place(path), version_2=word == b"LIS2"))
            elif word == b"SEND":
                name, _, mode = path.rpartition(",")
                where = place(name)
                _receive(stream, reader, where, mode_at(where, int(mode or "0")), push_error)
            elif word == b"SND2":
                _, mode_2, _ = struct.unpack("<4sII", reader.take(12))
                where = place(path)
                _receive(stream, reader, where, mode_at(where, mode_2), push_error)
            elif word in (b"RECV", b"RCV2"):
                if word == b"RCV2":
                    reader.take(8)
                _send(stream, place(path))
            else:
                stream.write(_fail(f"unknown request {word!r}"))
                return


def _fail(reason: str) -> bytes:
    text = reason.encode()
    return b"FAIL" + struct.pack("<I", len(text)) + text


def _stat_1(path: Path) -> tuple[int, int, int]:
    try:
        found = path.lstat()
    except OSError:
        return 0, 0, 0
    return found.st_mode, found.st_size & 0xFFFFFFFF, int(found.st_mtime) & 0xFFFFFFFF


def _stat_2(path: Path, *, follow: bool) -> bytes:
    try:
        found = path.stat() if follow else path.lstat()
    except OSError as error:
        return STAT_2.pack(error.errno or 1, *(0,) * 10)
    return STAT_2.pack(
        0,
        found.st_dev,
        found.st_ino,
        found.st_mode,
        found.st_nlink,
        found.st_uid,
        found.st_gid,
        found.st_size,
        int(found.st_atime),
        int(found.st_mtime),
        int(found.st_ctime),
    )


def _listing(folder: Path, *, version_2: bool) -> bytes:
    out = b""
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    for name in names:
        encoded = name.encode()
        if version_2:
            out += b"DNT2" + _stat_2(folder / name, follow=False)
        else:
            out += b"DENT" + struct.pack("<III", *_stat_1(folder / name))
        out += struct.pack("<I", len(encoded)) + encoded
    return out + b"DONE" + bytes(STAT_2.size + 4 if version_2 else 16)


def _receive(stream: Stream, reader: _Reader, path: Path, mode: int, push_error: str) -> None:
    problem = push_error
    parts: list[bytes] = []
    while True:
        word, length = REQUEST.unpack(reader.take(REQUEST.size))
        if word == b"DONE":
            break
        if word != b"DATA" or length > CHUNK:
            stream.write(_fail("invalid data message"))
            return
        parts.append(reader.take(length))
    if not problem:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if stat.S_ISLNK(mode):
                path.symlink_to(b"".join(parts).decode())
            else:
                path.write_bytes(b"".join(parts))
                path.chmod(mode & 0o777)
        except OSError as error:
            problem = f"couldn't create file: {error.strerror}"
    stream.write(_fail(problem) if problem else b"OKAY" + bytes(4))


def _send(stream: Stream, path: Path) -> None:
    try:
        content = path.read_bytes()
    except OSError as error:
        stream.write(_fail(f"open failed: {error.strerror}"))
        return
    out = b"".join(
        b"DATA" + struct.pack("<I", len(content[at : at + CHUNK])) + content[at : at + CHUNK]
        for at in range(0, len(content), CHUNK)
    )
    # One write: data and end apart would wait for each other's acknowledgement.
    stream.write(out + b"DONE" + bytes(4))
