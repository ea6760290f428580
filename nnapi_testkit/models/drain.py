"""What a model draws from a device's battery: read at rest, then while the model runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from nnapi_testkit.errors import KitError
from nnapi_testkit.model.case import Case, Ending
from nnapi_testkit.targets.base import InfraError, Powered, PowerReading, Runner

__all__ = ["NOT_MEASURABLE", "SECONDS", "Draw", "drawn"]

NOT_MEASURABLE = "not measurable here"
SECONDS = 10.0  # gauges of phones are renewed once in one to several seconds
INTERVAL = 0.25
DISCHARGING = "Discharging"


@dataclass(frozen=True)
class Draw:
    """What a battery gave.

    Args:
        rest_watts: with the runner open and idle. busy_watts: while the model runs, without the
            first third, in which a gauge may still tell of before.
        joules: of one execution, above rest, with what it costs to ask for it; not below 0.
        executions: that were run for it. readings: of the battery.
    """

    rest_watts: float
    busy_watts: float
    joules: float
    executions: int
    readings: int


def drawn(
    base: Case, open_runner: Callable[[], Runner], seconds: float = SECONDS
) -> tuple[Draw | None, str]:
    """Measure a model's power; the figures, None if there are none, and what to say of them.

    Args:
        base: the model, with as many repetitions as one batch may have. seconds: how long it
            runs; the device rests for half of that before.
    """
    with open_runner() as runner:
        if not isinstance(runner, Powered):
            return None, NOT_MEASURABLE
        first = _reading(runner)
        if first is None:
            return None, f"{NOT_MEASURABLE}: the device does not tell its battery's current"
        if first.status != DISCHARGING:
            return None, (
                f"{NOT_MEASURABLE}: the battery says {first.status}; unplug the device and reach it"
                " over Wi-Fi (adb tcpip)"
            )
        rest = _rest(runner, seconds / 2)
        busy, executions, elapsed = _busy(runner, base, seconds)
    if executions == 0 or not rest or not busy:
        return None, f"{NOT_MEASURABLE}: the model or the battery did not answer"
    watts = [item.watts for item in (*rest, *busy)]
    if min(watts) == max(watts):
        return None, f"{NOT_MEASURABLE}: the battery's gauge did not change in {elapsed:.0f} s"
    still = fmean(item.watts for item in rest)
    work = fmean(item.watts for item in busy[len(busy) // 3 :])
    joules = max(0.0, work - still) * elapsed / executions
    draw = Draw(still, work, joules, executions, len(watts))
    return draw, (
        f"{still:.3f} W at rest, {work:.3f} W while the model runs, {joules * 1e3:.3f} mJ an"
        f" execution ({executions} executions in {elapsed:.1f} s, {len(watts)} readings)"
    )


def _reading(runner: Powered) -> PowerReading | None:
    try:
        return runner.power()
    except InfraError:
        return None


def _rest(runner: Powered, seconds: float) -> Sequence[PowerReading]:
    until = time.monotonic() + seconds
    found: list[PowerReading | None] = []
    while not found or time.monotonic() < until:
        found.append(_reading(runner))
        time.sleep(INTERVAL)
    return [item for item in found if item is not None]


def _busy(runner: Runner, base: Case, seconds: float) -> tuple[Sequence[PowerReading], int, float]:
    """Readings while the model runs for so long, and how often it ran in how many seconds."""
    assert isinstance(runner, Powered)
    found: list[PowerReading | None] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            found.append(_reading(runner))
            done.wait(INTERVAL)

    reader = threading.Thread(target=read, daemon=True)
    began = time.monotonic()
    reader.start()
    try:
        results = []
        while time.monotonic() - began < seconds:
            results += list(runner.run([base]))
    except KitError:
        results = []
    finally:
        elapsed = time.monotonic() - began
        done.set()
        reader.join()
    if any(result.ending is not Ending.COMPLETED for result in results):
        results = []
    count = sum(len(result.executions) for result in results)
    return [item for item in found if item is not None], count, elapsed
