"""Events, chains of executions, sync fences."""

from __future__ import annotations

import ctypes
import os
import select
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nnapi_testkit.spec.codes import OperandCode, ResultCode
from tests.driver.capi import (
    Execution,
    Library,
    add_model,
    later,
    ok,
    operand_type,
    refused,
)
from tests.driver.test_memory import File, device_memory

F32 = OperandCode.TENSOR_FLOAT32
BAD_STATE = ResultCode.BAD_STATE
ONES = np.ones((2, 2), np.float32)


def ready(lib: Library) -> tuple[Execution, np.ndarray]:
    """An execution of ADD with everything set, and its output."""
    execution, result = Execution(add_model(lib).compile()), np.zeros((2, 2), np.float32)
    ok(execution.input(0, ONES))
    ok(execution.input(1, 2 * ONES))
    ok(execution.output(0, result))
    return execution, result


def fenced(execution: Execution, *events: ctypes.c_void_p, duration: int = 0) -> ctypes.c_void_p:
    """Starts a fenced execution."""
    event = ctypes.c_void_p()
    array = (ctypes.c_void_p * max(1, len(events)))(*events)
    start = execution.lib.Execution_startComputeWithDependencies
    ok(start(execution.handle, array, len(events), duration, ctypes.byref(event)))
    return event


def test_start_and_wait(lib: Library) -> None:
    execution, result = ready(lib)
    event = execution.start()
    refused(execution.shape_code(0), BAD_STATE)  # completed only once the event was waited for
    refused(execution.input(0, ONES), BAD_STATE)
    refused(execution.compute(), BAD_STATE)
    ok(lib.Event_wait(event))
    assert (result == 3).all()
    assert execution.shape(0) == (0, [2, 2])
    ok(lib.Event_wait(event))
    descriptor = ctypes.c_int(7)
    refused(lib.Event_getSyncFenceFd(event, ctypes.byref(descriptor)))
    assert descriptor.value == -1
    lib.Event_free(event)


def test_many_threads_wait(lib: Library) -> None:
    execution, result = ready(lib)
    event = execution.start()
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: lib.Event_wait(event), range(16))) == [0] * 16
    assert (result == 3).all()
    lib.Event_free(event)


def test_events_may_be_freed_without_waiting(lib: Library) -> None:
    for _ in range(20):
        execution, result = ready(lib)
        lib.Event_free(execution.start())
        assert (result == 3).all()
        execution.free()


def test_reusable_executions_start_again(lib: Library) -> None:
    execution, result = ready(lib)
    ok(lib.Execution_setReusable(execution.handle, True))
    for _ in range(3):
        result[:] = 0
        event = execution.start()
        ok(lib.Event_wait(event))
        assert (result == 3).all()
        lib.Event_free(event)


def test_dependencies(lib: Library) -> None:
    """out = ((1 + 2) + 1): the second execution reads what the first one writes."""
    compilation = add_model(lib).compile()
    first, second = Execution(compilation), Execution(compilation)
    middle, result = np.zeros((2, 2), np.float32), np.zeros((2, 2), np.float32)
    for execution, source, target in ((first, 2 * ONES, middle), (second, middle, result)):
        ok(execution.input(0, ONES))
        ok(execution.input(1, source))
        ok(execution.output(0, target))
    before = fenced(first)
    after = fenced(second, before, duration=10**12)
    ok(lib.Event_wait(after))
    assert (result == 4).all()
    ok(lib.Event_wait(before))
    lib.Event_free(after)
    lib.Event_free(before)


def test_fences_are_waited_for(lib: Library) -> None:
    reading, writing = os.pipe()
    fence, descriptor = ctypes.c_void_p(), ctypes.c_int()
    ok(lib.Event_createFromSyncFenceFd(reading, ctypes.byref(fence)))
    ok(lib.Event_getSyncFenceFd(fence, ctypes.byref(descriptor)))
    assert os.path.sameopenfile(descriptor.value, reading)
    os.close(descriptor.value)
    os.close(reading)
    execution, result = ready(lib)
    event = fenced(execution, fence)
    released = threading.Timer(0.05, os.write, (writing, b"x"))
    assert not result.any()
    released.start()
    ok(lib.Event_wait(event))
    assert (result == 3).all()
    released.join()
    os.close(writing)
    lib.Event_free(event)
    lib.Event_free(fence)


def test_fenced_executions_are_checked(lib: Library) -> None:
    event, start = ctypes.c_void_p(), lib.Execution_startComputeWithDependencies
    execution, _ = ready(lib)
    null = ResultCode.UNEXPECTED_NULL
    refused(start(execution.handle, None, 1, 0, ctypes.byref(event)), null)
    nothing = (ctypes.c_void_p * 1)(None)
    refused(start(execution.handle, nothing, 1, 0, ctypes.byref(event)), null)
    refused(lib.Event_createFromSyncFenceFd(-1, ctypes.byref(event)))
    refused(lib.Event_createFromSyncFenceFd(10**6, ctypes.byref(event)))
    # A failed dependency is an error right away.
    failed = Execution(add_model(lib).compile())
    for index in range(2):
        ok(failed.input(index, ONES))
    ok(failed.output(0, np.zeros((2, 2), np.float32)))
    ok(lib.Execution_setTimeout(failed.handle, 1))
    bad = fenced(failed)
    refused(lib.Event_wait(bad), ResultCode.MISSED_DEADLINE_PERSISTENT)
    array = (ctypes.c_void_p * 1)(bad)
    refused(start(execution.handle, array, 1, 0, ctypes.byref(event)), BAD_STATE)
    lib.Event_free(bad)
    # Outputs need their dimensions.
    loose = Execution(add_model(lib, None).compile())
    for index in range(2):
        ok(loose.input(index, ONES, operand_type(F32, [2, 2])))
    ok(loose.output(0, np.zeros((2, 2), np.float32)))
    refused(start(loose.handle, None, 0, 0, ctypes.byref(event)))
    # A duration needs one chosen device.
    undecided = Execution(add_model(lib).compile(devices=0))
    for index in range(2):
        ok(undecided.input(index, ONES))
    ok(undecided.output(0, np.zeros((2, 2), np.float32)))
    refused(start(undecided.handle, None, 0, 5, ctypes.byref(event)))


