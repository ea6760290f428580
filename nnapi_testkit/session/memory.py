"""The garbage collector in processes of our own."""

from __future__ import annotations

import gc

__all__ = ["collect_rarely"]


def collect_rarely() -> None:
    """Look for cycles rarely: cases and records make none, and there are many of them.

    With Python's own thresholds a tenth of a run's time goes into looking. Only for processes that
    belong to the kit, never from inside somebody's pytest.
    """
    gc.set_threshold(100_000, 50, 100)
