"""Correct drivers that compute otherwise raise no alarm; wrong ones do."""

from __future__ import annotations

import pytest

from nnapi_testkit.power.bench import Bench
from nnapi_testkit.power.variants import VARIANTS, Variant, try_variants


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench(most=60)


@pytest.mark.parametrize("operation", ["FULLY_CONNECTED", "LOGISTIC"])
def test_no_alarm(bench: Bench, operation: str) -> None:
    tally = try_variants(bench, operation)
    assert tally.judged > 50
    assert tally.alarms == ()


def test_a_wrong_variant_raises_alarms(bench: Bench) -> None:
    far = Variant("far", lambda case, n, p, told, operand: told.value * 1.1 + 1, VARIANTS[0].round)
    assert try_variants(bench, "FULLY_CONNECTED", [far]).alarms
