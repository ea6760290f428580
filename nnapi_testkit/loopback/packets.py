"""Packets of the adb protocol, and streams multiplexed over one connection, device side."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from enum import IntEnum

__all__ = ["Command", "Stream", "Transport"]

HEADER = struct.Struct("<6I")
VERSION = 0x01000001  # packets carry no checksum
MAX_DATA = 1 << 20
AUTH_TOKEN, AUTH_SIGNATURE = 1, 2


class Command(IntEnum):
    """What a packet is, as little-endian letters."""

    CNXN = 0x4E584E43
    AUTH = 0x48545541
    OPEN = 0x4E45504F
    OKAY = 0x59414B4F
    WRTE = 0x45545257
    CLSE = 0x45534C43


class Stream:
    """One service at work: bytes from and to the host, one write in flight."""

    def __init__(self, transport: Transport, ours: int, theirs: int, service: str) -> None:
        self.service = service
        self._transport = transport
        self._ours = ours
        self._theirs = theirs
        self._arrived: deque[bytes] = deque()
        self._change = threading.Condition()
        self._ready = True  # the last write was acknowledged
        self.closed = False

    def read(self) -> bytes:
        """Return what the host sent next; empty once the stream is closed."""
        with self._change:
            while not self._arrived and not self.closed:
                self._change.wait()
            if not self._arrived:
                return b""
            data = self._arrived.popleft()
        # Acknowledged when it is taken: so a slow service slows the host down.
        self._transport.send(Command.OKAY, self._ours, self._theirs)
        return data

    def write(self, data: bytes) -> None:
        """Send all of `data`. Raises BrokenPipeError when the stream is closed."""
        view = memoryview(data)
        while view:
            with self._change:
                while not self._ready and not self.closed:
                    self._change.wait()
                if self.closed:
                    raise BrokenPipeError
                self._ready = False
            piece = view[: min(self._transport.max_data, self._transport.piece_bytes)]
            self._transport.send(Command.WRTE, self._ours, self._theirs, bytes(piece))
            view = view[len(piece) :]

    def wait_closed(self, timeout: float | None = None) -> bool:
        """Wait until the host or the connection has closed the stream."""
        with self._change:
            return self._change.wait_for(lambda: self.closed, timeout)

    def close(self) -> None:
        """End the stream, all written data being delivered."""
        with self._change:
            self._change.wait_for(lambda: self._ready or self.closed, 30)
            if self.closed:
                return
        self._transport.forget(self._ours)
        self._transport.send(Command.CLSE, self._ours, self._theirs)
        self.hang_up()

    def hang_up(self) -> None:
        """Take note that no more can be sent."""
        with self._change:
            self.closed = True
            self._change.notify_all()

    def arrived(self, data: bytes) -> None:
        """Take bytes from the host."""
        with self._change:
            self._arrived.append(data)
            self._change.notify_all()

    def acknowledged(self) -> None:
        """Take note that the last write has arrived."""
        with self._change:
            self._ready = True
            self._change.notify_all()


class Transport:
    """One connection from an adb server.

    Args:
        link: the connected socket.
        banner: what the device says about itself.
        serve: handles a stream in a thread of its own; False refuses the service.
        sent: told the bytes of each packet; False breaks the connection in the middle of it.
        authorized: whether hosts are let in.
    """

    def __init__(
        self,
        link: socket.socket,
        banner: str,
        serve: Callable[[Stream], bool],
        sent: Callable[[int], bool],
        authorized: bool,
    ) -> None:
        self._link = link
        self._banner = banner
        self._serve = serve
        self._sent = sent
        self._authorized = authorized
        self._sending = threading.Lock()
        self._streams: dict[int, Stream] = {}
        self._next = 1
        self.max_data = MAX_DATA
        self.piece_bytes = MAX_DATA  # at most so much of a stream goes into one packet
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self) -> None:
        """Serve until the connection ends."""
        try:
            while True:
                header = self._receive(HEADER.size)
                command, first, second, length, _, magic = HEADER.unpack(header)
                if magic != command ^ 0xFFFFFFFF or length > MAX_DATA:
                    return
                self._handle(command, first, second, self._receive(length))
        except OSError:
            return
        finally:
            self.break_off()

    def break_off(self) -> None:
        """Close the connection and so all streams."""
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)
        self._link.close()
        for stream in list(self._streams.values()):
            stream.hang_up()
        self._streams.clear()

    def send(self, command: Command, first: int, second: int, data: bytes = b"") -> None:
        """Send one packet; an ended connection is found by whoever reads."""
        header = HEADER.pack(command, first, second, len(data), 0, command ^ 0xFFFFFFFF)
        packet = header + data
        with self._sending, contextlib.suppress(OSError):
            if not self._sent(len(packet)):
                self._link.sendall(packet[: len(packet) // 2])
                self._link.shutdown(socket.SHUT_RDWR)
                return
            self._link.sendall(packet)

    def forget(self, ours: int) -> None:
        """Drop a stream that has ended."""
        self._streams.pop(ours, None)

    def _receive(self, count: int) -> bytes:
        parts = []
        while count > 0:
            part = self._link.recv(count)
            if not part:
                raise ConnectionError
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def _handle(self, command: int, first: int, second: int, data: bytes) -> None:
        if command == Command.CNXN:
            self.max_data = min(second, MAX_DATA)
            if self._authorized:
                self.send(Command.CNXN, VERSION, MAX_DATA, self._banner.encode())
            else:
                self.send(Command.AUTH, AUTH_TOKEN, 0, bytes(range(20)))
        elif command == Command.AUTH and first == AUTH_SIGNATURE:
            # No key is known here: another try, and to the public key at the end only silence,
            # as long as nobody touches the screen.
            self.send(Command.AUTH, AUTH_TOKEN, 0, bytes(range(20)))
        elif command == Command.OPEN and self._authorized:
            self._open(first, data.rstrip(b"\0").decode("utf-8", "replace"))
        elif command in (Command.WRTE, Command.OKAY, Command.CLSE):
            stream = self._streams.get(second)
            if stream is None:
                if command == Command.WRTE:
                    self.send(Command.CLSE, 0, first)
            elif command == Command.WRTE:
                stream.arrived(data)
            elif command == Command.OKAY:
                stream.acknowledged()
            else:
                self.forget(second)
                stream.hang_up()

    def _open(self, theirs: int, service: str) -> None:
        ours, self._next = self._next, self._next + 1
        stream = Stream(self, ours, theirs, service)
        self._streams[ours] = stream
        self.send(Command.OKAY, ours, theirs)
        if not self._serve(stream):
            self.forget(ours)
            self.send(Command.CLSE, ours, theirs)
            stream.hang_up()
