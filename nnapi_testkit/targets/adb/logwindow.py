"""The device's log while cases run: whose process crashed, and the lines around it."""

from __future__ import annotations

import contextlib
import re
import time
from collections import deque
from dataclasses import dataclass

from nnapi_testkit.targets.adb.device import Device
from nnapi_testkit.targets.adb.shell import ShellStream
from nnapi_testkit.targets.base import InfraError

__all__ = ["Crash", "LogWindow"]

LINES_KEPT = 2000
FATAL = re.compile(r"Fatal signal (\d+) \((\w+)\).*\bpid (\d+) \(([^)]*)\)")
HEADLINE = re.compile(r"pid: (\d+), tid: \d+, name: .* >>> (\S.*?) <<<")
# Processes that NNAPI drivers live in; never the runner, whose crashes the runner itself reports.
SERVICE = re.compile(
    r"neuralnetworks|nnapi|/vendor/|/odm/|vendor\.|android\.hardware|edgetpu|hexagon|\bnpu|\bdsp",
    re.IGNORECASE,
)
OURS = "nnapi-runner"
DIVIDER = "--------- "  # logcat's own line where a buffer begins


@dataclass(frozen=True, slots=True)
class Crash:
    """A process of the device that died.

    Args:
        process: its name, as long as the log tells it.
        signal: `SIGSEGV` and the like; empty if the log does not say.
        pid: its process id.
    """

    process: str
    signal: str
    pid: int

    @property
    def is_service(self) -> bool:
        """Whether this may be the process of an NNAPI driver."""
        return OURS not in self.process and bool(SERVICE.search(self.process))


class LogWindow:
    """Follows `logcat` in one stream; read between cases, without a thread.

    A device without a log gives an empty window.

    Args:
        device: whose log.
    """

    def __init__(self, device: Device) -> None:
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._pending = b""
        self._crashes: dict[int, Crash] = {}
        self._told: set[int] = set()
        self._began = False
        self._stream: ShellStream | None = None
        # From now on, so that what happened earlier is not laid at the door of these cases.
        with contextlib.suppress(InfraError):
            self._stream = device.start("exec logcat -b main,system,crash -v threadtime -T 1")

    @property
    def follows(self) -> bool:
        """Whether new lines can still come."""
        return self._stream is not None

    def drain(self, seconds: float = 0.0, until_crash: bool = False) -> None:
        """Take the lines that have come; wait for more for up to `seconds`."""
        until = time.monotonic() + seconds
        while self._stream is not None:
            if until_crash and self.has_crash:
                until = min(until, time.monotonic() + 0.05)  # the rest of its lines
            try:
                _, data, ended = self._stream.exchange(memoryview(b""), until)
            except TimeoutError:
                return
            except InfraError:
                self.close()
                return
            *lines, self._pending = (self._pending + data).split(b"\n")
            for raw in lines:
                line = raw.decode("utf-8", "replace").rstrip("\r")
                if self._began or line.startswith(DIVIDER):
                    self._take(line)
                else:
                    # The last line of what was before: not a crash of these cases.
                    self._began = True
                    self._lines.append(line)
            if ended:
                self.close()

    def _take(self, line: str) -> None:
        self._lines.append(line)
        fatal = FATAL.search(line)
        headline = HEADLINE.search(line)
        if fatal:
            self._add(Crash(fatal[4], fatal[2], int(fatal[3])))
        elif headline:
            self._add(Crash(headline[2], "", int(headline[1])))

    def _add(self, crash: Crash) -> None:
        if crash.pid in self._told:
            return
        known = self._crashes.get(crash.pid)
        # The first line shortens names to 15 letters, the second has them in full.
        longest = max(crash.process, known.process if known else "", key=len)
        signal = crash.signal or (known.signal if known else "")
        self._crashes[crash.pid] = Crash(longest, signal, crash.pid)

    @property
    def has_crash(self) -> bool:
        """Whether a service has crashed that nobody was told of yet."""
        return any(crash.is_service for crash in self._crashes.values())

    def take_crash(self) -> Crash | None:
        """Return the first crash of a service that was not returned before."""
        for pid, crash in list(self._crashes.items()):
            if crash.is_service:
                del self._crashes[pid]
                self._told.add(pid)
                return crash
        return None

    def text(self, lines: int = 60) -> str:
        """Return the last lines."""
        return "\n".join(list(self._lines)[-lines:])

    def clear(self) -> None:
        """Begin a new window; crashes that nobody was told of stay."""
        self._lines.clear()

    def close(self) -> None:
        """Stop following; a second call does nothing."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
