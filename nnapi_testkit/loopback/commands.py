"""The shell and exec services: commands of the device, run by this machine's shell."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from nnapi_testkit.loopback.packets import Stream

__all__ = ["FrameRelay", "Shell"]

PACKET = struct.Struct("<BI")
STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)
READ_SIZE = 1 << 16
# Head of a frame of the runner (docs/wire-format.md): magic, version, kind, length, checksum.
FRAME = struct.Struct("<4sHHII")
MAGIC, RESULT = b"NNTK", 18


class FrameRelay:
    """Cuts a runner's output behind each result, so that failures can strike between two."""

    def __init__(self) -> None:
        self._left = 0  # bytes until the current frame ends
        self._is_result = False
        self._head = b""

    def cut(self, data: bytes) -> Iterator[tuple[bytes, bool]]:
        """Yield pieces of `data` with whether one ends a result."""
        at = start = 0
        while at < len(data):
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
                at += step
            else:
                taken = data[at : at + FRAME.size - len(self._head)]
                self._head += taken
                at += len(taken)
                if len(self._head) < FRAME.size:
                    break
                magic, _, kind, length, _ = FRAME.unpack(self._head)
                self._head = b""
                self._is_result = kind == RESULT
                self._left = length if magic == MAGIC else 1 << 62
            if self._left == 0 and self._is_result:
                yield data[start:at], True
                start = at
                self._is_result = False
        if start < len(data):
            yield data[start:], False


class Shell:
    """One command at work.

    Args:
        stream: the host's end.
        command: for `/bin/sh -c`; empty reads commands from the host.
        environment: of the command.
        version_2: packets with exit code; otherwise raw bytes, both outputs in one.
        result: called for each result of a runner; what strikes right behind it, or None. What
            strikes says whether the command's further output is still heard.
        slow_bytes: bytes of output in a second, 0 for no limit.
        folder: where the command begins; a device's root.
        shell: that runs it.
    """

    def __init__(
        self,
        stream: Stream,
        command: str,
        environment: Mapping[str, str],
        *,
        version_2: bool,
        result: Callable[[], Callable[[Shell], bool] | None] | None = None,
        slow_bytes: int = 0,
        folder: Path,
        shell: str = "/bin/sh",
    ) -> None:
        self._stream = stream
        self._version_2 = version_2
        self._result = result
        self._slow_bytes = slow_bytes
        self._writing = threading.Lock()
        # As in adbd, one socket is both standard input and standard output of a raw command.
        self._line, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [shell, *(["-c", command] if command else [])],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.PIPE if version_2 else subprocess.STDOUT,
                env=dict(environment),
                cwd=folder,
                start_new_session=True,
                bufsize=0,
            )

    def run(self) -> None:
        """Serve until the command has ended or the host has hung up."""
        process = self.process
        pumps = [threading.Thread(target=self._feed, daemon=True)]
        read = partial(self._line.recv, READ_SIZE)
        pumps.append(threading.Thread(target=self._drain, args=(read, STDOUT)))
        if process.stderr:
            read = partial(process.stderr.read, READ_SIZE)
            pumps.append(threading.Thread(target=self._drain, args=(read, STDERR)))
        for pump in pumps:
            pump.start()
        for pump in pumps[1:]:
            pump.join()
        if process.stderr:
            process.stderr.close()
        status = process.wait()
        with contextlib.suppress(BrokenPipeError):
            if self._version_2:
                code = 0x80 | -status if status < 0 else status & 0xFF
                self._stream.write(PACKET.pack(EXIT, 1) + bytes([code]))
            self._stream.close()
        self.kill(signal.SIGKILL)  # what the command left in the background
        pumps[0].join()
        self._line.close()

    def kill(self, number: int) -> None:
        """Signal the command and what it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def _feed(self) -> None:
        line = self._line
        pending = bytearray()
        while True:
            data = self._stream.read()
            if not data:
                break
            try:
                if not self._version_2:
                    line.sendall(data)
                    continue
                pending += data
                while len(pending) >= PACKET.size:
                    kind, length = PACKET.unpack_from(pending)
                    if len(pending) < PACKET.size + length:
                        break
                    body = bytes(pending[PACKET.size : PACKET.size + length])
                    del pending[: PACKET.size + length]
                    if kind == STDIN:
                        line.sendall(body)
                    elif kind == CLOSE_STDIN:
                        line.shutdown(socket.SHUT_WR)
            except OSError:
                continue  # the command reads no more; what comes is dropped
        # The host has hung up. The command, not what it has started, is told so; whether it ends
        # is its own business.
        with contextlib.suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGHUP)

    def _drain(self, read: Callable[[], bytes], kind: int) -> None:
        relay = FrameRelay() if self._result and kind == STDOUT else None
        with contextlib.suppress(BrokenPipeError, OSError):
            while data := read():
                if relay is None:
                    self._send(kind, data)
                    continue
                held = b""
                for piece, ends in relay.cut(data):
                    held += piece
                    strike = self._result() if ends and self._result else None
                    if strike:
                        self._send(kind, held)
                        held = b""
                        if not strike(self):
                            return  # the host hears nothing of what comes after this
                if held:
                    self._send(kind, held)

    def _send(self, kind: int, data: bytes) -> None:
        step = max(1, self._slow_bytes // 20) if self._slow_bytes else len(data)
        for at in range(0, len(data), step):
            piece = data[at : at + step]
            with self._writing:
                head = PACKET.pack(kind, len(piece)) if self._version_2 else b""
                self._stream.write(head + piece)
            if self._slow_bytes:
                time.sleep(len(piece) / self._slow_bytes)
