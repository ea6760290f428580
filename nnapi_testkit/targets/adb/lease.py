"""A device that this process has to itself: reached, booted, furnished, and left as it was."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shlex
import tempfile
import threading
import time
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import IO

from nnapi_testkit.errors import KitError
from nnapi_testkit.model.wire import Device as NnapiDevice
from nnapi_testkit.model.wire import Failure, Library, decode_results
from nnapi_testkit.targets.adb import facts as device_facts
from nnapi_testkit.targets.adb.cache import BASE, choose_runner, install
from nnapi_testkit.targets.adb.client import server_for
from nnapi_testkit.targets.adb.device import COMMAND_SECONDS, Device
from nnapi_testkit.targets.adb.facts import DeviceFacts
from nnapi_testkit.targets.base import InfraError, TargetError
from nnapi_testkit.targets.session import GRACE_SECONDS, LOAD_SECONDS

__all__ = ["LIBRARY", "Lease", "Patience", "Taken", "acquire"]

LIBRARY = "libneuralnetworks.so"
VARIABLE = "NNAPI_TESTKIT_ADB_PATIENCE"
CLEAN_SECONDS = 15.0


class Taken(TargetError):
    """Another process on this machine has leased the device."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a device, in seconds.

    Args:
        reach: until it runs commands.
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


@dataclass
class Lease:
    """A device with everything a runner needs; shared by the runners of this process.

    Its methods raise InfraError when the device is lost, TargetError when it is of no use.
    """

    device: Device
    patience: Patience
    lock: IO[str]
    facts: DeviceFacts = field(default_factory=lambda: DeviceFacts((), 0, 0))
    abi: str = ""
    runner: str = ""
    nnapi_devices: tuple[NnapiDevice, ...] = ()
    holders: int = 0
    _ready: bool = False
    _reached: bool = False
    _stale: bool = True
    _runs: int = 0
    _working: threading.RLock = field(default_factory=threading.RLock)

    @property
    def serial(self) -> str:
        """As adb names the device."""
        return self.device.serial

    def ready(self) -> None:
        """Make sure that a runner can be started; cheap while nothing was lost."""
        with self._working:
            if self._ready:
                return
            # Who was waited for in vain is not waited for as long again.
            patience = self.patience.shortened() if self.serial in _GIVEN_UP else self.patience
            _GIVEN_UP.add(self.serial)
            self.device.reach(patience.reach)
            self._reached = True
            self._wait_booted(patience)
            found = device_facts.ask(self.device)
            booted_anew = found.boot_id != self.facts.boot_id
            self.facts = found
            self.abi, program = choose_runner(self.serial, found.abis)
            self.runner = install(self.device, program)
            if booted_anew or self._stale:
                self._wait_services(patience)
                self._stale = False
            self._ready = True
            _GIVEN_UP.discard(self.serial)

    def lost(self) -> None:
        """Take note that something went wrong: the next `ready` looks at everything again."""
        self._ready = False

    def _wait_booted(self, patience: Patience) -> None:
        started = time.monotonic()
        while True:
            answer = self.device.shell("getprop sys.boot_completed; getprop dev.bootcomplete")
            system, dev = ([*answer.text.split("\n"), "", ""])[:2]
            waited = time.monotonic() - started
            if system.strip() == "1" and dev.strip() in ("1", ""):
                return
            if not system.strip() and not dev.strip() and waited >= patience.silent_boot:
                return  # listing NNAPI devices has the last word
            if waited >= patience.boot:
                raise InfraError(
                    f"device {self.serial} has not booted after {patience.boot:g} s"
                    f" (sys.boot_completed is {system.strip() or 'empty'!r})"
                )
            time.sleep(0.2)

    def _wait_services(self, patience: Patience) -> None:
        """Wait until the device lists the same NNAPI devices twice: its services are up."""
        until = time.monotonic() + patience.services
        before: tuple[NnapiDevice, ...] | None = None
        while True:
            problem: TargetError | None = None
            try:
                listed: tuple[NnapiDevice, ...] | None = self.list_devices()
            except TargetError as error:
                listed, problem = None, error
            if listed is not None and listed == before:
                self.nnapi_devices = listed
                return
            before = listed
            if time.monotonic() >= until:
                raise problem or InfraError(
                    f"device {self.serial} lists other NNAPI devices each time it is asked"
                )
            if problem:
                time.sleep(0.5)

    def list_devices(self) -> tuple[NnapiDevice, ...]:
        """Ask the device's library in a process of its own; empty below feature level 3.

        Raises TargetError if the library cannot be loaded.
        """
        command = f"{self.runner} --list-devices --library {LIBRARY}"
        done = self.device.shell(command, self.patience.load + self.patience.grace)
        try:
            messages = list(decode_results([done.out]))
        except KitError as error:
            raise InfraError(f"device {self.serial}: listing NNAPI devices: {error}") from error
        for message in messages:
            if isinstance(message, Library):
                return message.devices
            if isinstance(message, Failure):
                raise TargetError(f"device {self.serial}: {message.text}")
        said = done.err.decode("utf-8", "replace").strip().splitlines()
        raise TargetError(
            f"device {self.serial}: the runner for {self.abi} does not run there"
            f" (exit code {done.code}{': ' + said[-1][:200] if said else ''})"
        )

    def folder(self) -> str:
        """Return a name for a folder of the device that one runner has to itself."""
        with self._working:
            self._runs += 1
            return f"{BASE}/run-{os.getpid()}-{self._runs}"

    def clean(self) -> None:
        """Remove everything from the device, leftovers of runs that were killed included."""
        # A runner that lost its host ends by itself; one that hangs must not outlive the lease.
        ours = rf"s|.*/proc/\([0-9]*\)/exe -> {BASE}/.*|\1|p"
        stop = f"kill -9 $(ls -l /proc/[0-9]*/exe 2>/dev/null | sed -n '{ours}') 2>/dev/null"
        self.device.shell(f"{stop}; rm -rf {BASE}", CLEAN_SECONDS)

    def release(self) -> None:
        """Give the device back; the last holder cleans up."""
        with _REGISTRY_LOCK:
            self.holders -= 1
            if self.holders > 0:
                return
            _REGISTRY.pop(self.serial, None)
        try:
            if self._reached:
                with contextlib.suppress(KitError):
                    self.clean()
        finally:
            self.lock.close()  # and with it the lock