def test_objects_may_be_freed_in_any_order(lib: Library) -> None:
    """The documentation asks for an order; a driver should survive the others."""
    execution, result = ready(lib)
    compilation = execution.compilation
    compilation.model.free()
    compilation.free()
    event = execution.start()
    execution.free()
    ok(lib.Event_wait(event))
    lib.Event_free(event)
    assert (result == 3).all()


def fence_of(lib: Library, event: ctypes.c_void_p) -> int:
    """A new descriptor of an execution's sync fence."""
    descriptor = ctypes.c_int(-1)
    ok(lib.Event_getSyncFenceFd(event, ctypes.byref(descriptor)))
    assert descriptor.value >= 0 and not os.get_inheritable(descriptor.value)
    return descriptor.value


def polled(descriptor: int, milliseconds: int) -> int:
    """What poll says of a descriptor, 0 if nothing."""
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    found = poller.poll(milliseconds)
    return found[0][1] if found else 0


def test_a_fenced_execution_gives_a_fence(lib: Library) -> None:
    reading, writing = os.pipe()
    gate, joined = ctypes.c_void_p(), ctypes.c_void_p()
    ok(lib.Event_createFromSyncFenceFd(reading, ctypes.byref(gate)))
    first, _ = ready(lib)
    event = fenced(first, gate)
    early = fence_of(lib, event)
    assert polled(early, 20) == 0
    # Another execution waits for that fence, as another process could.
    ok(lib.Event_createFromSyncFenceFd(early, ctypes.byref(joined)))
    second, result = ready(lib)
    after = fenced(second, joined)
    os.write(writing, b"x")
    ok(lib.Event_wait(after))
    assert (result == 3).all()
    late = fence_of(lib, event)
    for each in (event, after, gate, joined):
        lib.Event_free(each)
    for descriptor in (early, late):  # they outlive the event
        assert polled(descriptor, 0) & (select.POLLIN | select.POLLERR) == select.POLLIN
        os.close(descriptor)
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("early", [True, False])
def test_the_fence_of_a_failed_execution_is_in_error(lib: Library, early: bool) -> None:
    reading, writing = os.pipe()
    gate, joined, refusal = (ctypes.c_void_p() for _ in range(3))
    ok(lib.Event_createFromSyncFenceFd(reading, ctypes.byref(gate)))
    failing, _ = ready(lib)
    ok(lib.Execution_setTimeout(failing.handle, 1))
    event = fenced(failing, gate)
    descriptor = fence_of(lib, event) if early else -1
    os.write(writing, b"x")
    refused(lib.Event_wait(event), ResultCode.MISSED_DEADLINE_PERSISTENT)
    if not early:
        descriptor = fence_of(lib, event)
    assert polled(descriptor, 1000) & select.POLLERR
    ok(lib.Event_createFromSyncFenceFd(descriptor, ctypes.byref(joined)))
    refused(lib.Event_wait(joined), ResultCode.OP_FAILED)
    execution, _ = ready(lib)
    array = (ctypes.c_void_p * 1)(joined)
    start = lib.Execution_startComputeWithDependencies
    refused(start(execution.handle, array, 1, 0, ctypes.byref(refusal)), BAD_STATE)
    for each in (event, gate, joined):
        lib.Event_free(each)
    for number in (descriptor, reading, writing):
        os.close(number)


def test_a_failed_dependency_leaves_nothing_of_the_computation_before(lib: Library) -> None:
    """Neither shape nor duration nor the value of device memory."""
    compilation = add_model(lib).compile()
    memory = device_memory(lib, (compilation, "Output", 0))
    execution, duration = Execution(compilation), ctypes.c_uint64()
    ok(lib.Execution_setReusable(execution.handle, True))
    ok(lib.Execution_setMeasureTiming(execution.handle, True))
    for index in range(2):
        ok(execution.input(index, ONES))
    ok(lib.Execution_setOutputFromMemory(execution.handle, 0, None, memory, 0, 0))
    file = File()
    target = file.memory(lib, 16)
    ok(execution.compute())
    assert execution.shape(0) == (0, [2, 2])
    ok(lib.Memory_copy(memory, target))
    reading, writing = os.pipe()
    gate = ctypes.c_void_p()
    ok(lib.Event_createFromSyncFenceFd(reading, ctypes.byref(gate)))
    failing, _ = ready(lib)
    ok(lib.Execution_setTimeout(failing.handle, 1))
    failed = fenced(failing, gate)
    event = fenced(execution, failed)
    os.write(writing, b"x")
    refused(lib.Event_wait(event), ResultCode.OP_FAILED)
    refused(lib.Event_wait(event), ResultCode.OP_FAILED)  # whoever asks
    refused(execution.shape_code(0), BAD_STATE)
    ok(lib.Execution_getDuration(execution.handle, 1, ctypes.byref(duration)))
    assert duration.value == 2**64 - 1
    refused(lib.Memory_copy(memory, target))
    for each in (event, failed, gate):
        lib.Event_free(each)
    later(lib, "Memory_free", memory, target)
    for number in (reading, writing, file.fd):
        os.close(number)
