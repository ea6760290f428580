"""What a run is told: plain frozen data that travels to worker processes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from nnapi_testkit.errors import KitError

__all__ = ["PROFILES", "STANDARD", "OracleMode", "Settings", "Shard"]

PROFILES = ("strict", "standard", "cts")
STANDARD = "nnapi_testkit.session.services:standard"


class OracleMode(str, Enum):
    """Whose word judges the driver."""

    AUTO = "auto"  # live if torch is installed, otherwise golden with a notice
    LIVE = "live"
    GOLDEN = "golden"


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `index` (from 1) of `count` parts of a plan."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read `i/n`. Raises KitError for anything but 1 <= i <= n."""
        first, slash, second = text.partition("/")
        if slash and first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second):
            return cls(int(first), int(second))
        raise KitError(f"shard {text!r} is not of the form i/n with 1 <= i <= n, for example 2/4")


@dataclass(frozen=True, slots=True)
class Settings:
    """How cases are executed and judged; equal settings give equal records.

    Args:
        target: where a runner runs: `host`, `lib:PATH`, ...
        oracle: live eager PyTorch, goldens, or whichever is there.
        profile: `strict`, `standard` or `cts`.
        isolate: give each case a worker of its own from the start.
        memory_limit_mb: what a worker may grow to; `None` leaves the target's default.
        operations: restrict the case index to these operations.
        seed: of the case index.
        driver_log: run failing cases once more with the driver's verbose log, and keep it.
        judged: `driver`, or `platform`: the runtime before the driver is charged too.
        services: `module:function` that returns the `Services` to work with.
    """

    target: str = "host"
    oracle: OracleMode = OracleMode.AUTO
    profile: str = "standard"
    isolate: bool = False
    memory_limit_mb: int | None = None
    operations: tuple[str, ...] | None = None
    seed: int = 0
    driver_log: bool = False
    judged: str = "driver"
    services: str = STANDARD

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            raise KitError(f"profile {self.profile!r} is unknown: use one of {', '.join(PROFILES)}")
