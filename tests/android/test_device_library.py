"""`adb:SERIAL+sl:PATH`: a support library driver that lies on the device."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nnapi_testkit import paths
from nnapi_testkit.loopback import LoopbackDevice
from nnapi_testkit.model.case import Case, Ending
from nnapi_testkit.targets import TargetError, parse_target
from nnapi_testkit.targets.adb import serials_of


def test_it_is_asked_in_place_of_the_runtime(window: Path, make_add: Callable[..., Case]) -> None:
    variables = {"NNAPI_TESTKIT_TEST_WRAPPED": str(paths.driver_library())}
    with LoopbackDevice(environment=variables) as device:
        driver = device.place("/data/local/tmp/libnpu.so")
        shutil.copy(window / "libdriver.so", driver)
        name = f"adb:{device.serial}+sl:/data/local/tmp/libnpu.so#nnapi-reference"
        with parse_target(name).open() as runner:
            facts = runner.describe()
            (result,) = runner.run([make_add(size=8)])
    assert facts["library"] == str(driver)
    assert "ANeuralNetworksCompilation_create" in facts["missing_functions"]  # type: ignore[operator]
    assert result.ending is Ending.COMPLETED
    assert bytes(result.executions[0].outputs[0].data) == (3 * np.arange(8, dtype="f4")).tobytes()


def test_names() -> None:
    assert serials_of("adb:a:1,b:2+sl:/x.so#npu") == (
        "adb:a:1+sl:/x.so#npu",
        "adb:b:2+sl:/x.so#npu",
    )
    assert parse_target("adb:a:1+sl:/x.so#npu").name == "adb:a:1+sl:/x.so#npu"
    with pytest.raises(TargetError, match="whole path"):
        parse_target("adb:a:1+sl:x.so")
