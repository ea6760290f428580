"""Whatever a driver does, it is charged what it did, no more, and no other case is lost.

Each kind is a whole run of the command line on a driver that is hostile in its third case.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import hostile_world

from nnapi_testkit.cli import main
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.report.accounts import read_accounts

PASS, CRASH, TIMEOUT = Verdict.PASS, Verdict.CRASH_RUNNER, Verdict.TIMEOUT
FAULT = "outside any case"

# What the driver does in its case, the verdict on that case, and words of its record or, for what
# happens outside any case, of the run.
KINDS: dict[str, tuple[Verdict, str]] = {
    "honest": (PASS, ""),
    "null pointer": (CRASH, "signal 11"),
    "abort": (CRASH, "signal 6"),
    "division by zero": (CRASH, "signal 8"),
    "illegal instruction": (CRASH, "signal 4"),
    "bus error": (CRASH, "signal 7"),
    "trap": (CRASH, "signal 5"),
    "endless recursion": (CRASH, "signal 11"),
    "exit 0": (CRASH, "status 0"),
    "exit 1": (CRASH, "status 1"),
    "exit 2": (CRASH, "status 2"),
    "_exit 0": (CRASH, "status 0"),
    "SIGTERM to itself": (CRASH, "signal 15"),
    "SIGKILL to itself": (CRASH, "signal 9"),
    "SIGPIPE to itself": (CRASH, "signal 13"),
    "kills its group": (CRASH, "signal 9"),
    "main thread ends": (CRASH, "status 0"),
    "alarm": (CRASH, "signal 14"),
    "forged words": (CRASH, "signal 6"),
    "hang": (TIMEOUT, ""),
    "busy loop": (TIMEOUT, ""),
    "stops itself": (TIMEOUT, ""),
    "traced": (TIMEOUT, ""),
    "deaf hang": (TIMEOUT, ""),
    "endless printing": (TIMEOUT, ""),
    "memory without end": (CRASH, "memory"),
    "kills its parent": (CRASH, "processes that are not its own"),
    "SIGTERM to its parent": (CRASH, "processes that are not its own"),
    "SIGHUP to its parent": (CRASH, "processes that are not its own"),
    "SIGINT to its parent": (CRASH, "processes that are not its own"),
    "SIGSEGV to its parent": (CRASH, "processes that are not its own"),
    "stops its parent": (CRASH, "stopped by a signal"),
    "kills its session": (CRASH, "processes that are not its own"),
    "zeroes the page": (PASS, ""),
    "fills the page": (PASS, ""),
    "keeps filling the page": (PASS, ""),
    "zeroes the page and dies": (CRASH, "signal 6"),
    "fills the page and hangs": (TIMEOUT, ""),
    "keeps filling and hangs": (TIMEOUT, ""),
    "unmaps the page": (CRASH, "signal 11"),
    "closes all descriptors": (CRASH, "status 0"),
    "closes standard streams": (PASS, ""),
    "garbage in the pipes": (CRASH, "the runner's own pipe"),
    "half a frame in the pipes": (TIMEOUT, ""),
    "LIBRARY in the pipes": (CRASH, "the runner's own pipe"),
    "ERROR in the pipes": (CRASH, "the runner's own pipe"),
    "another's RESULT in the pipes": (CRASH, "the runner's own pipe"),
    "pipes that do not wait": (PASS, ""),
    "prints much": (PASS, ""),
    "comes back twice": (PASS, ""),
    "a child": (PASS, ""),
    "a child out of its session": (PASS, ""),
    "a daemon": (PASS, ""),
    "a daemon, and hangs": (TIMEOUT, ""),
    "a daemon, and dies": (CRASH, "signal 6"),
    "no more files": (PASS, ""),
    "files of no size": (PASS, ""),
    "another folder": (PASS, ""),
    "mask and environment": (PASS, ""),
    "not dumpable": (PASS, ""),
    "outlives its parent": (PASS, ""),
    "ignores all signals": (PASS, ""),
    "own group": (PASS, ""),
    "code 12345": (Verdict.EXEC_ERROR, "12345"),
    "code -1": (Verdict.EXEC_ERROR, "-1"),
    "dead object": (Verdict.EXEC_ERROR, "DEAD_OBJECT (14)"),
    "aborts at exit": (PASS, FAULT),
    "segfault at exit": (PASS, FAULT),
    "other status at exit": (PASS, FAULT),
    "SIGKILL at exit": (PASS, FAULT),
    "thread dies after the last case": (PASS, FAULT),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_driver_costs_its_case(
    native: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: str,
) -> None:
    verdict, words = KINDS[kind]
    child = tmp_path / "child"
    monkeypatch.setenv("HOSTILE", kind)
    monkeypatch.setenv("HOSTILE_CHILD", str(child))
    if verdict is TIMEOUT:
        monkeypatch.setattr(hostile_world, "DEADLINE_MS", 500)
    out = tmp_path / "out"
    code = main(
        [
            "run", "-t", f"lib:{native / 'libtoy.so'}", "--services", "hostile_world:services",
            "--oracle", "golden", "--report", str(out), "--memory-limit", "200",
        ]
    )  # fmt: skip
    printed = capsys.readouterr()
    assert printed.err == ""
    accounts = read_accounts(out)
    assert not accounts.unfinished
    found = {record.id: record for record in accounts.records}
    for at in range(hostile_world.CASES):
        record = found[hostile_world.name_of(at)]
        assert record.device == "toy-0", record
        assert record.target.startswith("lib:")
        if at != hostile_world.BAD:
            assert record.verdict is PASS, record
            assert record.evidence.compared == 6
        else:
            assert record.verdict is verdict, record
            if words != FAULT:
                assert words in f"{record.message} {record.text}"
    assert code == (1 if verdict.is_failure or words == FAULT else 0), printed.out
    assert accounts.end is not None
    assert accounts.end.exit_code == code
    assert bool(accounts.end.faults) == (words == FAULT), accounts.end
    if words == FAULT:
        assert FAULT in printed.out
        assert FAULT in (out / "index.html").read_text()
        assert FAULT in (out / "junit.xml").read_text()
    closing = printed.out.splitlines()[-1]
    assert closing.startswith("FAIL:" if code else "PASS: 6 PASS")
    assert "\x1b" not in printed.out
    assert sum(line.startswith("PASS:") for line in printed.out.splitlines()) == (code == 0)
    if child.exists():
        _gone(int(child.read_text()))


def _gone(pid: int) -> None:
    """Wait for a process that has been killed; one that lives on fails."""
    until = time.monotonic() + 3
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    pytest.fail(f"process {pid} outlives the run")
