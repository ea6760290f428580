"""Results that a broken connection leaves on the device: fetched later, and no case runs twice."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nnapi_testkit.model.case import Case, Ending
from nnapi_testkit.targets import InfraError

Any_ = Callable[..., Any]
MOST_STREAMS = 3


@pytest.fixture
def executions(tmp_path: Path) -> Path:
    """Where the test driver adds a line for each execution, whichever process it runs in."""
    return tmp_path / "executions"


@pytest.fixture
def counted(start: Any_, executions: Path) -> Any_:
    """Starts a device whose driver counts; takes milliseconds for each execution, and switches."""

    def begin(slow: int = 0, **faults: Any) -> Any:
        environment = {"TOY_EXECUTIONS": str(executions)}
        if slow:
            environment["TOY_SLOW"] = str(slow)
        return start(environment=environment, **faults)

    return begin


def counts(executions: Path) -> Counter[str]:
    return Counter(executions.read_text().split())


def once_each(executions: Path, count: int) -> bool:
    return counts(executions) == {f"{1000 * at}": 1 for at in range(count)}


@pytest.mark.parametrize("slow", [0, 3])
@pytest.mark.parametrize("after", [1, 40, 99])
def test_no_case_runs_twice_when_the_connection_breaks_between_results(
    counted: Any_, target: Any_, cases: Any_, check: Any_, executions: Path, after: int, slow: int
) -> None:
    device = counted(slow)
    with target(device).open() as runner:
        device.mend(drop_after_results=after)
        check(list(runner.run(cases(100))), 100)
    assert once_each(executions, 100), counts(executions).most_common(3)


def test_no_case_runs_twice_when_the_connection_breaks_three_times(
    counted: Any_, target: Any_, cases: Any_, check: Any_, executions: Path
) -> None:
    device = counted(2)
    with target(device).open() as runner:
        device.mend(drop_after_results=30, times=3)
        check(list(runner.run(cases(150))), 150)
    assert once_each(executions, 150), counts(executions).most_common(3)


@pytest.mark.parametrize("after", [3_000, 20_000, 60_001])
def test_no_case_runs_twice_when_the_connection_breaks_in_the_middle_of_a_packet(
    counted: Any_, target: Any_, cases: Any_, check: Any_, executions: Path, after: int
) -> None:
    device = counted(1)
    with target(device).open() as runner:
        device.mend(drop_after_bytes=after)
        check(list(runner.run(cases(300))), 300)
    assert once_each(executions, 300), counts(executions).most_common(3)


def test_only_the_case_at_work_runs_again_when_the_runner_is_killed(
    counted: Any_, target: Any_, cases: Any_, check: Any_, executions: Path
) -> None:
    device = counted(3)
    with target(device).open() as runner:
        device.mend(kill_after_results=30)
        check(list(runner.run(cases(100))), 100)
    twice = [name for name, count in counts(executions).items() if count > 1]
    assert len(twice) <= 1
    assert len(counts(executions)) == 100


def test_a_resumed_batch_needs_no_more_streams_than_any_other(
    counted: Any_, target: Any_, cases: Any_, check: Any_
) -> None:
    device = counted()
    with target(device).open() as runner:
        device.mend(drop_after_results=250)
        results = runner.run(cases(500))
        got = [next(results) for _ in range(200)]
        before = len(device.opened)
        check(got + list(results), 500)
        serving = [word for word in device.opened[before:] if "--serve" in word]
        assert len(serving) == 1 and "--resume" in serving[0]
        # The next batch is an ordinary one again.
        before = len(device.opened)
        check(list(runner.run(cases(500))), 500)
        assert len(device.opened) - before <= MOST_STREAMS


def test_cases_that_cannot_be_sent_keep_their_place(
    counted: Any_, target: Any_, cases: Any_, executions: Path
) -> None:
    device = counted(2)
    batch: list[Case] = cases(60)
    for at in (0, 20, 21, 59):
        batch[at] = _unsendable(batch[at])
    with target(device).open() as runner:
        device.mend(drop_after_results=10)
        results = list(runner.run(batch))
    assert [result.index for result in results] == list(range(60))
    refused = [result.index for result in results if result.ending is Ending.BAD_CASE]
    assert refused == [0, 20, 21, 59]
    assert max(counts(executions).values()) == 1


def _unsendable(case: Case) -> Case:
    return replace(case, repetitions=1_000_000)


def test_results_of_another_batch_are_not_taken_for_these(
    counted: Any_, target: Any_, cases: Any_, check: Any_, executions: Path
) -> None:
    device = counted()
    with target(device).open() as runner:
        check(list(runner.run(cases(50))), 50)
        abandoned = runner.run(cases(80))
        next(abandoned)
        abandoned.close()  # its runner is dropped in the middle
        check(list(runner.run(cases(50))), 50)


def test_a_runner_that_is_dropped_on_purpose_ends(
    counted: Any_, target: Any_, cases: Any_, executions: Path
) -> None:
    device = counted(20)
    with target(device).open() as kept, target(device).open() as dropped:
        results: Iterator[Any] = dropped.run(cases(400))
        next(results)
        results.close()  # type: ignore[attr-defined]
        dropped.close()
        done = -1
        while sum(counts(executions).values()) != done:
            done = sum(counts(executions).values())
            time.sleep(0.3)
        assert done < 400, "it went on to the end"
        assert kept.devices()


def test_isolated_results_are_kept_too(
    counted: Any_, target: Any_, cases: Any_, check: Any_, executions: Path
) -> None:
    device = counted()
    with target(device).open(isolate=True) as runner:
        device.mend(drop_after_results=5)
        check(list(runner.run(cases(30))), 30)
    assert once_each(executions, 30)


def test_a_device_without_room_for_results_runs_all_the_same(
    counted: Any_, target: Any_, cases: Any_, check: Any_, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = counted()
    with target(device).open() as runner:
        # The file cannot grow: what it is for is lost, and nothing else.
        (place,) = device.scratch.rglob("results")
        place.unlink()
        place.symlink_to("/dev/full")
        device.mend(kill_after_results=5)
        try:
            check(list(runner.run(cases(40))), 40)
        except InfraError as error:
            pytest.fail(str(error))


def test_a_runner_that_a_killed_host_has_left_behind_ends_with_the_next_lease(
    counted: Any_, target: Any_, cases: Any_, check: Any_, executions: Path
) -> None:
    device = counted(20)
    script = (
        "import os, pickle, signal, sys\n"
        "from nnapi_testkit.targets import parse_target\n"
        "runner = parse_target(sys.argv[1]).open()\n"
        "results = runner.run(pickle.load(sys.stdin.buffer))\n"
        "next(results); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, f"adb:{device.serial}"],
        input=pickle.dumps(cases(1000)),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    before = sum(counts(executions).values())
    until = time.monotonic() + 60
    while sum(counts(executions).values()) <= before + 1:
        assert time.monotonic() < until, "it goes on with its batch"
        time.sleep(0.05)
    with target(device).open() as runner:
        before = sum(counts(executions).values())
        check(list(runner.run(cases(5))), 5)
        assert sum(counts(executions).values()) == before + 5
    assert list(device.scratch.iterdir()) == []
