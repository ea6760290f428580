"""What ci/versions.py reads out of pyproject.toml, and what it says of what it cannot install."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ci_versions", ROOT / "ci" / "versions.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their own module up
    spec.loader.exec_module(module)
    return module


versions = load()
PYPROJECT = """
[project]
classifiers = [
  "Programming Language :: Python :: 3",
  "Programming Language :: Python :: 3.9",
  "Programming Language :: Python :: 3.10",
]
dependencies = ["numpy-financial>=9", "numpy>=1.26,<3", 'tomli>=2; python_version < "3.11"']
[project.optional-dependencies]
torch = ["torch>=2.4,!=2.5.0"]
"""


# -- ranges


def test_the_promise_of_this_project() -> None:
    promised = versions.promise((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert promised.pythons == ("3.10", "3.11", "3.12", "3.13")
    assert promised.torch == versions.Range("torch", ((">=", (2, 4)),))
    assert promised.numpy == versions.Range("numpy", ((">=", (1, 26)),))


def test_a_planted_project() -> None:
    promised = versions.promise(PYPROJECT)
    assert promised.pythons == ("3.9", "3.10"), "by number, not by letter"
    assert promised.torch.bounds == ((">=", (2, 4)), ("!=", (2, 5)))
    assert promised.numpy.bounds == ((">=", (1, 26)), ("<", (3,)))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (":: 3.9", ":: 2.7", "ok"),
        ("Programming Language ::", "Topic ::", "no classifier names a Python"),
        ('"numpy>=1.26,<3"', '"nothing"', "no requirement names numpy"),
        ("torch>=", "torchvision>=", "no requirement names torch"),
        (">=2.4,", "~=2.4,", "'~=2.4' is not understood here"),
        (">=1.26,", ">=1.26rc1,", "'>=1.26rc1' is not understood here"),
    ],
)
def test_what_a_project_must_say(old: str, new: str, said: str) -> None:
    assert old in PYPROJECT
    text = PYPROJECT.replace(old, new)
    if said == "ok":
        assert versions.promise(text).pythons == ("3.10",)
        return
    with pytest.raises(ValueError, match=said):
        versions.promise(text)


@pytest.mark.parametrize(
    ("requirement", "inside", "outside"),
    [
        ("torch>=2.4", ["2.4", "2.4.0", "2.10.0", "2.13.0+cpu", "3.0"], ["2.3.1", "2.5.0rc1"]),
        ("x >= 1.26 , < 3", ["1.26.4", "2.99"], ["1.25", "3", "3.0.0", "1.9"]),
        ("x[extra]!=2.5.0", ["2.5.1", "2.4"], ["2.5", "2.5.0"]),
        ('x==2.0; python_version < "3.11"', ["2", "2.0.0"], ["2.0.1"]),
        ("x>1,<=2", ["1.0.1", "2.0"], ["1.0", "2.0.1"]),
        ("x", ["0.1", "9"], ["1.0a1", "1.0.dev3", "nightly"]),
    ],
)
def test_a_range_admits(requirement: str, inside: list[str], outside: list[str]) -> None:
    admitted = versions.Range.parse(requirement)
    assert [text for text in inside + outside if admitted.admits(text)] == inside


def test_the_ends_of_a_range() -> None:
    found = ["2.10.0", "2.13.0+cpu", "2.13.0", "2.9.1", "2.4.0", "2.3.1", "2.14.0rc1"]
    admitted = versions.Range.parse("torch>=2.4")
    assert versions.choose("oldest", admitted, found) == "2.4.0"
    assert versions.choose("newest", admitted, found) == "2.13.0"
    with pytest.raises(versions.Unavailable, match=r"no wheel of torch>=2\.4 for this Python"):
        versions.choose("oldest", admitted, ["2.3.1"])


PINS = (
    'numpy==2.2.6; python_version < "3.11"\nnumpy==2.4.6; python_version >= "3.11"\ntorch==2.13.0\n'
)


def test_pins() -> None:
    assert versions.pinned(PINS, "numpy", "3.9") == "2.2.6"
    assert versions.pinned(PINS, "numpy", "3.10") == "2.2.6"
    assert versions.pinned(PINS, "numpy", "3.11") == "2.4.6"
    assert versions.pinned(PINS, "torch", "3.13") == "2.13.0"
    with pytest.raises(versions.Unavailable, match="pins no pytest"):
        versions.pinned(PINS, "pytest", "3.13")
    assert versions.others("# torch\n" + PINS + "rich==15.0.0\nsympy==1.14.0\n") == (
        "# torch\nrich==15.0.0\n"
    )


# -- what is said of what cannot be installed, and of what fails


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_no_such_interpreter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    arguments = ["--python", "3.12", "--torch", "none", "--numpy", "2.0.0"]
    assert versions.main(arguments) == 2, "nothing was tried: that is no success"
    wanted = "Python 3.12, torch none, numpy 2.0.0: not installable here: no python3.12 on PATH"
    line, sums = lines(capsys)
    assert line.startswith(wanted)
    assert sums == "0 passed, 0 failed, 1 not installable here"
    assert versions.main([*arguments, "--list"]) == 0
    assert lines(capsys)[0].startswith(wanted)


def test_a_stand_in_on_the_path_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shims, real = tmp_path / "shims", tmp_path / f"versions/{HERE}.1/bin"
    for folder in (shims, real):
        folder.mkdir(parents=True)
    shim = shims / f"python{HERE}"
    shim.write_text(f"#!{sys.executable}\nimport sys\nsys.exit('pyenv: command not found')\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(shims))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    with pytest.raises(versions.Unavailable, match="is there, but: pyenv: command not found"):
        versions.interpreter(HERE)
    other = real / f"python{HERE}"
    other.write_text(f"#!/bin/sh\necho {HERE}\n")
    other.chmod(0o755)
    assert versions.interpreter(HERE) == other
    # A program that answers with another version is not what was asked for.
    other.write_text("#!/bin/sh\necho 2.7\n")
    with pytest.raises(versions.Unavailable, match=r"2\.7"):
        versions.interpreter(HERE)


Answer = tuple[int, str, str]


class Machine:
    """Stands for pip and the commands: the first answer whose words all stand in the command."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def call(self, command: list[object], cwd: Path | None = None) -> object:
        text = " ".join(map(str, command))
        self.asked.append(text)
        if " pip wheel " in text:
            folder = Path(text.split("--wheel-dir ")[1].split()[0])
            folder.mkdir(parents=True)
            (folder / "kit.whl").touch()
        for words, (code, out, err) in self.answers.items():
            if all(word in text for word in words.split()):
                if "--report " in text:
                    Path(text.split("--report ")[1].split()[0]).write_text(out)
                return subprocess.CompletedProcess([], code, out, err)
        return subprocess.CompletedProcess([], 0, "", "")


