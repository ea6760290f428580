"""The shell and exec services: commands of the device, run by this machine's shell."""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import IO

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
    ) -> None:
        self._stream = stream
        self._version_2 = version_2
        self._result = result
        self._slow_bytes = slow_bytes
        self._writing = threading.Lock()
        self.process = subprocess.Popen(
            ["/bin/sh", *(["-c", command] if command else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if version_2 else subprocess.STDOUT,
            env=dict(environment),
            cwd=environment["TMPDIR"],
            start_new_session=True,
            bufsize=0,
        )

    def run(self) -> None:
        """Serve until the command has ended or the host has hung up."""
        process = self.process
        assert process.stdin and process.stdout
        pumps = [threading.Thread(target=self._feed, args=(process.stdin,), daemon=True)]
        pumps.append(threading.Thread(target=self._drain, args=(process.stdout, STDOUT)))
        if process.stderr:
            pumps.append(threading.Thread(target=self._drain, args=(process.stderr, STDERR)))
        for pump in pumps:
            pump.start()
        for pump in pumps[1:]:
            pump.join()
        status = process.wait()
        with contextlib.suppress(BrokenPipeError):
            if self._version_2:
                code = 0x80 | -status if status < 0 else status & 0xFF
                self._stream.write(PACKET.pack(EXIT, 1) + bytes([code]))
            self._stream.close()
        self.kill(signal.SIGKILL)  # what the command left in the background

    def kill(self, number: int) -> None:
        """Signal the command and what it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def _feed(self, pipe: IO[bytes]) -> None:
        pending = bytearray()
        while True:
            data = self._stream.read()
            if not data:
                break
            try:
                if not self._version_2:
                    pipe.write(data)
                    continue
                pending += data
                while len(pending) >= PACKET.size:
                    kind, length = PACKET.unpack_from(pending)
                    if len(pending) < PACKET.size + length:
                        break
                    body = bytes(pending[PACKET.size : PACKET.size + length])
                    del pending[: PACKET.size + length]
                    if kind == STDIN:
                        _write_all(pipe, body)
                    elif kind == CLOSE_STDIN:
                        pipe.close()
            except (OSError, ValueError):
                continue  # the command reads no more; what comes is dropped
        with contextlib.suppress(OSError):
            pipe.close()
        self.kill(signal.SIGHUP)
        # A device's init would reap what ignores that; a test must not leave it behind.
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            self.kill(signal.SIGKILL)

    def _drain(self, pipe: IO[bytes], kind: int) -> None:
        relay = FrameRelay() if self._result and kind == STDOUT else None
        with contextlib.suppress(BrokenPipeError, OSError):
            while data := pipe.read(READ_SIZE):
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
                            # What was computed after this moment never was.
                            pipe.close()
                            return
                if held:
                    self._send(kind, held)
        pipe.close()

    def _send(self, kind: int, data: bytes) -> None:
        step = max(1, self._slow_bytes // 20) if self._slow_bytes else len(data)
        for at in range(0, len(data), step):
            piece = data[at : at + step]
            with self._writing:
                head = PACKET.pack(kind, len(piece)) if self._version_2 else b""
                self._stream.write(head + piece)
            if self._slow_bytes:
                time.sleep(len(piece) / self._slow_bytes)


def _write_all(pipe: IO[bytes], data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[pipe.write(view) or 0 :]
