"""Copies of the driver, each loaded with its own environment: it reads variables only once."""

from __future__ import annotations

import ctypes
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.driver.capi import Library

Loader = Callable[..., Library]


@pytest.fixture
def load(
    request: pytest.FixtureRequest,
    driver_library: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Loader:
    """load(text) gives a driver that offers the devices described by the text as well; its log is
    on, so that `capfd` sees what it decided. The mark `documented` goes for it too."""
    documented = request.node.get_closest_marker("documented") is not None

    def loader(text: str = "", *, path: Path | None = None) -> Library:
        number = len(list(tmp_path.glob("driver-*.so")))
        copy = tmp_path / f"driver-{number}.so"
        shutil.copy(driver_library, copy)
        if path is None:
            path = tmp_path / f"devices-{number}.ini"
            path.write_text(text)
        with monkeypatch.context() as during:
            during.setenv("NNAPI_REFERENCE_DEVICES", str(path))
            during.setenv("NNAPI_TESTKIT_LOG", "1")
            if documented:
                during.setenv("NNAPI_REFERENCE_READINGS", "documented")
            library = Library(copy)
            library.getDevice(0, None)  # is refused, and that is logged: the variable is read
            library.getDeviceCount(ctypes.byref(ctypes.c_uint32()))
        return library

    return loader
