#!/usr/bin/env python3
"""The kit on each Python, and with the oldest and newest torch and numpy, that it promises.

`python ci/versions.py [--python 3.12] [--torch oldest] [--numpy newest] [--list]`. What is promised
is read from pyproject.toml: the Pythons of the classifiers, the ranges of torch and numpy. For
each combination that this machine has or can install, a virtual environment of its own gets the
built wheel with those versions; every module is imported, and a short selection of the suite runs:
by the live oracle where the combination has torch, by the goldens where it has none. One line says
how each ended:

* the verdict line of the run: `PASS: ...`, or `FAILED` with what was wrong;
* `not installable here: ...`, with the reason: no such interpreter, no wheel of that version for
  that Python, or one that needs CUDA's libraries (several GB; `--cuda` takes them all the same).

`oldest` and `newest` are the ends of the range that pip finds as wheels for that Python; `pinned`
is the version in ci/constraints.txt; `none` (torch only) leaves it out; a version is taken as it
is. All other dependencies are those of ci/constraints.txt. Start it with the interpreter of
`make build`, which has the build backend. Exits 1 if a combination that could be installed fails,
2 if none could be.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
OPERATIONS = ("ADD", "SOFTMAX", "RANDOM_MULTINOMIAL", "CONV_2D")
TORCH = ("none", "oldest", "newest", "pinned")
NUMPY = ("oldest", "newest")
MOST_SECONDS = 1800  # of one command; an installation waits for downloads

# Each module of the kit; of those that need an extra which is not there, the extra must be why.
IMPORTS = """
import importlib, pkgutil, sys
import nnapi_testkit
extras, wrong, count = set(sys.argv[1:]), [], 0
inside = pkgutil.walk_packages(nnapi_testkit.__path__, "nnapi_testkit.", lambda name: None)
for module in inside:
    if module.name.endswith("__main__") or ".data." in module.name:
        continue
    try:
        importlib.import_module(module.name)
        count += 1
    except Exception as error:
        cause = error  # the kit says in its own error which extra is missing
        while cause and not isinstance(cause, ModuleNotFoundError):
            cause = cause.__cause__ or cause.__context__
        if cause is None or str(cause.name).partition(".")[0] not in extras:
            wrong.append(f"{module.name}: {type(error).__name__}: {error}")
