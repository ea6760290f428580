"""Thousands of compilations and executions: memory and descriptors are counted."""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nnapi_testkit.spec.codes import ResultCode
from tests.driver.capi import Compilation, Execution, Library, add_model, ok

ROUNDS = 3_000
SLACK_KB = 2_048  # what the allocator may keep


def resident_kb() -> int:
    """Memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def descriptors() -> int:
    """Open files of this process."""
    return len(os.listdir("/proc/self/fd"))


def life(lib: Library, number: int) -> None:
    """A model's whole life, by one of the paths; the answer is checked."""
    model = add_model(lib)
    compilation = model.compile()
    execution = Execution(compilation)
    a = np.full((2, 2), number, np.float32)
    out = np.zeros((2, 2), np.float32)
    ok(execution.input(0, a))
    ok(execution.input(1, a))
    ok(execution.output(0, out))
    way = number % 4
    if way == 0:
        ok(execution.compute())
    elif way == 1:
        event = execution.start()
        ok(lib.Event_wait(event))
        lib.Event_free(event)
    elif way == 2:
        burst = ctypes.c_void_p()
        ok(lib.Burst_create(compilation.handle, ctypes.byref(burst)))
        ok(lib.Execution_burstCompute(execution.handle, burst))
        lib.Burst_free(burst)
    else:
        event = ctypes.c_void_p()
        ok(
            lib.Execution_startComputeWithDependencies(
                execution.handle, None, 0, 0, ctypes.byref(event)
            )
        )
        fence = ctypes.c_int(-1)
        ok(lib.Event_getSyncFenceFd(event, ctypes.byref(fence)))
        ok(lib.Event_wait(event))
        lib.Event_free(event)
        if fence.value >= 0:
            os.close(fence.value)
    assert (out == 2 * number).all()
    execution.free()
    compilation.free()
    model.free()


def test_thousands_of_lives_leave_nothing(lib: Library) -> None:
    for number in range(500):
        life(lib, number)
    gc.collect()
    before, files = resident_kb(), descriptors()
    for number in range(ROUNDS):
        life(lib, number)
    gc.collect()
    assert descriptors() == files
    assert resident_kb() - before < SLACK_KB


def test_refused_models_leave_nothing(lib: Library) -> None:
    def refused_life() -> None:
        model = add_model(lib)
        compilation = Compilation(model)
        assert lib.Compilation_setPriority(compilation.handle, 12345) == ResultCode.BAD_DATA
        execution = ctypes.c_void_p()
        assert lib.Execution_create(compilation.handle, ctypes.byref(execution))
        compilation.free()
        model.free()

    for _ in range(500):
        refused_life()
    before, files = resident_kb(), descriptors()
    for _ in range(ROUNDS):
        refused_life()
    assert descriptors() == files
    assert resident_kb() - before < SLACK_KB


def test_objects_may_go_in_any_order(lib: Library) -> None:
    """Model and compilation are freed first; what was started still comes out right."""
    model = add_model(lib)
    compilation = model.compile()
    execution = Execution(compilation)
    a, out = np.ones((2, 2), np.float32), np.zeros((2, 2), np.float32)
    for index in range(2):
        ok(execution.input(index, a))
    ok(execution.output(0, out))
    model.free()
    compilation.free()
    event = execution.start()
    execution.free()
    ok(lib.Event_wait(event))
    lib.Event_free(event)
    assert (out == 2).all()


CLIENT = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from tests.api.test_endurance import life
from tests.driver.capi import Library
lib = Library(Path(sys.argv[1]))
print("ready", flush=True)
number = 0
while number < int(sys.argv[3]):
    life(lib, number)
    number += 1
print("right", flush=True)
"""


def client(library: Path, rounds: int) -> subprocess.Popen[str]:
    """A process that uses the device; it says when it is ready, and that all came out right."""
    root = Path(__file__).resolve().parents[2]
    words = [sys.executable, "-c", CLIENT, str(library), str(root), str(rounds)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("clients", [3])
def test_a_killed_client_does_not_disturb_the_others(driver_library: Path, clients: int) -> None:
    running = [client(driver_library, 400) for _ in range(clients)]
    victim = client(driver_library, 10**9)
    try:
        for process in (*running, victim):
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        time.sleep(0.1)
        assert victim.poll() is None
        victim.kill()
        assert victim.wait() == -9
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "right\n"
            assert process.wait(60) == 0
    finally:
        for process in (*running, victim):
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def test_deadlines_hold_under_load(driver_library: Path, lib: Library) -> None:
    """With other processes at work: no time ends in MISSED_DEADLINE, enough time in the answer."""
    running = [client(driver_library, 300) for _ in range(3)]
    missed = (
        ResultCode.MISSED_DEADLINE_PERSISTENT,
        ResultCode.MISSED_DEADLINE_TRANSIENT,
    )
    try:
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        model = add_model(lib, (64, 64))
        for number, priority in enumerate((90, 100, 110) * 5):
            compilation = Compilation(model)
            ok(lib.Compilation_setPriority(compilation.handle, priority))
            ok(lib.Compilation_finish(compilation.handle))
            execution = Execution(compilation)
            a = np.full((64, 64), number, np.float32)
            out = np.zeros((64, 64), np.float32)
            ok(execution.input(0, a))
            ok(execution.input(1, a))
            ok(execution.output(0, out))
            hurried = number % 2 == 0
            nanoseconds = 1 if hurried else 60 * 10**9
            ok(lib.Execution_setTimeout(execution.handle, nanoseconds))
            if hurried:
                assert execution.compute() in missed
            else:
                ok(execution.compute())
                assert (out == 2 * number).all()
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "right\n"
            assert process.wait(60) == 0
    finally:
        for process in running:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
