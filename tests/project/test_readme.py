"""README commands run as they are printed, and README output is that of the program.

Every `sh` block is executed in an empty folder, unless `<!-- ci -->` stands before it: those
build the project from nothing, so `.ci/run` runs them, and this test sees to it that it does.
A block after `<!-- file: NAME -->` is written to that file first. `<!-- output: COMMAND -->`
stands before what COMMAND printed.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", *(f"docs/{p.name}" for p in (ROOT / "docs").iterdir()))
BLOCK = re.compile(
    r"(?:^<!-- (?P<note>[^\n]*?) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S
)
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")


@dataclass(frozen=True)
class Block:
    note: str
    language: str
    text: str


def blocks() -> list[Block]:
    text = (ROOT / "README.md").read_text()
    return [Block(m["note"] or "", m["language"], m["text"]) for m in BLOCK.finditer(text)]


SHELL = [block for block in blocks() if block.language == "sh"]
HERE = [block for block in SHELL if block.note != "ci"]


def test_readme_starts_with_the_two_commands() -> None:
    assert [block.text for block in SHELL[:2]] == ["make conformance\n", "make test\n"]


def test_every_ci_block_is_run_by_ci() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    for block in SHELL:
        if block.note == "ci":
            for line in block.text.splitlines():
                assert re.search(rf"^{re.escape(line)}\b", script, re.M), line


@pytest.mark.parametrize("block", HERE, ids=[block.text.split("\n")[0] for block in HERE])
def test_readme_commands(block: Block, tmp_path: Path) -> None:
    for other in blocks():
        if other.note.startswith("file: "):
            (tmp_path / other.note.removeprefix("file: ")).write_text(other.text)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text],
        cwd=tmp_path,
        env=environment | {"PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def shape(line: str) -> str:
    """A line with its numbers masked: those differ from run to run, words do not."""
    line = re.sub(r"\d+(?:[.,]\d+)*(?:e-?\d+)?", "N", line.strip())
    return re.sub(r"=+|\.{4,}", "", line).strip()


def output_of(command: str) -> list[str]:
    (block,) = (block for block in blocks() if block.note == f"output: {command}")
    return [line for line in block.text.splitlines() if line.strip()]


def test_shown_output_of_make_conformance(tmp_path: Path) -> None:
    """README shows what the command prints: its last line passes, and each line has the form."""
    shown = output_of("make conformance")
    assert shown and re.match(r"PASS: [\d,]+ PASS", shown[-1])
    program = Path(sys.executable).parent / "nnapi-testkit"
    command = [program, "run", "-k", "ADD", "--report", "build/report"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    forms = {shape(line).split(":")[0] for line in done.stdout.splitlines()}
    assert [line for line in shown if shape(line).split(":")[0] not in forms] == []


def test_shown_output_of_make_test() -> None:
    shown = output_of("make test")
    assert shown and re.search(r"\b[\d]+ passed\b.* in [\d.:]+", shown[-1])
    assert "failed" not in shown[-1] and "error" not in shown[-1]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    document = ROOT / name
    for target in LINK.findall(document.read_text()):
        assert (document.parent / target).exists(), f"{name}: {target}"
