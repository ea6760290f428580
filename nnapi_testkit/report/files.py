"""Files that are whole or absent, and a log of whole lines."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path

from nnapi_testkit.closing import Closing
from nnapi_testkit.errors import KitError

__all__ = ["LineLog", "write_whole"]


def write_whole(path: Path, text: str) -> None:
    """Write a file beside its place and move it there: readers see the old one or the new one.

    Raises KitError if it cannot be written; then nothing has changed.
    """
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        # Text of drivers and names of files need not be Unicode; in JSON the escape means the same.
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text)
            stream.flush()
            os.fchmod(stream.fileno(), 0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise _cannot(path, error) from error
    finally:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


class LineLog(Closing):
    """An append-only file in which every line is complete, whatever happens in between.

    Lines are gathered and written in one call; if a call writes only a part (a full disk), the
    file is cut back to its last whole line.
    """

    def __init__(self, path: Path, gather: int = 64, *, descriptor: int | None = None) -> None:
        self.path = path
        self._gather = gather
        self._lines: list[str] = []
        self._size = 0
        if descriptor is not None:  # open already, at its end
            self._descriptor = descriptor
            self._size = os.lseek(descriptor, 0, os.SEEK_CUR)
            return
        try:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        except OSError as error:
            raise _cannot(path, error) from error

    def write(self, line: str) -> None:
        """Append a line. Raises KitError if the disk does not take it."""
        self._lines.append(line)
        if len(self._lines) >= self._gather:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the system. Raises KitError if it does not take it."""
        if not self._lines:
            return
        data = ("\n".join(self._lines) + "\n").encode("utf-8", "backslashreplace")
        self._lines.clear()
        try:
            written = os.write(self._descriptor, data)
            while written < len(data):
                more = os.write(self._descriptor, data[written:])
                if more == 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                written += more
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
                os.lseek(self._descriptor, self._size, os.SEEK_SET)
            raise _cannot(self.path, error) from error
        self._size += len(data)

    def close(self) -> None:
        """Flush and close; may be called twice."""
        if self._descriptor < 0:
            return
        try:
            self.flush()
        finally:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


def _cannot(path: Path, error: OSError) -> KitError:
    cure = {
        errno.ENOSPC: "make room on the disk",
        errno.EDQUOT: "make room in the quota",
        errno.EACCES: "choose a folder you may write to",
        errno.EROFS: "choose a folder you may write to",
        errno.ENOENT: "create its folder first",
    }.get(error.errno or 0, "choose another folder")
    return KitError(f"{path} cannot be written ({error.strerror}): {cure}")
