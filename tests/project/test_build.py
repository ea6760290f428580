"""A machine without a compiler gets one clear line, from make and from pip alike."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("sh", "cat", "mktemp", "rm", "mkdir", "find", "touch", "mv", "make", "cmake", "env")


@pytest.fixture
def bare_path(tmp_path: Path) -> str:
    """A PATH with the usual small tools and Python, but no compiler."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        if found:
            (folder / tool).symlink_to(found)
    # The real interpreter: that of a virtual environment would not find its base through a link.
    script = folder / "python3"
    real = os.path.realpath(sys.executable)
    script.write_text(f'#!/bin/sh\nexec "{real}" "$@"\n')
    script.chmod(0o755)
    return str(folder)


def fails_with_one_line(path: str, **extra: str) -> str:
    env = {"PATH": path, "HOME": os.environ.get("HOME", "/"), **extra}
    done = subprocess.run(
        [str(ROOT / "ci" / "check_machine.sh"), "python3"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_no_compiler(bare_path: str) -> None:
    line = fails_with_one_line(bare_path)
    assert "no C compiler: install one (Debian, Ubuntu: apt-get install gcc g++" in line


def test_a_wrong_cxx(bare_path: str) -> None:
    real = os.environ["PATH"]
    assert "(CXX=no-such-compiler)" in fails_with_one_line(real, CXX="no-such-compiler")


def test_a_compiler_without_cxx20(bare_path: str, tmp_path: Path) -> None:
    old = tmp_path / "old-c++"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    line = fails_with_one_line(os.environ["PATH"], CXX=str(old))
    assert "cannot compile and link C++20 (gcc 10, clang 11 or later can)" in line


def test_an_old_python(bare_path: str) -> None:
    folder = Path(bare_path)
    (folder / "python3").write_text(
        '#!/bin/sh\ncase "$1" in -c) exit 1;; esac\necho Python 3.8.18\n'
    )
    line = fails_with_one_line(bare_path)
    assert "python3 is Python 3.8.18, 3.10 or later is needed" in line


def test_cmake_says_it_too(bare_path: str, tmp_path: Path) -> None:
    if not (Path(bare_path) / "cmake").exists():
        pytest.skip("no cmake on the search path")
    done = subprocess.run(
        ["cmake", "-S", str(ROOT), "-B", str(tmp_path / "build"), "-G", "Unix Makefiles"],
        env={"PATH": bare_path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "nnapi-testkit needs a C and a C++20 compiler: install one" in " ".join(
        done.stderr.split()
    )
