"""The test build of the reference driver: `build/power/libneuralnetworks-faulty.so`.

Made on demand from instrumented copies of the sources, never installed, and made again when a
source, the planted faults or the seed of the mutants change. `CXX` names the compiler,
`CMAKE_CXX_COMPILER_LAUNCHER` what stands before it (ccache).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from nnapi_testkit import paths
from nnapi_testkit.errors import KitError
from nnapi_testkit.power.instrument import (
    Site,
    flat,
    instrument,
    mutant_sites,
    rule_sites,
    sample,
    sources,
)
from nnapi_testkit.power.places import is_planted
from nnapi_testkit.power.planted import PLANTED, Planted

__all__ = ["Build", "build"]

LIBRARY = "libneuralnetworks-faulty.so"
FLAGS = (
    "-std=c++20",
    "-O1",
    "-fPIC",
    "-fvisibility=hidden",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-pthread",
    "-w",
)
MUTATED = "driver/kernels/"
UNMUTATED = ("driver/kernels/kernel.h", "driver/kernels/rules.h")
SEED = 20240229
MUTANTS = 600
ROUNDS = 6  # of compiling a file and leaving out the mutants that are no C++
_FAULTS = "driver/faults"
_REFUSALS = "driver/error.cpp"
# What a kernel reads beyond its own scratch memory, or before it wrote it, must tell; what it
# writes there ends the process.
_GUARDED = (
    (
        "driver/context.h",
        b"scratch_->take(count * sizeof(T))",
        b"::nnapi::faults::dirty(*scratch_, count * sizeof(T))",
    ),
    (
        "driver/arena.h",
        b"current_ = mark.block;",
        b"::nnapi::faults::look(); current_ = mark.block;",
    ),
)


@dataclass(frozen=True)
class Build:
    """A built test library.

    Args:
        library: its path.
        sites: every switch by its number.
        invalid: mutants that do not compile, of those that were drawn.
        size: of the table of switches.
    """

    library: Path
    sites: dict[int, Site]
    planted: dict[int, Planted]
    invalid: int
    size: int

    @property
    def rules(self) -> dict[int, Site]:
        """The sites that leave out a rule."""
        return {n: site for n, site in self.sites.items() if not site.change}

    @property
    def mutants(self) -> dict[int, Site]:
        """The sites that change code that computes."""
        return {n: site for n, site in self.sites.items() if site.change}


def build(mutants: int = MUTANTS, seed: int = SEED, jobs: int = 2) -> Build:
    """Return the test build, made if it is not there. Raises KitError where it cannot be made.

    Args:
        mutants: how many of those that compile are drawn.
    """
    root = paths.checkout()
    if root is None:
        raise KitError("the driver's test build needs a checkout: a wheel has no sources")
    emulator = root / "emulator"
    plain = sources(emulator)
    found = _planted(dict(plain))
    faults = {p.name: p.read_bytes() for p in sorted((emulator / _FAULTS).glob("*.*"))}
    digest = hashlib.sha256(repr((mutants, seed, FLAGS, PLANTED)).encode())
    for name in ("build.py", "instrument.py", "places.py"):
        digest.update(Path(__file__).with_name(name).read_bytes())
    for name, data in sorted({**found, **faults}.items()):
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    folder = root / "build" / "power" / digest.hexdigest()[:16]
    listing = folder / "sites.json"
    planted = {number + 1: one for number, one in enumerate(PLANTED)}
    if not listing.is_file():
        _make(folder, found, plain, faults, mutants, seed, jobs)
    kept = json.loads(listing.read_text())
    sites = {int(number): Site(**site) for number, site in kept["sites"].items()}
    return Build(folder / LIBRARY, sites, planted, kept["invalid"], kept["size"])


def _planted(found: dict[str, bytes]) -> dict[str, bytes]:
    """Put the planted faults into the sources. Raises KitError where one has no place any more."""
    for number, one in enumerate(PLANTED, start=1):
        old = one.find.encode()
        if found.get(one.file, b"").count(old) != 1:
            raise KitError(
                f"the planted fault {one.id} looks for {one.find!r} once in {one.file}: adapt it to"
                " the driver in nnapi_testkit/power/planted.py"
            )
        new = re.sub(r"\bON\b", f"::nnapi::faults::on({number})", one.replace).encode()
        found[one.file] = found[one.file].replace(old, new)
    # Every refusal passes here: the trace learns which rule it was.
    found[_REFUSALS] = found[_REFUSALS].replace(
        b"throw Refusal(", b"::nnapi::faults::refused(); throw Refusal("
    )
    for file, old_text, new_text in _GUARDED:
        if found.get(file, b"").count(old_text) != 1:
            raise KitError(f"{file} has no {old_text.decode()!r}, once: adapt power/build.py to it")
        found[file] = found[file].replace(old_text, new_text)
    return found


def _make(
    folder: Path,
    found: dict[str, bytes],
    plain: Mapping[str, bytes],
    faults: dict[str, bytes],
    mutants: int,
    seed: int,
    jobs: int,
) -> None:
    first = len(PLANTED) + 1
    rules = [site for name, data in found.items() for site in _rules(name, data)]
    # What a planted fault refuses is no rule of the driver.
    rules = [site for site in rules if site.text in flat(plain[site.file].decode())]
    drawn = sample([site for item in found.items() for site in _mutants(*item)], found, seed)
    drawn = [site for site in drawn if not is_planted(site, found[site.file], plain[site.file])]
    size = first + len(rules) + len(drawn) + 1
    chosen = dict(enumerate(drawn[: mutants + mutants // 8], start=first + len(rules)))
    sites = {**dict(enumerate(rules, start=first)), **chosen}
    tree = folder / "src"
    (tree / _FAULTS).mkdir(parents=True, exist_ok=True)
    for name, data in faults.items():
        (tree / _FAULTS / name).write_bytes(data)
    invalid = _compile_valid(tree, found, sites, set(chosen), size, jobs)
    _compile_faults(tree, size)
    _link(folder, [*_units(found), f"{_FAULTS}/faults.cpp"])
    # Of the spare mutants as many stay as were asked for, in the order in which they were drawn.
    extra = sorted(number for number in sites if number in chosen)[mutants:]
    kept = {number: asdict(site) for number, site in sites.items() if number not in extra}
    (folder / "sites.json").write_text(
        json.dumps({"sites": kept, "invalid": invalid, "size": size})
    )


def _units(found: Mapping[str, bytes]) -> list[str]:
    return sorted(name for name in found if name.endswith(".cpp"))


def _compile_valid(
    tree: Path,
    found: dict[str, bytes],
    sites: dict[int, Site],
    mutants: set[int],
    size: int,
    jobs: int,
) -> int:
    """Compile all units; mutants that are no C++ leave `sites`. Returns how many did."""
    invalid = 0
    _write(tree, found, sites)
    todo: Sequence[str] = _units(found)
    with ThreadPoolExecutor(jobs) as pool:
        for _ in range(ROUNDS):
            outcomes = list(pool.map(lambda unit: _compile(tree, unit, size), todo))
            failed = [(unit, error) for unit, error in zip(todo, outcomes, strict=True) if error]
            if not failed:
                return invalid
            wrong = _guilty(tree, (error for _, error in failed)) & mutants
            if not wrong:
                raise KitError(f"the test build does not compile: {failed[0][1].strip()[:2000]}")
            invalid += len(wrong)
            touched = {sites.pop(number).file for number in wrong}
            _write(tree, {n: d for n, d in found.items() if n in touched}, sites)
            headers = any(name.endswith(".h") for name in touched)
            todo = _units(found) if headers else sorted(touched | {unit for unit, _ in failed})
    raise KitError("the test build does not compile: too many mutants are no C++")


def _link(folder: Path, units: Sequence[str]) -> None:
    root = paths.checkout()
    assert root is not None
    _call(
        [
            *_compiler(),
            "-shared",
            "-pthread",
            f"-Wl,--version-script={root / 'emulator/driver/exports.map'}",
            "-o",
            str(folder / LIBRARY),
            *(str(folder / "src" / f"{unit}.o") for unit in units),
        ]
    )


def _mutants(name: str, data: bytes) -> list[Site]:
    mutated = name.startswith(MUTATED) and name not in UNMUTATED
    return mutant_sites(name, data) if mutated else []


def _rules(name: str, data: bytes) -> list[Site]:
    inner = ("driver/opview.h", "driver/context.h")  # where `require` itself is
    return rule_sites(name, data) if name.startswith("driver/") and name not in inner else []


def _write(tree: Path, found: dict[str, bytes], sites: dict[int, Site]) -> None:
    by_file: dict[str, list[tuple[int, Site]]] = {}
    for number, site in sites.items():
        by_file.setdefault(site.file, []).append((number, site))
    for name, data in found.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            instrument(data, by_file.get(name, ())) if name in by_file else data.decode()
        )


def _compiler() -> list[str]:
    launcher = os.environ.get("CMAKE_CXX_COMPILER_LAUNCHER", "")
    return [*filter(None, [launcher]), *os.environ.get("CXX", "c++").split()]


def _compile(tree: Path, unit: str, size: int) -> str:
    """Compile one file; returns what the compiler said if it failed."""
    # Relative paths: the same command in every folder, which is what a compiler cache looks at.
    define = (f"-DNNAPI_TESTKIT_FAULT_SITES={size}",) if unit.startswith(_FAULTS) else ()
    command = [
        *_compiler(),
        *FLAGS,
        *define,
        "-include",
        f"{_FAULTS}/faults.h",
        "-I",
        "include",
        "-I",
        "driver",
        "-c",
        unit,
        "-o",
        f"{unit}.o",
    ]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


def _compile_faults(tree: Path, size: int) -> None:
    error = _compile(tree, f"{_FAULTS}/faults.cpp", size)
    if error:
        raise KitError(f"the test build does not compile: {error.strip()[:2000]}")


def _guilty(tree: Path, errors: Iterable[str]) -> set[int]:
    """The switches on the lines that a compiler complains of."""
    found: set[int] = set()
    for error in errors:
        for path, line in re.findall(r"^(\S+?):(\d+):\d+: error", error, re.MULTILINE):
            text = (tree / path).read_text().splitlines() if (tree / path).is_file() else []
            around = text[max(0, int(line) - 2) : int(line) + 1]
            found |= {int(n) for row in around for n in re.findall(r"faults::on\((\d+)\)", row)}
    return found


def _call(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise KitError(f"the test build does not link: {done.stderr.strip()[:2000]}")
