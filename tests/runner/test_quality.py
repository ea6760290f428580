"""What is asked of a driver's service, and the mask of operations that a device claims."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nnapi_testkit.model.builder import Builder
from nnapi_testkit.model.case import Case, Ending, Execution, ExecutionPath, Quality, Result
from nnapi_testkit.spec.codes import ResultCode
from nnapi_testkit.targets import parse_target

PLAIN = Quality()


def _case(quality: Quality = PLAIN, path: ExecutionPath = ExecutionPath.COMPUTE) -> Case:
    """x + 1, ELU of it, and 1 added again."""
    builder = Builder()
    x = builder.input("TENSOR_FLOAT32", (4,))
    one = builder.constant("TENSOR_FLOAT32", np.ones(4, np.float32))
    none = builder.constant("INT32", 0)
    alpha = builder.constant("FLOAT32", 1.0)
    between = [builder.tensor("TENSOR_FLOAT32", (4,)) for _ in range(2)]
    builder.operation("ADD", (x, one, none), (between[0],))
    builder.operation("ELU", (between[0], alpha), (between[1],))
    out = builder.output("TENSOR_FLOAT32", (4,))
    builder.operation("ADD", (between[1], one, none), (out,))
    given = np.arange(4, dtype=np.float32)
    return Case("QUALITY", builder.build(), (Execution((given,), ((4,),)),), path, quality=quality)


def _run(case: Case, target: str = "host") -> Result:
    with parse_target(target).open() as runner:
        return next(iter(runner.run([case])))


@pytest.mark.parametrize("path", ExecutionPath)
@pytest.mark.parametrize("preference", [0, 1, 2])
@pytest.mark.parametrize("priority", [90, 100, 110])
def test_each_preference_and_priority_computes(
    path: ExecutionPath, preference: int, priority: int
) -> None:
    quality = Quality(preference, priority, 10**10, 10**10)
    result = _run(_case(quality, path))
    assert result.ending is Ending.COMPLETED
    values = np.frombuffer(result.executions[0].outputs[0].data, np.float32)
    np.testing.assert_array_equal(values, np.arange(4, dtype=np.float32) + 2)


@pytest.mark.parametrize(
    ("quality", "function"),
    [
        (Quality(preference=3), "ANeuralNetworksCompilation_setPreference"),
        (Quality(preference=-2), "ANeuralNetworksCompilation_setPreference"),
        (Quality(priority=91), "ANeuralNetworksCompilation_setPriority"),
        (Quality(priority=0), "ANeuralNetworksCompilation_setPriority"),
    ],
)
def test_a_value_that_does_not_exist_reaches_the_driver(quality: Quality, function: str) -> None:
    result = _run(_case(quality))
    assert (result.ending, result.function) == (Ending.STOPPED, function)
    assert result.code == ResultCode.BAD_DATA


def test_a_timeout_that_is_over_is_told() -> None:
    result = _run(_case(Quality(execute_timeout_ns=1)))
    codes = {run.code for run in result.executions} | {result.code}
    assert codes & {ResultCode.MISSED_DEADLINE_TRANSIENT, ResultCode.MISSED_DEADLINE_PERSISTENT}


def test_the_whole_mask_of_claimed_operations_comes_back() -> None:
    """ELU came with feature level 4: a device of level 3 does not claim it, but both ADDs."""
    result = _run(_case(), "host#nnapi-level-3")
    assert result.ending is Ending.UNSUPPORTED
    assert result.support == (True, False, True)
    assert _run(replace(_case(), id="ALL")).support == ()
