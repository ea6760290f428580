"""The examples of CONTRIBUTING.md work as they are printed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nnapi_testkit import paths

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
# The command line on a checkout that has its own op files and goldens, and the kit's driver.
SCRATCH = """
import sys
from pathlib import Path
from nnapi_testkit import paths
paths._PACKAGE = Path.cwd() / "nnapi_testkit"
from nnapi_testkit.cli import main
sys.exit(main(sys.argv[1:]))
"""


def block(note: str) -> str:
    """The fenced block after the comment `note`."""
    (found,) = re.findall(
        rf"^<!-- {re.escape(note)} -->\n```\w+\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL
    )
    assert isinstance(found, str)
    return found


def call(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Python in `folder`, which is on its path, with this kit and its native files."""
    native = {
        "NNAPI_TESTKIT_DRIVER": str(paths.driver_library()),
        "NNAPI_TESTKIT_RUNNER": str(paths.runner()),
        "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]),
    }
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=os.environ | native,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout without goldens in which the example declares its operation."""
    (tmp_path / "golden").mkdir()
    shutil.copy(ROOT / "nnapi.json", tmp_path)
    # The devices of older feature levels are described in the package.
    shutil.copytree(ROOT / "nnapi_testkit" / "data", tmp_path / "nnapi_testkit" / "data")
    # Pairs of operations need the others; this is the family that declares SQRT here.
    others = shutil.ignore_patterns("elementary.py", "__pycache__")
    shutil.copytree(ROOT / "op_tests", tmp_path / "op_tests", ignore=others)
    (tmp_path / "op_tests" / "square_root.py").write_text(block("file: op_tests/square_root.py"))
    return tmp_path


def test_an_operation_from_its_file_to_its_goldens(checkout: Path) -> None:
    pytest.importorskip("torch")

    def kit(*words: str) -> str:
        done = call(["-c", SCRATCH, *words], checkout)
        assert done.returncode == 0, f"{words}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout

    listed = kit("ops", "SQRT")
    assert re.search(r"^1 operation, 2 cells, (\d+) cases$", listed, re.MULTILINE), listed
    kinds = kit("ops", "SQRT", "--cases")
    assert "SQRT[float32-large]" in kinds and "SQRT[float16-tall]" in kinds
    assert "written: SQRT.golden" in kit("golden", "update", "SQRT")
    assert " 0 findings" in kit("golden", "check", "SQRT")
    for oracle in ("live", "golden"):
        told = kit("run", "SQRT", "--profile", "strict", "--oracle", oracle)
        passed = re.search(r"^PASS: (\d+) PASS(?:, \d+ OBSERVED)? in", told, re.MULTILINE)
        assert passed and int(passed[1]) >= 60, told


def test_the_bound_of_the_example_bites(checkout: Path) -> None:
    """The same file with a reference that is off by 2^-20 fails, in float32 only."""
    pytest.importorskip("torch")
    path = checkout / "op_tests" / "square_root.py"
    right = path.read_text()
    wrong = right.replace("torch.sqrt(input)", "torch.sqrt(input) * (1 + 2**-20)")
    assert wrong != right
    path.write_text(wrong)
    done = call(["-c", SCRATCH, "run", "SQRT*large*", "--oracle", "live"], checkout)
    assert done.returncode == 1, done.stdout + done.stderr
    failed = set(re.findall(r"^MISMATCH  (\S+)", done.stdout, re.MULTILINE))
    assert "SQRT[float32-large]" in failed
    assert not any(name.startswith("SQRT[float16") for name in failed)


@pytest.mark.skipif(shutil.which("taskset") is None, reason="taskset is not installed")
def test_a_target_of_another_package(tmp_path: Path) -> None:
    (tmp_path / "pinned.py").write_text(block("file: pinned.py"))
    table, line = block("entry point").splitlines()
    group = re.fullmatch(r'\[project\.entry-points\."([^"]+)"\]', table)
    assert group
    installed = tmp_path / "pinned-1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: pinned\nVersion: 1\n")
    (installed / "entry_points.txt").write_text(f"[{group[1]}]\n{line.replace(chr(34), '')}\n")
    core = min(os.sched_getaffinity(0))
    run = ["-m", "nnapi_testkit.cli", "run", "ADD[float32-same]", "--target"]
    done = call([*run, f"pinned:{core}"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"nnapi-reference (target pinned:{core}): 1 operation" in done.stdout
    done = call([*run, "pinned:"], tmp_path)
    assert done.returncode == 2
    assert "nnapi-testkit: pinned:: write pinned:CORE with the number of a core" in done.stderr
