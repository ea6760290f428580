"""Runs pytest itself, in a folder of its own, against the small world of the session tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Pytest = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run_pytest(tmp_path: Path) -> Pytest:
    """`run_pytest(*words, special=..., count=...)`; `world=False` takes the kit's own rooms."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    installed = any(p.value == "nnapi_testkit.plugin" for p in entry_points(group="pytest11"))

    def call(
        *words: str, special: str = "", count: int = 30, world: bool = True, **more: str
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words]
        if "--lf" in words or "--cache" in words:
            command = [sys.executable, "-m", "pytest", *(w for w in words if w != "--cache")]
        # An editable install's import hook is no module that pytest could rewrite.
        command += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
        if not installed:
            command += ["-p", "nnapi_testkit.plugin"]
        if world:
            command += ["--nnapi-services", "session_fakes:services"]
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")
        }
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT / "tests" / "session"), str(ROOT)])
        environment["FAKE_SPECIAL"] = special
        environment["FAKE_CASES"] = str(count)
        environment.update(more)
        return subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=240
        )

    return call


def outcome(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """The counts of pytest's closing line."""
    last = done.stdout.strip().splitlines()[-1]
    return {word.rstrip("s"): int(n) for n, word in re.findall(r"(\d+) ([a-z]+)", last)}
