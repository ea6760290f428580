"""The target `jumpstarter:SELECTOR`: Jumpstarter's lease, its adb tunnel, then as with `adb:`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nnapi_testkit.errors import KitError
from nnapi_testkit.model.case import Case, Result
from nnapi_testkit.targets.adb import AdbSession, Patience
from nnapi_testkit.targets.adb.client import Client
from nnapi_testkit.targets.adb.launch import Driver
from nnapi_testkit.targets.adb.lease import Lease
from nnapi_testkit.targets.adb.registry import acquire
from nnapi_testkit.targets.base import DEFAULT_MEMORY_LIMIT_MB, InfraError, TargetError
from nnapi_testkit.targets.channel import Channel
from nnapi_testkit.targets.jumpstarter.settings import JumpstarterSettings, read
from nnapi_testkit.targets.kept import is_kept, when_let_go
from nnapi_testkit.waits import waiting_for

if TYPE_CHECKING:
    from nnapi_testkit.targets.jumpstarter.hold import Hold

__all__ = ["JumpstarterSession", "JumpstarterTarget", "Pool", "jumpstarter_target"]

LOOK_SECONDS = 0.5  # between two looks at the devices of an exporter


@dataclass
class _Slot:
    """Where runners find the lease they share; the lock is held while one is asked for."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    hold: Hold | None = None


class Pool:
    """The leases of this process."""

    def __init__(self) -> None:
        self._slots: dict[JumpstarterSettings, _Slot] = {}
        self._holds: list[Hold] = []
        self._lock = threading.Lock()

    def take(self, settings: JumpstarterSettings) -> Hold:
        """Return a lease that is alive, the one that other runners have if there is one.

        Raises TargetError or InfraError.
        """
        try:
            from nnapi_testkit.targets.jumpstarter.hold import Hold
        except ImportError as error:
            raise TargetError(
                f"jumpstarter: needs Python 3.11 or later and Jumpstarter ({error}):"
                " pip install nnapi-testkit[jumpstarter]"
            ) from error
        with self._lock:
            slot = self._slots.setdefault(settings.key, _Slot())
        with slot.lock:
            with self._lock:
                if slot.hold is not None and slot.hold.alive and slot.hold in self._holds:
                    slot.hold.holders += 1
                    return slot.hold
            hold = Hold(settings)
            with self._lock:
                hold.holders = 1
                slot.hold = hold
                self._holds.append(hold)
            return hold

    def give_back(self, hold: Hold, *, broken: bool = False) -> None:
        """Let go of a lease: the last runner ends it unless the run keeps it (`kept`).

        A broken one ends at once: its other runners ask for a fresh one too.
        """
        with self._lock:
            hold.holders -= 1
            unused = hold.holders <= 0 and not is_kept()
            if not (broken or unused or not hold.alive):
                return
            if hold in self._holds:
                self._holds.remove(hold)
        hold.close()

    def let_go(self) -> None:
        """End the leases that no runner has."""
        self._end(lambda hold: hold.holders <= 0)

    def close(self) -> None:
        """End all leases of this process."""
        self._end(lambda _: True)

    def _end(self, which: Callable[[Hold], bool]) -> None:
        with self._lock:
            ending = [hold for hold in self._holds if which(hold)]
            self._holds = [hold for hold in self._holds if hold not in ending]
        for hold in ending:
            hold.close()


_POOL = Pool()
when_let_go(_POOL.let_go)


class JumpstarterSession(AdbSession):
    """A runner on a device that Jumpstarter has leased to this process.

    Args:
        hold: given back by `close`.
        others: as of `AdbSession`.
    """

    def __init__(
        self,
        hold: Hold,
        lease: Lease,
        name: str,
        device: str,
        *,
        support_library: str,
        library: str,
        isolate: bool,
        memory_limit_mb: int,
    ) -> None:
        self._hold = hold
        self._broken = True  # until a runner has been started
        super().__init__(
            lease,
            name,
            device,
            support_library=support_library,
            library=library,
            isolate=isolate,
            memory_limit_mb=memory_limit_mb,
        )
        self._broken = False

    def run(self, cases: Sequence[Case], *, isolate: bool | None = None) -> Iterator[Result]:
        """See `AdbSession.run`. A lease over which the device was lost is not used again."""
        try:
            yield from super().run(cases, isolate=isolate)
        except InfraError as error:
            self._broken = True
            raise InfraError(self._hold.explained(error)) from error

    def _connect(self) -> Channel:
        if not self._hold.alive:
            raise InfraError(f"the device of {self._name} is leased no more")
        return super()._connect()

    def _discard(self) -> None:
        # A lease that has ended need not be waited for as a device that may come back.
        if self._channel is not None and not self._closed:
            self._hold.look()
        super()._discard()

    def describe(self) -> dict[str, object]:
        """Return facts about library, device and lease, JSON values only."""
        known = super().describe()
        tunnel = self._hold.tunnel
        known.update(
            lease=tunnel.lease, exporter=tunnel.exporter, exporter_labels=dict(tunnel.labels)
        )
        return known

    def close(self) -> None:
        """End the runner and let go of the lease; a second call does nothing."""
        if self._closed:
            return
        try:
            super().close()
        finally:
            _POOL.give_back(self._hold, broken=self._broken)