sys.exit("; ".join(wrong) or (0 if count else "no modules"))
"""
VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"


class Unavailable(Exception):
    """A combination that cannot be installed on this machine; the text is the reason."""


class Broken(Exception):
    """A combination that was installed and on which the kit fails; the text is how."""


@dataclass(frozen=True, slots=True)
class Range:
    """The versions that a requirement admits, such as `torch>=2.4`."""

    name: str
    bounds: tuple[tuple[str, tuple[int, ...]], ...]

    @classmethod
    def parse(cls, requirement: str) -> Range:
        """Read a requirement of pyproject.toml; ValueError for a form that is not known here."""
        text = requirement.partition(";")[0].strip()
        match = re.fullmatch(r"([A-Za-z0-9._-]+)\s*(?:\[[^]]*\])?\s*(.*)", text)
        if match is None:
            raise ValueError(f"not a requirement: {requirement!r}")
        bounds = []
        for part in filter(None, (part.strip() for part in match[2].split(","))):
            bound = re.fullmatch(r"(>=|<=|==|!=|>|<)\s*([0-9]+(?:\.[0-9]+)*)", part)
            if bound is None:
                raise ValueError(f"{requirement!r}: {part!r} is not understood here")
            bounds.append((bound[1], numbers(bound[2])))
        return cls(match[1].lower(), tuple(bounds))

    def admits(self, version: str) -> bool:
        """Whether a version is a release (no alpha, no candidate) within all bounds."""
        if re.fullmatch(r"[0-9]+(\.[0-9]+)*", version.partition("+")[0]) is None:
            return False
        here = numbers(version)
        tests: dict[str, Callable[[tuple[int, ...]], bool]] = {
            ">=": lambda bound: here >= bound,
            "<=": lambda bound: here <= bound,
            "==": lambda bound: here == bound,
            "!=": lambda bound: here != bound,
            ">": lambda bound: here > bound,
            "<": lambda bound: here < bound,
        }
        return all(tests[sign](bound) for sign, bound in self.bounds)


def numbers(version: str) -> tuple[int, ...]:
    """A release as numbers to compare by; a local part such as `+cpu` and last zeros fall away."""
    found = [int(part) for part in version.partition("+")[0].split(".")]
    while len(found) > 1 and found[-1] == 0:
        found.pop()
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Promise:
    """What pyproject.toml promises to work with."""

    pythons: tuple[str, ...]
    torch: Range
    numpy: Range


def promise(pyproject: str) -> Promise:
    """Read the text of pyproject.toml; ValueError where it names no Pythons, torch or numpy."""
    project = tomllib.loads(pyproject)["project"]
    form = re.compile(r"Programming Language :: Python :: (3\.[0-9]+)")
    matches = [form.fullmatch(line) for line in project.get("classifiers", ())]
    pythons = sorted({match[1] for match in matches if match}, key=numbers)
    if not pythons:
        raise ValueError("pyproject.toml: no classifier names a Python")

    def the(name: str, requirements: Sequence[str]) -> Range:
        for text in requirements:
            if re.match(rf"{name}(?![A-Za-z0-9._-])", text, re.IGNORECASE):
                return Range.parse(text)
        raise ValueError(f"pyproject.toml: no requirement names {name}")

    extras = project.get("optional-dependencies", {})
    return Promise(
        tuple(pythons),
        the("torch", extras.get("torch", ())),
        the("numpy", project.get("dependencies", ())),
    )


def pinned(constraints: str, name: str, python: str) -> str:
    """The version that the text of ci/constraints.txt pins for a Python; Unavailable if none."""
    for line in constraints.splitlines():
        form = r'==([^;\s]+)(?:;\s*python_version\s*(<|>=)\s*"([0-9.]+)")?\s*'
        match = re.fullmatch(re.escape(name) + form, line)
        if match is None:
            continue
        if match[2] is None or (numbers(python) < numbers(match[3])) == (match[2] == "<"):
            return match[1]
    raise Unavailable(f"ci/constraints.txt pins no {name} for Python {python}")


def others(constraints: str) -> str:
    """The text of ci/constraints.txt without torch, numpy and what a torch pins itself."""
    free = ("torch", "numpy", "sympy", "networkx")
    return "".join(
        f"{line}\n"
        for line in constraints.splitlines()
        if re.split("[=;]", line)[0].strip().lower() not in free
    )


def choose(which: str, admitted: Range, found: Sequence[str]) -> str:
    """`oldest` or `newest` of the versions found that the range admits; Unavailable if none is."""
    fitting = sorted((text for text in found if admitted.admits(text)), key=numbers)
    if not fitting:
        bounds = ",".join(sign + ".".join(map(str, bound)) for sign, bound in admitted.bounds)
        raise Unavailable(f"no wheel of {admitted.name}{bounds} for this Python")
    return fitting[0 if which == "oldest" else -1].partition("+")[0]


def cuda_parts(report: dict[str, Any]) -> list[str]:
    """The packages of CUDA that an installation would bring along, from pip's report of it."""
    names = [str(item["metadata"]["name"]).lower() for item in report.get("install", ())]
    return [name for name in names if name.startswith(("nvidia-", "cuda-"))]


def call(
    command: Sequence[str | Path], cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command without input and without another checkout's settings."""
    strange = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in strange and not name.startswith("NNAPI_")
    }
    try:
        return subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env=env | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=MOST_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess([], 124, "", f"no end after {MOST_SECONDS} s")
    except OSError as error:
        return subprocess.CompletedProcess([], 127, "", str(error))


def reason(done: subprocess.CompletedProcess[str]) -> str:
    """One line that says why a command failed: pip's first error, else what was said last."""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    last = lines or done.stdout.strip().splitlines() or [f"exit code {done.returncode}"]
    text = errors[0].removeprefix("ERROR:").strip() if errors else last[-1].strip()
    # A limit in pip's own settings on this machine would otherwise be a conflict without a name.
    limits = re.findall(r"^ *The user requested (\(constraint\) .*)$", done.stdout, re.MULTILINE)
    text = " ".join([text, *limits])
    text = re.sub(r"\((from versions|from) [^)]*\)", "", text)
    return re.sub(r"\s+", " ", text)[:300]


def interpreter(version: str) -> Path:
    """A Python of this version that can make environments: from PATH, else pyenv's; or Unavailable.

    A name on PATH may be a mere stand-in (pyenv's shims), so each is asked.
    """
    name = f"python{version}"
    places = [shutil.which(name)]
    home = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    places += sorted(map(str, home.glob(f"versions/{version}.*/bin/{name}")))
    why = f"no {name} on PATH or from pyenv"
    for place in filter(None, places):
        done = call([place, "-c", f"import venv, ensurepip; {VERSION}"])
        if done.returncode == 0 and done.stdout.strip() == version:
            return Path(place)
        why = f"{name} is there, but: {reason(done)}"
    raise Unavailable(why)


