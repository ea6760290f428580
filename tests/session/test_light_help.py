"""`--help` loads little: whoever asks for it, or presses the tab key, waits for no library.

Modules are counted, not milliseconds, which depend on the machine.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from nnapi_testkit.commands.line import COMMANDS

OWN, ALL = 14, 100  # measured: 10 and 75 beyond those of a bare interpreter
# Libraries that take long to load or connect to something; a command loads them when it works.
HEAVY = {
    "torch", "torchao", "onnx", "ai_edge_litert", "jinja2", "rich", "adbutils", "requests",
    "docker", "jumpstarter", "asyncio", "ssl", "http.client", "urllib.request", "_pytest",
}  # fmt: skip
SCRIPT = """
import sys
before = set(sys.modules)
from nnapi_testkit.cli import main
try:
    main(sys.argv[1:])
finally:
    print("@", *sorted(set(sys.modules) - before), sep="\\n")
"""


def loaded(*words: str) -> set[str]:
    """The modules that a command line loads."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words], capture_output=True, text=True, timeout=60
    )
    text, _, modules = done.stdout.partition("@\n")
    assert done.returncode == 0 and "usage: nnapi-testkit" in text, done.stderr
    return set(modules.split())


def test_help_loads_the_standard_library_and_little_of_ours() -> None:
    modules = loaded("--help")
    own = {name for name in modules if name.partition(".")[0] == "nnapi_testkit"}
    foreign = {name.partition(".")[0] for name in modules - own} - sys.stdlib_module_names
    assert foreign == set()
    assert len(own) <= OWN, sorted(own)
    assert len(modules) <= ALL, sorted(modules)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_loads_no_heavy_library(command: str) -> None:
    modules = loaded(command, "--help")
    assert modules & HEAVY == set()