@dataclass(frozen=True)
class JumpstarterTarget:
    """A device of a lab.

    Runners that are open at the same time share one lease, and a run keeps it from one runner to
    the next.

    Args:
        name: the target as the user wrote it.
        settings: what to lease.
        device: name of the NNAPI device; empty for the first that is listed.
        patience: how long to wait for what; by default what the environment says.
    """

    name: str
    settings: JumpstarterSettings
    device: str = ""
    patience: Patience | None = None

    @property
    def between(self) -> bool:
        """Android's runtime stands between."""
        return True

    def open(
        self, *, isolate: bool = False, memory_limit_mb: int = DEFAULT_MEMORY_LIMIT_MB
    ) -> JumpstarterSession:
        """Lease a device, wait until it lists its NNAPI devices, start the runner.

        A lease whose device does not come up is replaced once. Raises TargetError or InfraError.
        """
        hold, lease = self._lease()
        try:
            return JumpstarterSession(
                hold,
                lease,
                self.name,
                self.device,
                support_library=self.settings.sl,
                library=self.settings.lib,
                isolate=isolate,
                memory_limit_mb=memory_limit_mb,
            )
        except InfraError as error:  # the session has given lease and hold back
            raise InfraError(hold.explained(error)) from error

    def environment(self) -> dict[str, str]:
        """Return variables that make a plain `adb` of the user's reach this device.

        They hold for as long as the lease does: see `kept`. Raises TargetError or InfraError.
        """
        hold, lease = self._lease()
        try:
            server = hold.tunnel.server
            return {
                "ANDROID_SERIAL": lease.serial,
                "ANDROID_ADB_SERVER_ADDRESS": server.host,
                "ANDROID_ADB_SERVER_PORT": str(server.port),
            }
        finally:
            lease.release()
            _POOL.give_back(hold)

    def describe(self) -> dict[str, object]:
        """Return facts about the device, JSON values only."""
        with self.open() as runner:
            return runner.describe()

    def _lease(self) -> tuple[Hold, Lease]:
        patience = self.patience or Patience.from_environment()
        driver = Driver(self.settings.sl or self.settings.lib, bool(self.settings.sl))
        for attempt in (1, 2):
            with waiting_for(f"a lease for {self.name}"):
                hold = _POOL.take(self.settings)
            try:
                tunnel = hold.tunnel
                serial = self.settings.serial or only_device(hold, patience.reach)
                place = f"jumpstarter-{tunnel.lease or tunnel.exporter or tunnel.server.port}"
                # What is leased to this process needs no lock; the device of a shell does.
                locked = not tunnel.lease
                lease = acquire(serial, patience, tunnel.server, place, driver, locked)
                return hold, lease
            except KitError as error:
                words = hold.explained(error)
                _POOL.give_back(hold, broken=True)
                if isinstance(error, InfraError) and attempt == 1:
                    continue
                kind = InfraError if isinstance(error, InfraError) else TargetError
                raise kind(words) from error
            except BaseException:
                _POOL.give_back(hold, broken=True)
                raise
        raise AssertionError("unreachable")


def only_device(hold: Hold, seconds: float) -> str:
    """Return the serial of the one device that the exporter's adb server lists.

    Raises TargetError for several, InfraError if none appears in time.
    """
    client = Client(hold.tunnel.server)
    until = time.monotonic() + seconds
    while True:
        serials = sorted(client.states())
        if len(serials) == 1:
            return serials[0]
        if serials:
            raise TargetError(
                f"{len(serials)} devices are connected: name one of"
                f" {', '.join(f'?serial={serial}' for serial in serials)}"
            )
        if time.monotonic() >= until:
            raise InfraError(f"no device is connected after {seconds:g} s")
        time.sleep(LOOK_SECONDS)


def jumpstarter_target(text: str) -> JumpstarterTarget:
    """Read `jumpstarter:SELECTOR?NAME=VALUE&...#NNAPI-DEVICE`. Nothing is leased yet.

    Raises TargetError for a text that makes no sense.
    """
    settings, _, device = read(text)
    return JumpstarterTarget(text, settings, device)
