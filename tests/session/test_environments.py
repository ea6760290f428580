"""Streams, limits and places that do not work: one line and exit code 2, or the run as it is."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

World = Callable[..., object]
SERVICES = ("--services", "session_fakes:services")


@pytest.fixture
def shell(
    settings: World, environment: Callable[[], dict[str, str]], tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a line of shell in which KIT is the command line and RUN a run of 60 cases."""
    settings("wrong", count=60)
    (tmp_path / "ok.txt").write_text("x")
    kit = f"{sys.executable} -m nnapi_testkit.cli"

    def call(line: str, **more: str) -> subprocess.CompletedProcess[str]:
        for name, words in (("RUN", f"{kit} run {' '.join(SERVICES)}"), ("KIT", kit)):
            line = line.replace(name, words)
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", line], cwd=tmp_path, env={**environment(), **more},
            capture_output=True, text=True, timeout=60, errors="surrogateescape",
        )  # fmt: skip

    return call


# A line of shell, its exit code, and what standard error says ("" nothing at all).
KINDS: dict[str, tuple[str, int, str]] = {
    "closed output": ("RUN >&-", 2, "standard output is closed"),
    "closed streams": ("RUN >&- 2>&-", 2, ""),
    "closed input": ("RUN <&-", 1, ""),
    "closed errors": ("RUN 2>&-", 1, ""),
    "closed errors, and a fault": ("RUN -t moon 2>&-", 2, ""),
    "full output": ("RUN >/dev/full", 2, "cannot be written (No space left on device)"),
    "full output of help": ("KIT --help >/dev/full", 2, "cannot be written"),
    "full output of a list": ("KIT where >/dev/full", 2, "cannot be written"),
    "full errors": ("RUN -t moon 2>/dev/full", 2, ""),
    "a reader that leaves": ("RUN --matrix --show 60 | head -1", 2, ""),
    "a reader that never reads": ("RUN | true", 2, ""),
    "a reader of a list that leaves": ("KIT ops --cases | head -1", 2, ""),
    "output that is read only": ("RUN 1<ok.txt", 2, "cannot be written (Bad file descriptor)"),
    "ASCII": ("PYTHONIOENCODING=ascii RUN --matrix", 1, ""),
    "Latin 1": ("PYTHONIOENCODING=latin-1 RUN --matrix", 1, ""),
    "UTF-16": ("PYTHONIOENCODING=utf-16 RUN", 1, ""),
    "the C locale": ("LC_ALL=C PYTHONCOERCECLOCALE=0 PYTHONUTF8=0 RUN --matrix", 1, ""),
    "a name beyond ASCII": ("PYTHONIOENCODING=ascii RUN 'ADD[\u00e9]'", 2, "is unknown"),
    "a name that is no text": ("RUN $'ADD[\\xff\\x1b]'", 2, "is unknown"),
    "a target of two lines": ("RUN -t $'moon\\nPASS: 1 PASS'", 2, "moon\\nPASS: 1 PASS"),
    "an option of two lines": ("RUN --shard $'1\\n2'", 2, "shard '1"),
    "little memory": ("ulimit -v 30000; RUN", 2, "out of memory"),
    "memory for Python alone": ("ulimit -v 90000; RUN", 2, "out of memory"),
    "few files": ("ulimit -n 64; KIT devices", 2, "may open 64 files here"),
    "very few files": ("ulimit -n 12; KIT devices", 2, "ulimit -n"),
    "few files that can be more": ("ulimit -Sn 64; KIT devices", 0, ""),
    "a report in a file": ("RUN --report ok.txt", 2, "report folder ok.txt cannot be used"),
    "a report below a file": ("RUN --report ok.txt/a", 2, "cannot be used"),
    "a report in /proc": ("RUN --report /proc/none", 2, "cannot be used"),
    "a report without a name": ("RUN --report \"$(printf 'a%.0s' {1..300})\"", 2, "cannot be used"),
    "waivers in a folder": ("RUN --waivers .", 2, "cannot be read (Is a directory)"),
    "waivers nested too deeply": (
        "printf 'a = %0100000d' 0 | tr 0 '[' >deep; RUN --waivers deep", 2, "are not TOML",
    ),
    "waivers of bytes": ("RUN --waivers /bin/true", 2, "are not TOML"),
    "waivers without end": ("RUN --waivers /proc/self/mem", 2, "cannot be read"),
    "a floor in a folder": ("RUN --floor .", 2, "cannot be read (Is a directory)"),
    "a floor of bytes": ("RUN --floor /bin/true", 2, "are damaged"),
    "a floor nested too deeply": (
        "printf '[%.0s' {1..100000} >deep; RUN --floor deep", 2, "are damaged",
    ),
    "a floor that cannot be written": ("RUN --write-floor no/f", 2, "create its folder first"),
    "waivers that cannot be written": ("RUN --write-waivers no/w", 2, "create its folder first"),
    "no home": ("env -u HOME RUN", 1, ""),
    "an output that cannot be written": (
        "RUN --report a >/dev/null; KIT report a --format html -o no/x", 2, "create its folder",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_environments(shell: Callable[..., subprocess.CompletedProcess[str]], kind: str) -> None:
    line, code, words = KINDS[kind]
    done = shell(line)
    assert done.returncode == code, (done.stdout[-500:], done.stderr[-500:])
    assert "Traceback" not in done.stdout + done.stderr
    assert "internal error" not in done.stderr and "Exception ignored" not in done.stderr
    assert done.stderr.count("\n") == bool(words), done.stderr
    assert words in done.stderr
    assert not any(told.startswith("PASS:") for told in done.stdout.splitlines())


def test_two_runs_into_one_folder(
    settings: World, environment: Callable[[], dict[str, str]], tmp_path: Path
) -> None:
    settings(count=200_000)
    command = [sys.executable, "-m", "nnapi_testkit.cli", "run", *SERVICES, "--report", "out"]
    first = subprocess.Popen(
        command, env=environment(), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    results = tmp_path / "out" / "results.jsonl"
    try:
        until = time.monotonic() + 30
        while not (results.exists() and results.stat().st_size) and time.monotonic() < until:
            time.sleep(0.05)
        settings(count=10)
        for words in ([], ["--overwrite"]):
            done = subprocess.run(
                [*command, *words], env=environment(), cwd=tmp_path, capture_output=True, text=True
            )
            assert done.returncode == 2
            assert "being written by another run" in done.stderr and done.stderr.count("\n") == 1
    finally:
        first.kill()
        first.communicate()
    # A killed run lets go of the folder, and what it left is no pass.
    report = [sys.executable, "-m", "nnapi_testkit.cli", "report", "out"]
    left = subprocess.run(report, env=environment(), cwd=tmp_path, capture_output=True, text=True)
    assert left.returncode == 2
    assert "UNFINISHED" in left.stdout + left.stderr
    assert "of 200000 planned cases have a record" in left.stdout + left.stderr
    done = subprocess.run(command, env=environment(), cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_full_disk_is_unfinished(
    settings: World, shell: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    settings("wrong", count=300)
    done = shell("trap '' XFSZ; ulimit -f 40; RUN --report out")
    assert done.returncode == 2 and "out/results.jsonl cannot be written" in done.stderr
    done = shell("KIT report out")
    assert done.returncode == 2
    assert "of 300 planned cases have a record, and the run did not end" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("UNFINISHED: ")


@pytest.mark.parametrize(
    ("more", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colours(
    settings: World, environment: Callable[[], dict[str, str]], tmp_path: Path,
    more: dict[str, str], coloured: bool,
) -> None:  # fmt: skip
    settings("wrong", count=5)
    parent, child = pty.openpty()
    command = [sys.executable, "-m", "nnapi_testkit.cli", "run", *SERVICES]
    process = subprocess.Popen(
        command, env={**environment(), "TERM": "xterm", **more}, cwd=tmp_path, stdout=child,
        stderr=child,
    )  # fmt: skip
    os.close(child)
    seen = b""
    while True:
        try:
            chunk = os.read(parent, 65536)
        except OSError:
            break
        seen += chunk
        if not chunk:
            break
    os.close(parent)
    assert process.wait(30) == 1
    assert (b"\x1b[1;31mFAIL: 1 MISMATCH" in seen) == coloured
    assert b"FAIL: 1 MISMATCH, 4 PASS" in seen


def test_one_line_every_so_often_says_how_far_it_is(
    settings: World, environment: Callable[[], dict[str, str]], tmp_path: Path
) -> None:
    settings(count=40_000)
    script = (
        "import sys; from nnapi_testkit.commands import screen; screen.LIFE_SECONDS = 0.3\n"
        "from nnapi_testkit.cli import main; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "run", *SERVICES], env=environment(), cwd=tmp_path,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    beats = [line for line in done.stdout.splitlines() if line.startswith("... ")]
    assert len(beats) >= 3
    assert any(" of 40000 cases" in line for line in beats), beats[:3]
