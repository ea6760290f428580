"""The target `adb:SERIAL`."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from nnapi_testkit.model.place import Place
from nnapi_testkit.targets.adb.client import Client, not_listed
from nnapi_testkit.targets.adb.launch import Driver
from nnapi_testkit.targets.adb.lease import Lease
from nnapi_testkit.targets.adb.patience import Patience
from nnapi_testkit.targets.adb.registry import Taken, acquire
from nnapi_testkit.targets.adb.server import server_of, shared_server
from nnapi_testkit.targets.adb.session import AdbSession, with_device
from nnapi_testkit.targets.base import DEFAULT_MEMORY_LIMIT_MB, TargetError
from nnapi_testkit.targets.session import library_facts

__all__ = ["AdbTarget", "adb_target", "serials_of"]

KIND = "adb:"
ALL = "*"
# Behind the serials, each with a path on the device: a support library driver, an NNAPI library.
SUPPORT_LIBRARY, LIBRARY = "+sl:", "+lib:"


@dataclass(frozen=True)
class AdbTarget:
    """An Android device, or an emulator, that adb reaches.

    Args:
        name: the target as the user wrote it.
        serials: as adb names the devices, of which the first one that no other process has is
            taken; empty for the only one that is there.
        device: name of the NNAPI device; empty for the first that is listed.
        patience: how long to wait for what; by default what the environment says.
        support_library: path on the device of a support library driver, in place of the system's
            runtime.
        library: path on the device of an NNAPI library, in place of the system's own.
    """

    name: str
    serials: tuple[str, ...] = ()
    device: str = ""
    patience: Patience | None = None
    support_library: str = ""
    library: str = ""

    @property
    def between(self) -> bool:
        """Android's runtime stands between, unless the library is one to be judged."""
        return not self.library

    @property
    def one_lane(self) -> bool:
        """A phone takes one runner at a time."""
        return True

    def open(
        self, *, isolate: bool = False, memory_limit_mb: int = DEFAULT_MEMORY_LIMIT_MB
    ) -> AdbSession:
        """Lease the device, put the runner on it, start it. Raises TargetError or InfraError."""
        # The session gives the lease back, also when it cannot begin.
        return AdbSession(
            self.lease(),
            self.name,
            self.device,
            support_library=self.support_library,
            library=self.library,
            isolate=isolate,
            memory_limit_mb=memory_limit_mb,
        )

    def lease(self) -> Lease:
        """Lease the device, or the first of several that nobody has.

        Raises TargetError or InfraError.
        """
        candidates = self.candidates()
        for serial in candidates[:-1]:
            try:
                return acquire(serial, self.patience, driver=self._driver)
            except Taken:
                continue
        return acquire(candidates[-1], self.patience, driver=self._driver)

    def candidates(self) -> tuple[str, ...]:
        """Return the serials that are meant. Raises TargetError if that is not clear."""
        unnamed = ALL in self.serials or not self.serials
        found = connected(self.patience) if unnamed else self.serials
        if len(found) > 1 and not self.serials:
            raise TargetError(
                f"{len(found)} devices are connected: name one of"
                f" {', '.join(KIND + serial for serial in found)}, or all as adb:*"
            )
        return found

    def environment(self) -> dict[str, str]:
        """Return variables that make a plain `adb` of the user's reach this device.

        Raises TargetError or InfraError if it cannot be reached.
        """
        lease = self.lease()
        try:
            server = lease.device.client.server
            return {
                "ANDROID_SERIAL": lease.serial,
                "ANDROID_ADB_SERVER_ADDRESS": server.host,
                "ANDROID_ADB_SERVER_PORT": str(server.port),
            }
        finally:
            lease.release()

    def describe(self) -> dict[str, object]:
        """Return facts about device, library and NNAPI device, JSON values only.

        What the lease knows from setting the device up needs no runner.
        """
        lease = self.lease()
        try:
            library = lease.library if lease.driver == self._driver else None
            names = [device.name for device in library.devices] if library else []
            if library is None or (self.device and self.device not in names):
                with self.open() as runner:
                    return runner.describe()
            known = library_facts(self.name, library, self.device, lease.page_size)
            return with_device(known, lease, library)
        finally:
            lease.release()

    @property
    def _driver(self) -> Driver:
        return Driver(self.support_library or self.library, bool(self.support_library))


def adb_target(text: str) -> AdbTarget:
    """Read `adb:`, `adb:SERIAL`, `adb:SERIAL,SERIAL`, `adb:*`, each with `#NNAPI-DEVICE`.

    `+sl:PATH` behind the serials names a support library driver on the device, `+lib:PATH` an NNAPI
    library there. Nothing is started yet. Raises TargetError for a path that is not absolute.
    """
    place = Place.of(text)
    rest, behind, path = _driver(place.rest)
    if behind and not path.startswith("/"):
        raise TargetError(f"{text}: write the whole path on the device, as {behind}/path.so")
    support = path if behind == SUPPORT_LIBRARY else ""
    library = path if behind == LIBRARY else ""
    return AdbTarget(text, _serials(rest), place.device, support_library=support, library=library)


def _driver(text: str) -> tuple[str, str, str]:
    """Split what stands behind the serials from them: the mark and the path."""
    for mark in (SUPPORT_LIBRARY, LIBRARY):
        serials, behind, path = text.partition(mark)
        if behind:
            return serials, behind, path
    return text, "", ""


def _serials(text: str) -> tuple[str, ...]:
    names = (name.strip().removeprefix(KIND) for name in text.split(","))
    return tuple(dict.fromkeys(filter(None, names)))


def connected(patience: Patience | None = None) -> tuple[str, ...]:
    """Return the serials that the user's adb server lists, in order of name: those that are ready,
    or else those that may become so.

    Raises TargetError if there is none in `patience.listed` seconds, or no adb server.
    """
    server = shared_server() or server_of("")
    until = time.monotonic() + (patience or Patience.from_environment()).listed
    while not (states := Client(server).states()):
        if time.monotonic() >= until:
            raise TargetError(not_listed("no device is connected", states))
        time.sleep(0.05)
    names = sorted(states)
    return tuple(name for name in names if states[name] == "device") or tuple(names)


def serials_of(text: str) -> tuple[str, ...]:
    """Return the targets of a fleet: `adb:A,B` and `adb:*` one for each device, else the text.

    Raises TargetError if `adb:*` finds no device.
    """
    place = Place.of(text)
    if place.kind != KIND[:-1]:
        return (text,)
    rest, behind, library = _driver(place.rest)
    names = _serials(rest)
    if ALL in names:
        names = connected()
    if not names:
        return (text,)
    return tuple(str(replace(place, base=f"{KIND}{name}{behind}{library}")) for name in names)
