"""Where the files lie whose locks say which process has leased a device.

All processes of a user have to find the same place. The user's runtime folder is safe by itself;
the folder for temporary files is everybody's, so what is found there is looked at before it is
used, and no link in it is followed: another user could have made either.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from nnapi_testkit.targets.base import TargetError

__all__ = ["lock_folder", "open_lock"]

NAME = "nnapi-testkit-leases"


def open_lock(name: str) -> IO[str]:
    """Open the file of a lock, making it if it is missing; its content stays.

    Raises TargetError where it cannot be opened, or is not this user's own.
    """
    path = lock_folder() / name
    try:
        descriptor = os.open(
            path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
    except OSError as error:
        what = "it is a link" if path.is_symlink() else os.strerror(error.errno or 0)
        raise TargetError(f"the lock file {path} cannot be used ({what}): remove it") from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid() or found.st_nlink != 1:
        os.close(descriptor)
        raise TargetError(f"the lock file {path} is not this user's own: remove it")
    return os.fdopen(descriptor, "a+", encoding="utf-8")


def lock_folder() -> Path:
    """Return the folder of locks, making it if it is missing.

    Raises TargetError where others may write into it.
    """
    for parent in _runtime_folders():
        folder = parent / NAME
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, exist_ok=True)
            if not _unsafe(folder):
                return folder
    folder = Path(tempfile.gettempdir()) / f"{NAME}-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        why = _unsafe(folder)
    except OSError as error:
        why = f"cannot be made ({os.strerror(error.errno or 0)})"
    if why:
        raise TargetError(
            f"the folder for locks {folder} {why}: have it removed, or set XDG_RUNTIME_DIR to a"
            " folder of your own"
        )
    return folder


def _runtime_folders() -> Iterator[Path]:
    # A session started by cron or ssh may not be told of the folder that it has.
    for text in (os.environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{os.getuid()}"):
        if text.startswith("/") and not _unsafe(Path(text)):
            yield Path(text)


def _unsafe(folder: Path) -> str:
    """Return why others may write into a folder; "" if only this user may."""
    try:
        found = folder.lstat()
    except OSError as error:
        return f"cannot be looked at ({os.strerror(error.errno or 0)})"
    if not stat.S_ISDIR(found.st_mode):
        return "is no folder"
    if found.st_uid != os.getuid():
        return f"belongs to another user ({found.st_uid})"
    if found.st_mode & 0o022:
        return f"may be written by others (mode {stat.S_IMODE(found.st_mode):03o})"
    return ""
