"""Where driver, runner, op files and goldens are found, and what is said when they are not."""

import subprocess
import sys
from pathlib import Path

import pytest

from nnapi_testkit import paths
from nnapi_testkit.errors import KitError

ROOT = Path(__file__).resolve().parents[2]


def test_folders_of_the_checkout() -> None:
    assert paths.checkout() == ROOT
    assert paths.op_tests_dir() == ROOT / "op_tests"
    assert paths.golden_dir() == ROOT / "golden"


def test_bundled_native_files() -> None:
    assert paths.driver_library().name == "libneuralnetworks.so"
    assert paths.runner().name == "nnapi-runner"


def test_overrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "driver.so"
    other.write_bytes(b"")
    monkeypatch.setenv(paths.DRIVER_VARIABLE, str(other))
    assert paths.driver_library() == other.resolve()
    monkeypatch.setenv(paths.DRIVER_VARIABLE, str(tmp_path / "missing.so"))
    with pytest.raises(KitError, match=r"NNAPI_TESTKIT_DRIVER names .*missing\.so, which is not"):
        paths.driver_library()


def test_a_runner_without_its_run_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = tmp_path / "nnapi-runner"
    plain.write_bytes(b"")
    monkeypatch.setenv(paths.RUNNER_VARIABLE, str(plain))
    with pytest.raises(KitError, match="may not be executed: run chmod"):
        paths.runner()


def test_not_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(paths.DRIVER_VARIABLE, raising=False)
    monkeypatch.setattr("nnapi_testkit.__path__", [str(tmp_path)])
    monkeypatch.setattr(paths, "checkout", lambda: tmp_path)
    with pytest.raises(KitError, match="is not built: run make build") as caught:
        paths.driver_library()
    assert "\n" not in str(caught.value)
    monkeypatch.setattr(paths, "checkout", lambda: None)
    with pytest.raises(KitError, match="install nnapi-testkit again"):
        paths.driver_library()


@pytest.mark.parametrize("module", ["nnapi_testkit.plugin", "nnapi_testkit.paths"])
def test_what_everyones_pytest_loads_is_light(module: str) -> None:
    """Neither numpy nor torch, and under 20 ms on top of pytest (best of five processes)."""
    program = (
        "import sys, time, pytest, argparse, pathlib\n"
        f"t = time.perf_counter(); import {module}; t = time.perf_counter() - t\n"
        "heavy = {'numpy', 'torch', 'rich', 'jinja2'} & set(sys.modules)\n"
        "print(t * 1000, sorted(heavy))\n"
    )
    outcomes = []
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        milliseconds, heavy = done.stdout.split(maxsplit=1)
        assert heavy.strip() == "[]"
        outcomes.append(float(milliseconds))
    assert min(outcomes) < 20
