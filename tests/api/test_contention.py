"""Several processes on one device: priorities, killed clients, deadlines; the others stay right."""

from __future__ import annotations

import contextlib
import ctypes
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nnapi_testkit.spec.codes import OperandCode, OperationCode, ResultCode
from tests.driver.capi import Compilation, Execution, Library, Model, add_model, ok

CLIENT = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from tests.api.test_contention import use
from tests.driver.capi import Library
library, _, rounds, priority, cache, terms = sys.argv[1:]
lib = Library(Path(library))
print("ready", flush=True)
for number in range(1, int(rounds)):
    use(lib, number, priority=int(priority), cache=cache, terms=int(terms))
print("right", flush=True)
"""
LOW, MEDIUM, HIGH = 90, 100, 110
PRIORITIES = (LOW, MEDIUM, HIGH)
MISSED = (ResultCode.MISSED_DEADLINE_PERSISTENT, ResultCode.MISSED_DEADLINE_TRANSIENT)


def use(lib: Library, number: int, *, priority: int, cache: str, terms: int) -> None:
    """One compilation and execution, by one of the paths; the sum is checked.

    Args:
        priority: of the compilation.
        cache: folder of compilations; empty for none.
        terms: how many numbers the sum is taken to be of; another one than 2 is wrong.
    """
    model = add_model(lib)
    compilation = Compilation(model)
    ok(lib.Compilation_setPriority(compilation.handle, priority))
    if cache:
        token = (ctypes.c_uint8 * 32)(number % 3)
        ok(lib.Compilation_setCaching(compilation.handle, cache.encode(), token))
    ok(lib.Compilation_finish(compilation.handle))
    execution = Execution(compilation)
    each, out = np.full((2, 2), number, np.float32), np.zeros((2, 2), np.float32)
    for index in range(2):
        ok(execution.input(index, each))
    ok(execution.output(0, out))
    if number % 2:
        ok(execution.compute())
    else:
        event = execution.start()
        ok(lib.Event_wait(event))
        lib.Event_free(event)
    assert (out == terms * number).all()
    for handle in (execution, compilation, model):
        handle.free()


@contextlib.contextmanager
def clients(
    library: Path, *priorities: int, rounds: int = 400, cache: str = "", terms: int = 2
) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that use the device, all ready; each says in the end that all came out right."""
    root = Path(__file__).resolve().parents[2]
    running = []
    for priority in priorities:
        words = [str(library), str(root), str(rounds), str(priority), cache, str(terms)]
        running.append(
            subprocess.Popen(
                [sys.executable, "-c", CLIENT, *words],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    try:
        for process in running:
            assert told(process) == "ready\n"
        yield running
    finally:
        for process in running:
            process.kill()
            process.communicate()


def told(process: subprocess.Popen[str]) -> str:
    """The next line of a client; empty at its end."""
    assert process.stdout is not None
    return process.stdout.readline()


def all_right(running: list[subprocess.Popen[str]]) -> bool:
    """Whether every client ended well and found nothing wrong."""
    return all(told(process) == "right\n" and process.wait(60) == 0 for process in running)


def test_clients_notice_what_is_wrong(driver_library: Path) -> None:
    """The tests below can fail: a client that expects another sum does not say "right"."""
    with clients(driver_library, *PRIORITIES, rounds=20, terms=3) as running:
        assert not any(told(process) == "right\n" for process in running)
        assert [process.wait(60) for process in running] == [1, 1, 1]
    with clients(driver_library, *PRIORITIES, rounds=10**9) as running:
        running[1].kill()
        assert not all_right(running[1:2])


@pytest.mark.parametrize("cached", [False, True])
def test_a_killed_client_does_not_disturb_the_others(
    driver_library: Path, tmp_path: Path, cached: bool
) -> None:
    """Of all priorities; with a cache all write the same compilations, and some are cut off."""
    cache = str(tmp_path) if cached else ""
    with clients(driver_library, *PRIORITIES, cache=cache) as running:
        for number in range(4):
            with clients(driver_library, HIGH, rounds=10**9, cache=cache) as (victim,):
                time.sleep(0.02 + 0.03 * number)
                assert victim.poll() is None
                victim.kill()
                assert victim.wait() == -9
        assert all_right(running)
    # What was left behind serves, or is replaced.
    with clients(driver_library, *PRIORITIES, rounds=30, cache=cache) as running:
        assert all_right(running)
    assert len([path for path in tmp_path.iterdir() if path.stat().st_size]) >= 3 * cached


def test_deadlines_hold_under_load(driver_library: Path, lib: Library) -> None:
    """No time ends in MISSED_DEADLINE, enough time in the answer, whatever the priority."""
    with clients(driver_library, *PRIORITIES, rounds=300) as running:
        model = add_model(lib, (64, 64))
        for number, priority in enumerate(PRIORITIES * 5):
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
            ok(lib.Execution_setTimeout(execution.handle, 1 if hurried else 60 * 10**9))
            if hurried:
                assert execution.compute() in MISSED
            else:
                ok(execution.compute())
                assert (out == 2 * number).all()
        assert all_right(running)


def test_long_work_ends_at_its_deadline_under_load(driver_library: Path, lib: Library) -> None:
    """A matrix product that takes a fifth of a second and more, given a twentieth."""
    size, given = 2048, 0.05
    model = Model(lib)
    x, y, out = (model.operand(OperandCode.TENSOR_FLOAT32, (size, size)) for _ in range(3))
    no = model.value(model.operand(OperandCode.BOOL), np.zeros(1, np.bool_))
    ok(model.operation(OperationCode.BATCH_MATMUL, [x, y, no, no], [out]))
    compilation = model.finished([x, y], [out]).compile()
    ones, result = np.ones((size, size), np.float32), np.zeros((size, size), np.float32)

    def compute(seconds: float) -> tuple[int, float]:
        execution = Execution(compilation)
        for index in range(2):
            ok(execution.input(index, ones))
        ok(execution.output(0, result))
        ok(lib.Execution_setTimeout(execution.handle, int(seconds * 1e9)))
        start = time.perf_counter()
        code = execution.compute()
        return code, time.perf_counter() - start

    with clients(driver_library, HIGH, HIGH, rounds=300) as running:
        code, whole = compute(60)
        ok(code)
        assert (result == size).all()
        ended = [compute(given) for _ in range(4)]
        assert all_right(running)
    assert whole > 1.5 * given  # or there would be nothing to end
    assert {code for code, _ in ended} <= set(MISSED)
    assert min(seconds for _, seconds in ended) < given + 0.1
