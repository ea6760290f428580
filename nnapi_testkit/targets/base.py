"""What a target is, and the errors it may raise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, runtime_checkable

from nnapi_testkit.errors import KitError
from nnapi_testkit.model.case import Case, Result
from nnapi_testkit.model.traits import Traits, traits
from nnapi_testkit.model.wire import DeviceEntry

__all__ = [
    "DEFAULT_MEMORY_LIMIT_MB",
    "Aged",
    "InfraError",
    "PowerReading",
    "Powered",
    "Runner",
    "RunnerKilled",
    "Target",
    "TargetError",
    "Traits",
    "traits",
]

# Far above what the largest case needs, and low enough to keep a balloon from taking the machine.
DEFAULT_MEMORY_LIMIT_MB = 4096


class TargetError(KitError):
    """The target cannot be used as it is: one line that says what to do."""


class InfraError(KitError):
    """The way to the driver broke: it says nothing about the driver, and may be tried again."""


class RunnerKilled(InfraError):
    """A runner on this machine was ended or stopped by a signal.

    Args:
        signal: which it was.
    """

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.signal = signal


class Runner(Protocol):
    """An open runner, a context manager."""

    def run(self, cases: Sequence[Case]) -> Iterator[Result]:
        """Execute the cases; yield one result for each, in order, as soon as it is known.

        `Result.index` is the position in `cases`. Raises InfraError when the runner is lost and
        starting it once more did not help; TargetError when the driver cannot be loaded any more.
        """
        ...

    def devices(self) -> Sequence[DeviceEntry]:
        """Return what the driver lists; empty below feature level 3."""
        ...

    def describe(self) -> dict[str, object]:
        """Return facts about library and device, JSON values only."""
        ...

    def close(self) -> None:
        """End the runner and its workers; a second call does nothing."""
        ...

    def __enter__(self) -> Runner: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Target(Protocol):
    """A place where a runner can run.

    It may also have any of the properties of `Traits` and the method of `Aged`.
    """

    @property
    def name(self) -> str:
        """What `parse_target` turns into this target."""
        ...

    def describe(self) -> dict[str, object]:
        """Return facts about the device, JSON values only. Raises TargetError."""
        ...

    def open(
        self, *, isolate: bool = False, memory_limit_mb: int = DEFAULT_MEMORY_LIMIT_MB
    ) -> Runner:
        """Start a runner and load the driver. Raises TargetError or InfraError.

        Args:
            isolate: a worker process of its own for each case.
            memory_limit_mb: resident memory a worker may reach, 0 for any.
        """
        ...


@runtime_checkable
class Aged(Protocol):
    """A target that also has devices of older feature levels."""

    def older(self, level: int) -> str:
        """Return the name of the one that promises no more than a level; "" if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class PowerReading:
    """What a battery says at one moment.

    Args:
        watts: that flow into or out of it. status: as Linux names it: Discharging, Charging, Full.
    """

    watts: float
    status: str


@runtime_checkable
class Powered(Protocol):
    """A runner whose device can tell its power; it may be asked while cases run."""

    def power(self) -> PowerReading | None:
        """Return what the battery says now; None if it does not. Raises InfraError."""
        ...
