"""The locks of leases: in a place that is this user's own, and no link is followed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nnapi_testkit.targets.adb import locks
from nnapi_testkit.targets.adb.locks import lock_folder, open_lock
from nnapi_testkit.targets.base import TargetError


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A user's runtime folder and the folder for temporary files."""
    runtime, temporary = tmp_path / "run", tmp_path / "tmp"
    runtime.mkdir(mode=0o700)
    temporary.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    real = Path.lstat
    # There may be a runtime folder of whoever runs the tests.
    monkeypatch.setattr(
        Path,
        "lstat",
        lambda self: real(Path("/nowhere") if str(self).startswith("/run/user/") else self),
    )
    return runtime, temporary


def test_the_runtime_folder_comes_first(places: tuple[Path, Path]) -> None:
    runtime, temporary = places
    with open_lock("a.lock") as file:
        file.write("1")
    assert (runtime / locks.NAME / "a.lock").read_text() == "1"
    assert list(temporary.iterdir()) == []


def test_a_runtime_folder_that_others_may_write_is_not_used(places: tuple[Path, Path]) -> None:
    runtime, temporary = places
    runtime.chmod(0o777)
    assert lock_folder().parent == temporary
    assert lock_folder().stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("kind", ["link", "file", "mode", "owner"])
def test_a_folder_of_somebody_else_is_refused(
    places: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    runtime, temporary = places
    runtime.rmdir()
    folder = temporary / f"{locks.NAME}-{os.getuid()}"
    if kind == "link":
        (tmp_path / "theirs").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "theirs")
    elif kind == "file":
        folder.write_text("")
    else:
        folder.mkdir(mode=0o700)
    if kind == "mode":
        folder.chmod(0o770)
    if kind == "owner":
        folder.rmdir()
        own = os.getuid()
        (temporary / f"{locks.NAME}-{own + 1}").mkdir(mode=0o700)
        monkeypatch.setattr(os, "getuid", lambda: own + 1)
    with pytest.raises(TargetError, match="the folder for locks"):
        open_lock("a.lock")
    assert not (tmp_path / "theirs" / "a.lock").exists()


@pytest.mark.parametrize("kind", ["symbolic", "hard", "fifo", "folder"])
def test_no_link_is_followed(places: tuple[Path, Path], tmp_path: Path, kind: str) -> None:
    precious = tmp_path / "precious"
    precious.write_text("keep me")
    path = lock_folder() / "a.lock"
    if kind == "symbolic":
        path.symlink_to(precious)
    elif kind == "hard":
        path.hardlink_to(precious)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(TargetError, match="the lock file"):
        open_lock("a.lock")
    assert precious.read_text() == "keep me"
