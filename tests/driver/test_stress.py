"""The stress program on the driver as it is installed; `ci/sanitize.sh` runs it instrumented."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STRESS = ROOT / "emulator" / "driver" / "stress"


@pytest.fixture(scope="module")
def program(driver_library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """nnapi-stress, linked to the driver."""
    compiler = os.environ.get("CXX") or shutil.which("c++")
    assert compiler, "a C++ compiler is needed"
    path = tmp_path_factory.mktemp("stress") / "nnapi-stress"
    sources = [str(STRESS / "stress.cpp"), str(STRESS / "models.cpp"), str(driver_library)]
    folder = driver_library.resolve().parent
    options = ["-std=c++20", f"-I{ROOT / 'emulator' / 'include'}", f"-Wl,-rpath,{folder}"]
    command = [compiler, *options, *sources, "-pthread", "-o", str(path)]
    subprocess.run(command, check=True)
    return path


def stress(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the program."""
    return subprocess.run(
        [str(program), *arguments], capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("threads", [1, 8])
def test_threads_get_the_bits_of_one(program: Path, tmp_path: Path, threads: int) -> None:
    done = stress(program, "--threads", str(threads), "--rounds", "50", "--cache", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{threads} threads, 50 rounds each: 0 wrong\n"
    assert len(list(tmp_path.iterdir())) == 1


def test_processes_share_a_cache(program: Path, tmp_path: Path) -> None:
    command = [str(program), "--rounds", "50", "--cache", str(tmp_path)]
    running = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [process.wait(120) for process in running] == [0, 0, 0]
    assert len(list(tmp_path.iterdir())) == 1


def test_mistakes_on_the_command_line_are_told(program: Path) -> None:
    done = stress(program, "--threads", "none")
    assert done.returncode == 2 and "write [--threads N]" in done.stderr
