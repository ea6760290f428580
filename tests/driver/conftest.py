"""The reference driver that the tests of this folder call."""

from __future__ import annotations

import os
import shutil
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
def field_library(driver_library: Path) -> Library:
    """The loaded driver, which computes and refuses as devices that ship do."""
    return Library(driver_library)


@pytest.fixture(scope="session")
def documented_library(driver_library: Path, tmp_path_factory: pytest.TempPathFactory) -> Library:
    """A copy of the driver that follows the letter of the documentation."""
    with pytest.MonkeyPatch.context() as during:
        during.setenv("NNAPI_REFERENCE_READINGS", "documented")
        copy = tmp_path_factory.mktemp("documented") / "driver.so"
        shutil.copy(driver_library, copy)
        return Library(copy)


@pytest.fixture
def lib(request: pytest.FixtureRequest) -> Library:
    """The driver; with the mark `documented`, the one that follows the documentation."""
    documented = request.node.get_closest_marker("documented") is not None
    library: Library = request.getfixturevalue(
        "documented_library" if documented else "field_library"
    )
    return library


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Frees what a test has left, so that leak checkers see only leaks."""
    yield
    Handle.free_all()
