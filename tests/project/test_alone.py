"""What fails beside other tests is run once more alone, and only what passes there is forgiven."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "ci" / "alone.sh"
# Each file that exists lets one test of that name pass.
TESTS = """
from pathlib import Path

import pytest


@pytest.mark.parametrize("name", "abcdef")
def test_one(name):
    assert Path(name).exists()
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_some.py").write_text(TESTS)
    return tmp_path


def run(folder: Path, *passing: str) -> None:
    """All of the tests, as `make test` runs them; those named pass."""
    for name in passing:
        (folder / name).touch()
    words = [sys.executable, "-m", "pytest", "-q", "-o", "cache_dir=build/tests-cache", "tests"]
    subprocess.run(words, cwd=folder, capture_output=True, check=False)


def alone(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, sys.executable], cwd=folder, capture_output=True, text=True, check=False
    )


def test_what_passes_alone_is_named(checkout: Path) -> None:
    run(checkout, *"abcd")
    for name in "ef":
        (checkout / name).touch()
    done = alone(checkout)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
    tail = done.stdout.splitlines()[-3:]
    assert tail[0].startswith("passed alone only")
    assert tail[1:] == ["tests/test_some.py::test_one[e]", "tests/test_some.py::test_one[f]"]


def test_what_fails_alone_too_is_a_failure(checkout: Path) -> None:
    run(checkout, *"abcd")
    (checkout / "e").touch()
    done = alone(checkout)
    assert done.returncode == 1
    assert "1 failed, 1 passed" in done.stdout
    assert "passed alone only" not in done.stdout


def test_many_failures_are_no_accident(checkout: Path) -> None:
    run(checkout)
    for name in "abcdef":
        (checkout / name).touch()
    done = alone(checkout)
    assert (done.returncode, done.stdout) == (1, "alone: 6 tests failed; that is no accident\n")


def test_without_a_failed_test_it_was_something_else(checkout: Path) -> None:
    for _ in range(2):  # pytest never began; all tests passed
        done = alone(checkout)
        assert done.returncode == 1
        assert "not the tests failed" in done.stdout
        run(checkout, *"abcdef")
