"""Files of the user's cache: read whole and undamaged, or not at all; written the same way."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

__all__ = ["forget_old", "read", "write"]

_CHECKSUM = 32  # bytes
_OTHERS = 0o022  # who may write besides the owner


def read(place: Path) -> bytes:
    """Return what was kept. Raises OSError without it, ValueError if it is damaged or not ours."""
    with open(os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
        facts = os.fstat(stream.fileno())
        if facts.st_uid not in (os.geteuid(), 0) or facts.st_mode & _OTHERS:
            raise ValueError("another user may have written it")
        checksum, data = stream.read(_CHECKSUM), stream.read()
    if blake2b(data, digest_size=_CHECKSUM).digest() != checksum:
        raise ValueError("damaged")
    return data


def write(place: Path, data: bytes) -> None:
    """Keep it: whole or not at all, whoever else writes it now. Raises OSError."""
    place.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".new-", dir=place.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(blake2b(data, digest_size=_CHECKSUM).digest() + data)
        os.replace(temporary, place)
    except BaseException:
        os.unlink(temporary)
        raise


def forget_old(place: Path, pattern: str, most: int, forget: Callable[[Path], None]) -> None:
    """Keep this and the newest of what matches beside it, `most` in all."""

    def written(path: Path) -> float:
        with suppress(OSError):
            return path.stat().st_mtime
        return 0.0  # another process has forgotten it

    others = [path for path in place.parent.glob(pattern) if path != place]
    for path in sorted(others, key=written, reverse=True)[most - 1 :]:
        forget(path)
