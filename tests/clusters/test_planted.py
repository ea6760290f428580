"""Faults in the reference driver: the first cluster says what was planted."""

from __future__ import annotations

import pytest

from benchmarks.clusters import FAULTS, named, tell
from nnapi_testkit.clusters.cluster import Cluster
from nnapi_testkit.power.bench import Bench
from nnapi_testkit.power.catalogue import catalogue

# Of few operations, so that they take seconds.
QUICK = ("corners-ignored", "half-pixel-ignored", "shrink-mask-ignored", "lrn-alpha", "elu-alpha")


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench("host")


@pytest.mark.parametrize("fault", QUICK)
def test_a_planted_fault_is_named(bench: Bench, fault: str) -> None:
    told = tell(bench, fault, FAULTS[fault])
    assert told.failing > 0
    assert told.how, told.clusters[0].title
    assert told.clusters[0].looks_like in ("", fault)


def test_a_fault_is_not_named_by_the_words_of_another(bench: Bench) -> None:
    told = tell(bench, "corners-ignored", FAULTS["half-pixel-ignored"])
    assert told.how != "words"
    other = Cluster((), {"ADD": 1}, 1, 1, 0, {"MISMATCH": 1}, "", False, "ADD[x]", "")
    assert named(other, FAULTS["lrn-alpha"], "lrn-alpha") == ""


def test_the_faults_of_the_figure_are_in_the_catalogue() -> None:
    assert len(FAULTS) == 40
    assert set(FAULTS) <= set(catalogue())
