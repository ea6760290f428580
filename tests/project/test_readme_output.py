"""The helper that fills README's output takes passing logs only."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
SUMMARY = (
    "nnapi-reference (target host): 2 operations, 4 cells; oracle live\nreport: build/report\n"
)
PASS = f"one line\n{SUMMARY}\x1b[32mPASS: 9 PASS in 0.1 s\x1b[0m\n"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("readme_output", ROOT / "tools/readme_output.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tool = load()


def test_closing_lines_of_a_run() -> None:
    assert tool.closing_lines(PASS, False) == f"{SUMMARY}PASS: 9 PASS in 0.1 s\n"


def test_closing_lines_of_pytest() -> None:
    text = tool.closing_lines(PASS + "===== 12 passed, 1 skipped in 3.20s =====\n", True)
    assert text.splitlines()[-1] == "===== 12 passed, 1 skipped in 3.20s ====="


@pytest.mark.parametrize(
    ("log", "with_pytest"),
    [
        ("", False),
        (SUMMARY + "FAIL: 1 MISMATCH, 8 PASS in 0.1 s\n", False),
        (PASS + "== 1 failed, 11 passed in 3.20s ==\n", True),
    ],
)
def test_no_pass_no_change(log: str, with_pytest: bool) -> None:
    with pytest.raises(SystemExit, match=r"README\.md is left as it is"):
        tool.closing_lines(log, with_pytest)


def test_one_block_for_each_command() -> None:
    readme = (ROOT / "README.md").read_text()
    for command in ("make conformance", "make test"):
        filled = tool.replaced(readme, command, "THE OUTPUT\n")
        assert f"<!-- output: {command} -->\n```text\nTHE OUTPUT\n```" in filled
    with pytest.raises(SystemExit, match="0 blocks"):
        tool.replaced(readme, "make coffee", "")
