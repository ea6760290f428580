"""An open runner of the bundled driver."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nnapi_testkit.targets import parse_target
from nnapi_testkit.targets.base import Runner


@pytest.fixture(scope="session")
def runner() -> Iterator[Runner]:
    with parse_target("host").open() as opened:
        yield opened
