"""What adb does not list: said at once, or waited for where the user says so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nnapi_testkit.targets import TargetError
from nnapi_testkit.targets.adb import AdbTarget, Patience
from nnapi_testkit.targets.adb import server as adb_server
from nnapi_testkit.targets.adb.client import Client
from nnapi_testkit.targets.adb.device import Device

Any_ = Callable[..., Any]


def test_a_mistyped_serial_is_told_what_adb_lists(start: Any_, target: Any_) -> None:
    device = start()
    with target(device).open() as runner:
        client = runner._lease.device.client
        stranger = Device(client.server, "R58M12ABCDEF")
        began = time.monotonic()
        listed = rf"there is no device R58M12ABCDEF \(adb lists .*{device.serial}\b.*\): plug"
        with pytest.raises(TargetError, match=listed):
            stranger.reach(60, listed=0.5)
        assert time.monotonic() - began < 50


def test_an_emulator_that_appears_late_is_waited_for_where_that_is_said(
    start: Any_, patience: Any_, cases: Any_, check: Any_, monkeypatch: pytest.MonkeyPatch
) -> None:
    adb_server._OWN.stop()  # a server that knows no device yet
    server = adb_server.own_server()
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.port))
    port = start().serial.rpartition(":")[2]
    late = AdbTarget("adb:emulator-5582", ("emulator-5582",), patience=patience)
    any_one = AdbTarget("adb:", patience=patience)
    for target in (late, any_one):
        began = time.monotonic()
        with pytest.raises(TargetError, match="waits 120 s for one that appears late"):
            target.open()
        assert time.monotonic() - began < Patience().reach / 2
    appears = threading.Timer(1.0, lambda: Client(server).attach(f"emu:5582,{port}", 10))
    appears.start()
    with replace(late, patience=replace(patience, listed=60)).open() as runner:
        check(list(runner.run(cases(3))), 3)
    appears.join()
    with any_one.open() as runner:
        assert runner.describe()["serial"] == "emulator-5582"
    adb_server._OWN.stop()
