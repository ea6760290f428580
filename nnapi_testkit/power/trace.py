"""Which case reaches which switch of the test build, and which rule refuses it."""

from __future__ import annotations

import mmap
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nnapi_testkit.power.bench import Bench, Prepared

__all__ = ["Trace", "trace"]


@dataclass
class Trace:
    """Places in `Bench.cases` of an operation, by the number of a switch.

    Args:
        reached: cases whose run came past the switch.
        fired: cases that the rule behind the switch refused.
    """

    reached: dict[int, list[int]] = field(default_factory=dict)
    fired: dict[int, list[int]] = field(default_factory=dict)


def trace(bench: Bench, operation: str, size: int) -> Trace:
    """Run every case of an operation in the test build, one at a time.

    Args:
        size: of the table of switches: their highest number and two more.
    """
    found = Trace()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace"
        path.write_bytes(bytes(2 * size))
        with bench.open(0, path) as runner:
            handle = os.open(path, os.O_RDWR)
            try:
                with mmap.mmap(handle, 2 * size) as shared:
                    seen = np.frombuffer(shared, np.uint8)
                    for place, one in enumerate(bench.cases(operation)):
                        _note(found, place, one, runner, seen, size)
                    del seen
            finally:
                os.close(handle)
    return found


def _note(
    found: Trace, place: int, one: Prepared, runner: object, seen: np.ndarray, size: int
) -> None:
    seen[:] = 0
    for _ in runner.run([one.case]):  # type: ignore[attr-defined]
        pass
    for number in np.flatnonzero(seen[:size]):
        found.reached.setdefault(int(number), []).append(place)
    for number in np.flatnonzero(seen[size:]):
        found.fired.setdefault(int(number), []).append(place)
