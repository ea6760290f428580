"""How long to wait for a device, for what."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace

from nnapi_testkit.targets.adb.device import COMMAND_SECONDS
from nnapi_testkit.targets.base import TargetError
from nnapi_testkit.targets.session import GRACE_SECONDS

__all__ = ["Patience"]

VARIABLE = "NNAPI_TESTKIT_ADB_PATIENCE"
LISTED_SECONDS = 2.0  # in which an adb server that has just started finds what is plugged in
LOAD_SECONDS = 90.0  # a runtime whose services do not answer takes a minute to say so


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a device, in seconds.

    Args:
        listed: until adb lists it at all, where its serial is no address to connect to.
        reach: from then on until it runs commands.
        boot: from then on until it says that it has booted.
        silent_boot: where it says nothing about booting at all, as userlands without Android's
            init do.
        services: until it lists the same NNAPI devices twice.
        lock: until another process on this machine lets go of it.
        gone: instead of all these, once one of them has run out for the device.
        command: until a command of the shell has ended.
        load: until a driver is loaded; what the runner itself allows.
        grace: how long a runner may say nothing beyond its own deadlines.
    """

    listed: float = LISTED_SECONDS
    reach: float = 60.0
    boot: float = 240.0
    silent_boot: float = 5.0
    services: float = 60.0
    lock: float = 0.0
    gone: float = 5.0
    command: float = COMMAND_SECONDS
    load: float = LOAD_SECONDS
    grace: float = GRACE_SECONDS

    def shortened(self) -> Patience:
        """Return the patience with a device that was waited for in vain before."""
        return replace(
            self,
            listed=min(self.listed, self.gone),
            reach=min(self.reach, self.gone),
            boot=min(self.boot, self.gone),
            services=min(self.services, self.gone),
        )

    @classmethod
    def from_environment(cls) -> Patience:
        """Return the defaults with what NNAPI_TESTKIT_ADB_PATIENCE says, as `reach=10,boot=400`.

        Raises TargetError for a name or number that makes no sense.
        """
        patience = cls()
        for word in filter(None, os.environ.get(VARIABLE, "").split(",")):
            name, _, text = word.strip().partition("=")
            try:
                if name not in {field.name for field in fields(cls)}:
                    raise ValueError
                patience = replace(patience, **{name: float(text)})
            except ValueError:
                known = ", ".join(field.name for field in fields(cls))
                raise TargetError(
                    f"{VARIABLE}: {word!r} is not NAME=SECONDS with one of {known}"
                ) from None
        return patience
