"""Starts an emulator that outlives the process which started it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from nnapi_testkit.errors import KitError
from nnapi_testkit.targets.base import InfraError
from nnapi_testkit.targets.docker.engine import Engine, last
from nnapi_testkit.targets.docker.profiles import find_profile
from nnapi_testkit.targets.docker.ready import wait_ready

__all__ = ["up"]


def up(name: str) -> Iterator[str]:
    """Start a profile's emulator; yield lines that say how it goes.

    Raises TargetError or InfraError when it does not come up; then its container is gone.
    """
    profile = find_profile(name)
    engine = Engine()
    began = time.monotonic()
    container = engine.start(profile, keep=True)
    yield f"{container.id}  {profile.name}  started, adb:{container.serial}"
    try:
        lease = wait_ready(engine, container, profile)
    except BaseException as error:
        log = engine.log(container.id)
        with contextlib.suppress(InfraError):
            engine.remove(container.id)
        if isinstance(error, KitError):
            raise InfraError(f"{error} (the container said: {last(log)})") from error
        raise
    devices = ", ".join(device.name for device in lease.nnapi_devices) or "none"
    lease.release()
    yield f"ready after {time.monotonic() - began:.0f} s; NNAPI devices: {devices}"
    yield f"nnapi-testkit run -t adb:{container.serial}"
    yield f"it ends by itself after {profile.life_seconds // 60} min"