@dataclass(frozen=True, slots=True)
class Combination:
    """One Python with one choice of torch and numpy: a word such as `oldest`, or a version."""

    python: str
    torch: str
    numpy: str

    def __str__(self) -> str:
        return f"Python {self.python}, torch {self.torch}, numpy {self.numpy}"


@dataclass(slots=True)
class Trial:
    """The folder, the promise and the pins of one call; what was found out is kept."""

    work: Path
    promised: Promise
    constraints: str
    cuda: bool
    interpreters: dict[str, Path | Unavailable] = field(default_factory=dict)
    found: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    needed: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    wheel: Path | None = None

    def python(self, version: str) -> Path:
        """The interpreter; the answer is remembered, also that there is none."""
        if version not in self.interpreters:
            try:
                self.interpreters[version] = interpreter(version)
            except Unavailable as error:
                self.interpreters[version] = error
        answer = self.interpreters[version]
        if isinstance(answer, Unavailable):
            raise answer
        return answer

    def asking(self, version: str) -> str:
        """The Python of an environment with a current pip, to ask what could be installed."""
        folder = self.work / f"pip-{version}"
        python = str(folder / "bin/python")
        if not Path(python).exists():
            done = call([self.python(version), "-m", "venv", folder])
            if done.returncode == 0:
                done = call([python, "-m", "pip", "install", "--quiet", "--upgrade", "pip"])
            if done.returncode:
                shutil.rmtree(folder, ignore_errors=True)
                raise Unavailable(f"no environment: {reason(done)}")
        return python

    def version(self, admitted: Range, which: str, python: str) -> str:
        """The version that a word such as `oldest` means for a Python; a version is itself."""
        if which == "pinned":
            return pinned(self.constraints, admitted.name, python)
        if which not in ("oldest", "newest"):
            return which
        key = (python, admitted.name)
        if key not in self.found:
            ask = [self.asking(python), "-m", "pip", "index", "versions"]
            done = call([*ask, "--only-binary=:all:", admitted.name])
            match = re.search(r"^Available versions: (.*)$", done.stdout, re.MULTILINE)
            if done.returncode or match is None:
                raise Unavailable(f"versions of {admitted.name}: {reason(done)}")
            self.found[key] = match[1].split(", ")
        return choose(which, admitted, self.found[key])

    def without_cuda(self, python: str, version: str) -> None:
        """Unavailable if this torch brings CUDA along; pip says so before it downloads anything."""
        key = (python, version)
        if key not in self.needed:
            report = self.work / "report.json"
            ask = [self.asking(python), "-m", "pip", "install", "--dry-run", "--ignore-installed"]
            ask += ["--report", str(report), "--only-binary=:all:", f"torch=={version}"]
            done = call(ask)
            if done.returncode:
                raise Unavailable(reason(done))
            self.needed[key] = cuda_parts(json.loads(report.read_text(encoding="utf-8")))
        if self.needed[key]:
            raise Unavailable(
                f"torch {version} is a CUDA build ({self.needed[key][0]} and "
                f"{len(self.needed[key]) - 1} more); name an index of CPU wheels to pip, or --cuda"
            )

    def built(self) -> Path:
        """The kit's wheel, compiled once for all: it fits every Python of this platform."""
        if self.wheel is None:
            folder = self.work / "dist"
            shutil.rmtree(folder, ignore_errors=True)
            build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation"]
            done = call([*build, "--no-deps", "--no-index", "--wheel-dir", str(folder), str(ROOT)])
            wheels = sorted(folder.glob("*.whl"))
            if done.returncode or len(wheels) != 1:
                raise SystemExit(f"the wheel does not build (`make build` first?): {reason(done)}")
            self.wheel = wheels[0]
        return self.wheel

    def resolved(self, combination: Combination) -> Combination:
        """The combination in versions; Unavailable with the reason."""
        python = combination.python
        self.python(python)
        torch = combination.torch
        if torch != "none":
            torch = self.version(self.promised.torch, torch, python)
            if not self.cuda:
                self.without_cuda(python, torch)
        return Combination(
            python, torch, self.version(self.promised.numpy, combination.numpy, python)
        )

    def run(self, versions: Combination) -> str:
        """Install the versions, then the kit, and try it; the verdict line, or Broken with why."""
        wheel = self.built()
        folder = self.work / "trial"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "empty").mkdir(parents=True)
        pins = folder / "constraints.txt"
        pins.write_text(others(self.constraints) + f"numpy=={versions.numpy}\n")
        done = call([self.python(versions.python), "-m", "venv", folder / "venv"])
        if done.returncode:
            raise Unavailable(f"no environment: {reason(done)}")
        python = str(folder / "venv/bin/python")
        pip = [python, "-m", "pip", "install"]
        wanted = [f"numpy=={versions.numpy}"]
        if versions.torch != "none":
            wanted.append(f"torch=={versions.torch}")
        done = call([*pip, "--only-binary=:all:", "--constraint", str(pins), *wanted])
        if done.returncode:
            raise Unavailable(reason(done))
        for package in wanted:
            name = package.partition("=")[0]
            done = call([python, "-c", f"import {name}"])
            if done.returncode:
                raise Unavailable(f"{package} cannot be imported: {reason(done)}")
        # From here on it is the kit's own doing.
        done = call([*pip, "--constraint", str(pins), *wanted, str(wheel)])
        if done.returncode:
            raise Broken(f"the kit does not install: {reason(done)}")
        extras = ["jumpstarter", "jumpstarter_driver_adb", "anyio", "adbutils", "docker"]
        extras += ["requests", "tree_sitter", "tree_sitter_cpp"]
        extras += ["torch"] if versions.torch == "none" else []
        done = call([python, "-c", IMPORTS, *extras], cwd=folder / "empty")
        if done.returncode:
            raise Broken(f"imports: {reason(done)}")
        oracle = "golden" if versions.torch == "none" else "live"
        chosen = [part for name in OPERATIONS for part in ("-o", name)]
        command = [str(folder / "venv/bin/nnapi-testkit"), "run", "--oracle", oracle, *chosen]
        done = call(command, cwd=folder / "empty")
        last = (done.stdout.strip().splitlines() or [""])[-1]
        if done.returncode or not last.startswith("PASS:"):
            raise Broken(f"oracle {oracle}: {last or reason(done)} (exit code {done.returncode})")
        return f"oracle {oracle}: {last}"


