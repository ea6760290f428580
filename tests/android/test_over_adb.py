"""The Android runners over adb: a device of each ABI, on an emulated processor where need be."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from nnapi_testkit.android import Abi
from nnapi_testkit.loopback import LoopbackDevice
from nnapi_testkit.model.case import Case, Ending, Result
from nnapi_testkit.targets import TargetError
from nnapi_testkit.targets.adb import AdbTarget, Patience

MakeAdd = Callable[..., Case]
COUNT = 120


@dataclass(frozen=True)
class There:
    """A device, how it is reached, and where its driver notes each execution."""

    device: LoopbackDevice
    target: AdbTarget
    executions: Path


@pytest.fixture
def there(
    abi: Abi, start_command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[There]:
    """A bare userland: its kernel's name and loader are all that tells its ABI."""
    # What goes to the device is a script that finds the loader and, on another processor, its
    # emulator: the runner's own bytes and process are those of a device.
    runner = tmp_path / "runners" / abi.name / "nnapi-runner"
    runner.parent.mkdir(parents=True)
    runner.write_text(f'#!/bin/sh\nexec {shlex.join(start_command)} "$@"\n')
    runner.chmod(0o755)
    monkeypatch.setenv("NNAPI_TESTKIT_ANDROID_RUNNERS", str(runner.parents[1]))
    executions = tmp_path / "executions"
    patience = Patience(silent_boot=0.2, services=5, command=20, load=20, grace=20)
    with LoopbackDevice(
        library=tmp_path / "libtoy.so",
        environment={"TOY_EXECUTIONS": str(executions), "TOY_SLOW": "2"},
        properties={"ro.product.cpu.abilist": abi.name},
    ) as device:
        target = AdbTarget(
            f"adb:{device.serial}",
            (device.serial,),
            patience=patience,
            library=str(tmp_path / "libtoy.so"),
        )
        yield There(device, target, executions)


def check(results: list[Result], cases: list[Case]) -> None:
    assert len(results) == len(cases)
    for result, case in zip(results, cases, strict=True):
        assert result.ending is Ending.COMPLETED, result
        a, b = case.sets[0].inputs
        (output,) = result.executions[0].outputs
        assert bytes(output.data) == np.add(a, b).tobytes()


def test_no_case_runs_twice(there: There, make_add: MakeAdd) -> None:
    cases = [make_add(first=1000 * at) for at in range(COUNT)]
    with there.target.open() as runner:
        there.device.mend(drop_after_results=40)
        check(list(runner.run(cases)), cases)
    counted = Counter(there.executions.read_text().split())
    assert counted == {str(1000 * at): 1 for at in range(COUNT)}
    assert list(there.device.scratch.iterdir()) == []


def test_a_killed_runner_resumes(there: There, make_add: MakeAdd) -> None:
    cases = [make_add(first=1000 * at) for at in range(COUNT)]
    with there.target.open() as runner:
        there.device.mend(kill_after_results=30)
        check(list(runner.run(cases)), cases)
    counted = Counter(there.executions.read_text().split())
    assert len(counted) == COUNT and sum(counted.values()) <= COUNT + 1


def test_the_systems_library_is_looked_for_in_both_places(there: There) -> None:
    there.device._environment["LD_LIBRARY_PATH"] = ""
    impatient = replace(there.target, library="")
    with pytest.raises(
        TargetError, match=r"cannot load libneuralnetworks\.so.*; nor /apex/.*; nor"
    ):
        impatient.open()
