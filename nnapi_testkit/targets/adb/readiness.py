"""Waiting for a device that starts: until it has booted, and until its services are up."""

from __future__ import annotations

import time
from collections.abc import Iterable

from nnapi_testkit.model.wire import DeviceEntry as NnapiDevice
from nnapi_testkit.targets.adb.client import DeviceTimeout
from nnapi_testkit.targets.adb.device import Device
from nnapi_testkit.targets.adb.launch import Answer, Launch, UnloadableError
from nnapi_testkit.targets.adb.patience import Patience
from nnapi_testkit.targets.base import InfraError, TargetError

__all__ = ["Boot", "wait_services"]

GETPROP_SECONDS = 10.0
FILES_SECONDS = 10.0  # in which a device that boots has mounted what such a library lies on


class Boot:
    """What a device says of how far it has booted.

    Args:
        device: that is asked.
        seconds: what a command may take there.
    """

    def __init__(self, device: Device, seconds: float) -> None:
        self._device = device
        self._seconds = min(GETPROP_SECONDS, seconds)
        self.has_properties = True

    def wait(self, patience: Patience) -> None:
        """Wait until it has booted. Raises InfraError when it takes too long."""
        started = time.monotonic()
        while True:
            system, dev = self._properties()
            waited = time.monotonic() - started
            if system.strip() == "1" and dev.strip() in ("1", ""):
                return
            if not system.strip() and not dev.strip() and waited >= patience.silent_boot:
                return  # listing NNAPI devices has the last word
            if waited >= patience.boot:
                raise InfraError(
                    f"device {self._device.serial} has not booted after {patience.boot:g} s"
                    f" (sys.boot_completed is {system.strip() or 'empty'!r})"
                )
            time.sleep(0.2)

    def _properties(self) -> tuple[str, str]:
        try:
            if self.has_properties:
                question = "getprop sys.boot_completed; getprop dev.bootcomplete"
                answer = self._device.shell(question, self._seconds).text.split("\n")
                return answer[0], answer[1] if len(answer) > 1 else ""
        except DeviceTimeout:
            self.has_properties = False  # it has a `getprop` and nothing behind it
        return "", ""


def wait_services(
    launch: Launch, patience: Patience, began: float, answers: Iterable[Answer]
) -> tuple[NnapiDevice, ...]:
    """Return what the device lists once it is the same twice: its services are up.

    Args:
        launch: what asks it.
        patience: how long to wait.
        began: when it was asked first.
        answers: what it has said so far.

    Raises TargetError with the library's reason, InfraError for a device that lists others each
    time.
    """
    until = began + patience.services
    told = iter(answers)
    before: tuple[NnapiDevice, ...] | None = None
    while True:
        problem: TargetError | None = None
        try:
            listed: tuple[NnapiDevice, ...] | None = launch.listed(next(told, None))
        except TargetError as error:
            listed, problem = None, error
            if isinstance(error, UnloadableError):
                until = min(until, began + FILES_SECONDS)
        if listed is not None and listed == before:
            return listed
        before = listed
        if time.monotonic() >= until:
            raise problem or InfraError(
                f"device {launch.device.serial} lists other NNAPI devices each time it is asked"
            )
        if problem:
            time.sleep(0.5)
