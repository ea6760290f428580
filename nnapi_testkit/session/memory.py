"""The garbage collector in processes of our own."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["collect_rarely", "collecting_rarely"]

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
