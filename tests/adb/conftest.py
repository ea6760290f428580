"""Loopback devices behind a real adb server; misbehaving drivers are those of the runner tests."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnapi_testkit.loopback import Faults, LoopbackDevice
from nnapi_testkit.model.case import Case, Ending, Result
from nnapi_testkit.targets.adb import AdbTarget, Patience

_PLACE = Path(__file__).resolve().parents[1] / "runner" / "conftest.py"
_SPEC = importlib.util.spec_from_file_location("runner_fixtures", _PLACE)
assert _SPEC is not None and _SPEC.loader is not None
_RUNNER_TESTS = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_RUNNER_TESTS)
native = _RUNNER_TESTS.native
runner = _RUNNER_TESTS.runner
make_case = _RUNNER_TESTS.make_case
_runner_under_test = _RUNNER_TESTS._runner_under_test

Start = Callable[..., LoopbackDevice]
Cases = Callable[..., list[Case]]


@pytest.fixture
def start(native: Path, runner: Path) -> Iterator[Start]:
    """Starts loopback devices with the test driver; takes switches of `Faults`."""
    with ExitStack() as stack:

        def begin(
            *,
            vanished: dict[str, str] | None = None,
            library: Path | None = None,
            environment: dict[str, str] | None = None,
            shell: str = "/bin/sh",
            programs: Path | None = None,
            **faults: Any,
        ) -> LoopbackDevice:
            device = LoopbackDevice(
                Faults(**faults),
                library=library or native / "libtoy.so",
                environment={"TOY_DEVICES": "2", **(environment or {})},
                vanished=vanished,
                shell=shell,
                programs=programs,
            )
            return stack.enter_context(device)

        yield begin


@pytest.fixture
def patience() -> Patience:
    return Patience(
        listed=1,
        reach=20,
        boot=20,
        silent_boot=0.5,
        services=10,
        gone=1,
        command=10,
        load=10,
        grace=10,
    )


@pytest.fixture
def target(patience: Patience) -> Callable[..., AdbTarget]:
    def make(device: LoopbackDevice, nnapi_device: str = "") -> AdbTarget:
        return AdbTarget(f"adb:{device.serial}", (device.serial,), nnapi_device, patience)

    return make


@pytest.fixture
def cases(make_case: Callable[..., Case]) -> Cases:
    """Additions, each with data of its own, so that a result in the wrong place is found out."""

    def make(count: int, code: int = 0) -> list[Case]:
        return [make_case(code, size=6, first=_first(at)) for at in range(count)]

    return make


def _first(at: int) -> np.ndarray:
    return np.arange(6, dtype=np.float32) + np.float32(1000 * at)


@pytest.fixture
def check() -> Callable[[list[Result], int], None]:
    """Checks that each case has its own result, exactly once and in order."""

    def check_all(results: list[Result], count: int) -> None:
        assert [result.index for result in results] == list(range(count))
        second = 2 * np.arange(6, dtype=np.float32)
        for at, result in enumerate(results):
            assert result.ending is Ending.COMPLETED, result
            got = np.frombuffer(result.executions[0].outputs[0].data, np.float32)
            assert np.array_equal(got, _first(at) + second), f"case {at}"

    return check_all
