"""Android 11 over adb: feature level 4, in a library that has nothing of what came later."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nnapi_testkit import paths
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.loopback import LoopbackDevice
from nnapi_testkit.session.engine import Session
from nnapi_testkit.session.plan import available, within
from nnapi_testkit.session.settings import OracleMode, Settings

Any_ = Callable[..., Any]
LEVEL = 4
# A new type for an old operation, what level 4 brought, control flow, a path of its own, and an
# operation of level 6 alone.
OPERATIONS = ("ADD", "HARD_SWISH", "IF", "RESHAPE", "QUANTIZE", "BATCH_MATMUL")
REMAINS = (Verdict.PASS, Verdict.OBSERVED, Verdict.UNSUPPORTED)


def library_of_level(level: int, folder: Path) -> Path:
    """Copy the reference driver, taking away the functions that came after a feature level.

    Their names in the table of symbols are spoilt, so that no lookup finds them.
    """
    root = paths.checkout()
    assert root is not None
    functions = json.loads((root / "nnapi.json").read_text())["functions"]
    content = bytearray(paths.driver_library().read_bytes())
    for name, function in functions.items():
        if function["since"] > level:
            place = content.find(b"\0" + name.encode() + b"\0")
            assert place > 0, name
            content[place + 1] ^= 0x20
    path = folder / "libneuralnetworks.so"
    path.write_bytes(content)
    return path


@pytest.fixture
def android_11(start: Any_, tmp_path: Path) -> LoopbackDevice:
    devices = tmp_path / "devices"
    devices.write_text(f"[old]\nlevel = {LEVEL}\n")
    device: LoopbackDevice = start(
        library=library_of_level(LEVEL, tmp_path),
        environment={"NNAPI_REFERENCE_DEVICES": str(devices)},
    )
    device.set_property("ro.build.version.sdk", "30")
    return device


def session_of(device: LoopbackDevice) -> Session:
    target = f"adb:{device.serial}#old"
    return Session(Settings(target=target, oracle=OracleMode.GOLDEN, operations=OPERATIONS))


def test_what_it_lacks_is_told(android_11: LoopbackDevice) -> None:
    facts = session_of(android_11).describe()
    assert facts["feature_level"] == 30 and facts["runtime_feature_level"] == -1
    missing = facts["missing_functions"]
    assert isinstance(missing, list)
    assert "ANeuralNetworks_getRuntimeFeatureLevel" in missing
    assert "ANeuralNetworksExecution_setReusable" in missing
    assert "ANeuralNetworksModel_setOperandValueFromModel" not in missing


def test_only_what_its_level_promises_runs_and_passes(android_11: LoopbackDevice) -> None:
    session = session_of(android_11)
    facts = session.describe()
    refs = available(within(session.refs(), facts), facts)
    # Models that are too new are there to be refused.
    assert {ref.operation for ref in refs if not ref.broken} == set(OPERATIONS) - {"BATCH_MATMUL"}
    assert any("path-fenced" in ref.id for ref in refs), "a path of level 4"
    assert not any("reusable" in ref.id for ref in refs), "a path of level 5"
    records = list(session.run(refs))
    assert len(records) == len(refs)
    wrong = [
        (r.id, r.verdict, r.message)
        for r in records
        if r.verdict not in (Verdict.PASS, Verdict.OBSERVED)
    ]
    assert not wrong, wrong[:5]


def test_what_is_newer_is_unsupported_and_no_failure(android_11: LoopbackDevice) -> None:
    session = session_of(android_11)
    facts = session.describe()
    newer = [
        ref for ref in session.refs() if ref.level > LEVEL and not ref.broken and not ref.needs
    ]
    records = list(session.run(newer))
    wrong = [(r.id, r.verdict, r.message) for r in records if r.verdict not in REMAINS]
    assert not wrong, wrong[:5]
    reusable = [record for record in records if "path-reusable" in record.id]
    assert reusable and facts["feature_level"] == 30
    assert all(record.verdict is Verdict.UNSUPPORTED for record in reusable)
    assert any(
        record.message
        == "not available at this level: the library has no ANeuralNetworksExecution_setReusable"
        for record in reusable
    )
