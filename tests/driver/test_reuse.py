"""What an execution must not inherit: from its own last computation, or on its burst."""

from __future__ import annotations

import ctypes
import time

import numpy as np
import pytest

from nnapi_testkit.spec.codes import OperandCode, OperationCode, ResultCode
from tests.driver.capi import Compilation, Execution, Library, Model, later, ok, refused

F32, I32 = OperandCode.TENSOR_FLOAT32, OperandCode.TENSOR_INT32
UINT64_MAX = 2**64 - 1


@pytest.fixture
def filling(lib: Library) -> Compilation:
    """FILL: the shape of the output is the value of the input."""
    model = Model(lib)
    dims, out = model.operand(I32, [2]), model.operand(F32, [0, 0])
    value = model.value(model.operand(OperandCode.FLOAT32), np.array([7], np.float32))
    ok(model.operation(OperationCode.FILL, [dims, value], [out]))
    return model.finished([dims], [out]).compile()


def ready(compilation: Compilation, dims: list[int]) -> tuple[Execution, np.ndarray, np.ndarray]:
    """An execution with its input, which may be changed between computations, and output."""
    execution = Execution(compilation)
    given, result = np.array(dims, np.int32), np.zeros(12, np.float32)
    ok(execution.input(0, given))
    ok(execution.output(0, result))
    return execution, given, result


def duration(execution: Execution) -> int:
    """What the last computation took, in nanoseconds."""
    found = ctypes.c_uint64()
    ok(execution.lib.Execution_getDuration(execution.handle, 1, ctypes.byref(found)))
    return found.value


def test_a_reusable_execution_tells_of_its_last_computation(
    lib: Library, filling: Compilation
) -> None:
    execution, given, result = ready(filling, [2, 3])
    ok(lib.Execution_setReusable(execution.handle, True))
    ok(lib.Execution_setMeasureTiming(execution.handle, True))
    for dims in ([2, 3], [3, 2], [1, 4]):
        given[:] = dims
        result[:] = 0
        ok(execution.compute())
        assert execution.shape(0) == (0, dims)
        assert result.tolist() == [7] * np.prod(dims) + [0] * (12 - np.prod(dims))
        assert duration(execution) != UINT64_MAX
    given[:] = [5, 3]  # one row too many
    refused(execution.compute(), ResultCode.OUTPUT_INSUFFICIENT_SIZE)
    assert execution.shape(0) == (ResultCode.OUTPUT_INSUFFICIENT_SIZE, [5, 3])
    assert duration(execution) == UINT64_MAX
    given[:] = [-1, 2]
    assert execution.compute() != 0
    refused(execution.shape_code(0), ResultCode.BAD_STATE)
    assert duration(execution) == UINT64_MAX
    given[:] = [4, 3]
    ok(execution.compute())
    assert execution.shape(0) == (0, [4, 3])
    assert (result == 7).all()


def test_a_burst_goes_on_after_a_failure(lib: Library, filling: Compilation) -> None:
    burst = ctypes.c_void_p()
    ok(lib.Burst_create(filling.handle, ctypes.byref(burst)))
    for dims, code in (
        ([2, 2], ResultCode.NO_ERROR),
        ([7, 7], ResultCode.OUTPUT_INSUFFICIENT_SIZE),
        ([3, 2], ResultCode.NO_ERROR),
        ([-1, 2], None),
        ([4, 1], ResultCode.NO_ERROR),
    ):
        execution, _, result = ready(filling, dims)
        found = lib.Execution_burstCompute(execution.handle, burst)
        assert found == code if code is not None else found != 0
        if code == 0:
            assert execution.shape(0) == (0, dims)
            assert result.sum() == 7 * np.prod(dims)
    later(lib, "Burst_free", burst)


def test_the_time_of_each_computation_is_its_own(lib: Library, filling: Compilation) -> None:
    """A timeout begins at the call that computes, not at the first such call."""
    execution, _, _ = ready(filling, [2, 2])
    ok(lib.Execution_setReusable(execution.handle, True))
    ok(lib.Execution_setTimeout(execution.handle, 1_000_000_000))
    ok(execution.compute())
    time.sleep(1.01)
    ok(execution.compute())
