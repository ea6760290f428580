"""One device behind an adb server: reaching it, commands, files."""

from __future__ import annotations

import contextlib
import shlex
import struct
import threading
import time

import adbutils

from nnapi_testkit.targets.adb.client import (
    Client,
    DeviceLost,
    DeviceTimeout,
    translated,
    unauthorized,
)
from nnapi_testkit.targets.adb.server import Server, is_network, own_server
from nnapi_testkit.targets.adb.shell import Completed, ShellStream
from nnapi_testkit.targets.base import InfraError, TargetError

__all__ = ["COMMAND_SECONDS", "Device", "PushRefused"]

COMMAND_SECONDS = 30.0
PROBE_SECONDS = 5.0
AGAIN_SECONDS = 3.0  # after which a connection that does not come up is made anew
SOON_SECONDS = 0.5
ATTACH_SECONDS = 15.0
# States that are passed through while keys are tried, with how long they may last.
REFUSALS = {"unauthorized": 3.0, "authorizing": 10.0}
CHUNK = 64 * 1024


class PushRefused(InfraError):
    """The device does not take a file.

    Args:
        serial: of the device.
        path: of the file.
        reason: the device's.
    """

    def __init__(self, serial: str, path: str, reason: str) -> None:
        super().__init__(f"device {serial}: pushing {path}: {reason}")
        self.reason = reason


class Device:
    """What the kit does with a device; safe to use from several threads.

    Args:
        server: the adb server that has it, or is to connect to it.
        serial: as adb names it.
        command_seconds: what a command may take where nothing else is said.
    """

    def __init__(
        self, server: Server, serial: str, command_seconds: float = COMMAND_SECONDS
    ) -> None:
        self.serial = serial
        self._seconds = command_seconds
        self.client = Client(server)

    # ---- reaching it ----

    def reach(self, seconds: float) -> None:
        """Wait until the device runs commands; connect again and again where that may help.

        Neither the words of `adb connect` nor the state `device` are trusted: a transport that
        came up before the device's adbd stays offline for ever, and only a new one cures that.

        Raises TargetError if the device does not know our key, InfraError when time is up.
        """
        until = time.monotonic() + seconds
        network = is_network(self.serial)
        attached = refused = 0.0
        probe = PROBE_SECONDS
        attempt: threading.Thread | None = None
        why = ""
        while True:
            state, now = self._state(until), time.monotonic()
            if state == "device":
                try:
                    self.check_features()
                    if self.shell("echo ok", probe).text == "ok":
                        return
                    why = "commands do not work"
                except InfraError as error:
                    if isinstance(error, DeviceTimeout):
                        probe *= 2  # an emulated processor takes its time
                    why = str(error)
                    if network and now - attached >= AGAIN_SECONDS:
                        # Connected in name only: adb notices a silent device late or never.
                        attached = now
                        self.client.detach(self.serial)
            if state in REFUSALS:
                refused = refused or now
                if now - refused > REFUSALS[state]:
                    raise TargetError(unauthorized(self.serial))
            elif network and state != "device":
                # An attempt that has ended without effect is repeated soon; one that is still
                # under way may hang for as long as it likes.
                patience = AGAIN_SECONDS if attempt and attempt.is_alive() else SOON_SECONDS
                if now - attached >= patience:
                    attached = now
                    if state != "absent":
                        self.client.detach(self.serial)
                    attempt = threading.Thread(target=self._attach, daemon=True)
                    attempt.start()
            if now >= until:
                last = f" (last: {why})" if why else ""
                cure = (
                    "is it up, and is this its adb port?"
                    if network
                    else "is it plugged in, and does `adb devices` list it?"
                )
                raise InfraError(
                    f"device {self.serial} is {state} after {seconds:g} s{last}: {cure}"
                )
            time.sleep(0.05 if state != "absent" else 0.02)

    def _state(self, until: float) -> str:
        """Return the device's state; a server of our own that died is replaced."""
        while True:
            try:
                return self.client.states().get(self.serial, "absent")
            except DeviceLost:
                if not self.client.server.own:
                    raise
                if time.monotonic() >= until:
                    return "absent"
                time.sleep(0.1)
                self.client = Client(own_server())

    def _attach(self) -> None:
        # It may block for 10 s and more; the states tell how it went.
        with contextlib.suppress(InfraError, TargetError):
            self.client.attach(self.serial, ATTACH_SECONDS)

    # ---- commands ----

    def start(self, command: str, seconds: float | None = None) -> ShellStream:
        """Start a command of the device's shell. Raises DeviceLost, DeviceTimeout.

        `seconds` is the deadline for starting it; whoever reads sets the others.
        """
        seconds = seconds or self._seconds
        link = self.client.open(self.serial, f"shell,v2,raw:{command}", time.monotonic() + seconds)
        return ShellStream(link, self.serial)

    def shell(self, command: str, seconds: float | None = None, data: bytes = b"") -> Completed:
        """Run a command to its end, with an absolute deadline.

        Raises DeviceTimeout, after which the device ends the command; DeviceLost.
        """
        seconds = seconds or self._seconds
        until = time.monotonic() + seconds
        stream = self.start(command, seconds)
        try:
            return stream.finish(data, until)
        except TimeoutError:
            shown = command if len(command) < 60 else command[:57] + "..."
            raise DeviceTimeout(
                f"device {self.serial}: {shown!r} did not end within {seconds:g} s"
            ) from None
        finally:
            stream.close()

    def check_features(self) -> None:
        """Raise TargetError for a device without exit codes of commands."""
        if "shell_v2" not in self.client.features(self.serial):
            raise TargetError(
                f"device {self.serial} has no shell protocol 2 (Android 7 and later have it):"
                " use another device"
            )

    # ---- files ----

    def push(self, content: bytes, path: str, mode: int, seconds: float) -> None:
        """Write a file. Raises PushRefused with the device's reason; DeviceTimeout, DeviceLost."""
        until = time.monotonic() + seconds
        link = self.client.open(self.serial, "sync:", until)
        name = f"{path},{0o100000 | mode}".encode()
        out = bytearray(b"SEND" + struct.pack("<I", len(name)) + name)
        for at in range(0, len(content), CHUNK):
            piece = content[at : at + CHUNK]
            out += b"DATA" + struct.pack("<I", len(piece)) + piece
        out += b"DONE" + struct.pack("<I", int(time.time()))
        reason = ""
        with contextlib.closing(link), translated(self.serial, f"pushing {path}"):
            # A device that refuses early may stop reading: its reason is there all the same.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                link.send_all(bytes(out))
            word = link.read(4)
            (length,) = struct.unpack("<I", link.read(4))
            if word == b"FAIL":
                said = link.read(min(length, CHUNK)).decode("utf-8", "replace")
                reason = " ".join(said.split()) or "it does not say why"
            elif word != b"OKAY":
                raise adbutils.AdbError(f"unexpected answer {word!r}")
        if reason:
            raise PushRefused(self.serial, path, reason)

    def property(self, name: str) -> str:
        """Return a property as it is now, empty if it is not set."""
        return self.shell(f"getprop {shlex.quote(name)}").text

    def set_property(self, name: str, value: str) -> None:
        """Set a property. Raises InfraError with the device's reason."""
        done = self.shell(f"setprop {shlex.quote(name)} {shlex.quote(value)}")
        if done.code or done.err.strip():
            said = " ".join(done.err.decode("utf-8", "replace").split())
            why = said or f"it left with status {done.code}"
            raise InfraError(f"device {self.serial}: setprop {name}: {why}")