_REGISTRY: dict[str, Lease] = {}
_GIVEN_UP: set[str] = set()
_REGISTRY_LOCK = threading.RLock()


def acquire(serial: str, patience: Patience | None = None) -> Lease:
    """Return the lease of a device, ready for runners; `release` gives it back.

    Raises Taken if another process has the device, TargetError if it is of no use, InfraError if it
    cannot be reached.
    """
    patience = patience or Patience.from_environment()
    with _REGISTRY_LOCK:
        lease = _REGISTRY.get(serial)
        if lease is None:
            lock = _lock(serial, patience.lock)
            try:
                device = Device(server_for(serial), serial, patience.command)
            except BaseException:
                lock.close()
                raise
            lease = _REGISTRY[serial] = Lease(device, patience, lock)
        lease.holders += 1
    try:
        lease.ready()
    except BaseException:
        lease.release()
        raise
    return lease


def _lock(serial: str, seconds: float) -> IO[str]:
    folder = Path(tempfile.gettempdir()) / f"nnapi-testkit-leases-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / (re.sub(r"[^A-Za-z0-9.-]", "_", serial) + ".lock")
    file = path.open("a+")
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
                    f"device {shlex.quote(serial)} is in use by process {owner}: wait for it, or"
                    " name another device"
                ) from None
            time.sleep(0.1)
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
