"""The generated files equal nnapi.json, and the check notices when they do not."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
GENERATED = {
    "nnapi.json": ("nnapi_testkit/spec/codes.py", "emulator/include/nnapi.h"),
    "wire.json": (
        "nnapi_testkit/model/wire_codes.py",
        "emulator/include/wire_codes.h",
        "docs/wire-format.md",
    ),
}
SOURCES = ("tools/generate_codes.py", "tools/generate_wire.py", *GENERATED)


def change_code(table: dict[str, Any]) -> None:
    table["operations"]["ADD"]["code"] = 99


def change_field(table: dict[str, Any]) -> None:
    table["fields"]["TOKEN"] = 99


def check(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "tools" / "generate_codes.py"), "--check"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_generated_files_are_fresh() -> None:
    done = check(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("source", "change"), [("nnapi.json", change_code), ("wire.json", change_field)]
)
def test_a_changed_table_is_noticed(
    tmp_path: Path, source: str, change: Callable[[dict[str, Any]], None]
) -> None:
    for name in (*SOURCES, *GENERATED["nnapi.json"], *GENERATED["wire.json"]):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    assert check(tmp_path).returncode == 0
    table = json.loads((tmp_path / source).read_text())
    change(table)
    (tmp_path / source).write_text(json.dumps(table))
    done = check(tmp_path)
    assert done.returncode == 1
    for name in GENERATED[source]:
        assert f"{name} differs from {source}: run python tools/generate_codes.py" in done.stdout


def test_no_wire_number_is_spelled_twice() -> None:
    """The runner's and the kit's own files name what wire.json numbers."""
    header = (ROOT / "emulator/runner/wire.h").read_text()
    assert '#include "wire_codes.h"' in header
    for name in ("FRAME_", "FIELD_", "ENDING_", "STAGE_", "LIFE_"):
        assert not re.search(rf"\b{name}[A-Z_]+ = ", header)
    own = (ROOT / "nnapi_testkit/model/wire_format.py").read_text()
    assert "IntEnum" not in own


def test_codes_are_those_of_the_table() -> None:
    from nnapi_testkit.spec import codes

    table = json.loads((ROOT / "nnapi.json").read_text())
    assert {o.name: o.value for o in codes.OperationCode} == {
        name: row["code"] for name, row in table["operations"].items()
    }
    assert len(codes.OperationCode) == 106
