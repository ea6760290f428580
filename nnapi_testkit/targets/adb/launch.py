"""How a runner is started on a device, and what it says of the library that it loads."""

from __future__ import annotations

import contextlib
import logging
import shlex
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from nnapi_testkit.model.wire import DeviceEntry as NnapiDevice
from nnapi_testkit.model.wire import (
    Failure,
    Hello,
    Library,
    Trouble,
    WireError,
    decode_results,
)
from nnapi_testkit.targets.adb.cache import said
from nnapi_testkit.targets.adb.device import Device
from nnapi_testkit.targets.adb.patience import Patience
from nnapi_testkit.targets.base import InfraError, TargetError

__all__ = ["SYSTEM", "Answer", "Driver", "Launch", "UnloadableError"]

LIBRARY = "libneuralnetworks.so"
# Where the library lies on Android 11 and later, and before; a userland whose linker was never
# told of the first place is asked for it by its path.
LIBRARY_PLACES = ("/apex/com.android.neuralnetworks/{lib}", "/system/{lib}")
# What else such a linker has to be told, for the libraries that this one needs.
SEARCH = (
    *LIBRARY_PLACES,
    "/system/{lib}/bootstrap",
    "/apex/com.android.runtime/{lib}/bionic",
    "/apex/com.android.os.statsd/{lib}",
)
WIDE = ("arm64-v8a", "x86_64")
NOTICE_SECONDS = 15.0
_LOG = logging.getLogger(__name__)


class UnloadableError(TargetError):
    """The library is not there, or not whole."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a runner said that was to list devices: them, or None and why it does not.

    Args:
        trouble: of the runner; None where it does not run itself.
    """

    devices: tuple[NnapiDevice, ...] | None
    problem: str = ""
    trouble: Trouble | None = None

    @property
    def unloadable(self) -> bool:
        """Whether the library is not there, or not whole."""
        return self.trouble is Trouble.UNLOADABLE


@dataclass(frozen=True, slots=True)
class Driver:
    """What a runner loads on the device.

    Args:
        path: of the library there; empty for the system's runtime, wherever Android has it.
        support: whether it is a support library driver.
    """

    path: str = ""
    support: bool = False


SYSTEM = Driver()  # the system's own runtime


@dataclass
class Launch:
    """The runner on a device, once it lies there: its words, and what it lists.

    Args:
        device: where it runs.
        patience: how long a library may take.
        driver: what is loaded to list devices.
        release: of Android there, for messages.
        abi, runner: of the runner, and its path.
        library: of `driver`, as it was listed last.
        page_size: as the runner said; 0 before it was asked.
    """

    device: Device
    patience: Patience
    driver: Driver = Driver()
    release: str = ""
    abi: str = ""
    runner: str = ""
    library: Library | None = None
    page_size: int = 0
    _search: str = ""  # folders added to those of the linker

    def twice(self, abi: str, path: str) -> str:
        """The commands that list the NNAPI devices two times, the second if the first can."""
        self.abi, self.runner = abi, path
        once = f"({self.command(self.driver)} --list-devices </dev/null)"
        return f"{once} && {once}"

    def list_devices(self) -> tuple[NnapiDevice, ...]:
        """Ask the device's library in a process of its own; empty below feature level 3.

        Raises TargetError if the library cannot be loaded.
        """
        answer = self._list()
        listed = answer.devices
        if answer.unloadable and not self._search:
            self._search = ":".join(place.format(lib=self._lib) for place in SEARCH)
            listed = self._list().devices
            if listed is None:
                self._search = ""
        return listed if listed is not None else self._told(answer)

    def listed(self, answer: Answer | None) -> tuple[NnapiDevice, ...]:
        """What an answer lists, or the device asked anew. Raises TargetError."""
        if answer is None or answer.unloadable:
            return self.list_devices()  # perhaps with folders that the linker has to be told
        return self._told(answer)

    def _told(self, answer: Answer) -> tuple[NnapiDevice, ...]:
        if answer.devices is None:
            kind = UnloadableError if answer.unloadable else TargetError
            raise kind(f"device {self.device.serial}: {answer.problem}")
        return answer.devices

    def _list(self) -> Answer:
        """Ask the library once."""
        command = f"{self.command(self.driver)} --list-devices"
        with self.noticing():
            done = self.device.shell(command, self.listing_seconds)
        for answer in self.answers(done.out):
            return answer
        return Answer(
            None,
            f"the runner for {self.abi} does not run there (exit code {done.code}: {said(done)})",
        )

    def answers(self, out: bytes) -> Iterator[Answer]:
        """Yield what the runner said each time that it was to list devices."""
        try:
            for message in decode_results([out]):
                if isinstance(message, Hello):
                    self.page_size = message.page_size
                elif isinstance(message, Library):
                    self.library = message
                    yield Answer(message.devices)
                elif isinstance(message, Failure):
                    text = message.text + self.hint(message.trouble)
                    yield Answer(None, text, message.trouble)
        except WireError as error:
            raise InfraError(
                f"device {self.device.serial}: listing NNAPI devices: {error}"
            ) from error

    @contextlib.contextmanager
    def noticing(self) -> Iterator[None]:
        """Say after a while what is waited for."""
        waiting = threading.Timer(NOTICE_SECONDS, self._notice)
        waiting.daemon = True
        waiting.start()
        try:
            yield
        finally:
            waiting.cancel()

    @property
    def listing_seconds(self) -> float:
        """What listing devices may take."""
        # A library that dies is loaded twice before it is given up.
        return 2 * self.patience.load + self.patience.grace

    def _notice(self) -> None:
        _LOG.warning(
            "device %s: its NNAPI runtime has been listing its devices for %g s; it has %g s",
            *(self.device.serial, NOTICE_SECONDS, self.patience.load),
        )

    def hint(self, trouble: Trouble) -> str:
        """Return what to look at when the library dies, hangs or finds nothing while it lists."""
        if trouble is not Trouble.LISTING:
            return ""
        release = self.release
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
