"""Parts that need no device: what is read from devices, what users write."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nnapi_testkit.errors import KitError
from nnapi_testkit.loopback import LoopbackDevice
from nnapi_testkit.loopback.commands import FRAME, FrameRelay
from nnapi_testkit.loopback.faults import Faults
from nnapi_testkit.session.engine import Session
from nnapi_testkit.session.settings import OracleMode, Settings
from nnapi_testkit.targets import TargetError, fleet, parse_target
from nnapi_testkit.targets.adb import Patience
from nnapi_testkit.targets.adb.cache import runners
from nnapi_testkit.targets.adb.facts import parse
from nnapi_testkit.targets.adb.logwindow import LogWindow
from nnapi_testkit.targets.adb.server import is_network, listens, own_server

PHONE = """\
machine=aarch64
page_size=16384
identity=uid=2000(shell) gid=2000(shell) context=u:r:shell:s0
boot=8d6f-1
init=77
loader=/system/bin/linker64
loader=/system/bin/linker
ro.build.version.sdk=33
ro.product.model=Board
[ro.build.version.sdk]: [34]
[ro.product.cpu.abilist]: [arm64-v8a,armeabi-v7a]
[ro.product.manufacturer]: [Maker]
[ro.product.model]: [Phone 9]
[debug.nn.vlog]: []
[persist.device_config.nnapi_native.current_feature_level]: [7]
[ro.build.fingerprint]: [a/b/c:14/X/1:user/release-keys]
"""


def test_facts_of_a_phone() -> None:
    facts = parse(PHONE)
    assert facts.abis == ("arm64-v8a", "armeabi-v7a")
    assert (facts.api_level, facts.page_size, facts.model) == (34, 16384, "Maker Phone 9")
    assert facts.boot_id == "8d6f-1 77"
    assert facts.identity.endswith("u:r:shell:s0")
    assert list(facts.nn_properties) == [
        "debug.nn.vlog",
        "persist.device_config.nnapi_native.current_feature_level",
    ]


def test_facts_of_a_userland_without_properties() -> None:
    bare = "machine=aarch64\npage_size=\nidentity=\n"
    facts = parse(bare)
    assert facts.abis == ("arm64-v8a", "armeabi-v7a")
    assert (facts.api_level, facts.page_size, facts.identity) == (0, 0, "")
    assert parse("").abis == ()
    # A kernel of 64 bits under a userland of 32, and one of 64 alone.
    assert parse(f"{bare}loader=/system/bin/linker\n").abis == ("armeabi-v7a",)
    assert parse(f"{bare}loader=/system/bin/linker64\n").abis == ("arm64-v8a",)


def test_facts_of_a_userland_in_which_nothing_has_read_the_properties() -> None:
    facts = parse(
        "machine=aarch64\nro.build.version.sdk=30\nro.build.version.release=11\n"
        "ro.vendor.product.cpu.abilist=arm64-v8a,armeabi-v7a,armeabi\n"
        "[ro.build.version.sdk]: []\n"
    )
    assert (facts.api_level, facts.release) == (30, "11")
    assert facts.abis == ("arm64-v8a", "armeabi-v7a", "armeabi")


def test_an_abi_without_a_runner_is_named() -> None:
    with pytest.raises(TargetError, match=r"no runner for device X: .*linux-pdp11"):
        runners("X", ["linux-pdp11"])
    with pytest.raises(TargetError, match="names no ABI"):
        runners("X", [])


@pytest.mark.parametrize(
    ("line", "name", "is_service"),
    [
        (
            "F libc : Fatal signal 6 (SIGABRT), code -1 in tid 7 (x), pid 7 (nnapi-runner)",
            "nnapi-runner",
            False,
        ),
        (
            "F DEBUG : pid: 9, tid: 9, name: q >>>"
            " /vendor/bin/hw/android.hardware.neuralnetworks@1.1-service-qti <<<",
            "/vendor/bin/hw/android.hardware.neuralnetworks@1.1-service-qti",
            True,
        ),
        (
            "F DEBUG : pid: 9, tid: 9, name: q  >>>"
            " /data/local/tmp/nnapi-testkit/ab/nnapi-runner <<<",
            "/data/local/tmp/nnapi-testkit/ab/nnapi-runner",
            False,
        ),
        (
            "F libc : Fatal signal 11 (SIGSEGV), code 1 in tid 5 (m), pid 5 (com.some.game)",
            "com.some.game",
            False,
        ),
    ],
)
def test_whose_crash_a_log_tells_of(line: str, name: str, is_service: bool) -> None:
    window = LogWindow.__new__(LogWindow)
    LogWindow.__init__(window, _NoDevice())  # type: ignore[arg-type]
    window._take(line)
    (crash,) = window._crashes.values()
    assert (crash.process, crash.is_service) == (name, is_service)
    assert (window.take_crash() is not None) == is_service
    assert window.take_crash() is None


class _NoDevice:
    def start(self, command: str) -> None:
        from nnapi_testkit.targets import InfraError

        raise InfraError("no log here")


def test_targets_of_a_fleet() -> None:
    assert fleet("adb:1.2.3.4:5555,adb:B#npu") == ("adb:1.2.3.4:5555#npu", "adb:B#npu")
    assert fleet("adb:A,A") == ("adb:A",)
    assert fleet("adb:") == ("adb:",)
    assert fleet("lib:/a,b.so") == ("lib:/a,b.so",)
    assert parse_target("adb:A#npu").name == "adb:A#npu"


@pytest.mark.parametrize(
    ("serial", "network"),
    [("127.0.0.1:5555", True), ("[::1]:5555", True), ("R58M", False), ("emulator-5554", False)],
)
def test_which_devices_are_connected_to(serial: str, network: bool) -> None:
    assert is_network(serial) is network


def test_the_environments_server_is_used_and_must_be_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "1")
    with pytest.raises(TargetError, match=r"no adb server listens at 127\.0\.0\.1:1"):
        parse_target("adb:10.0.0.1:5555").open()


def test_a_server_that_has_the_device_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    from nnapi_testkit.targets.adb import server as module
    from nnapi_testkit.targets.adb.client import Client, server_for

    own = own_server()
    with LoopbackDevice(library=Path("/proc/self/exe")) as device:
        # The usual port cannot be had in a test: it may be somebody's.
        monkeypatch.setattr(module, "DEFAULT_PORT", own.port)
        assert server_for(device.serial).own
        client = Client(own)
        client.attach(device.serial, 10)
        until = time.monotonic() + 10
        while client.states().get(device.serial) != "device":
            assert time.monotonic() < until
            time.sleep(0.02)
        assert not server_for(device.serial).own
        client.detach(device.serial)


def test_one_device_has_one_lane() -> None:
    session = Session(Settings(target="adb:A", oracle=OracleMode.GOLDEN, operations=("ADD",)), 2)
    with pytest.raises(KitError, match="leave --jobs out"):
        list(session.run(session.refs()))


def test_our_server_ends_with_us_even_when_we_are_killed() -> None:
    script = (
        "from nnapi_testkit.targets.adb.server import own_server\n"
        "import time\nprint(own_server().port, flush=True)\ntime.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    port = int(process.stdout.readline())
    assert listens("127.0.0.1", port)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    until = time.monotonic() + 10
    while listens("127.0.0.1", port):
        assert time.monotonic() < until, "an adb server was left behind"
        time.sleep(0.05)
    assert own_server().port != port


def test_patience_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNAPI_TESTKIT_ADB_PATIENCE", "reach=7, boot=400")
    assert Patience.from_environment() == Patience(reach=7, boot=400)
    for wrong in ("reach", "reach=long", "tea=4"):
        monkeypatch.setenv("NNAPI_TESTKIT_ADB_PATIENCE", wrong)
        with pytest.raises(TargetError, match="not NAME=SECONDS"):
            Patience.from_environment()


def test_switches_are_read_from_words() -> None:
    faults = Faults.parse(["drop-after-bytes=70", "unauthorized", "late_seconds=0.5"])
    assert faults == Faults(drop_after_bytes=70, unauthorized=True, late_seconds=0.5)
    with pytest.raises(KitError, match="'flood' is unknown"):
        Faults.parse(["flood=1"])
    with pytest.raises(KitError, match="'many' is not a number"):
        Faults.parse(["times=many"])


@pytest.mark.parametrize("step", [1, 7, 16, 1000])
def test_output_is_cut_behind_results_however_it_arrives(step: int) -> None:
    kinds = [16, 17, 18, 18, 19]
    stream = b"".join(FRAME.pack(b"NNTK", 1, kind, kind, 0) + bytes(kind) for kind in kinds)
    relay = FrameRelay()
    pieces: list[bytes] = [b""]
    for at in range(0, len(stream), step):
        for piece, ends in relay.cut(stream[at : at + step]):
            pieces[-1] += piece
            if ends:
                pieces.append(b"")
    assert b"".join(pieces) == stream
    assert [len(piece) for piece in pieces] == [3 * 16 + 16 + 17 + 18, 16 + 18, 16 + 19]
