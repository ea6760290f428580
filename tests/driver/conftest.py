"""The reference driver that the tests of this folder call."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.driver.capi import Handle, Library
from tests.driver.loading import load as load


@pytest.fixture(scope="session")
def driver_library() -> Path:
    """The path of the built driver; NNAPI_TESTKIT_DRIVER overrides the bundled one."""
    chosen = os.environ.get("NNAPI_TESTKIT_DRIVER")
    if chosen:
        path = Path(chosen)
        return path / "libneuralnetworks.so" if path.is_dir() else path
    from nnapi_testkit.paths import driver_library as bundled

    return bundled()


@pytest.fixture(scope="session")
def lib(driver_library: Path) -> Library:
    """The loaded driver."""
    return Library(driver_library)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Frees what a test has left, so that leak checkers see only leaks."""
    yield
    Handle.free_all()
