"""A device that this process has to itself: reached, booted, furnished, and left as it was."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO

from nnapi_testkit.errors import KitError
from nnapi_testkit.model.wire import DeviceEntry as NnapiDevice
from nnapi_testkit.model.wire import Library
from nnapi_testkit.targets.adb import facts as device_facts
from nnapi_testkit.targets.adb.cache import FOLDER, PLACES, Installed, Then, install, runners
from nnapi_testkit.targets.adb.device import Device
from nnapi_testkit.targets.adb.facts import DeviceFacts
from nnapi_testkit.targets.adb.launch import Driver, Launch
from nnapi_testkit.targets.adb.patience import Patience
from nnapi_testkit.targets.adb.readiness import Boot, wait_services
from nnapi_testkit.waits import waiting_for

__all__ = ["Lease"]

STOP_SECONDS = 5.0
CLEAN_SECONDS = 15.0  # at least; a slow device has as long as for any command
_LOG = logging.getLogger(__name__)
_GIVEN_UP: set[str] = set()  # keys of devices that were waited for in vain


@dataclass
class Lease:
    """A device with everything a runner needs; shared by the runners of this process.

    Its methods raise InfraError when the device is lost, TargetError when it is of no use.

    Args:
        device, patience: the device, and how long it is waited for.
        lock: closed when the device is let go.
        key: tells it from others in this process.
        driver: what has to list its devices before the device is ready.
        give_back: called by a holder that is done (`registry`).
    """

    device: Device
    patience: Patience
    lock: IO[str]
    key: str
    driver: Driver
    give_back: Callable[[Lease], None]
    facts: DeviceFacts = field(default_factory=lambda: DeviceFacts((), 0, 0))
    base: str = f"{PLACES[0]}/{FOLDER}"
    nnapi_devices: tuple[NnapiDevice, ...] = ()
    holders: int = 0
    _ready: bool = False
    _reached: bool = False
    _stale: bool = True
    _runs: int = 0
    _working: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self._launch = Launch(self.device, self.patience, self.driver)
        self._boot = Boot(self.device, self.patience.command)

    @property
    def serial(self) -> str:
        """As adb names the device."""
        return self.device.serial

    @property
    def abi(self) -> str:
        """Of the runner there; empty before it is ready."""
        return self._launch.abi

    @property
    def runner(self) -> str:
        """The runner's path there; empty before it is ready."""
        return self._launch.runner

    @property
    def library(self) -> Library | None:
        """What `driver` said of itself last."""
        return self._launch.library

    @property
    def page_size(self) -> int:
        """Of the device's memory; 0 before its runner was asked."""
        return self._launch.page_size

    def command(self, driver: Driver) -> str:
        """Return the words that start a runner for a driver, for the device's shell."""
        return self._launch.command(driver)

    def list_devices(self) -> tuple[NnapiDevice, ...]:
        """Ask the device's library in a process of its own; empty below feature level 3.

        Raises TargetError if the library cannot be loaded.
        """
        return self._launch.list_devices()

    def ready(self) -> None:
        """Make sure that a runner can be started; cheap while nothing was lost."""
        with self._working:
            if self._ready:
                return
            # Who was waited for in vain is not waited for as long again.
            patience = self.patience.shortened() if self.key in _GIVEN_UP else self.patience
            _GIVEN_UP.add(self.key)
            # As few commands one after another as can be: on a slow link each is a wait.
            question = device_facts.question(self._boot.has_properties)
            listed = None if self._reached else patience.listed
            with waiting_for(f"device {self.serial} to answer"):
                answer = self.device.reach(patience.reach, listed=listed, question=question)
            self._reached = True
            found = device_facts.parse(answer)
            if not found.booted:
                with waiting_for(f"device {self.serial} to boot"):
                    self._boot.wait(patience)
                found = device_facts.ask(self.device, self._boot.has_properties)
            booted_anew = found.boot_id != self.facts.boot_id
            self.facts = found
            self._launch.release = found.release
            self._furnish(patience, anew=booted_anew or self._stale)
            self._stale = False
            self._ready = True
            _GIVEN_UP.discard(self.key)

    def _furnish(self, patience: Patience, *, anew: bool) -> None:
        """Put the runner there and try it; on a device that was not seen before, or was touched,
        end what other runs have left and wait for the services."""
        candidates = runners(self.serial, self.facts.abis)
        if not anew:
            self._installed(install(self.device, candidates))
            return
        place = self.base
        before = self._end_leftovers() if self._stale else lambda: None
        began = time.monotonic()
        with self._launch.noticing():
            then = Then(before, self._launch.twice, 2 * self._launch.listing_seconds)
            done = install(self.device, candidates, then)
        self._installed(done)
        if self._stale and self.base != place:
            self._end_leftovers()()
        answers = self._launch.answers(done.out)
        with waiting_for(f"the NNAPI services of device {self.serial}"):
            self.nnapi_devices = wait_services(self._launch, patience, began, answers)

    def _installed(self, done: Installed) -> None:
        self._launch.abi, self.base, self._launch.runner = done.abi, done.base, done.path

    def lost(self) -> None:
        """Take note that something went wrong: the next `ready` looks at everything again."""
        self._ready = False

    def touched(self) -> None:
        """Take note that something was done to the device: its services are waited for anew."""
        self._ready, self._stale = False, True

    def folder(self) -> str:
        """Return a name for a folder of the device that one runner has to itself."""
        with self._working:
            self._runs += 1
            return f"{self.base}/run-{os.getpid()}-{self._runs}"

    def clean(self) -> None:
        """Remove everything from the device, leftovers of runs that were killed included."""
        self.device.shell(f"{self._stopping()}; rm -rf {self.base}", self._clean_seconds)

    def _end_leftovers(self) -> Callable[[], None]:
        """Begin to end the runners of a host that was killed, which go on with their batch.

        Returns what waits until that is done, so that other commands can go beside it.
        """
        until = time.monotonic() + self._clean_seconds
        stream = self.device.start(f"{self._stopping()}; rm -rf {self.base}/run-*")

        def wait() -> None:
            try:
                stream.finish(b"", until)
            except TimeoutError:
                # A device with thousands of processes: what was left ends by itself in minutes.
                _LOG.warning(
                    "device %s: what other runs may have left there is not removed", self.serial
                )
            finally:
                stream.close()

        return wait

    @property
    def _clean_seconds(self) -> float:
        return max(CLEAN_SECONDS, self.patience.command)

    def _stopping(self) -> str:
        """Return the command that ends all runners that lie in our folder."""
        # A runner that lost its host ends by itself; one that hangs must not outlive the lease. It
        # is known by its program or, where an emulator of its machine runs it, by its command
        # line; the brackets keep this command from being found itself.
        exe = rf"s|.*/proc/\([0-9]*\)/exe -> {self.base}/.*|\1|p"
        line = r"s|^/proc/\([0-9]*\)/cmdline$|\1|p"
        ours = f"{FOLDER}/[0-9a-f]*/[n]napi-runner"
        return (
            f"kill -9 $(ls -l /proc/[0-9]*/exe 2>/dev/null | sed -n '{exe}')"
            f" $(grep -l '{self.base.removesuffix(FOLDER)}{ours}' /proc/[0-9]*/cmdline 2>/dev/null"
            f" | sed -n '{line}') 2>/dev/null"
        )

    def stop(self, pid: int, folder: str) -> None:
        """End a runner of ours that was lost and may still be at work."""
        named = f"grep -q {folder} /proc/{pid}/cmdline 2>/dev/null"
        with contextlib.suppress(KitError):
            self.device.shell(f"{named} && kill -9 {pid}", STOP_SECONDS)

    def release(self) -> None:
        """Give the device back; the last holder cleans up."""
        self.give_back(self)

    def end(self) -> None:
        """Clean up and let go of the device, which nobody holds any more."""
        try:
            if self._reached:
                with contextlib.suppress(KitError):
                    self.clean()
        finally:
            self.lock.close()  # and with it the lock
