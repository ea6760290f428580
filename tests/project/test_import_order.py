"""The import checker accepts this tree, and refuses each kind of break in a planted one."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = (
    '[project]\ndependencies = ["numpy>=1", "pytest-xdist>=3", "torch>=2"]\n[project.scripts]\n'
)


def load_checker() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "import_order", ROOT / "tools" / "import_order.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


checker = load_checker()


def complaints(root: Path, files: dict[str, str]) -> list[str]:
    """Write `files` (path to text) below `root` and return what the checker says."""
    (root / "pyproject.toml").write_text(PROJECT)
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found: list[str] = checker.check(root)
    return found


def test_this_tree() -> None:
    assert checker.check(ROOT) == []


GOOD = {
    "nnapi_testkit/__init__.py": "",
    "nnapi_testkit/errors.py": "import os\n",
    "nnapi_testkit/paths.py": "import nnapi_testkit\nfrom nnapi_testkit.errors import X\n",
    "nnapi_testkit/spec/codes.py": "from enum import IntEnum\n",
    "nnapi_testkit/model/types.py": "import numpy as np\nfrom nnapi_testkit.spec import codes\n",
    "nnapi_testkit/model/wire.py": "from .types import A\nfrom ..spec.codes import B\n",
    "nnapi_testkit/op/declare.py": "from nnapi_testkit.spec.codes import B\n",
    "nnapi_testkit/oracle/run.py": "import torch\nfrom nnapi_testkit import catalog, errors\n",
    "nnapi_testkit/mobile/run.py": "def f():\n    import torch.nn as nn\n",
    "nnapi_testkit/session/run.py": "import xdist\nfrom nnapi_testkit.oracle import run\n",
    "nnapi_testkit/cli.py": "from nnapi_testkit import session, report\n",
    "op_tests/add.py": "import math\nfrom nnapi_testkit.op import Op\n",
}


def test_the_planted_tree_is_good(tmp_path: Path) -> None:
    assert complaints(tmp_path, GOOD) == []


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("nnapi_testkit/spec/a.py", "from nnapi_testkit.model.types import A\n", "not stand above"),
        ("nnapi_testkit/spec/a.py", "from ..model import types\n", "not stand above"),
        ("nnapi_testkit/spec/a.py", "from nnapi_testkit import session\n", "not stand above"),
        ("nnapi_testkit/judge/a.py", "def f():\n    import nnapi_testkit.cli\n", "not stand above"),
        (
            "nnapi_testkit/judge/a.py",
            "import importlib\nimportlib.import_module('nnapi_testkit.session')\n",
            "not stand above",
        ),
        ("nnapi_testkit/op/a.py", "from nnapi_testkit.model import types\n", "not stand above"),
        ("nnapi_testkit/errors.py", "from nnapi_testkit.spec import codes\n", "not stand above"),
        ("nnapi_testkit/plugin.py", "from nnapi_testkit.cli import main\n", "not stand above"),
        ("nnapi_testkit/session/a.py", "def f():\n    import torch\n", "imports torch"),
        ("nnapi_testkit/cli.py", "from torch import nn\n", "imports torch"),
        ("op_tests/sub.py", "import torch\n", "op file imports"),
        ("op_tests/sub.py", "import numpy as np\n", "op file imports"),
        ("op_tests/sub.py", "from nnapi_testkit.spec import codes\n", "op file imports"),
        ("op_tests/sub.py", "from op_tests.add import ADD\n", "only the catalog"),
        ("nnapi_testkit/catalog/a.py", "import op_tests.add\n", "only the catalog"),
        (
            "nnapi_testkit/catalog/a.py",
            "from nnapi_testkit.op_tests import a\n",
            "only the catalog",
        ),
        ("nnapi_testkit/judge/a.py", "import scipy\n", "does not declare"),
        ("nnapi_testkit/attic/a.py", "", "no room of this name"),
        ("nnapi_testkit/judge/a.py", "x = 1\n" * 501, "at most 500"),
        ("emulator/driver/a.cpp", "int x;\n" * 801, "at most 800"),
    ],
)
def test_each_break_is_found(tmp_path: Path, name: str, text: str, word: str) -> None:
    found = complaints(tmp_path, GOOD | {name: text})
    assert len(found) == 1, found
    assert found[0].startswith(name) and word in found[0]


def test_the_command_exits_1_on_a_break(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    complaints(tmp_path, GOOD | {"nnapi_testkit/cli.py": "import torch\n"})
    old = sys.argv
    sys.argv = ["import_order.py", str(tmp_path)]
    try:
        assert checker.main() == 1
    finally:
        sys.argv = old
    assert "nnapi_testkit/cli.py:1: imports torch" in capsys.readouterr().out


CIRCLES = {
    "two modules": {
        "nnapi_testkit/spec/a.py": "from nnapi_testkit.spec.b import B\n",
        "nnapi_testkit/spec/b.py": "import nnapi_testkit.spec.a\n",
    },
    "inside a function": {
        "nnapi_testkit/spec/a.py": "from nnapi_testkit.spec import b\n",
        "nnapi_testkit/spec/b.py": "def f():\n    from nnapi_testkit.spec.a import A\n",
    },
    "for types only": {
        "nnapi_testkit/spec/a.py": "from nnapi_testkit.spec.b import B\n",
        "nnapi_testkit/spec/b.py": "if TYPE_CHECKING:\n    from nnapi_testkit.spec.a import A\n",
    },
    "by name": {
        "nnapi_testkit/spec/a.py": "from .b import B\n",
        "nnapi_testkit/spec/b.py": 'importlib.import_module("nnapi_testkit.spec.a")\n',
    },
}


@pytest.mark.parametrize("files", CIRCLES.values(), ids=CIRCLES)
def test_a_circle_is_noticed(tmp_path: Path, files: dict[str, str]) -> None:
    found = complaints(tmp_path, {**GOOD, **files})
    way = "nnapi_testkit.spec.a -> nnapi_testkit.spec.b -> nnapi_testkit.spec.a"
    assert found == [f"{way}: these modules import each other in a circle"]


def test_a_long_circle_is_told_once(tmp_path: Path) -> None:
    ring = {
        f"nnapi_testkit/spec/{one}.py": f"from nnapi_testkit.spec import {other}\n"
        for one, other in zip("abcd", "bcda", strict=True)
    }
    (found,) = complaints(tmp_path, {**GOOD, **ring})
    assert found.count(" -> ") == 4
