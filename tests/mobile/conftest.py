"""A process with the driver that all tests of this folder share."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest

from nnapi_testkit.mobile.runtime import Runtime, library_of
from nnapi_testkit.oracle.threads import one_thread


@pytest.fixture(scope="session")
def runtime() -> Iterator[Runtime]:
    with Runtime(library_of("host"), timeout=120) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """One thread; and PyTorch announces the end of its quantized tensors at every use."""
    with warnings.catch_warnings(), one_thread():
        warnings.simplefilter("ignore")
        yield
