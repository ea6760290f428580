"""Waits for the device in a container, for as long as there is hope."""

from __future__ import annotations

import time
from dataclasses import replace

from nnapi_testkit.targets.adb import Patience
from nnapi_testkit.targets.adb.lease import Lease
from nnapi_testkit.targets.adb.registry import acquire
from nnapi_testkit.targets.base import InfraError
from nnapi_testkit.targets.docker.engine import Container, Engine
from nnapi_testkit.targets.docker.profiles import ImageProfile

__all__ = ["wait_ready"]

LOOK_SECONDS = 10.0  # how often a container that is awaited is looked at


def wait_ready(engine: Engine, container: Container, profile: ImageProfile) -> Lease:
    """Lease the device once it is reachable, booted, and lists the same NNAPI devices twice.

    Raises TargetError for a device that is of no use; InfraError when the profile's time is up, or
    at once when the container has ended: no KVM, no memory.
    """
    until = time.monotonic() + profile.boot_seconds
    while True:
        left = max(1.0, until - time.monotonic())
        patience = replace(
            Patience.from_environment(),
            reach=min(LOOK_SECONDS, left),
            boot=profile.boot_seconds,
            services=profile.service_seconds,
        )
        try:
            return acquire(container.serial, patience)
        except InfraError:
            now = engine.look(container.id)
            if now is None or now.state != "running" or time.monotonic() >= until:
                raise
