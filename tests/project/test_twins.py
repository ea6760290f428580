"""Ten equal lines of code in two places: none, or explained."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("nnapi_testkit", "op_tests", "emulator", "tools", "benchmarks", "examples", "tests")
SUFFIXES = (".py", ".c", ".cpp", ".h", ".sh")
LEAST = 10
IMPORTS = re.compile(r"^(?:from [^\n]+ import \([^)]*\)|(?:from|import|#include) [^\n]*)$", re.M)
# Places of equal lines, in the order of their names, and why they are two.
EXPLAINED = {
    (
        "emulator/driver/kernels/math/gemm_x86.cpp",
        "emulator/driver/kernels/math/gemm_x86.cpp",
    ): "AVX2 and AVX-512: loops of vectors of another width, by intrinsics of other names",
    ("emulator/include/nnapi.h", "tools/generate_codes.py"): "the file, and what writes it",
}


def lines_of(text: str) -> list[str]:
    """The lines that say something: no imports, comments, blanks or lone brackets."""
    stripped = (line.strip() for line in IMPORTS.sub("", text).splitlines())
    return [
        line for line in stripped if re.search(r"\w", line) and not re.match(r"//|#|/\*|\* ", line)
    ]


def twins(sources: dict[str, str]) -> set[tuple[str, str]]:
    """Pairs of places that share `LEAST` lines in a row; a pair may be one file twice."""
    seen: dict[tuple[str, ...], tuple[str, int]] = {}
    found: set[tuple[str, str]] = set()
    for name, text in sources.items():
        lines = lines_of(text)
        for at in range(len(lines) - LEAST + 1):
            run = tuple(lines[at : at + LEAST])
            first, place = seen.setdefault(run, (name, at))
            if first != name or at - place >= LEAST:
                found.add((first, name))
    return found


def _files() -> Iterator[Path]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in SUFFIXES and "_native" not in path.parts and path.is_file():
                yield path


def test_no_ten_lines_stand_twice_without_a_reason() -> None:
    sources = {path.relative_to(ROOT).as_posix(): path.read_text() for path in _files()}
    assert len(sources) > 600
    found = twins(sources)
    assert found - EXPLAINED.keys() == set(), "say it once, or explain it in EXPLAINED"
    assert EXPLAINED.keys() - found == set(), "explained, and no longer so"


def test_twins_are_found() -> None:
    run = "\n".join(f"value_{number} = {number}" for number in range(LEAST))
    assert twins({"a": run, "b": f"x = 1\n\n# why\n{run}\n"}) == {("a", "b")}
    assert twins({"a": f"{run}\n{run}"}) == {("a", "a")}
    assert twins({"a": run, "b": run.replace("value_4", "other")}) == set()
    imports = "\n".join(f"import module_{number}" for number in range(LEAST))
    assert twins({"a": imports, "b": imports}) == set()
