"""The runners for Android at work on Linux: another C library under them, the same bytes above."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from nnapi_testkit.model.case import Case, Ending, MemoryKind
from nnapi_testkit.targets import RunnerSession

MakeAdd = Callable[..., Case]


def test_it_adds(started: RunnerSession, make_add: MakeAdd) -> None:
    assert started.library.path.endswith("libtoy.so")
    results = list(started.run([make_add(size=size, repetitions=2) for size in (1, 6, 100)]))
    for result, size in zip(results, (1, 6, 100), strict=True):
        assert result.ending is Ending.COMPLETED, result
        (output,) = result.executions[0].outputs
        expected = 3 * np.arange(size, dtype=np.float32)
        assert bytes(output.data) == expected.tobytes()
    assert results[0].nanoseconds > 0


def test_a_crash_costs_one_case(started: RunnerSession, make_add: MakeAdd) -> None:
    results = list(started.run([make_add(), make_add(code=9004), make_add()]))
    assert [result.ending for result in results] == [
        Ending.COMPLETED, Ending.CRASHED, Ending.COMPLETED,
    ]  # fmt: skip
    assert results[1].function == "ANeuralNetworksExecution_compute"


def test_a_hang_costs_its_deadline(started: RunnerSession, make_add: MakeAdd) -> None:
    hanging = replace(make_add(code=9024), deadline_ms=500)
    results = list(started.run([hanging, make_add()]))
    assert [result.ending for result in results] == [Ending.TIMED_OUT, Ending.COMPLETED]


def test_no_hardware_buffers_here(started: RunnerSession, make_add: MakeAdd) -> None:
    (result,) = started.run([make_add(memory=MemoryKind.AHARDWARE_BUFFER)])
    assert result.ending is Ending.BAD_CASE
    assert "AHardwareBuffer needs Android 10 or later" in result.text
