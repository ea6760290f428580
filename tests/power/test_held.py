"""Rules that only wrong calls break: the tests that hold them are there, and are believed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from nnapi_testkit.errors import KitError
from nnapi_testkit.power.held import fails_without

ROOT = Path(__file__).resolve().parent.parent.parent
FAULT = """
import os
import time

def test_notices():
    assert os.environ["NNAPI_TESTKIT_FAULT"] in ("0", "7")

def test_dies():
    if os.environ["NNAPI_TESTKIT_FAULT"] == "8":
        os.kill(os.getpid(), 11)

def test_hangs():
    if os.environ["NNAPI_TESTKIT_FAULT"] == "9":
        time.sleep(600)

def test_never_passes():
    assert False
"""


def test_every_named_test_is_there() -> None:
    rows = json.loads((ROOT / "nnapi_testkit/data/equivalent.json").read_text())
    named = [row["test"] for row in rows if "test" in row]
    assert named
    for test in named:
        file, name = test.split("::")
        function = name.partition("[")[0]
        assert re.search(rf"^def {function}\(", (ROOT / file).read_text(), re.MULTILINE), test
    # Rules alone are held by tests: a mutant is for cases to notice.
    assert all(row["change"] == "" for row in rows if "test" in row)


def test_a_test_is_run_on_the_sound_driver_first(tmp_path: Path) -> None:
    file = tmp_path / "test_rule.py"
    file.write_text(FAULT)
    library = tmp_path / "libneuralnetworks-faulty.so"
    assert fails_without(library, 5, f"{file}::test_notices")
    assert not fails_without(library, 7, f"{file}::test_notices")
    assert fails_without(library, 8, f"{file}::test_dies")
    for name in ("test_never_passes", "test_that_is_not_there"):
        with pytest.raises(KitError, match="does not pass on the sound driver"):
            fails_without(library, 5, f"{file}::{name}")


def test_a_test_that_hangs_without_the_rule_has_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "test_rule.py"
    file.write_text(FAULT)
    monkeypatch.setattr("nnapi_testkit.power.held.MOST_SECONDS", 20)
    assert fails_without(tmp_path / "a.so", 9, f"{file}::test_hangs")
    assert not fails_without(tmp_path / "a.so", 5, f"{file}::test_hangs")
