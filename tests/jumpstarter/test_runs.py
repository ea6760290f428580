"""Whole runs: local mode, a fleet, interruptions, processes that forget to close."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nnapi_testkit.targets import fleet, parse_target
from nnapi_testkit.targets.adb import AdbSession, Patience
from nnapi_testkit.targets.adb.registry import acquire
from nnapi_testkit.targets.adb.server import Server

Make = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[2]
NAMES = ("ADD[float32-same]", "MUL[float32-same]", "RELU*float32*")


@pytest.fixture
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the entry points of pyproject.toml known, as installing does."""
    folder = tmp_path / "site" / "kit_entry_points-1.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: kit-entry-points\nVersion: 1\n")
    text = (ROOT / "pyproject.toml").read_text()
    lines: list[str] = []
    for part in text.split("[project.entry-points.")[1:]:
        name, _, body = part.partition("]\n")
        lines += [f"[{name.strip(chr(34))}]", body.partition("\n\n")[0].replace('"', "")]
    known = [line for line in "\n".join(lines).splitlines() if "plugin" not in line]
    (folder / "entry_points.txt").write_text("\n".join(known) + "\n")
    monkeypatch.syspath_prepend(str(folder.parent))
    parts = [str(folder.parent), str(ROOT), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, parts)))


def kit(*words: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "nnapi_testkit.cli", *words],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def finished(process: subprocess.Popen[str], seconds: float = 100) -> Iterator[tuple[str, str]]:
    try:
        yield process.communicate(timeout=seconds)
    finally:
        process.kill()
        process.wait()


def test_the_tunnel_in_local_mode(
    quiet: None,
    lab_module: ModuleType,
    start: Make,
    connect: Make,
    cases: Make,
    check: Make,
    tmp_path: Path,
) -> None:
    """Jumpstarter's own local mode, its tunnel, and the adb target's session on top."""
    from jumpstarter.common.utils import serve

    port = lab_module.free_port()
    device = start()
    with serve(lab_module.adb_server(port)) as client:
        connect(port, device)
        with client.forward_adb() as (host, local):
            assert local != port
            server = Server(host, local, False)
            patience = Patience.from_environment()
            lease = acquire(device.serial, patience, server, "local-mode")
            with AdbSession(lease, "local mode") as runner:
                check(list(runner.run(cases(300))), 300)
                assert runner.describe()["serial"] == device.serial
    assert device.results == 300


