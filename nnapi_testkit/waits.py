"""What is waited for, so that a run that keeps its user waiting says why."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["waited_for", "waiting_for"]

_LOCK = threading.Lock()
_WAITS: list[tuple[str]] = []  # in the order in which they began; equal words are told apart


@contextmanager
def waiting_for(what: str) -> Iterator[None]:
    """Say that the block waits for something: a noun phrase, as in `device X to boot`."""
    wait = (what,)
    with _LOCK:
        _WAITS.append(wait)
    try:
        yield
    finally:
        with _LOCK:
            _WAITS[:] = [other for other in _WAITS if other is not wait]


def waited_for() -> str:
    """Return the wait that began first of those under way, in any thread; "" for none."""
    with _LOCK:
        return _WAITS[0][0] if _WAITS else ""
