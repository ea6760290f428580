"""Files that pages and comments name are there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "emulator").rglob("README.md")),
]
# What an example makes, what a reproduction holds, and the public headers.
MADE = {"op_tests/square_root.py", "repro.c", "NeuralNetworks.h", "NeuralNetworksTypes.h"}
MADE |= {"NeuralNetworksSupportLibraryImpl.h", "NeuralNetworksExtensions.h"}
# `docs/x.md`, `cases/paths.py`, `test_memory.py`; a name in a pattern or a sentence is none.
PAGE_NAME = re.compile(r"`((?:[\w.-]+/)*\w[\w-]*\.(?:py|h|cpp|c|md|sh|toml|yml))`")
COMMENT_NAME = re.compile(r"\b(\w+\.(?:h|cpp|py))\b")


def tracked() -> list[str]:
    """The files of the tree: those of git, and all where there is none."""
    done = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return done.stdout.split()
    return [path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.*")]


def missing(text: str, names: re.Pattern[str], files: list[str]) -> list[str]:
    """The names in a text that no file ends with."""
    ends = {"/".join(file.split("/")[at:]) for file in files for at in range(file.count("/") + 1)}
    return sorted({name.removeprefix("../") for name in names.findall(text)} - ends - MADE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_names_files_that_exist(page: Path) -> None:
    assert missing(page.read_text(), PAGE_NAME, tracked()) == []


def test_comments_of_the_native_parts_name_files_that_exist() -> None:
    files = tracked()
    native = [n for n in files if re.fullmatch(r"emulator/.*\.(h|cpp|c)", n) and "bionic" not in n]
    texts = {name: (ROOT / name).read_text() for name in native}
    lost = {}
    for name, text in texts.items():
        comments = "\n".join(re.findall(r"(?://|\*) (.*)", text))
        lost[name] = missing(comments, COMMENT_NAME, files)
    assert {name: names for name, names in lost.items() if names} == {}


def test_a_name_that_is_gone_is_noticed() -> None:
    text = "`cases/paths.py` and `tests/gone.py`, see gone.h"
    files = ["nnapi_testkit/cases/paths.py"]
    assert missing(text, PAGE_NAME, files) == ["tests/gone.py"]
    assert missing(text, COMMENT_NAME, files) == ["gone.h", "gone.py"]
