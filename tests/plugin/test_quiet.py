"""The plugin loads in everyone's pytest: it costs nothing until it is asked for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from .conftest import Pytest, outcome

ROOT = Path(__file__).parents[2]
BUDGET_MICROSECONDS = 20_000


def _python(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, timeout=60, check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_importing_it_brings_nothing_but_pytest() -> None:
    script = (
        "import sys, pytest; before = set(sys.modules); import nnapi_testkit.plugin;"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    assert _python("-c", script).stdout.split() == ["nnapi_testkit"]
    script = "import nnapi_testkit.cli, sys; print(*sys.modules)"
    assert not {"numpy", "torch", "rich", "jinja2"} & set(_python("-c", script).stdout.split())


def test_importing_it_takes_less_than_20_ms() -> None:
    def once() -> int:
        words = ("-X", "importtime", "-c", "import pytest, argparse; import nnapi_testkit.plugin")
        found = re.search(r"\|\s*(\d+) \|\s*nnapi_testkit\.plugin$", _python(*words).stderr, re.M)
        assert found
        return int(found.group(1))

    assert min(once() for _ in range(3)) < BUDGET_MICROSECONDS


def test_it_does_nothing_unless_asked(run_pytest: Pytest, tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        "import sys\n"
        "def test_mine(pytestconfig):\n"
        "    assert not pytestconfig.pluginmanager.hasplugin('nnapi-suite')\n"
        "    loaded = {name for name in sys.modules if name.startswith('nnapi_testkit')}\n"
        "    assert loaded <= {'nnapi_testkit', 'nnapi_testkit.options', 'nnapi_testkit.plugin'}\n"
        "    assert 'numpy' not in sys.modules and 'torch' not in sys.modules\n"
    )
    done = run_pytest(world=False)
    assert outcome(done) == {"passed": 1}, done.stdout
    assert "NNAPI" not in done.stdout
