"""The adb server that a device is asked through: one of our own where that is possible."""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import adbutils

from nnapi_testkit.targets.base import InfraError, TargetError

__all__ = ["Server", "own_server", "server_of", "shared_server"]

DEFAULT_PORT = 5037
START_SECONDS = 20.0
NAMING = (
    "ANDROID_ADB_SERVER_ADDRESS",
    "ANDROID_ADB_SERVER_HOST",
    "ANDROID_ADB_SERVER_PORT",
    "ADB_SERVER_SOCKET",
)
# The server ends with us even when we are killed: then the pipe that the reader waits on closes.
# The shell ends with the server, so that a server that crashed is noticed.
KEEPER = (
    'trap "" INT; exec 3<&0 <&-; "$@" 3<&- & child=$!; '
    '{ read -r _ <&3; kill "$child"; } 2>&- & reader=$!; exec 3<&-; '
    'wait "$child"; kill "$reader" 2>&-'
)


@dataclass(frozen=True, slots=True)
class Server:
    """Where an adb server listens, and whether this process started it."""

    host: str
    port: int
    own: bool


class _Own:
    """The server of this process: private port, private key, ended at exit."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.server: Server | None = None
        self._keeper: subprocess.Popen[bytes] | None = None
        self._home: tempfile.TemporaryDirectory[str] | None = None

    def start(self) -> Server:
        if self.server is not None and self._keeper is not None and self._keeper.poll() is None:
            return self.server
        # There is none yet, or it died: adb 29 does when a device that does not answer is given
        # up while it still tries to connect.
        self.stop()
        self._home = tempfile.TemporaryDirectory(prefix="nnapi-testkit-adb-")
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = int(probe.getsockname()[1])
        environment = dict(os.environ)
        # Its own key, and the user's as a second one: devices that trust this machine still do.
        users = Path.home() / ".android" / "adbkey"
        vendor = [environment.get("ADB_VENDOR_KEYS", ""), str(users) if users.is_file() else ""]
        environment["ADB_VENDOR_KEYS"] = ":".join(filter(None, vendor))
        environment["HOME"] = self._home.name
        environment.pop("ANDROID_SERIAL", None)
        environment.pop("ADB_SERVER_SOCKET", None)
        # Network devices only: phones on USB and emulators belong to the user's own server, and
        # two servers on one device take turns in losing it.
        environment.update(ADB_USB="0", ADB_EMU="0", ADB_MDNS="0")
        environment["ADB_LOCAL_TRANSPORT_MAX_PORT"] = "5553"
        environment["ANDROID_ADB_SERVER_PORT"] = str(port)
        command = [newest_adb(), "-P", str(port), "nodaemon", "server"]
        self._keeper = subprocess.Popen(
            ["/bin/sh", "-c", KEEPER, "adb-server", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        until = time.monotonic() + START_SECONDS
        while not listens("127.0.0.1", port):
            if self._keeper.poll() is not None or time.monotonic() > until:
                self.stop()
                raise InfraError(
                    f"the adb server does not start: run {command[0]} -P {port} nodaemon server to"
                    " see why"
                )
            time.sleep(0.02)
        self.server = Server("127.0.0.1", port, True)
        return self.server

    def stop(self) -> None:
        self.server = None
        keeper, self._keeper = self._keeper, None
        if keeper is not None and keeper.stdin is not None:
            with contextlib.suppress(OSError):
                keeper.stdin.close()
            try:
                keeper.wait(5)
            except subprocess.TimeoutExpired:
                keeper.kill()
                keeper.wait()
        if self._home is not None:
            self._home.cleanup()
            self._home = None


_OWN = _Own()
atexit.register(_OWN.stop)


def adb_program() -> str:
    """Return the adb to start. Raises TargetError if there is none."""
    try:
        return str(adbutils.adb_path())
    except adbutils.AdbError:
        raise TargetError(
            "there is no adb: install it (Debian, Ubuntu: apt-get install adb) or set"
            " ADBUTILS_ADB_PATH to its path"
        ) from None


def newest_adb() -> str:
    """Return the adb for a server that no other client talks to: the wheel's, where it has one.

    Distributions ship adb 29, which crashes when a device is given up at the moment in which the
    attempt to connect to it fails; adb 36 does not. Raises TargetError if there is none.
    """
    bundled = Path(adbutils.__file__).parent / "binaries" / "adb"
    if "ADBUTILS_ADB_PATH" not in os.environ and os.access(bundled, os.X_OK):
        return str(bundled)
    return adb_program()


def listens(host: str, port: int) -> bool:
    """Return whether someone accepts connections there."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def own_server() -> Server:
    """Return this process's own server, started if need be. Raises InfraError, TargetError."""
    with _OWN.lock:
        return _OWN.start()


def shared_server() -> Server | None:
    """Return a server that the environment names, or else one at adb's usual port."""
    host = os.environ.get("ANDROID_ADB_SERVER_ADDRESS") or os.environ.get("ANDROID_ADB_SERVER_HOST")
    port = os.environ.get("ANDROID_ADB_SERVER_PORT")
    named = os.environ.get("ADB_SERVER_SOCKET", "")
    if named.startswith("tcp:"):
        first, _, last = named[4:].rpartition(":")
        host, port = first or "127.0.0.1", last
    if host or port:
        if port and not port.isdecimal():
            raise TargetError(f"the adb server's port {port!r} is not a number")
        return Server(host or "127.0.0.1", int(port or DEFAULT_PORT), False)
    if listens("127.0.0.1", DEFAULT_PORT):
        return Server("127.0.0.1", DEFAULT_PORT, False)
    return None


def server_of(serial: str) -> Server:
    """Return the server to ask for a device.

    A device behind a network address is asked through our own server, unless the environment
    names another one (`client.server_for` looks at the user's first). Phones on USB and
    emulators belong to the server that already holds them.
    Raises TargetError or InfraError if there is none.
    """
    if is_network(serial) and not is_named():
        return own_server()
    server = shared_server()
    if server is None:
        program = adb_program()
        done = subprocess.run(
            [program, "start-server"], capture_output=True, timeout=START_SECONDS, text=True
        )
        if done.returncode:
            raise InfraError(f"{program} start-server: {done.stderr.strip()[-200:]}")
        server = Server("127.0.0.1", DEFAULT_PORT, False)
    elif not listens(server.host, server.port):
        raise TargetError(
            f"no adb server listens at {server.host}:{server.port}, as the environment says:"
            " start it, or unset ANDROID_ADB_SERVER_PORT"
        )
    return server


def is_named() -> bool:
    """Return whether the environment says which server to use."""
    return any(os.environ.get(name) for name in NAMING)


def is_network(serial: str) -> bool:
    """Return whether a serial is an address that adb connects to."""
    host, colon, port = serial.rpartition(":")
    return bool(colon and host and port.isdecimal())
