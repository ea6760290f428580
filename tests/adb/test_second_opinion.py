"""A device over adb has the platform's reference beside its driver: what the driver fails, that is
asked too, through a runner of its own on the same lease."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.judge.judge import judge
from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.paths import driver_library
from nnapi_testkit.report.accounts import read_records
from nnapi_testkit.session.lane import Lane
from nnapi_testkit.session.services import Services, standard
from nnapi_testkit.session.settings import OracleMode, Settings
from nnapi_testkit.targets import kept

DEVICES = """
[npu]
type = accelerator

[broken]
type = accelerator
fails = execution
"""
COUNT = 4


@pytest.fixture
def phone(start: Callable[..., Any], tmp_path: Path) -> Any:
    """A loopback device with two drivers, one of which fails, and the reference beside them."""
    path = tmp_path / "devices"
    path.write_text(DEVICES, "utf-8")
    return start(library=driver_library(), environment={"NNAPI_REFERENCE_DEVICES": str(path)})


def wrong(*args: Any, **options: Any) -> Record:
    """A judge to whom everything is wrong, so that driver and reference fail alike."""
    return replace(judge(*args, **options), verdict=Verdict.MISMATCH, message="wrong")


def records(phone: Any, nnapi_device: str, services: Services, profile: str) -> list[Record]:
    refs = [ref for ref in case_index(("FLOOR",)) if ref.kind == "positive"][:COUNT]
    target = f"adb:{phone.serial}#{nnapi_device}"
    settings = Settings(target=target, oracle=OracleMode.GOLDEN, profile=profile)
    with kept(), Lane(settings, services) as lane:
        return list(lane.run(refs))


def served(phone: Any) -> list[str]:
    """The NNAPI devices that runners were started for, in order."""
    words = [word.split() for word in phone.opened if "--serve" in word]
    return [word[word.index("--device") + 1] for word in words]


def test_where_the_reference_is_right_the_driver_is_charged_and_told_so(phone: Any) -> None:
    found = records(phone, "broken", standard(), "standard")
    assert len(found) == COUNT
    for record in found:
        assert record.verdict is Verdict.EXEC_ERROR and record.device == "broken"
        assert record.message.endswith("; nnapi-reference beside it is right")
    # The cases, the failures alone, and one batch for the reference; one set-up for all of them.
    assert served(phone) == ["broken", "broken", "nnapi-reference"]
    assert phone.opened.count("sync:") == 1


def test_what_the_reference_fails_too_is_contested(phone: Any) -> None:
    services = replace(standard(), judge=wrong)
    for record in records(phone, "npu", services, "standard"):
        assert record.verdict is Verdict.CONTESTED
        assert record.message.startswith("MISMATCH: wrong; the platform's reference computes")
    for record in records(phone, "npu", services, "strict"):
        assert record.verdict is Verdict.MISMATCH


def test_the_reference_and_what_passes_are_asked_once(phone: Any) -> None:
    for record in records(phone, "npu", standard(), "standard"):
        assert record.verdict is Verdict.PASS
    services = replace(standard(), judge=wrong)
    for record in records(phone, "nnapi-reference", services, "standard"):
        assert record.verdict is Verdict.MISMATCH, "it is no witness of itself"
    assert served(phone) == ["npu", "nnapi-reference", "nnapi-reference"]


def test_the_command_line_tells_it(phone: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["run", "FLOOR[float32-rank1]", "--oracle", "golden", "--report", str(out)]
    done = subprocess.run(
        [sys.executable, "-m", "nnapi_testkit.cli", *words, "-t", f"adb:{phone.serial}#broken"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "nnapi-reference beside it is right" in done.stdout
    (record,) = read_records(out)
    assert record.verdict is Verdict.EXEC_ERROR and "is right" in record.message
