"""A device that this process has to itself: reached, booted, furnished, and left as it was."""

from __future__ import annotations

import contextlib
import fcntl
import io
import logging
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
from nnapi_testkit.targets.adb.cache import FOLDER, PLACES, install, runners, said
from nnapi_testkit.targets.adb.client import DeviceTimeout, server_for
from nnapi_testkit.targets.adb.device import COMMAND_SECONDS, Device
from nnapi_testkit.targets.adb.facts import DeviceFacts
from nnapi_testkit.targets.adb.server import Server
from nnapi_testkit.targets.base import InfraError, TargetError
from nnapi_testkit.targets.session import GRACE_SECONDS

__all__ = ["Driver", "Lease", "Patience", "Taken", "acquire"]

LIBRARY = "libneuralnetworks.so"
# Where the library lies on Android 11 and later, and before; a userland whose linker was never
# told of the first place is asked for it by its path.
LIBRARY_PLACES = ("/apex/com.android.neuralnetworks/{lib}", "/system/{lib}")
# What else such a linker has to be told, for the libraries that this one needs.
SEARCH = (*LIBRARY_PLACES, "/system/{lib}/bootstrap", "/apex/com.android.runtime/{lib}/bionic")
WIDE = ("arm64-v8a", "x86_64")
LISTING = "ANeuralNetworks_getDeviceCount"
LOAD_SECONDS = 90.0  # a runtime whose services do not answer takes a minute to say so
GETPROP_SECONDS = 10.0
STOP_SECONDS = 5.0
NOTICE_SECONDS = 15.0
UNLOADABLE = "cannot load"  # the runner's words for a library that is not there, or not whole
FILES_SECONDS = 10.0  # in which a device that boots has mounted what such a library lies on
_LOG = logging.getLogger(__name__)
VARIABLE = "NNAPI_TESTKIT_ADB_PATIENCE"
CLEAN_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Driver:
    """What a runner loads on the device.

    Args:
        path: of the library there; empty for the system's runtime, wherever Android has it.
        support: whether it is a support library driver.
    """

    path: str = ""
    support: bool = False


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
    key: str
    driver: Driver = Driver()
    facts: DeviceFacts = field(default_factory=lambda: DeviceFacts((), 0, 0))
    abi: str = ""
    runner: str = ""
    base: str = f"{PLACES[0]}/{FOLDER}"
    nnapi_devices: tuple[NnapiDevice, ...] = ()
    holders: int = 0
    _ready: bool = False
    _reached: bool = False
    _stale: bool = True
    _runs: int = 0
    _properties: bool = True
    _search: str = ""  # folders added to those of the linker
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
            patience = self.patience.shortened() if self.key in _GIVEN_UP else self.patience
            _GIVEN_UP.add(self.key)
            self.device.reach(patience.reach)
            self._reached = True
            self._wait_booted(patience)
            found = device_facts.ask(self.device, self._properties)
            booted_anew = found.boot_id != self.facts.boot_id
            self.facts = found
            candidates = runners(self.serial, found.abis)
            self.abi, self.base, self.runner = install(self.device, candidates)
            if self._stale:
                self._end_leftovers()
            if booted_anew or self._stale:
                self._wait_services(patience)
                self._stale = False
            self._ready = True
            _GIVEN_UP.discard(self.key)

    def lost(self) -> None:
        """Take note that something went wrong: the next `ready` looks at everything again."""
        self._ready = False

    def _wait_booted(self, patience: Patience) -> None:
        started = time.monotonic()
        while True:
            system, dev = self._boot_properties()
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

    def _boot_properties(self) -> tuple[str, str]:
        seconds = min(GETPROP_SECONDS, self.patience.command)
        try:
            if self._properties:
                question = "getprop sys.boot_completed; getprop dev.bootcomplete"
                answer = self.device.shell(question, seconds).text.split("\n")
                return answer[0], answer[1] if len(answer) > 1 else ""
        except DeviceTimeout:
            self._properties = False  # it has a `getprop` and nothing behind it
        return "", ""

    def _wait_services(self, patience: Patience) -> None:
        """Wait until the device lists the same NNAPI devices twice: its services are up."""
        began = time.monotonic()
        until = began + patience.services
        before: tuple[NnapiDevice, ...] | None = None
        while True:
            problem: TargetError | None = None
            try:
                listed: tuple[NnapiDevice, ...] | None = self.list_devices()
            except TargetError as error:
                listed, problem = None, error
                if UNLOADABLE in str(error):
                    until = min(until, began + FILES_SECONDS)
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
        listed, problem = self._list()
        if listed is None and UNLOADABLE in problem and not self._search:
            self._search = ":".join(place.format(lib=self._lib) for place in SEARCH)
            listed, _ = self._list()
            if listed is None:
                self._search = ""
        if listed is None:
            raise TargetError(f"device {self.serial}: {problem}")
        return listed

    def _list(self) -> tuple[tuple[NnapiDevice, ...] | None, str]:
        """Return what the library lists, or None and why it does not."""
        command = f"{self.command(self.driver)} --list-devices"
        waiting = threading.Timer(NOTICE_SECONDS, self._notice)
        waiting.daemon = True
        waiting.start()
        try:
            done = self.device.shell(command, self._listing_seconds)
        finally:
            waiting.cancel()
        try:
            messages = list(decode_results([done.out]))
        except KitError as error:
            raise InfraError(f"device {self.serial}: listing NNAPI devices: {error}") from error
        for message in messages:
            if isinstance(message, Library):
                return message.devices, ""
            if isinstance(message, Failure):
                return None, message.text + self.hint(message.text)
        return None, (
            f"the runner for {self.abi} does not run there (exit code {done.code}: {said(done)})"
        )

    @property
    def _listing_seconds(self) -> float:
        # A library that dies is loaded twice before it is given up.
        return 2 * self.patience.load + self.patience.grace

    def _notice(self) -> None:
        _LOG.warning(
            "device %s: its NNAPI runtime has been listing its devices for %g s; it has %g s",
            *(self.serial, NOTICE_SECONDS, self.patience.load),
        )

    def hint(self, text: str) -> str:
        """Return what to look at when the library dies, hangs or finds nothing while it lists."""
        if LISTING not in text and "lists no NNAPI device" not in text:
            return ""
        release = self.facts.release
        whose = f"Android {release}'s runtime" if release else "Android's runtime"
        return (
            f" ({whose} asks binder for its drivers, and without binder or its service managers"
            " hangs, aborts or finds none: do servicemanager and hwservicemanager run there?)"
        )

    @property
    def _lib(self) -> str:
        return "lib64" if self.abi in WIDE else "lib"

    def command(self, driver: Driver) -> str:
        """Return the words that start a runner for a driver, for the device's shell."""
        words = [self.runner, "--load-deadline", str(max(1, round(self.patience.load * 1000)))]
        libraries = [driver.path or LIBRARY]
        if driver.support:
            words.append("--support-library")
        if not driver.path and not self.abi.startswith("linux-"):
            libraries += [f"{place.format(lib=self._lib)}/{LIBRARY}" for place in LIBRARY_PLACES]
        for library in libraries:
            words += ["--library", library]
        text = f"exec {shlex.join(words)}"
        if self._search:
            variable = "LD_LIBRARY_PATH"
            text = f"export {variable}=${{{variable}:+${variable}:}}{self._search}; {text}"
        return text

    def folder(self) -> str:
        """Return a name for a folder of the device that one runner has to itself."""
        with self._working:
            self._runs += 1
            return f"{self.base}/run-{os.getpid()}-{self._runs}"

    def clean(self) -> None:
        """Remove everything from the device, leftovers of runs that were killed included."""
        self.device.shell(f"{self._stopping()}; rm -rf {self.base}", CLEAN_SECONDS)

    def _end_leftovers(self) -> None:
        """End the runners of a host that was killed: they go on with their batch for a while."""
        self.device.shell(f"{self._stopping()}; rm -rf {self.base}/run-*", CLEAN_SECONDS)

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
        with _REGISTRY_LOCK:
            self.holders -= 1
            if self.holders > 0:
                return
            _REGISTRY.pop(self.key, None)
        try:
            if self._reached:
                with contextlib.suppress(KitError):
                    self.clean()
        finally:
            self.lock.close()  # and with it the lock


_REGISTRY: dict[str, Lease] = {}
_GIVEN_UP: set[str] = set()
_REGISTRY_LOCK = threading.RLock()


def acquire(
    serial: str,
    patience: Patience | None = None,
    server: Server | None = None,
    place: str = "",
    driver: Driver = Driver(),
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
            lock = _lock(key, patience.lock) if locked else io.StringIO()
            try:
                device = Device(server or server_for(serial), serial, patience.command)
            except BaseException:
                lock.close()
                raise
            lease = _REGISTRY[key] = Lease(device, patience, lock, key, driver)
        lease.holders += 1
    try:
        lease.ready()
    except BaseException:
        lease.release()
        raise
    return lease


def _lock(key: str, seconds: float) -> IO[str]:
    folder = Path(tempfile.gettempdir()) / f"nnapi-testkit-leases-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / (re.sub(r"[^A-Za-z0-9.-]", "_", key) + ".lock")
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
                    f"device {shlex.quote(key)} is in use by process {owner}: wait for it, or"
                    " name another device"
                ) from None
            time.sleep(0.1)
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
