"""Drivers that crash, hang or print, and libraries that are none: each costs one model."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from nnapi_testkit import paths
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.mobile import files, samples
from nnapi_testkit.mobile.check import check
from nnapi_testkit.mobile.convert import convert
from nnapi_testkit.mobile.runtime import Runtime, library_of
from nnapi_testkit.targets import TargetError


@pytest.fixture
def converted(tmp_path: Path) -> Path:
    model, inputs = samples.sample("linear")
    path = tmp_path / "linear.pt"
    files.save(convert(model, inputs).module, path)
    return path


def bad_driver(folder: Path, fault: int) -> Path:
    path = folder / f"libfault{fault}.so"
    source = Path(__file__).parent / "bad_driver.c"
    words = ["cc", "-shared", "-fPIC", f"-DFAULT={fault}", str(source), "-o", str(path)]
    subprocess.run(words, check=True)
    return path


@pytest.mark.parametrize(
    ("fault", "verdict", "words"),
    [
        (1, Verdict.CRASH_RUNNER, "ended with SIGABRT: the driver gives up"),
        (2, Verdict.TIMEOUT, "no answer within 5 s"),
        (3, Verdict.REFUSED, "OUT_OF_MEMORY"),
        (4, Verdict.CRASH_RUNNER, "ended with exit code 0"),
    ],
    ids=["abort", "hang", "print", "exit"],
)
def test_bad_driver(
    fault: int, verdict: Verdict, words: str, converted: Path, tmp_path: Path
) -> None:
    inputs = [[torch.rand(4, 64)]]
    # Only the one that hangs is to meet the limit.
    limit = 5 if verdict is Verdict.TIMEOUT else 60
    with Runtime(bad_driver(tmp_path, fault), timeout=limit) as runtime:
        for _ in range(2 if fault == 1 else 1):  # The next model gets its own process.
            outcome = runtime.run(converted, inputs)
            assert outcome.verdict is verdict
            assert words in outcome.message and "\n" not in outcome.message
            assert outcome.outputs == ()


def test_verdict_reaches_the_report(tmp_path: Path) -> None:
    model, inputs = samples.sample("linear")
    with Runtime(bad_driver(tmp_path, 1), timeout=60) as runtime:
        report = check(model, [inputs], runtime=runtime)
    assert report.verdict is Verdict.CRASH_RUNNER
    assert report.text().splitlines()[-1].startswith("CRASH_RUNNER: ")


def test_a_driver_by_any_other_name(converted: Path, tmp_path: Path) -> None:
    """PyTorch looks for libneuralnetworks.so; the file may be called otherwise."""
    copy = tmp_path / "vendor driver.so"
    shutil.copy(paths.driver_library(), copy)
    with Runtime(library_of(f"lib:{copy}")) as runtime:
        assert runtime.run(converted, [[torch.rand(4, 64)]]).verdict is Verdict.PASS


def test_libraries_that_are_none(converted: Path, tmp_path: Path) -> None:
    empty = tmp_path / "libempty.so"
    (tmp_path / "empty.c").write_text("int nothing;\n")
    subprocess.run(["cc", "-shared", str(tmp_path / "empty.c"), "-o", str(empty)], check=True)
    with Runtime(empty) as runtime, pytest.raises(TargetError, match="not an NNAPI driver"):
        runtime.run(converted, [[torch.rand(4, 64)]])
    for target, words in (
        (f"lib:{tmp_path / 'missing.so'}", "check the path"),
        (f"lib:{converted}", "not a shared library"),
        ("adb:emulator-5554", "on this machine only"),
        ("host#gpu", "cannot choose a device"),
        ("lib:", "on this machine only"),
    ):
        with pytest.raises(KitError, match=words):
            library_of(target)


def test_wrong_shapes_are_an_error_of_one_model(converted: Path, runtime: Runtime) -> None:
    outcome = runtime.run(converted, [[torch.rand(4, 65)]])
    assert outcome.verdict is Verdict.EXEC_ERROR and "BAD_DATA" in outcome.message
    assert runtime.run(converted, [[torch.rand(4, 64)]]).verdict is Verdict.PASS


def test_missing_model_is_no_verdict_on_the_driver(runtime: Runtime, tmp_path: Path) -> None:
    outcome = runtime.run(tmp_path / "none.pt", [[torch.rand(4, 64)]])
    assert outcome.verdict is Verdict.INFRA and outcome.message.startswith("load: ")
