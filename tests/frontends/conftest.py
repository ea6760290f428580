"""What the tests of all front ends share: a runner of the bundled driver, and quiet."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest

from nnapi_testkit.targets import parse_target
from nnapi_testkit.targets.base import Runner


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with parse_target("host").open() as opened:
        yield opened


@pytest.fixture
def quiet() -> Iterator[None]:
    """PyTorch's exporters warn of themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
