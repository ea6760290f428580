"""Random graphs over adb: a failing graph of 40 operations is cut down in few round trips."""

from __future__ import annotations

from typing import Any

import pytest

from nnapi_testkit.paths import driver_library
from nnapi_testkit.random_graphs.hunt import Hunt, level_of_device
from nnapi_testkit.spec.codes import OperationCode
from tests.random_graphs.test_shrink import MOST_LEFT, MOST_TRIPS, forty, neighbours, shrunk
from tests.random_graphs.wrong import Wrong, after, alone, crashed

Any_ = Any


@pytest.mark.parametrize("kind", ["alone", "together", "crash"])
def test_forty_operations_become_three_in_under_ten_round_trips(
    start: Any_, target: Any_, kind: str
) -> None:
    device = start(library=driver_library())
    graph = forty(0)
    pair = neighbours(graph.model.main).most_common(1)[0][0]
    spoils = alone(pair[1]) if kind == "alone" else after(*pair)
    with target(device).open() as runner:
        driver = Wrong(runner, spoils, crashed if kind == "crash" else None)
        found, trips = shrunk(graph, driver)
    assert found.first.trial.graph.operations == 40
    assert found.graph.operations <= MOST_LEFT
    assert trips == driver.batches <= MOST_TRIPS < 10


def test_a_hunt_over_adb(start: Any_, target: Any_) -> None:
    device = start(library=driver_library())
    with target(device).open() as runner:
        hunt = Hunt(10, seed=4, most=12, level=level_of_device(runner))
        assert not hunt.run(runner).failed
        report = hunt.run(Wrong(runner, alone(OperationCode.RESHAPE)))  # type: ignore[arg-type]
    assert report.failed
    assert all(finding.where.startswith("RESHAPE[") for finding in report.findings)
