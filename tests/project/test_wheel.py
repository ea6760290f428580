"""What the wheel holds: the native parts, op files and goldens below one top-level name."""

import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel of this tree; what `make build` compiled is reused."""
    pytest.importorskip("scikit_build_core", reason="`make test` installs the build backend")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps"]
    done = subprocess.run(
        [*command, "--no-index", "--wheel-dir", str(folder), str(ROOT)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_one_top_level_name(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"nnapi_testkit"}


def test_any_python_on_this_platform(wheel: zipfile.ZipFile) -> None:
    name = Path(str(wheel.filename)).name
    assert "-py3-none-" in name and not name.endswith("-any.whl")


def test_native_parts(wheel: zipfile.ZipFile) -> None:
    for name in ("libneuralnetworks.so", "nnapi-runner"):
        info = wheel.getinfo(f"nnapi_testkit/_native/{name}")
        assert wheel.read(info)[:4] == b"\x7fELF"
    assert info.external_attr >> 16 & stat.S_IXUSR, "the runner lost its run bit"


@pytest.mark.parametrize(("source", "place"), [("op_tests", "op_tests"), ("golden", "data/golden")])
def test_op_files_and_goldens_travel(wheel: zipfile.ZipFile, source: str, place: str) -> None:
    inside = set(wheel.namelist())
    files = [
        path.relative_to(ROOT / source).as_posix()
        for path in (ROOT / source).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert len(files) > 1
    assert [name for name in files if f"nnapi_testkit/{place}/{name}" not in inside] == []


def test_every_module_travels(wheel: zipfile.ZipFile) -> None:
    inside = set(wheel.namelist())
    modules = [path.relative_to(ROOT).as_posix() for path in (ROOT / "nnapi_testkit").rglob("*.py")]
    assert [name for name in modules if name not in inside] == []


def test_nothing_else_travels(wheel: zipfile.ZipFile) -> None:
    strangers = ("__pycache__", "/tests/", "/build/", ".cpp", ".stamp")
    assert [n for n in wheel.namelist() if any(word in n for word in strangers)] == []


def test_entry_points(wheel: zipfile.ZipFile) -> None:
    (name,) = (n for n in wheel.namelist() if n.endswith(".dist-info/entry_points.txt"))
    text = wheel.read(name).decode()
    assert "nnapi-testkit = nnapi_testkit.cli:main" in text.replace("=", " = ").replace("  ", " ")
    assert "[pytest11]" in text
    for group in ("targets", "fleets"):
        section = text.split(f"[nnapi_testkit.{group}]")[1].partition("[")[0]
        assert "nnapi_testkit.targets.jumpstarter:jumpstarter_" in section
