"""A saved case in a debugger: the printed command stops in the function where the case ended."""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from nnapi_testkit.cli import main

CASE = "ADD[float32-rank1]"
REFUSED = "RESHAPE[float32-refused-missing-input]"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    folder = tmp_path / "case"
    assert main(["run", CASE, "--oracle", "golden", "--save", str(folder)]) == 0
    return folder


def test_the_command_stops_where_the_case_ended(
    saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if shutil.which("gdb") is None:
        pytest.skip("gdb is not installed")
    capsys.readouterr()
    assert main(["replay", str(saved), "--debug", "gdb"]) == 0
    words = shlex.split(capsys.readouterr().out)
    done = subprocess.run(
        [words[0], "-batch", "-nx", *words[1:]], capture_output=True, text=True, timeout=120
    )
    if "ptrace" in done.stderr:
        pytest.skip("this machine lets no program trace another")
    assert "ANeuralNetworksExecution_compute" in done.stdout.partition("Breakpoint 1,")[2]


def test_lldb_and_levels(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["replay", str(saved), "--debug", "lldb", "-t", "host#nnapi-reference"]) == 0
    words = shlex.split(capsys.readouterr().out)
    assert words[0] == "lldb" and words[-1] == "nnapi-reference"
    assert "breakpoint set -n ANeuralNetworksExecution_compute" in words
    done = subprocess.run(words[-2:], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


def test_a_phone_gets_lines_to_paste(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["replay", str(saved), "--debug", "gdb", "-t", "adb:emulator-5554#npu"]) == 0
    out = capsys.readouterr().out
    assert "adb -s emulator-5554 push repro" in out
    assert "gdbserver64 :5039 /data/local/tmp/repro npu" in out


def test_mistakes_are_one_line(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (saved / "repro.c").write_text("int main( {")
    assert main(["replay", str(saved), "--debug", "gdb"]) == 2
    assert "does not build" in capsys.readouterr().err
    (saved / "repro.c").unlink()
    assert main(["replay", str(saved), "--debug", "gdb"]) == 2
    assert "has no repro.c" in capsys.readouterr().err
