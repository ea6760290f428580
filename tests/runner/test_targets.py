"""Targets: what is wrong with one is said in one line; a lost runner is replaced once."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from nnapi_testkit.errors import KitError
from nnapi_testkit.model.case import Ending
from nnapi_testkit.model.place import Place
from nnapi_testkit.targets import (
    InfraError,
    LocalTarget,
    RunnerSession,
    TargetError,
    parse,
    parse_target,
)
from nnapi_testkit.targets.base import Target


def open_and_close(text: str) -> None:
    parse_target(text).open().close()


def one_line(error: pytest.ExceptionInfo[KitError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


# ---- libraries that cannot be used ----


def test_missing_library(tmp_path: Path) -> None:
    with pytest.raises(TargetError) as error:
        open_and_close(f"lib:{tmp_path}/nowhere.so")
    assert "there is no library" in one_line(error)


def test_empty_path() -> None:
    with pytest.raises(TargetError, match=r"lib:/path/to/library\.so"):
        parse_target("lib:")


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="is a folder"):
        open_and_close(f"lib:{tmp_path}")


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"text, not a library, long enough"])
def test_not_a_library(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "libneuralnetworks.so"
    path.write_bytes(content)
    with pytest.raises(TargetError, match="is not a shared library"):
        open_and_close(f"lib:{path}")


def test_wrong_architecture(tmp_path: Path, native: Path) -> None:
    content = bytearray((native / "libtoy.so").read_bytes())
    own = int.from_bytes(content[18:20], "little")
    content[18:20] = (40 if own != 40 else 62).to_bytes(2, "little")
    path = tmp_path / "libneuralnetworks.so"
    path.write_bytes(content)
    with pytest.raises(TargetError, match="is built for"):
        open_and_close(f"lib:{path}")


def test_damaged_library(tmp_path: Path, native: Path) -> None:
    path = tmp_path / "libneuralnetworks.so"
    path.write_bytes((native / "libtoy.so").read_bytes()[:3000])
    with pytest.raises(TargetError) as error:
        open_and_close(f"lib:{path}")
    assert str(path) in one_line(error)


def test_library_without_nnapi(native: Path) -> None:
    with pytest.raises(TargetError, match="is not an NNAPI library"):
        open_and_close(f"lib:{native}/libunrelated.so")


def test_library_that_forgets_a_function(native: Path) -> None:
    with pytest.raises(TargetError, match="does not export ANeuralNetworksEvent_wait"):
        open_and_close(f"lib:{native}/libtoy_broken.so")


@pytest.mark.parametrize(
    ("what", "said"), [("crash", "died of signal 11"), ("exit", "left with status 5")]
)
def test_library_that_dies_while_it_is_loaded(
    native: Path, monkeypatch: pytest.MonkeyPatch, what: str, said: str
) -> None:
    monkeypatch.setenv("TOY_ON_LOAD", what)
    with pytest.raises(TargetError) as error:
        open_and_close(f"lib:{native}/libtoy.so")
    assert said in one_line(error)


def test_library_that_hangs_while_it_is_loaded(
    native: Path, runner: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_ON_LOAD", "hang")
    command = [runner, "--serve", "--library", native / "libtoy.so", "--load-deadline", "200"]
    with pytest.raises(TargetError, match="did not load within 200 ms"):
        RunnerSession(lambda _: list(map(str, command)), "lib:toy")


def test_library_that_prints_while_it_is_loaded(
    toy: LocalTarget, monkeypatch: pytest.MonkeyPatch, make_case
) -> None:
    monkeypatch.setenv("TOY_ON_LOAD", "print")
    with toy.open() as session:
        assert next(session.run([make_case()])).ending is Ending.COMPLETED


# ---- devices ----


def test_devices_by_name(
    native: Path, monkeypatch: pytest.MonkeyPatch, make_case: Callable[..., object]
) -> None:
    monkeypatch.setenv("TOY_DEVICES", "3")
    for device in ("toy-0", "toy-1", "toy-2"):
        with parse_target(f"lib:{native}/libtoy.so#{device}").open() as session:
            assert [d.name for d in session.devices()] == ["toy-0", "toy-1", "toy-2"]
            assert session.describe()["device"] == device
            assert next(session.run([make_case()])).device == device  # type: ignore[list-item]


def test_unknown_device(native: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_DEVICES", "2")
    with pytest.raises(TargetError) as error:
        open_and_close(f"lib:{native}/libtoy.so#npu")
    assert '"npu"' in one_line(error)
    assert "toy-0, toy-1" in str(error.value)


def test_no_device(native: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_DEVICES", "0")
    with pytest.raises(TargetError, match="lists no NNAPI device"):
        open_and_close(f"lib:{native}/libtoy.so")


def test_below_level_3_nothing_is_attributed(native: Path, make_case) -> None:
    target = parse_target(f"lib:{native}/libtoy_old.so")
    facts = target.describe()
    assert facts["attributed"] is False
    assert "ANeuralNetworksExecution_compute" in facts["missing_functions"]  # type: ignore[operator]
    with target.open() as session:
        (result,) = session.run([make_case()])
    assert result.ending is Ending.COMPLETED
    assert result.device == ""
    assert result.executions[0].outputs[0].dims is None


def test_facts_are_json(toy: LocalTarget) -> None:
    facts = toy.describe()
    assert facts["device"] == "toy-0"
    assert facts["feature_level"] == 29
    assert facts["attributed"] is True
    for value in facts.values():
        assert isinstance(value, (str, int, bool, list))


# ---- the runner itself ----


def test_missing_runner(toy: LocalTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNAPI_TESTKIT_RUNNER", "/nowhere/nnapi-runner")
    with pytest.raises(KitError) as error:
        toy.open()
    assert "/nowhere/nnapi-runner" in one_line(error)


def test_a_program_that_is_no_runner(native: Path) -> None:
    for program in (["/bin/echo", "hello"], ["/bin/cat", "/dev/null"], ["/bin/false"]):
        with pytest.raises(InfraError):
            RunnerSession(lambda _, words=program: words, "lib:toy")


def test_a_program_that_cannot_be_started() -> None:
    with pytest.raises(TargetError, match="cannot be started"):
        RunnerSession(lambda _: ["/nowhere/runner"], "lib:toy")


def test_a_killed_runner_is_replaced_once(toy: LocalTarget, make_case) -> None:
    cases = [make_case(size=3 + i) for i in range(40)]
    with toy.open() as session:
        results = []
        for result in session.run(cases):
            results.append(result)
            if len(results) == 5:
                assert session.pid is not None
                os.kill(session.pid, signal.SIGKILL)
        assert [r.index for r in results] == list(range(40))
        assert [len(r.executions[0].outputs[0].data) for r in results] == [
            4 * (3 + i) for i in range(40)
        ]


def test_a_runner_that_is_killed_again_and_again_is_the_cases_doing(
    toy: LocalTarget, make_case
) -> None:
    # A case that takes long enough to be killed in, each time.
    slow = make_case(9024, deadline_ms=2000)
    for kills, ending in ((2, Ending.TIMED_OUT), (3, Ending.CRASHED)):
        with toy.open() as session:
            results = session.run([slow, make_case()])
            _kill_soon(session, kills)
            first, second = results
        assert first.ending is ending
        assert second.ending is Ending.COMPLETED
        assert first.device == second.device == "toy-0"
        if ending is Ending.CRASHED:
            assert first.code == signal.SIGKILL
            assert "was killed by signal 9" in first.text


def _kill_soon(session: RunnerSession, count: int) -> None:
    def kill() -> None:
        killed = set()
        until = time.monotonic() + 20
        while len(killed) < count and time.monotonic() < until:
            pid = session.pid
            time.sleep(0.3)
            if pid is not None and pid not in killed and pid == session.pid:
                killed.add(pid)
                os.kill(pid, signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()


def children_of(session: RunnerSession) -> list[int]:
    pid = session.pid
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_workers_killed_from_outside_cost_one_case_each(toy: LocalTarget, make_case) -> None:
    """As the kernel does when memory runs out: at any moment, between cases and in them."""
    kills = 0
    stop = threading.Event()

    def kill() -> None:
        nonlocal kills
        while not stop.wait(0.05):
            for child in children_of(session):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
                    kills += 1

    cases = [make_case(size=20_000, repetitions=20)] * 300
    expected = 3 * np.arange(20_000, dtype=np.float32)
    with toy.open() as session:
        killer = threading.Thread(target=kill)
        killer.start()
        try:
            results = list(session.run(cases))
        finally:
            stop.set()
            killer.join()
        lost = [result for result in results if result.ending is not Ending.COMPLETED]
        assert len(results) == 300
        assert kills > 2
        assert len(lost) <= kills
        for result in results:
            if result in lost:
                assert (result.ending, result.code) == (Ending.CRASHED, signal.SIGKILL)
            else:
                got = np.frombuffer(result.executions[-1].outputs[0].data, np.float32)
                np.testing.assert_array_equal(got, expected)


def test_a_library_that_vanishes_is_named(native: Path, tmp_path: Path, make_case) -> None:
    library = tmp_path / "libneuralnetworks.so"
    shutil.copy(native / "libtoy.so", library)
    with parse_target(f"lib:{library}").open() as session:
        (first,) = session.run([make_case()])
        assert first.ending is Ending.COMPLETED
        library.unlink()
        with pytest.raises(TargetError) as error:
            list(session.run([make_case(9004), make_case()]))
    assert str(library) in one_line(error)


def test_workers_die_with_their_runner(toy: LocalTarget, make_case) -> None:
    with toy.open() as session:
        list(session.run([make_case()]))
        pid = session.pid
        assert pid is not None
        children = children_of(session)
        assert len(children) == 1
        os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + 5
        while Path(f"/proc/{children[0]}/stat").exists() and time.monotonic() < until:
            state = Path(f"/proc/{children[0]}/stat").read_text().rsplit(") ")[1][0]
            if state in "ZX":
                break
            time.sleep(0.01)
        else:
            assert time.monotonic() < until, "the worker outlived its runner"


def test_a_silent_runner_is_given_up(native: Path, runner: Path, make_case) -> None:
    command = [str(runner), "--serve", "--library", str(native / "libtoy.so")]
    with RunnerSession(lambda _: command, "lib:toy", grace=0.4, load_seconds=0.1) as session:
        assert session.pid is not None
        os.kill(session.pid, signal.SIGSTOP)
        began = time.monotonic()
        # The first runner is stopped; the one that replaces it answers.
        (result,) = session.run([make_case(deadline_ms=100)])
        assert result.ending is Ending.COMPLETED
        assert time.monotonic() - began < 60


def test_a_case_that_cannot_be_sent_costs_only_itself(toy: LocalTarget, make_case) -> None:
    bad = replace(make_case(), repetitions=0)
    with toy.open() as session:
        for cases in ([bad], [make_case(), bad, make_case()], [bad, make_case()]):
            results = list(session.run(cases))
            assert [r.index for r in results] == list(range(len(cases)))
            assert [r.ending is Ending.BAD_CASE for r in results] == [c is bad for c in cases]


def test_taking_exactly_the_results_keeps_the_runner(toy: LocalTarget, make_case) -> None:
    with toy.open() as session:
        pid = session.pid
        for _ in range(3):
            next(session.run([make_case()]))
        assert session.pid == pid


def test_no_room_for_temporary_files(
    toy: LocalTarget, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(InfraError) as error:
        toy.open()
    assert "TMPDIR" in one_line(error)


def test_closing_twice_and_without_work(toy: LocalTarget) -> None:
    session = toy.open()
    session.close()
    session.close()
    assert session.farewell is not None


# ---- texts ----


def test_unknown_kind() -> None:
    with pytest.raises(TargetError) as error:
        parse_target("phone:7")
    assert "host, lib:PATH" in one_line(error)


def test_packages_add_targets(monkeypatch: pytest.MonkeyPatch, toy: LocalTarget) -> None:
    here = sys.modules[__name__]
    monkeypatch.setattr(here, "made", [], raising=False)
    point = EntryPoint("lab", f"{__name__}:make_lab_target", parse.ENTRY_POINTS)
    broken = EntryPoint("broken", "nowhere_at_all:make", parse.ENTRY_POINTS)
    monkeypatch.setattr(parse, "entry_points", lambda group: [point, broken])
    assert parse_target("lab:rack-3").name == "lab:rack-3"
    with pytest.raises(TargetError, match="cannot be loaded"):
        parse_target("broken:1")


def make_lab_target(text: str) -> Target:
    return LocalTarget(text, lambda: Path("/nowhere"))


@pytest.mark.parametrize(
    ("text", "kind", "rest", "device"),
    [
        ("host", "host", "", ""),
        ("host#nnapi-reference", "host", "", "nnapi-reference"),
        ("lib:/a/b.so#a:b#c", "lib", "/a/b.so", "a:b#c"),
        ("adb:10.0.0.1:5555#*", "adb", "10.0.0.1:5555", "*"),
    ],
)
def test_a_target_is_taken_apart(text: str, kind: str, rest: str, device: str) -> None:
    place = Place.of(text)
    assert (place.kind, place.rest, place.device, str(place)) == (kind, rest, device, text)
    assert Place.of(place.on("npu")) == Place(place.base, "npu")
