"""The generated files equal nnapi.json, and the check notices when they do not."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ("nnapi_testkit/spec/codes.py", "emulator/include/nnapi.h")


def check(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "ci" / "generate_codes.py"), "--check"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_generated_files_are_fresh() -> None:
    done = check(ROOT)
    assert done.returncode == 0, done.stdout


def test_a_changed_table_is_noticed(tmp_path: Path) -> None:
    for name in ("ci/generate_codes.py", "nnapi.json", *GENERATED):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    assert check(tmp_path).returncode == 0
    table = json.loads((tmp_path / "nnapi.json").read_text())
    table["operations"]["ADD"]["code"] = 99
    (tmp_path / "nnapi.json").write_text(json.dumps(table))
    done = check(tmp_path)
    assert done.returncode == 1
    for name in GENERATED:
        assert f"{name} differs from nnapi.json: run python ci/generate_codes.py" in done.stdout


def test_codes_are_those_of_the_table() -> None:
    from nnapi_testkit.spec import codes

    table = json.loads((ROOT / "nnapi.json").read_text())
    assert {o.name: o.value for o in codes.OperationCode} == {
        name: row["code"] for name, row in table["operations"].items()
    }
    assert len(codes.OperationCode) == 106