def attempt(trial: Trial, combinations: Sequence[Combination]) -> int:
    """Try each combination and print its line; the exit code."""
    ends: dict[Combination, str] = {}
    counts = {"passed": 0, "failed": 0, "not installable here": 0}
    for wanted in combinations:
        began = time.monotonic()
        shown = wanted
        try:
            shown = trial.resolved(wanted)
            if shown in ends:
                print(f"{wanted}: as {ends[shown]}", flush=True)
                continue
            ends[shown] = str(wanted)
            end, line = "passed", trial.run(shown)
        except Unavailable as error:
            end, line = "not installable here", f"not installable here: {error}"
        except Broken as error:
            end, line = "failed", f"FAILED: {error}"
        counts[end] += 1
        means = "" if shown == wanted else f" ({shown.torch}, {shown.numpy})"
        print(f"{wanted}{means}: {line} [{time.monotonic() - began:.0f} s]", flush=True)
    print(", ".join(f"{count} {end}" for end, count in counts.items()))
    if counts["failed"]:
        return 1
    return 0 if counts["passed"] else 2


def words(choices: Sequence[str]) -> Callable[[str], str]:
    """A type for argparse: one of the words, or a version."""

    def check(text: str) -> str:
        if text in choices or re.fullmatch(r"[0-9]+(\.[0-9]+)+", text):
            return text
        raise argparse.ArgumentTypeError(f"{text!r}: {', '.join(choices)} or a version")

    return check


def main(arguments: Sequence[str] | None = None) -> int:
    """Try, or list, what the options choose; without options all that is promised."""
    promised = promise((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    constraints = (ROOT / "ci/constraints.txt").read_text(encoding="utf-8")
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", action="append", choices=promised.pythons)
    parser.add_argument("--torch", action="append", type=words(TORCH), metavar="|".join(TORCH))
    parser.add_argument("--numpy", action="append", type=words((*NUMPY, "pinned")))
    parser.add_argument("--cuda", action="store_true", help="take builds of torch that need CUDA")
    parser.add_argument("--list", action="store_true", help="print what would be tried, do nothing")
    parser.add_argument("--work", type=Path, help="folder to use and keep, else a temporary one")
    options = parser.parse_args(arguments)
    combinations = [
        Combination(*chosen)
        for chosen in itertools.product(
            options.python or promised.pythons, options.torch or TORCH, options.numpy or NUMPY
        )
    ]
    with tempfile.TemporaryDirectory(prefix="nnapi-testkit-versions-") as temporary:
        work = options.work.resolve() if options.work else Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        trial = Trial(work, promised, constraints, options.cuda)
        if not options.list:
            return attempt(trial, combinations)
        for combination in combinations:
            try:
                where = str(trial.python(combination.python))
            except Unavailable as error:
                where = f"not installable here: {error}"
            print(f"{combination}: {where}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
