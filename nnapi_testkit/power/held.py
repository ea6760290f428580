"""Rules that only wrong calls break: does the driver's own test notice that one is left out?"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from nnapi_testkit import paths
from nnapi_testkit.errors import KitError
from nnapi_testkit.power.bench import DRIVER, FAULT

__all__ = ["fails_without"]

PASSED, FAILED = 0, 1  # exit codes of pytest
MOST_SECONDS = 600


def fails_without(library: Path, number: int, test: str) -> bool:
    """Whether a test fails, or takes its process with it, when a switch is on.

    Args:
        library: the test build. number: of the switch.
        test: its node id, `tests/driver/test_models.py::test_indices_are_checked`.

    Raises KitError where the test is not there, or fails on the sound driver too.
    """
    sound = _exit_code(library, 0, test)
    if sound != PASSED:
        raise KitError(
            f"{test} does not pass on the sound driver (pytest ends with {sound}): adapt"
            " nnapi_testkit/data/equivalent.json, which names it"
        )
    code = _exit_code(library, number, test)
    return code == FAILED or code < 0


@cache
def _exit_code(library: Path, number: int, test: str) -> int:
    """What pytest ends with; negative for a signal. A test that hangs has failed."""
    root = paths.checkout()
    if root is None:
        raise KitError("the driver's own tests need a checkout")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test],
            cwd=root,
            env={**os.environ, DRIVER: str(library), FAULT: str(number)},
            capture_output=True,
            check=False,
            timeout=MOST_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return FAILED
    return done.returncode
