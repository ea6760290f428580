"""This process: when it began, and how rarely its garbage collector looks for cycles.

Only the standard library is imported, so every room can ask.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["collect_rarely", "collecting_rarely", "process_start"]

THRESHOLDS = (100_000, 50, 100)


def collect_rarely() -> None:
    """Look for cycles rarely: cases and records make none, and there are many of them.

    With Python's own thresholds a tenth of a run's time goes into looking. Only for processes that
    belong to the kit, never from inside somebody's pytest.
    """
    gc.set_threshold(*THRESHOLDS)


@contextmanager
def collecting_rarely() -> Iterator[None]:
    """The same for one step, inside somebody's pytest: its own thresholds come back."""
    before = gc.get_threshold()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def process_start() -> float:
    """Return when this process began, as `time.time()`; now, where the system does not say."""
    try:
        with open("/proc/self/stat", encoding="utf-8") as stream:
            ticks = int(stream.read().rpartition(")")[2].split()[19])
        with open("/proc/uptime", encoding="utf-8") as stream:
            uptime = float(stream.read().split()[0])
        age = uptime - ticks / os.sysconf("SC_CLK_TCK")
        return time.time() - max(age, 0.0)
    except (OSError, ValueError, IndexError):
        return time.time()
