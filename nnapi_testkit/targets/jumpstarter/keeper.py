"""A process that gives a lease back when this one could not: killed, or gone without a word."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

from nnapi_testkit.targets.jumpstarter.settings import JumpstarterSettings

__all__ = ["Keeper", "give_back"]

END_SECONDS = 5.0
DONE = b"done"
# It waits for the end of its input, which comes however this process ends, and imports nothing
# before. Python's own way out is none: from 3.12 on gRPC cannot make a call at exit.
PROGRAM = """\
import sys
if sys.stdin.buffer.read() != b"done":
    from nnapi_testkit.targets.jumpstarter.keeper import give_back
    give_back(*sys.argv[1:])
"""


class Keeper:
    """Sees to it that a lease is given back.

    Args:
        settings: by whose right it was leased.
        lease: its name.
    """

    def __init__(self, settings: JumpstarterSettings, lease: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, settings.client, settings.config, lease],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,  # Ctrl-C is for us
        )

    def done(self) -> None:
        """Say that the lease has been given back."""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self._process.communicate(DONE, END_SECONDS)


def give_back(client: str, config: str, lease: str) -> None:
    """End a lease.

    Args:
        client, config: see `Settings`.
        lease: its name.
    """
    from nnapi_testkit.targets.jumpstarter.client import load_config

    load_config(JumpstarterSettings(client=client, config=config)).delete_lease(lease)
