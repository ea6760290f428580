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
    not_listed,
    translated,
    unauthorized,
)
from nnapi_testkit.targets.adb.server import Server, is_network, own_server
from nnapi_testkit.targets.adb.shell import Completed, ShellStream
from nnapi_testkit.targets.base import InfraError, TargetError

__all__ = ["COMMAND_SECONDS", "Device", "PushRefused"]

COMMAND_SECONDS = 30.0
PROBE_SECONDS = 5.0
ANSWER_SECONDS = 20.0  # for all questions that are asked with the probe
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
        self.seconds = command_seconds
        self.client = Client(server)

    # ---- reaching it ----

    def reach(self, seconds: float, *, listed: float | None = None, question: str = "") -> str:
        """Wait until the device runs commands; connect again and again where that may help.

        Neither the words of `adb connect` nor the state `device` are trusted: a transport that
        came up before the device's adbd stays offline for ever, and only a new one cures that.

        A serial that adb does not list within `listed` seconds (None: it was there before) is
        mistyped or not plugged in, which no patience cures; `seconds` count from when it is listed.

        Returns what commands of `question` say, asked in the same breath: on a slow link each
        command is a wait. Empty where they did not end in time; the device is there all the same.

        Raises TargetError if the device does not know our key or is not among those that adb lists,
        InfraError when time is up.
        """
        return _Reach(self, seconds, listed, question).answer()

    def probe(self, question: str, seconds: float) -> str | None:
        """Return the answer to a question that follows the probe; None if commands do not work.

        Whoever says `ok` within `seconds` is there, and has longer for the answer: an emulated
        processor takes seconds for it. Raises DeviceTimeout, DeviceLost.
        """
        until = time.monotonic() + min(seconds, self.seconds)
        stream = self.start(f"echo ok\n{question}", seconds)
        out = b""
        ended = False
        try:
            stream.close_input()
            while b"\n" not in out and not ended and time.monotonic() < until:
                _, got, ended = stream.exchange(memoryview(b""), until)
                out += got
            first, _, rest = out.partition(b"\n")
            if first.strip() != b"ok":
                return None
            answer = (
                rest + stream.finish(b"", time.monotonic() + min(ANSWER_SECONDS, self.seconds)).out
            )
            return answer.decode("utf-8", "replace")
        except TimeoutError:
            if out.startswith(b"ok"):
                return ""
            raise DeviceTimeout(
                f"device {self.serial}: 'echo ok' did not end within {seconds:g} s"
            ) from None
        finally:
            stream.close()

    def state(self, until: float) -> str:
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

    def attach(self) -> None:
        """Connect to a device of the network; it fails in silence."""
        # It may block for 10 s and more; the states tell how it went.
        with contextlib.suppress(InfraError, TargetError):
            self.client.attach(self.serial, ATTACH_SECONDS)

    # ---- commands ----

    def start(self, command: str, seconds: float | None = None) -> ShellStream:
        """Start a command of the device's shell. Raises DeviceLost, DeviceTimeout.

        `seconds` is the deadline for starting it; whoever reads sets the others.
        """
        seconds = seconds or self.seconds
        link = self.client.open(self.serial, f"shell,v2,raw:{command}", time.monotonic() + seconds)
        return ShellStream(link, self.serial)

    def shell(self, command: str, seconds: float | None = None, data: bytes = b"") -> Completed:
        """Run a command to its end, with an absolute deadline.

        Raises DeviceTimeout, after which the device ends the command; DeviceLost.
        """
        seconds = seconds or self.seconds
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


class _Reach:
    """One wait for a device: what was tried, when, and what it said last."""

    def __init__(self, device: Device, seconds: float, listed: float | None, question: str) -> None:
        self._device = device
        self._seconds = seconds
        self._question = question
        self._until = time.monotonic() + seconds
        self._network = is_network(device.serial)
        unlisted = listed if listed is not None and not self._network else None
        self._unlisted_until = None if unlisted is None else time.monotonic() + unlisted
        self._attached = self._refused = 0.0
        self._probe = PROBE_SECONDS
        self._attempt: threading.Thread | None = None
        self._why = ""

    def answer(self) -> str:
        """Wait; returns and raises as `Device.reach` does."""
        while True:
            state, now = self._device.state(self._until), time.monotonic()
            if self._unlisted_until is not None:
                if state == "absent":
                    self._wait_listed(self._unlisted_until, now)
                    continue
                self._unlisted_until, self._until = None, now + self._seconds
            if state == "device":
                answer = self._asked(now)
                if answer is not None:
                    return answer
            if state in REFUSALS:
                self._refused = self._refused or now
                if now - self._refused > REFUSALS[state]:
                    raise TargetError(unauthorized(self._device.serial))
            elif self._network and state != "device":
                self._connect(state, now)
            self._give_up(state, now)
            time.sleep(0.05 if state != "absent" else 0.02)

    def _asked(self, now: float) -> str | None:
        """Return the answer of a device that seems to be there; None if it runs no commands."""
        try:
            self._device.check_features()
            answer = self._device.probe(self._question, self._probe)
            if answer is None:
                self._why = "commands do not work"
            return answer
        except InfraError as error:
            if isinstance(error, DeviceTimeout):
                self._probe *= 2  # an emulated processor takes its time
                self._question = ""  # which may be what it hangs at
            self._why = str(error)
        if self._network and now - self._attached >= AGAIN_SECONDS:
            # Connected in name only: adb notices a silent device late or never.
            self._attached = now
            self._device.client.detach(self._device.serial)
        return None

    def _connect(self, state: str, now: float) -> None:
        """Begin to connect, unless an attempt is under way."""
        # An attempt that has ended without effect is repeated soon; one that is still
        # under way may hang for as long as it likes.
        alive = self._attempt is not None and self._attempt.is_alive()
        if now - self._attached < (AGAIN_SECONDS if alive else SOON_SECONDS):
            return
        self._attached = now
        if state != "absent":
            self._device.client.detach(self._device.serial)
        self._attempt = threading.Thread(target=self._device.attach, daemon=True)
        self._attempt.start()

    def _wait_listed(self, until: float, now: float) -> None:
        """Wait a moment for adb to list the device. Raises TargetError when time is up."""
        if now >= until:
            listed = self._device.client.states()
            raise TargetError(not_listed(f"there is no device {self._device.serial}", listed))
        time.sleep(0.05)

    def _give_up(self, state: str, now: float) -> None:
        """Raise InfraError when time is up."""
        serial = self._device.serial
        if now < self._until:
            return
        last = f" (last: {self._why})" if self._why else ""
        cure = (
            "is it up, and is this its adb port?"
            if self._network
            else "is it plugged in, and does `adb devices` list it?"
        )
        raise InfraError(f"device {serial} is {state} after {self._seconds:g} s{last}: {cure}")
