"""The changes that CONTRIBUTING.md prints: each applies, is as small as it says, and works."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nnapi_testkit import paths
from nnapi_testkit.report.accounts import HTML
from tests.project.test_contributing import ROOT, TEXT, block

# Python on the copy: an editable install would find this tree instead.
FRESH = """
import sys
editable = "_editable_skbc_nnapi_testkit"
sys.meta_path[:] = [f for f in sys.meta_path if type(f).__module__ != editable]
sys.path.insert(0, sys.argv[1])
"""
KIT = "from nnapi_testkit.cli import main\nsys.exit(main(sys.argv[2:]))\n"
MOST = {"verdict": 2, "path": 4, "format": 2, "field": 1, "command": 2, "trait": 1}
SOURCES = (
    "nnapi_testkit",
    "tools",
    "emulator/runner",
    "emulator/include",
    "docs",
    "nnapi.json",
    "wire.json",
)


class Copy:
    """A copy of the tree with one of the printed changes."""

    def __init__(self, folder: Path, change: str) -> None:
        self.folder, self.change = folder, change
        for name in SOURCES:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_dir():
                shutil.copytree(
                    ROOT / name,
                    target,
                    symlinks=True,
                    ignore=shutil.ignore_patterns("__pycache__", "_native"),
                )
            else:
                shutil.copy(ROOT / name, target)
        for name in ("op_tests", "golden"):
            (folder / name).symlink_to(ROOT / name)
        self.native = {
            "NNAPI_TESTKIT_DRIVER": str(paths.driver_library()),
            "NNAPI_TESTKIT_RUNNER": str(paths.runner()),
        }
        self.apply()

    def apply(self) -> None:
        """Apply the change as git would, wherever its lines stand by now."""
        done = subprocess.run(
            ["git", "apply", "-"],
            cwd=self.folder,
            env=os.environ | {"GIT_CEILING_DIRECTORIES": str(self.folder.parent)},
            input=block(f"change: {self.change}"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def python(self, text: str, *words: str) -> str:
        """Run a script on the copy; returns what it prints."""
        done = subprocess.run(
            [sys.executable, "-c", FRESH + text, str(self.folder), *words],
            cwd=self.folder,
            env=os.environ | self.native,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def kit(self, *words: str) -> str:
        """Run the copy's command line."""
        return self.python(KIT, *words)

    def run(self, *words: str) -> tuple[str, list[dict[str, object]]]:
        """Run cases into a report; returns the text and the records."""
        told = self.kit("run", "--oracle", "live", "--report", "report", *words)
        lines = map(json.loads, (self.folder / "report/results.jsonl").read_text().splitlines())
        return told, [line for line in lines if "id" in line]


@pytest.fixture
def copy(request: pytest.FixtureRequest, tmp_path: Path) -> Copy:
    return Copy(tmp_path / "copy", request.param)


def changed(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("copy", [name], indirect=True, ids=[name])


def test_every_printed_change_is_tried() -> None:
    assert set(re.findall(r"^<!-- change: (\w+) -->$", TEXT, re.MULTILINE)) == set(MOST)


@pytest.mark.parametrize("change", MOST)
def test_it_touches_as_few_files_as_the_table_says(change: str) -> None:
    files = re.findall(r"^\+\+\+ b/(\S+)$", block(f"change: {change}"), re.MULTILINE)
    assert len(set(files)) == len(files) <= MOST[change]
    words = {"path": "execution path", "format": "report format", "field": "field of a record"}
    row = re.search(rf"^\| {words.get(change, change)}[^|]*\| (\d+)", TEXT, re.MULTILINE)
    assert row is not None and int(row[1]) == len(files)


@changed("verdict")
def test_a_verdict(copy: Copy) -> None:
    told, records = copy.run("-o", "TANH", "--kind", "positive")
    inexact = sum(record["verdict"] == "INEXACT" for record in records)
    assert inexact > 0
    assert f"{inexact} INEXACT" in told.splitlines()[-1]
    junit = (copy.folder / "report/junit.xml").read_text()
    assert "<failure" not in junit and "<error" not in junit
    assert "INEXACT" in (copy.folder / f"report/{HTML}").read_text()


@changed("path")
def test_an_execution_path(copy: Copy) -> None:
    copy.python("import runpy\nrunpy.run_path('tools/generate_codes.py', run_name='__main__')\n")
    assert "5 OWN_BURST" in (copy.folder / "docs/wire-format.md").read_text()
    runner = copy.folder / "emulator" / "runner"
    sources = sorted(str(path) for path in runner.glob("*.c"))
    include = str(copy.folder / "emulator" / "include")
    built = copy.folder / "nnapi-runner"
    command = ["gcc", "-std=gnu11", "-O1", "-Wall", "-Werror", "-I", include, *sources]
    subprocess.run([*command, "-o", str(built), "-ldl", "-lpthread"], check=True)
    copy.native["NNAPI_TESTKIT_RUNNER"] = str(built)
    _, records = copy.run("-o", "RELU", "-k", "own-burst")
    assert records and {record["verdict"] for record in records} == {"PASS"}


@changed("format")
def test_a_report_format(copy: Copy) -> None:
    _, records = copy.run("-o", "RELU", "--kind", "positive")
    copy.kit("report", "report", "--format", "csv")
    rows = list(csv.reader((copy.folder / "report/report.csv").read_text().splitlines()))
    assert [row[:2] for row in rows] == [[r["id"], r["verdict"]] for r in records]
    assert "csv" in copy.kit("report", "--help")


@changed("field")
def test_a_field_of_a_record(copy: Copy) -> None:
    copy.run("-o", "RELU", "--kind", "positive")
    told = copy.python(
        "from dataclasses import replace\n"
        "from pathlib import Path\n"
        "from nnapi_testkit.report.accounts import read_records\n"
        "from nnapi_testkit.session.record import decode, encode\n"
        "record = read_records(Path('report/results.jsonl'))[0]\n"
        "line = encode(replace(record, host='bench-3'))\n"
        'print(repr(record.host), decode(line).host, \'"host":"bench-3"\' in line)\n'
    )
    assert told.split() == ["''", "bench-3", "True"]


@changed("command")
def test_a_command(copy: Copy) -> None:
    _, records = copy.run("-o", "TANH", "--kind", "positive")
    margins = {}
    for record in records:
        evidence = record["evidence"]
        assert isinstance(evidence, dict)
        margins[record["id"]] = float(evidence.get("margin", 0))
    told = [line.split(" ") for line in copy.kit("margins", "report").splitlines()]
    assert len(told) == 10 and float(told[0][0]) > 0
    assert [f"{margins[case]:.3g}" for _, case in told] == [margin for margin, _ in told]
    assert "the largest margins of a report" in copy.kit("--help")


@changed("trait")
def test_a_trait_of_a_target(copy: Copy) -> None:
    told = copy.python(
        "from nnapi_testkit.model.traits import traits\n"
        "class Bench:\n"
        "    restarts = True\n"
        "print(traits(Bench()).restarts, traits(object()).restarts)\n"
    )
    assert told.split() == ["True", "False"]
