"""Every failure of the way to a device, through a real adb: no result lost, none invented."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nnapi_testkit.errors import KitError
from nnapi_testkit.model.case import Case, Ending
from nnapi_testkit.targets import InfraError, TargetError

Any_ = Callable[..., Any]


def one_line(error: pytest.ExceptionInfo[KitError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


# ---- reaching the device ----


def test_a_device_that_answers_late_is_waited_for(
    start: Any_, target: Any_, cases: Any_, check: Any_
) -> None:
    device = start(late_seconds=1.5)
    with target(device).open() as runner:
        check(list(runner.run(cases(5))), 5)


def test_a_connection_from_before_adbd_came_up_is_replaced(
    start: Any_, target: Any_, cases: Any_, check: Any_
) -> None:
    device = start(silent_seconds=1.0)
    with target(device).open() as runner:
        check(list(runner.run(cases(5))), 5)


def test_a_device_that_never_answers_is_an_infrastructure_error_in_time(
    start: Any_, target: Any_, patience: Any
) -> None:
    device = start(silent_seconds=1e9)
    slow = replace(target(device), patience=replace(patience, reach=2.0))
    began = time.monotonic()
    with pytest.raises(InfraError, match=r"is (offline|absent|connecting) after 2 s") as error:
        slow.open()
    assert "is it up" in one_line(error)
    assert time.monotonic() - began < 30


def test_nothing_listens(target: Any_, start: Any_, patience: Any) -> None:
    device = start()
    device.close()
    gone = replace(target(device), patience=replace(patience, reach=1.0))
    with pytest.raises(InfraError, match="is absent after 1 s"):
        gone.open()


def test_an_unauthorized_device_is_not_waited_for(start: Any_, target: Any_) -> None:
    device = start(unauthorized=True)
    began = time.monotonic()
    with pytest.raises(TargetError, match="allow USB debugging") as error:
        target(device).open()
    assert device.serial in one_line(error)
    assert time.monotonic() - began < 60


def test_a_device_without_exit_codes_is_refused(start: Any_, target: Any_) -> None:
    with pytest.raises(TargetError, match="no shell protocol 2"):
        target(start(features="")).open()


# ---- the connection breaks ----


@pytest.mark.parametrize("after", [1, 2_000, 20_000, 60_001])
def test_a_connection_that_breaks_at_any_byte_costs_nothing(
    start: Any_, target: Any_, cases: Any_, check: Any_, after: int
) -> None:
    device = start()
    with target(device).open() as runner:
        device.mend(drop_after_bytes=after)
        check(list(runner.run(cases(400))), 400)


def test_a_connection_that_breaks_while_the_device_is_asked_is_made_again(
    start: Any_, target: Any_, cases: Any_, check: Any_
) -> None:
    device = start(drop_after_bytes=900)
    with target(device).open() as runner:
        check(list(runner.run(cases(5))), 5)


@pytest.mark.parametrize("after", [1700, 2200])
def test_a_connection_that_breaks_while_the_device_is_prepared(
    start: Any_, target: Any_, cases: Any_, check: Any_, after: int
) -> None:
    device = start(drop_after_bytes=after)
    with pytest.raises(InfraError) as error:
        target(device).open()
    one_line(error)
    with target(device).open() as runner:  # a fresh lease, which is what the lane takes
        check(list(runner.run(cases(5))), 5)


@pytest.mark.parametrize("after", [1, 57, 100])
def test_a_break_between_results_resumes_behind_the_last_one(
    start: Any_, target: Any_, cases: Any_, check: Any_, after: int
) -> None:
    device = start()
    with target(device).open() as runner:
        device.mend(drop_after_results=after)
        check(list(runner.run(cases(100))), 100)
    assert 100 <= device.results <= 200


def test_a_connection_that_breaks_again_and_again_is_an_error(
    start: Any_, target: Any_, cases: Any_
) -> None:
    device = start()
    with target(device).open() as runner:
        device.mend(drop_after_results=10, times=100)
        got = []
        with pytest.raises(InfraError) as error:
            for result in runner.run(cases(100)):
                got.append(result.index)
        one_line(error)
    assert got == list(range(len(got)))
    assert 0 < len(got) < 100


def test_a_killed_runner_resumes(start: Any_, target: Any_, cases: Any_, check: Any_) -> None:
    device = start()
    with target(device).open() as runner:
        device.mend(kill_after_results=30)
        check(list(runner.run(cases(100))), 100)


def test_a_runner_that_is_always_killed_says_so(start: Any_, target: Any_, cases: Any_) -> None:
    device = start()
    with target(device).open() as runner:
        device.mend(kill_after_results=1, times=100)
        with pytest.raises(InfraError, match="was killed by signal 9"):
            list(runner.run(cases(100)))


def test_a_reboot_is_waited_for(start: Any_, target: Any_, cases: Any_, check: Any_) -> None:
    device = start(reboot_seconds=0.2, boot_seconds=5.0)
    with target(device).open() as runner:
        device.mend(reboot_after_results=40)
        check(list(runner.run(cases(100))), 100)
    assert sum("sys.boot_completed" in service for service in device.opened) > 2


def test_a_reboot_that_ends_in_a_boot_loop_is_an_error(
    start: Any_, target: Any_, cases: Any_, patience: Any
) -> None:
    device = start(reboot_seconds=0.1, boot_seconds=1e6)
    short = replace(target(device), patience=replace(patience, boot=1.0))
    with short.open() as runner:
        device.mend(reboot_after_results=10)
        with pytest.raises(InfraError, match=r"has not booted after 1 s .* is '0'"):
            list(runner.run(cases(50)))


# ---- commands and files ----


def test_a_push_that_fails_tells_the_devices_reason(start: Any_, target: Any_) -> None:
    device = start(push_error="couldn't create file: No space left on device")
    with pytest.raises(InfraError, match="No space left on device") as error:
        target(device).open()
    one_line(error)


def test_slow_output_is_no_error(start: Any_, target: Any_, cases: Any_, check: Any_) -> None:
    device = start()
    with target(device).open() as runner:
        device.mend(slow_bytes=20_000)
        check(list(runner.run(cases(100))), 100)


@pytest.mark.parametrize("size", [1, 7])
def test_output_may_be_cut_anywhere(
    start: Any_, target: Any_, cases: Any_, check: Any_, size: int
) -> None:
    device = start(piece_bytes=size)
    with target(device).open() as runner:
        check(list(runner.run(cases(10))), 10)


def test_a_command_that_never_ends_meets_its_deadline(
    start: Any_, target: Any_, patience: Any
) -> None:
    device = start(endless="uname -m")
    short = replace(target(device), patience=replace(patience, command=1.0))
    with pytest.raises(InfraError, match="did not end within 1 s") as error:
        short.open()
    one_line(error)


def test_a_command_that_talks_for_ever_meets_its_deadline(start: Any_, target: Any_) -> None:
    lease = target(start()).lease()
    try:
        began = time.monotonic()
        with pytest.raises(InfraError, match="did not end within 1 s"):
            lease.device.shell("while :; do echo more; sleep 0.1; done", 1.0)
        assert time.monotonic() - began < 30
    finally:
        lease.release()


def test_a_runner_that_says_nothing_meets_its_deadline(
    start: Any_, target: Any_, patience: Any
) -> None:
    device = start(endless="--serve")
    short = replace(target(device), patience=replace(patience, load=0.5, grace=0.5))
    with pytest.raises(InfraError, match="silent for too long"):
        short.open()


def test_a_damaged_runner_is_replaced(start: Any_, target: Any_, cases: Any_, check: Any_) -> None:
    device = start()
    with target(device).open() as runner:
        (program,) = device.scratch.rglob("nnapi-runner")
        content = bytearray(program.read_bytes())
        content[-1] ^= 1
        program.unlink()
        program.write_bytes(bytes(content))
        program.chmod(0o755)
        device.mend(kill_after_results=5)  # so that a runner is started again
        check(list(runner.run(cases(20))), 20)
        assert program.read_bytes() != bytes(content)


# ---- the driver is gone, or its service dies ----


@pytest.mark.parametrize("vanished", [{"TOY_DEVICES": "0"}, None], ids=["device", "library"])
def test_a_vanished_nnapi_device_is_no_result(
    start: Any_, target: Any_, cases: Any_, patience: Any, vanished: dict[str, str] | None
) -> None:
    device = start(vanished=vanished)
    short = replace(target(device), patience=replace(patience, services=1.0))
    got = []
    with short.open() as runner:
        device.mend(vanish_after_results=10)
        with pytest.raises(KitError) as error:
            for result in runner.run(cases(50)):
                got.append(result)
        one_line(error)
    assert [result.index for result in got] == list(range(len(got)))
    assert len(got) >= 10 and all(result.ending is Ending.COMPLETED for result in got)


REFUSES_TO_COMPUTE = 9064  # the test driver's code for OP_FAILED in compute
CRASHES_IN_COMPUTE = 9004


def test_a_crash_of_the_vendors_service_is_told_from_a_failed_operation(
    start: Any_, target: Any_, make_case: Callable[..., Case]
) -> None:
    device = start()
    batch = [make_case(), make_case(), make_case(REFUSES_TO_COMPUTE), make_case()]
    with target(device).open() as runner:
        quiet = list(runner.run(batch))
        device.mend(service_crash_after_results=3)
        loud = list(runner.run(batch))
    assert not any(result.service for result in quiet)
    assert "Fatal signal" not in quiet[2].text
    assert [bool(result.service) for result in loud] == [False, False, True, False]
    assert "android.hardware.neuralnetworks-service-loopback (SIGSEGV)" in loud[2].service
    assert "#00 pc" in loud[2].text


def test_a_crash_of_the_worker_is_not_the_services(
    start: Any_, target: Any_, make_case: Callable[..., Case]
) -> None:
    with target(start()).open() as runner:
        results = list(runner.run([make_case(), make_case(CRASHES_IN_COMPUTE), make_case()]))
    assert [result.ending for result in results] == [
        Ending.COMPLETED,
        Ending.CRASHED,
        Ending.COMPLETED,
    ]
    assert not any(result.service for result in results)


# ---- what stays behind ----


def test_nothing_stays_on_the_device(start: Any_, target: Any_, cases: Any_) -> None:
    device = start()
    with target(device).open() as runner:
        list(runner.run(cases(20)))
        assert list(device.scratch.iterdir())
    assert list(device.scratch.iterdir()) == []


def test_nothing_stays_on_the_device_after_a_break(
    start: Any_, target: Any_, cases: Any_, tmp_path: Path
) -> None:
    device = start()
    with target(device).open() as runner:
        device.mend(drop_after_results=5)
        list(runner.run(cases(20)))
    assert list(device.scratch.iterdir()) == []
