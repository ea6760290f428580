"""The bench on which faults are tried: nothing is noticed of a build whose instruments alter it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from nnapi_testkit.errors import KitError
from nnapi_testkit.model.case import Case, Ending, Result
from nnapi_testkit.power.bench import Bench


class Instrumented(Bench):
    """A bench whose test build crashes on `bad`, with a switch on or off."""

    bad = ""

    @contextlib.contextmanager
    def open(self, number: int | None = None, trace: Path | None = None) -> Iterator[object]:
        with super().open() as runner:
            if number is None:
                yield runner
                return

            def run(cases: Sequence[Case]) -> Iterator[Result]:
                for case, result in zip(cases, runner.run(cases), strict=True):
                    wrong = case.id == self.bad
                    yield replace(result, ending=Ending.CRASHED, code=11) if wrong else result

            yield SimpleNamespace(run=run)


@pytest.fixture
def bench() -> Instrumented:
    return Instrumented("host", most=12)


def test_a_sound_test_build_is_tried(bench: Instrumented) -> None:
    assert bench.switched(2, "FLOOR", bench.cases("FLOOR")) == {}


def test_a_test_build_that_fails_without_a_switch_is_no_proof(bench: Instrumented) -> None:
    cases = [one for one in bench.cases("FLOOR") if one.ref.computes]
    bench.bad = cases[-1].case.id
    with pytest.raises(KitError, match="with no fault switched on") as raised:
        bench.switched(2, "FLOOR", cases[:1])
    assert cases[-1].ref.id in str(raised.value)
