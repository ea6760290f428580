"""A lab of loopback devices: a controller's stub, Jumpstarter's exporters, real adb servers."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import adbutils
import numpy as np
import pytest

from nnapi_testkit.loopback import Faults, LoopbackDevice
from nnapi_testkit.model.builder import Builder
from nnapi_testkit.model.case import Case, Ending, Execution, Result
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.targets.jumpstarter import target as kit
from nnapi_testkit.targets.jumpstarter.target import JumpstarterTarget, jumpstarter_target

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PATIENCE = "reach=15,boot=15,silent_boot=0.5,services=15,gone=1,command=10,load=20,grace=10"

Add = Callable[..., LoopbackDevice]


@pytest.fixture(scope="session")
def lab_module() -> ModuleType:
    """The lab; whoever wants one without the extra is skipped."""
    if sys.version_info < (3, 11):
        pytest.skip("Jumpstarter needs Python 3.11")
    pytest.importorskip("jumpstarter_driver_adb", reason="the extra [jumpstarter] is missing")
    spec = importlib.util.spec_from_file_location("jumpstarter_lab", HERE / "lab.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["jumpstarter_lab"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of this machine's user; an exporter's adb server looks for nothing by itself."""
    for name in ("JMP_LEASE", "JMP_ENDPOINT", "JMP_CLIENT_CONFIG", "JUMPSTARTER_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("NNAPI_TESTKIT_JUMPSTARTER", raising=False)
    monkeypatch.setenv("NNAPI_TESTKIT_ADB_PATIENCE", PATIENCE)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("ADB_USB", "ADB_EMU", "ADB_MDNS"):
        monkeypatch.setenv(name, "0")
    monkeypatch.setenv("ADB_LOCAL_TRANSPORT_MAX_PORT", "5553")


@pytest.fixture
def start() -> Iterator[Add]:
    """Starts a loopback device; takes switches of `Faults`."""
    with ExitStack() as stack:

        def begin(**faults: Any) -> LoopbackDevice:
            return stack.enter_context(LoopbackDevice(Faults(**faults)))

        yield begin


@pytest.fixture
def connect() -> Callable[[int, LoopbackDevice], None]:
    """Has an exporter's adb server connect to a device."""

    def attach(port: int, device: LoopbackDevice) -> None:
        words = [adbutils.adb_path(), "-P", str(port), "connect", device.serial]
        subprocess.run(words, check=True, capture_output=True, timeout=30)

    return attach


@pytest.fixture
def lab(
    lab_module: ModuleType, quiet: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """A lab without exporters; checks that every lease that was made is given back."""
    from nnapi_testkit.targets.jumpstarter import hold

    monkeypatch.setattr(hold, "LOOK_SECONDS", 1.0)
    before = list(kit._POOL._holds)
    made = lab_module.Lab(tmp_path)
    try:
        yield made
        assert kit._POOL._holds == before
        assert [one.name for one in made.controller.leases if not one.deleted] == []
    finally:
        kit._POOL.close()
        made.close()


@pytest.fixture
def exporter(
    lab: Any, lab_module: ModuleType, start: Add, connect: Callable[..., None]
) -> Callable[..., LoopbackDevice]:
    """Adds an exporter with a device to the lab."""

    def add(name: str = "rack-1", board: str = "pixel7", **faults: Any) -> LoopbackDevice:
        port = lab_module.free_port()
        device = start(**faults)
        lab.add(name, lab_module.phone(port), board=board)
        connect(port, device)
        return device

    return add


@pytest.fixture
def target(lab: Any) -> Callable[..., JumpstarterTarget]:
    """Makes a target of the lab."""

    def make(selector: str = "board=pixel7", more: str = "", device: str = "") -> JumpstarterTarget:
        text = f"jumpstarter:{selector}?config={lab.config}{more}"
        return jumpstarter_target(text + (f"#{device}" if device else ""))

    return make


@pytest.fixture
def cases() -> Callable[[int], list[Case]]:
    """Additions, each with data of its own, so that a result in the wrong place is found out."""

    def make(count: int) -> list[Case]:
        return [addition(at) for at in range(count)]

    return make


def addition(at: int) -> Case:
    first = np.arange(6, dtype=np.float32) + np.float32(1000 * at)
    second = 2 * np.arange(6, dtype=np.float32)
    tensor = OperandCode.TENSOR_FLOAT32
    builder = Builder()
    inputs = (builder.input(tensor, (6,)), builder.input(tensor, (6,)))
    fused = builder.constant(OperandCode.INT32, 0)
    builder.operation("ADD", (*inputs, fused), (builder.output(tensor, (6,)),))
    sets = (Execution((first, second), ((6,),)),)
    return Case(id=f"ADD-{at}", model=builder.build(), sets=sets, deadline_ms=20_000)


@pytest.fixture
def check() -> Callable[[list[Result], int], None]:
    """Checks that each case has its own result, exactly once and in order."""

    def check_all(results: list[Result], count: int) -> None:
        assert [result.index for result in results] == list(range(count))
        for at, result in enumerate(results):
            assert result.ending is Ending.COMPLETED, result
            got = np.frombuffer(result.executions[0].outputs[0].data, np.float32)
            assert np.array_equal(got, 3 * np.arange(6, dtype=np.float32) + 1000 * at), at

    return check_all
