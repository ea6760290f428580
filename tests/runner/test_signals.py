"""A run that is told to end closes its books and leaves nothing behind, whatever tells it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nnapi_testkit.report.accounts import read_accounts
from nnapi_testkit.session.record import How


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_run_that_is_told_to_end(
    native: Path, tmp_path: Path, number: signal.Signals, jobs: str
) -> None:
    child, temporary = tmp_path / "child", tmp_path / "tmp"
    temporary.mkdir()
    here = Path(__file__).parent
    process = subprocess.Popen(
        [
            sys.executable, "-m", "nnapi_testkit.cli", "run", "-t", f"lib:{native / 'libtoy.so'}",
            "--services", "hostile_world:services", "--oracle", "golden", "--report", "out",
            "--jobs", jobs,
        ],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(here), str(here.parents[1])]),
            "HOSTILE": "a daemon, and hangs",
            "HOSTILE_CHILD": str(child),
            "TMPDIR": str(temporary),
        },
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    until = time.monotonic() + 60
    while not (child.exists() and child.read_text()) and time.monotonic() < until:
        time.sleep(0.02)
    os.killpg(process.pid, number)  # as a terminal that is closed, or a service manager, does
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2, output
    assert "the run was interrupted" in output
    assert "Traceback" not in output
    accounts = read_accounts(tmp_path / "out")
    assert accounts.end is not None and accounts.end.how is How.INTERRUPTED
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["how"] == "interrupted"
    assert list(temporary.iterdir()) == []
    _gone(int(child.read_text()))


def _gone(pid: int) -> None:
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    pytest.fail(f"process {pid} outlives the run")
