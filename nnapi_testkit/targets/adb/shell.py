"""Commands on a device over shell protocol 2: bytes both ways, standard error, exit code."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from dataclasses import dataclass

from nnapi_testkit.targets.adb.client import DeviceLost, Link, translated
from nnapi_testkit.targets.channel import Exchanged

__all__ = ["Completed", "ShellStream"]

PACKET = struct.Struct("<BI")
STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)
PIECE = 1 << 16  # bytes of input in one packet
READ_SIZE = 1 << 18
ERRORS_KEPT = 2048


@dataclass(frozen=True, slots=True)
class Completed:
    """How a command ended: exit code (128 + signal for a killed one) and what it wrote."""

    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        """Its output as text, without the last line break."""
        return self.out.decode("utf-8", "replace").rstrip("\r\n")


class ShellStream:
    """One command at work; a `Channel`.

    Args:
        link: an open `shell,v2` stream.
        serial: for messages.
    """

    def __init__(self, link: Link, serial: str) -> None:
        self._serial = serial
        self._link = link
        self._socket = link.conn
        self._socket.setblocking(False)
        self._outgoing = bytearray()
        self._incoming = bytearray()
        self._ended = False
        self.code: int | None = None
        self.errors = b""  # the last of its standard error

    @property
    def pid(self) -> int | None:
        """Always None: it runs elsewhere."""
        return None

    def exchange(self, data: memoryview, until: float) -> Exchanged:
        """See `Channel.exchange`. Raises DeviceLost if the device goes."""
        written = 0
        if self._ended:
            return Exchanged(-1, b"", True)
        if data and len(self._outgoing) < PIECE:
            piece = data[:PIECE]
            self._outgoing += PACKET.pack(STDIN, len(piece)) + piece
            written = len(piece)
        readable, _ = self._wait(until, at_once=written > 0)
        out = b""
        if readable:
            with translated(self._serial, "a command"), contextlib.suppress(BlockingIOError):
                got = self._socket.recv(READ_SIZE)
                if not got:
                    self._ended = True
                    if self.code is None:
                        raise DeviceLost(f"device {self._serial}: the connection broke off")
                self._incoming += got
                out = self._unpack()
        if self.code is not None:
            self._ended = True
        return Exchanged(written, out, self._ended)

    def _wait(self, until: float, *, at_once: bool) -> tuple[bool, bool]:
        """Wait for input or room for output; send what fits."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN | (select.POLLOUT if self._outgoing else 0))
        left = 0.0 if at_once else max(0.0, until - time.monotonic())
        events = poll.poll(left * 1000)
        if not events and not at_once:
            raise TimeoutError
        event = events[0][1] if events else 0
        sent = False
        if event & select.POLLOUT and self._outgoing:
            with translated(self._serial, "a command"), contextlib.suppress(BlockingIOError):
                count = self._socket.send(self._outgoing)
                del self._outgoing[:count]
                sent = True
        return bool(event & (select.POLLIN | select.POLLHUP | select.POLLERR)), sent

    def _unpack(self) -> bytes:
        out = bytearray()
        at, pending = 0, self._incoming
        while len(pending) - at >= PACKET.size:
            kind, length = PACKET.unpack_from(pending, at)
            end = at + PACKET.size + length
            if len(pending) < end:
                break
            body = pending[at + PACKET.size : end]
            at = end
            if kind == STDOUT:
                out += body
            elif kind == STDERR:
                self.errors = (self.errors + body)[-ERRORS_KEPT:]
            elif kind == EXIT and length == 1:
                self.code = body[0]
        del pending[:at]
        return bytes(out)

    @property
    def killed(self) -> int:
        """See `Channel.killed`: a device ends processes for reasons of its own, so never."""
        return 0

    def close_input(self) -> None:
        """See `Channel.close_input`."""
        self._outgoing += PACKET.pack(CLOSE_STDIN, 0)

    def ending(self, patience: float) -> str:
        """See `Channel.ending`."""
        until = time.monotonic() + patience
        with contextlib.suppress(TimeoutError, DeviceLost):
            while not self._ended:
                self.exchange(memoryview(b""), until)
        if self.code is None:
            return "has lost its device"
        said = self.errors.decode("utf-8", "replace").strip().splitlines()
        last = f" ({said[-1][:200]})" if said else ""
        how = f"was killed by signal {self.code & 0x7F}" if self.code & 0x80 else ""
        return f"{how or f'left with status {self.code}'}{last}"

    def close(self) -> None:
        """Hang up; the device then ends the command."""
        self._ended = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._link.close()

    def finish(self, data: bytes, until: float) -> Completed:
        """Send `data` and the end of the input, return all there is to know.

        Raises TimeoutError after `until`, DeviceLost if the device goes.
        """
        left = memoryview(data)
        out = bytearray()
        closed = False
        while not self._ended:
            if not left and not closed:
                self.close_input()
                closed = True
            if time.monotonic() > until:
                raise TimeoutError  # it talks, and does not come to an end
            written, got, _ = self.exchange(left, until)
            left = memoryview(b"") if written < 0 else left[written:]
            out += got
        return Completed(self.code if self.code is not None else -1, bytes(out), self.errors)