PASS = "known kinds\nPASS: 9 PASS in 1 s\n"
USUAL = {
    "index versions torch": (0, "torch (2.9.0)\nAvailable versions: 2.9.0, 2.4.1, 2.3.0\n", ""),
    "index versions numpy": (0, "Available versions: 2.1.0, 1.26.0, 1.25.0\n", ""),
    "install --dry-run": (0, json.dumps({"install": [{"metadata": {"name": "torch"}}]}), ""),
    "nnapi-testkit run": (0, PASS, ""),
}
Try = Callable[..., tuple[int, list[str], Machine]]


@pytest.fixture
def tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Try:
    def on(answers: dict[str, Answer], *arguments: str) -> tuple[int, list[str], Machine]:
        machine = Machine(answers | {key: USUAL[key] for key in USUAL if key not in answers})
        monkeypatch.setattr(versions, "call", machine.call)
        monkeypatch.setattr(versions, "interpreter", lambda version: Path(f"python{version}"))
        code = versions.main(["--python", "3.12", "--work", str(tmp_path / "work"), *arguments])
        return code, lines(capsys), machine

    return on


def test_a_combination_that_passes(tried: Try) -> None:
    code, said, machine = tried({}, "--torch", "oldest", "--numpy", "newest")
    assert code == 0
    assert said[0].startswith(
        "Python 3.12, torch oldest, numpy newest (2.4.1, 2.1.0): oracle live: PASS: 9 PASS in 1 s ["
    )
    assert said[1] == "1 passed, 0 failed, 0 not installable here"
    (run,) = (text for text in machine.asked if "nnapi-testkit run" in text)
    assert "--oracle live -o ADD -o SOFTMAX -o RANDOM_MULTINOMIAL -o CONV_2D" in run
    kit = [text for text in machine.asked if text.endswith("kit.whl")]
    assert len(kit) == 1 and "numpy==2.1.0 torch==2.4.1" in kit[0], "the versions stay as wanted"


def test_without_torch_the_goldens_answer(tried: Try) -> None:
    code, _, machine = tried({}, "--torch", "none", "--numpy", "oldest")
    assert code == 0
    assert any("--oracle golden" in text for text in machine.asked)
    assert not any("torch==" in text for text in machine.asked)


def test_a_build_that_needs_cuda(tried: Try) -> None:
    parts = [{"metadata": {"name": name}} for name in ("torch", "nvidia-a", "CUDA-b", "jinja2")]
    answers = {"install --dry-run": (0, json.dumps({"install": parts}), "")}
    code, said, machine = tried(answers, "--torch", "newest", "--numpy", "oldest")
    assert code == 2
    assert (
        "not installable here: torch 2.9.0 is a CUDA build (nvidia-a and 1 more); "
        "name an index of CPU wheels to pip, or --cuda" in said[0]
    )
    assert not any(" -m venv " in text and "trial" in text for text in machine.asked)
    code, _, _ = tried(answers, "--torch", "newest", "--numpy", "oldest", "--cuda")
    assert code == 0


