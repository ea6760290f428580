"""Devices that stay leased from one runner of a run to the next.

A run opens several runners one after another: to ask the device for its facts, to run the cases,
to run failures alone. A target whose device is anyone's as soon as it is given back would get
another one each time. Within `kept` it holds on to the device; outside, the last runner that closes
gives it back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["changed", "is_kept", "kept", "when_changed", "when_let_go"]

_LOCK = threading.Lock()
_DEPTH = 0
_LET_GO: list[Callable[[], None]] = []
_CHANGED: list[Callable[[], None]] = []


def when_let_go(callback: Callable[[], None]) -> None:
    """Have a function called when a run ends: it gives back every device without a runner."""
    with _LOCK:
        _LET_GO.append(callback)


def when_changed(callback: Callable[[], None]) -> None:
    """Have a function called when something was done to devices: what it knows of them is old."""
    with _LOCK:
        _CHANGED.append(callback)


def changed() -> None:
    """Have every kept device looked at again before it is used."""
    with _LOCK:
        callbacks = list(_CHANGED)
    for callback in callbacks:
        callback()


def is_kept() -> bool:
    """Return whether a device without a runner is held for the next one."""
    return _DEPTH > 0


@contextmanager
def kept() -> Iterator[None]:
    """Hold devices between runners; the outermost exit gives them back."""
    global _DEPTH
    with _LOCK:
        _DEPTH += 1
    try:
        yield
    finally:
        with _LOCK:
            _DEPTH -= 1
            callbacks = [] if _DEPTH else list(_LET_GO)
        for callback in callbacks:
            callback()
