"""An adb server that crashes is replaced: what is under way is repeated, nothing is lost."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nnapi_testkit.targets import InfraError
from nnapi_testkit.targets.adb import server as adb_server
from nnapi_testkit.targets.adb.device import Device

Any_ = Callable[..., Any]


def crash() -> None:
    """Kill the server itself, not the shell that looks after it."""
    keeper = adb_server._OWN._keeper
    assert keeper is not None
    for entry in Path("/proc").iterdir():
        try:
            stat = (entry / "stat").read_text().rpartition(")")[2].split()
            words = (entry / "cmdline").read_bytes()
        except (OSError, IndexError):
            continue
        if int(stat[1]) == keeper.pid and b"nodaemon" in words and b"/bin/sh" not in words:
            os.kill(int(entry.name), signal.SIGSEGV)
            return
    raise AssertionError("there is no server to crash")


def await_another(first: adb_server.Server) -> None:
    until = time.monotonic() + 10
    while adb_server.own_server() is first:
        assert time.monotonic() < until, "nobody noticed"
        time.sleep(0.02)


def test_the_next_one_who_asks_gets_another() -> None:
    first = adb_server.own_server()
    assert adb_server.own_server() is first
    crash()
    await_another(first)
    assert adb_server.listens("127.0.0.1", adb_server.own_server().port)


def test_in_the_middle_of_a_batch(start: Any_, target: Any_, cases: Any_, check: Any_) -> None:
    device = start(case_seconds=0.005)
    with target(device).open() as runner:
        timer = threading.Timer(0.3, crash)
        timer.start()
        check(list(runner.run(cases(200))), 200)
        timer.join()


def test_while_a_device_is_awaited(start: Any_, target: Any_, cases: Any_, check: Any_) -> None:
    device = start(late_seconds=1.5)
    adb_server.own_server()
    timer = threading.Timer(0.5, crash)
    timer.start()
    with target(device).open() as runner:
        check(list(runner.run(cases(5))), 5)
    timer.join()


def test_a_server_of_somebody_else_is_not_replaced(start: Any_) -> None:
    own = adb_server.own_server()
    theirs = adb_server.Server(own.host, own.port, own=False)
    device = Device(theirs, "127.0.0.1:1")
    crash()
    with pytest.raises(InfraError, match="listing devices"):
        device.reach(5)
    assert not device.client.server.own
    await_another(own)  # not left to the next test