# What pip says of a version without a wheel.
PIP = (
    "WARNING: a place is ignored\nERROR: Could not find a version that satisfies the requirement "
    "numpy==1.26.0 (from versions: 2.1.0)\nERROR: No matching distribution found\n"
)

LIMITS = (
    "The conflict is caused by:\n    The user requested numpy==1.26.0\n"
    "    The user requested (constraint) numpy<=1.25\n"
)


@pytest.mark.parametrize(
    ("answers", "line"),
    [
        (
            {"pip install --only-binary --constraint": (1, "", PIP)},
            "Could not find a version that satisfies the requirement numpy==1.26.0",
        ),
        (
            {"pip install --only-binary --constraint": (1, LIMITS, "ERROR: Cannot install x\n")},
            "Cannot install x (constraint) numpy<=1.25",
        ),
        ({"index versions numpy": (1, "", "ERROR: no network\n")}, "versions of numpy: no network"),
        ({"index versions numpy": (0, "Available versions: 1.2\n", "")}, "no wheel of numpy>=1.26"),
        ({"import numpy": (1, "", "ImportError: no C library\n")}, "numpy==1.26.0 cannot be imp"),
        ({"trial -m venv": (1, "", "no ensurepip\n")}, "no environment: no ensurepip"),
    ],
)
def test_not_installable_is_no_failure(tried: Try, answers: dict[str, Answer], line: str) -> None:
    code, said, _ = tried(answers, "--torch", "none", "--numpy", "oldest", "--numpy", "2.1.0")
    assert f"not installable here: {line}" in said[0]
    assert said[-1].startswith(("1 passed, 0 failed, 1 not", "0 passed, 0 failed, 2 not"))
    assert code == (0 if said[-1].startswith("1") else 2)


@pytest.mark.parametrize(
    ("answers", "line"),
    [
        ({"kit.whl --constraint": (1, "", "ERROR: requires another Python\n")}, "does not install"),
        ({"walk_packages": (1, "", "nnapi_testkit.x: SyntaxError\n")}, "imports: nnapi_testkit.x"),
        ({"nnapi-testkit run": (2, "ERROR: 30 ORACLE_DISPUTE\n", "")}, "ERROR: 30 ORACLE_DISPUTE"),
        ({"nnapi-testkit run": (1, "FAIL: 1 WRONG\n", "")}, "(exit code 1)"),
        ({"nnapi-testkit run": (0, "", "")}, "(exit code 0)"),
        ({"nnapi-testkit run": (1, "", "Traceback\nKeyError: 'x'\n")}, "KeyError: 'x'"),
    ],
)
def test_the_kit_fails(tried: Try, answers: dict[str, Answer], line: str) -> None:
    code, said, _ = tried(answers, "--torch", "none", "--numpy", "oldest")
    assert code == 1
    assert ": FAILED: " in said[0] and line in said[0]
    assert said[-1] == "0 passed, 1 failed, 0 not installable here"


def test_the_same_versions_are_tried_once(tried: Try) -> None:
    code, said, machine = tried({}, "--torch", "none", "--numpy", "oldest", "--numpy", "1.26.0")
    assert code == 0
    assert (
        said[1] == "Python 3.12, torch none, numpy 1.26.0: as Python 3.12, torch none, numpy oldest"
    )
    assert sum("nnapi-testkit run" in text for text in machine.asked) == 1


def imports(folder: Path, source: str, *extras: str) -> str:
    package = folder / "nnapi_testkit"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").touch()
    (package / "good.py").touch()
    (package / "room").mkdir(exist_ok=True)
    (package / "room/__init__.py").write_text(source)
    # -S: without the hook of an editable install, which would bring in this checkout.
    command = [sys.executable, "-S", "-c", versions.IMPORTS, *extras]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == (done.stderr == "")
    return done.stderr.strip()


def test_every_module_is_imported(tmp_path: Path) -> None:
    assert imports(tmp_path, "import json") == ""
    missing = "import no_such_extra"
    assert imports(tmp_path, missing, "no_such_extra") == ""
    assert "No module named 'no_such_extra'" in imports(tmp_path, missing)
    own = (
        f"try:\n    {missing}\nexcept ImportError as error:\n    raise RuntimeError('x') from error"
    )
    assert imports(tmp_path, own, "no_such_extra") == ""
    assert "room: RuntimeError: x" in imports(tmp_path, own)
    assert "room: SyntaxError" in imports(tmp_path, "def", "no_such_extra")


@pytest.mark.parametrize("word", ["latest", "3", "2.x", ""])
def test_a_word_that_means_nothing(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        versions.main(["--torch", word, "--list"])
    assert stopped.value.code == 2
    assert "none, oldest, newest, pinned or a version" in capsys.readouterr().err