def test_a_run_within_a_shell_of_jumpstarters(
    lab: Any, exporter: Make, registered: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`jumpstarter:` alone is the exporter of the `jmp shell` around us; nothing is leased."""
    device = exporter()
    monkeypatch.setenv("JUMPSTARTER_HOST", lab.controller.exporters[0].socket)
    monkeypatch.setenv("JMP_EXPORTER", "rack-1")
    words = ["run", *NAMES, "--oracle", "golden", "--report", "report", "-t", "jumpstarter:"]
    with finished(kit(*words, cwd=tmp_path)) as (_, err):
        assert "the driver adb is not allowed here" in err and "Traceback" not in err
    monkeypatch.setenv("JMP_DRIVERS_ALLOW", "jumpstarter_driver_adb.*")
    process = kit(*words, cwd=tmp_path)
    with finished(process) as (out, err):
        assert process.returncode == 0, out + err
        assert err == ""
    summary = json.loads((tmp_path / "report" / "summary.json").read_text())
    assert '"exporter": "rack-1"' in json.dumps(summary)
    assert device.results >= 10
    assert lab.controller.leases == []


def test_a_run_on_one_lease(lab: Any, exporter: Make, registered: None, tmp_path: Path) -> None:
    """Facts, cases and failures that run once more alone: one device for all of them."""
    exporter()
    marker = tmp_path / "prepared"
    command = f'echo "$ANDROID_SERIAL $ANDROID_ADB_SERVER_PORT" > {marker}'
    words = ["run", *NAMES, "--oracle", "golden", "--before-run", command, "-t"]
    process = kit(*words, f"jumpstarter:board=pixel7?config={lab.config}#*", cwd=tmp_path)
    with finished(process) as (out, err):
        assert process.returncode == 0, out + err
        assert err == ""
    serial, port = marker.read_text().split()
    assert serial.startswith("127.0.0.1:") and port.isdecimal()
    assert len(lab.controller.leases) == 1


def test_a_fleet_that_loses_a_lease(
    lab: Any, exporter: Make, registered: None, tmp_path: Path
) -> None:
    """Two lanes with a lease each; the one whose lease ends asks for a fresh one."""
    first, second = exporter("rack-1", case_seconds=0.03), exporter("rack-2", case_seconds=0.03)
    text = f"jumpstarter:board=pixel7*2?config={lab.config}"
    names = fleet(text + "#nnapi-reference")
    assert names == (
        f"jumpstarter:board=pixel7?lane=1&config={lab.config}#nnapi-reference",
        f"jumpstarter:board=pixel7?lane=2&config={lab.config}#nnapi-reference",
    )
    assert parse_target(names[0]).name == names[0]
    process = kit("run", "ADD", "--oracle", "golden", "-t", text, cwd=tmp_path)
    lab.wait(lambda: min(first.results, second.results) > 5, 60)
    lab.expire(next(one for one in lab.controller.leases if one.exporter.name == "rack-2"))
    with finished(process) as (out, err):
        assert process.returncode == 0, out + err
        assert err == ""
    assert [one.exporter.name for one in lab.controller.leases].count("rack-2") == 2
    assert " INFRA" not in out and " NOT_RUN" not in out


def test_interrupted_while_waiting(
    lab: Any, lab_module: ModuleType, exporter: Make, registered: None, tmp_path: Path
) -> None:
    exporter()
    lab.controller.pending = lab_module.NEVER
    process = kit("run", "ADD", "-t", f"jumpstarter:board=pixel7?config={lab.config}", cwd=tmp_path)
    lab.wait(lambda: bool(lab.controller.leases) and lab.controller.leases[0].asked > 0, 30)
    process.send_signal(signal.SIGINT)
    with finished(process, 30):
        assert process.returncode != 0
    assert lab.controller.leases[0].deleted


def test_interrupted_at_work(lab: Any, exporter: Make, registered: None, tmp_path: Path) -> None:
    device = exporter(case_seconds=0.2)
    text = f"jumpstarter:board=pixel7?config={lab.config}"
    process = kit("run", "ADD", "--oracle", "golden", "-t", text, cwd=tmp_path)
    lab.wait(lambda: device.results > 5, 60)
    process.send_signal(signal.SIGINT)
    with finished(process, 60) as (out, err):
        assert process.returncode == 2, out + err
        assert "Traceback" not in err
    assert lab.controller.leases[0].deleted


@pytest.mark.parametrize("end", ["", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"])
def test_a_process_that_forgets(lab: Any, exporter: Make, tmp_path: Path, end: str) -> None:
    """Its end is the end of the lease, even where it is killed, and the lease does not delay it."""
    exporter()
    program = (
        "from nnapi_testkit.targets.jumpstarter import jumpstarter_target\n"
        f"runner = jumpstarter_target('jumpstarter:board=pixel7?config={lab.config}').open()\n"
        "print(len(runner.devices()), flush=True)\n"
    ) + end
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (-9 if end else 0, "1\n"), done.stderr
    lab.wait(lambda: lab.controller.leases[0].deleted, 30)


def test_under_xdist(lab: Any, exporter: Make, registered: None, tmp_path: Path) -> None:
    """Each worker leases for itself; the controller holds nothing that a worker waits for."""
    exporter("rack-1")
    exporter("rack-2")
    text = f"jumpstarter:board=pixel7*2?config={lab.config}&wait=30s"
    words = ["-p", "nnapi_testkit.plugin", "-p", "xdist", "-q", "-n", "2", "--nnapi-suite"]
    words += ["--nnapi-target", text, "--nnapi-oracle", "golden", "--nnapi-operation", "ADD"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=150,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert {one.exporter.name for one in lab.controller.leases} == {"rack-1", "rack-2"}
