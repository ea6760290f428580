"""Input sets of one shape share buffers and executions: a driver that remembers is seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nnapi_testkit.model.case import Case, Ending, Execution, Result
from nnapi_testkit.model.case import ExecutionPath as ExecutionPath
from nnapi_testkit.targets import LocalTarget

COMPUTE, REUSABLE = ExecutionPath.COMPUTE, ExecutionPath.REUSABLE
BY_ADDRESS, BY_EXECUTION = 9113, 9114


@pytest.fixture
def toy_new(native: Path) -> LocalTarget:
    """The toy driver with reusable executions."""
    library = native / "libtoy_new.so"
    return LocalTarget(f"lib:{library}", lambda: library)


def sets_of(case: Case, *sizes: int) -> Case:
    """The case with one set of each size, each with numbers of its own."""
    sets = []
    for number, size in enumerate(sizes):
        first = np.arange(size, dtype=np.float32) + 100 * number
        sets.append(Execution((first, first), ((size,),)))
    model = case.model
    if len(set(sizes)) > 1:
        operands = tuple(replace(o, dims=(0,) * len(o.dims)) for o in model.main.operands)
        model = replace(model, main=replace(model.main, operands=operands))
    return replace(case, model=model, sets=tuple(sets))


def first_numbers(result: Result) -> list[float]:
    """What each execution has in front of its output."""
    assert result.ending is Ending.COMPLETED, result
    return [float(np.frombuffer(run.outputs[0].data, "<f4")[0]) for run in result.executions]


def run(target: LocalTarget, case: Case) -> Result:
    with target.open() as session:
        return next(iter(session.run([case])))


@pytest.mark.parametrize("path", [COMPUTE, REUSABLE])
def test_an_honest_driver_gives_each_set_its_own(toy_new: LocalTarget, make_case, path) -> None:  # type: ignore[no-untyped-def]
    assert first_numbers(run(toy_new, sets_of(make_case(path=path), 6, 6, 6))) == [0, 200, 400]


def test_inputs_that_are_known_by_their_addresses(toy_new: LocalTarget, make_case) -> None:  # type: ignore[no-untyped-def]
    """Three sets in the same buffers: what was computed of the first one comes back."""
    assert first_numbers(run(toy_new, sets_of(make_case(BY_ADDRESS), 6, 6, 6))) == [0, 0, 0]


def test_a_reusable_execution_that_computes_once(toy_new: LocalTarget, make_case) -> None:  # type: ignore[no-untyped-def]
    case = sets_of(make_case(BY_EXECUTION, path=REUSABLE), 6, 6, 6)
    assert first_numbers(run(toy_new, case)) == [0, 0, 0]
    # Other paths have an execution for each set.
    assert first_numbers(run(toy_new, replace(case, path=COMPUTE))) == [0, 200, 400]


def test_sets_of_another_shape_get_buffers_of_their_own(toy_new: LocalTarget, make_case) -> None:  # type: ignore[no-untyped-def]
    case = sets_of(make_case(BY_EXECUTION, path=REUSABLE), 6, 4, 4, 6)
    result = run(toy_new, case)
    assert first_numbers(result) == [0, 200, 200, 600]
    assert [len(r.outputs[0].data) for r in result.executions] == [24, 16, 16, 24]


def test_inputs_that_a_driver_wrote_to_are_written_anew(toy_new: LocalTarget, make_case) -> None:  # type: ignore[no-untyped-def]
    """Each set is told of its own damage, and has its own data."""
    result = run(toy_new, sets_of(make_case(9104), 6, 6))
    assert first_numbers(result) == [0, 200]
    assert [run.modified_inputs for run in result.executions] == [1, 1]
