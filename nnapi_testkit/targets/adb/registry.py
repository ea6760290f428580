"""The devices that this process has leased: a lease for each, shared by its holders."""

from __future__ import annotations

import fcntl
import io
import os
import re
import shlex
import threading
import time
from typing import IO

from nnapi_testkit.targets.adb.client import server_for
from nnapi_testkit.targets.adb.device import Device
from nnapi_testkit.targets.adb.launch import SYSTEM, Driver
from nnapi_testkit.targets.adb.lease import Lease
from nnapi_testkit.targets.adb.locks import open_lock
from nnapi_testkit.targets.adb.patience import Patience
from nnapi_testkit.targets.adb.server import Server
from nnapi_testkit.targets.base import TargetError
from nnapi_testkit.targets.kept import is_kept, when_changed, when_let_go
from nnapi_testkit.waits import waiting_for

__all__ = ["Taken", "acquire"]


class Taken(TargetError):
    """Another process on this machine has leased the device."""


_REGISTRY: dict[str, Lease] = {}
_REGISTRY_LOCK = threading.RLock()


def _give_back(lease: Lease) -> None:
    with _REGISTRY_LOCK:
        lease.holders -= 1
        # Within a run the next runner takes the device as it is: setting it up again would
        # be half of the time to the first verdict.
        if lease.holders > 0 or is_kept():
            return
        _REGISTRY.pop(lease.key, None)
    lease.end()


def _let_go() -> None:
    """Give back the devices that a run has kept."""
    with _REGISTRY_LOCK:
        unused = [lease for lease in _REGISTRY.values() if lease.holders <= 0]
        for lease in unused:
            _REGISTRY.pop(lease.key)
    for lease in unused:
        lease.end()


def _changed() -> None:
    """Look at every device again: a driver may have been restarted on it."""
    with _REGISTRY_LOCK:
        for lease in _REGISTRY.values():
            lease.touched()


when_let_go(_let_go)
when_changed(_changed)


def acquire(
    serial: str,
    patience: Patience | None = None,
    server: Server | None = None,
    place: str = "",
    driver: Driver = SYSTEM,
    locked: bool = True,
) -> Lease:
    """Return the lease of a device, ready for runners; `release` gives it back.

    Args:
        serial: as adb names the device.
        patience: how long to wait for what; by default what the environment says.
        server: the adb server to ask; by default the one that has the device.
        place: tells devices of one serial apart, such as emulators behind different servers.
        driver: what has to list its devices before the device is ready.
        locked: keep other processes of this machine from it; otherwise someone else does.

    Raises Taken if another process has the device, TargetError if it is of no use, InfraError if it
    cannot be reached.
    """
    patience = patience or Patience.from_environment()
    key = f"{place}/{serial}" if place else serial
    with _REGISTRY_LOCK:
        lease = _REGISTRY.get(key)
        if lease is None:
            with waiting_for(f"device {serial}, which another process has"):
                lock = _lock(key, patience.lock) if locked else io.StringIO()
            try:
                device = Device(server or server_for(serial), serial, patience.command)
            except BaseException:
                lock.close()
                raise
            lease = _REGISTRY[key] = Lease(device, patience, lock, key, driver, _give_back)
        lease.holders += 1
    try:
        lease.ready()
    except BaseException:
        lease.release()
        raise
    return lease


def _lock(key: str, seconds: float) -> IO[str]:
    file = open_lock(re.sub(r"[^A-Za-z0-9.-]", "_", key) + ".lock")
    until = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError:
            if time.monotonic() >= until:
                file.seek(0)
                owner = file.read(20).strip() or "unknown"
                file.close()
                raise Taken(
                    f"device {shlex.quote(key)} is in use by process {owner}: wait for it, or"
                    " name another device"
                ) from None
            time.sleep(0.1)
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
