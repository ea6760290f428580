"""Cases judged on the bundled driver, and on wrong ones made from its answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nnapi_testkit.targets.local import host_target
from tests.cases.wrong_drivers import Judged


@pytest.fixture(scope="module")
def judged() -> Iterator[Judged]:
    with host_target().open() as runner:
        yield Judged(runner)
