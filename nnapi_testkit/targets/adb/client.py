"""A thin layer over adbutils: absolute deadlines, errors with their reason, no hidden servers."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator, Mapping

import adbutils

from nnapi_testkit.targets.adb.server import Server, is_named, is_network, server_of, shared_server
from nnapi_testkit.targets.base import InfraError, TargetError

__all__ = [
    "Client",
    "DeviceLost",
    "DeviceTimeout",
    "Link",
    "not_listed",
    "server_for",
    "translated",
]

MAX_SERVICE = 32_000  # adb's length has four hexadecimal digits; what is longer belongs on stdin


class DeviceLost(InfraError):
    """The device, or the way to it, is gone."""


class DeviceTimeout(InfraError):
    """The device did not answer in time."""


class Link(adbutils.AdbConnection):
    """A connection to an adb server.

    adbutils starts a server on the wrong port when none answers, waits 10 ms in each `close`, and
    counts time-outs from the last byte; here none of that happens.

    Args:
        server: which one.
        until: `time.monotonic()` after which waiting ends with TimeoutError.
    """

    def __init__(self, server: Server, until: float) -> None:
        self.until = until
        self._server = server
        super().__init__(server.host, server.port)

    def _safe_connect(self) -> socket.socket:
        link = socket.create_connection((self._server.host, self._server.port), self.left())
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return link

    def left(self) -> float:
        """Return the seconds left. Raises TimeoutError if there are none."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def recv(self, n: int) -> bytes:
        """Return up to n bytes, before the deadline."""
        self.conn.settimeout(self.left())
        return bytes(self.conn.recv(n))

    def _read_fully(self, n: int) -> bytes:
        got = bytearray()
        while len(got) < n:
            data = self.recv(n - len(got))
            if not data:
                raise EOFError("adb closed the connection")
            got += data
        return bytes(got)

    def send_all(self, data: bytes) -> None:
        """Send all of `data`, before the deadline."""
        self.conn.settimeout(self.left())
        self.conn.sendall(data)

    def send_command(self, cmd: str) -> None:
        """Send a request of the server's protocol and take its OKAY.

        Raises AdbError with the server's reason for a FAIL.
        """
        data = cmd.encode()
        if len(data) > MAX_SERVICE:
            raise ValueError(f"a command of {len(data)} bytes is too long for adb")
        self.send_all(b"%04x%b" % (len(data), data))

    def close(self) -> None:
        """Close; a second call does nothing."""
        if not self.closed:
            conn = self.conn
            self._AdbConnection__conn = None
            conn.close()


@contextlib.contextmanager
def translated(serial: str, doing: str) -> Iterator[None]:
    """Turn whatever adbutils and sockets raise into errors of one line."""
    try:
        yield
    except (TimeoutError, adbutils.AdbTimeout):
        raise DeviceTimeout(f"device {serial}: no answer in time to {doing}") from None
    except EOFError:
        raise DeviceLost(f"device {serial}: the connection broke off during {doing}") from None
    except adbutils.AdbError as error:
        reason = " ".join(str(error).split())
        if "unauthorized" in reason:
            raise TargetError(unauthorized(serial)) from None
        raise DeviceLost(f"device {serial}: {doing}: {reason}") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DeviceLost(f"device {serial}: {doing}: {reason}") from None


def unauthorized(serial: str) -> str:
    """Return the message for a device that does not know our key."""
    return (
        f"device {serial} is unauthorized: allow USB debugging on its screen, or give adb a key it"
        " knows in ADB_VENDOR_KEYS"
    )


def not_listed(what: str, listed: Mapping[str, str]) -> str:
    """Return the message for a device that adb does not list.

    Args:
        what: begins the sentence.
        listed: serials with their states.
    """
    others = ", ".join(
        serial if state == "device" else f"{serial} ({state})"
        for serial, state in sorted(listed.items())
    )
    return (
        f"{what} (adb lists {others or 'no devices'}): plug one in and allow USB debugging, start"
        " the emulator, or name a device that is there (of the network: adb:HOST:PORT);"
        " NNAPI_TESTKIT_ADB_PATIENCE=listed=120 waits 120 s for one that appears late"
    )


class Client(adbutils.AdbClient):
    """What the server is asked; every call has a deadline of its own.

    Args:
        server: which one.
    """

    def __init__(self, server: Server) -> None:
        super().__init__(server.host, server.port)
        self.server = server
        self.seconds = 10.0

    def make_connection(self, timeout: float | None = None) -> Link:
        """Return a connection that is good for `timeout` seconds."""
        return Link(self.server, time.monotonic() + (timeout or self.seconds))

    def states(self) -> dict[str, str]:
        """Return serials with their states, connected or not.

        Raises DeviceLost when the server is gone.
        """
        with translated("adb", "listing devices"):
            return {info.serial: info.state for info in self.list()}

    def attach(self, serial: str, seconds: float) -> str:
        """Ask for a connection to a network device; return the server's words, which mean little.

        Only the state that `states` gives afterwards tells whether there is one.
        """
        with translated(serial, "connecting"):
            return str(self.connect(serial, timeout=seconds))

    def detach(self, serial: str) -> None:
        """Forget a network device, whatever state it is in."""
        with contextlib.suppress(InfraError), translated(serial, "disconnecting"):
            self.disconnect(serial)

    def open(self, serial: str, service: str, until: float) -> Link:
        """Return a stream to a service of the device. Raises DeviceLost, DeviceTimeout."""
        with translated(serial, f"opening {service.partition(':')[0]}"):
            link = Link(self.server, until)
            try:
                link.send_command(f"host:transport:{serial}")
                link.check_okay()
                link.send_command(service)
                link.check_okay()
            except BaseException:
                link.close()
                raise
            return link

    def features(self, serial: str) -> frozenset[str]:
        """Return what the device says it can."""
        with translated(serial, "asking for features"), self.make_connection() as link:
            link.send_command(f"host-serial:{serial}:features")
            link.check_okay()
            return frozenset(link.read_string_block().split(","))


def server_for(serial: str) -> Server:
    """Return the server to ask for a device: the user's if that one has it already.

    Two servers on one device take turns in losing it. Raises TargetError or InfraError.
    """
    if is_network(serial) and not is_named():
        theirs = shared_server()
        if theirs is not None:
            with contextlib.suppress(InfraError):
                if Client(theirs).states().get(serial) == "device":
                    return theirs
    return server_of(serial)
