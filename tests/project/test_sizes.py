"""No function has more than 60 lines or 20 branches, as lizard counts them; a long one is noticed.

Lizard counts for Python, C and C++ alike: a branch is an `if`, a loop, a case, a handler, and an
`and` or `or` in a condition; a function has one to begin with.
"""

from collections.abc import Iterator
from pathlib import Path

import lizard
import pytest

ROOT = Path(__file__).resolve().parents[2]
LINES, BRANCHES = 60, 20
PLACES = {
    "nnapi_testkit": ("*.py",),
    "op_tests": ("*.py",),
    "tools": ("*.py",),
    "ci": ("*.py",),
    "benchmarks": ("*.py",),
    "examples": ("*.py",),
    "tests": ("*.py", "*.c", "*.h", "*.cpp"),
    "emulator": ("*.c", "*.h", "*.cpp"),
}
# Written by tools/generate_codes.py, and harnesses that draw among all calls by one switch.
LEFT_OUT = ("spec/codes.py", "wire_codes.py", "include/nnapi.h", "include/wire_codes.h", "/fuzz/")


def sources() -> Iterator[Path]:
    """The files that the limits hold for."""
    for place, patterns in PLACES.items():
        for pattern in patterns:
            for path in sorted((ROOT / place).rglob(pattern)):
                if not any(part in path.as_posix() for part in LEFT_OUT):
                    yield path


def long_functions(path: Path) -> Iterator[str]:
    """The name of each function of a file that is beyond a limit."""
    for function in lizard.analyze_file(str(path)).function_list:
        if function.length > LINES or function.cyclomatic_complexity > BRANCHES:
            yield function.name


def test_functions_are_short() -> None:
    found = [
        f"{path.relative_to(ROOT).as_posix()}: {name}"
        for path in sources()
        for name in long_functions(path)
    ]
    assert found == [], "divide them: at most 60 lines, 20 branches"


BRANCHED = "def f(x):\n" + "".join(f"    if x == {i}:\n        return {i}\n" for i in range(20))
TALL = "def f(x):\n" + "    x += 1\n" * 60
IN_C = "int f(int x) {\n" + "".join(f"    if (x == {i}) return {i};\n" for i in range(20)) + "}\n"


@pytest.mark.parametrize(
    ("name", "text", "beyond"),
    [
        ("branched.py", BRANCHED, True),
        ("branched.py", BRANCHED.replace("if x == 19", "with x"), False),
        ("tall.py", TALL, True),
        ("tall.py", TALL.removesuffix("    x += 1\n"), False),
        ("branched.c", IN_C, True),
    ],
)
def test_a_long_function_is_noticed(tmp_path: Path, name: str, text: str, beyond: bool) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert list(long_functions(path)) == (["f"] if beyond else [])
