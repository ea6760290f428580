"""The two byte streams of a runner: a child process here, or a shell stream of a device."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from nnapi_testkit.targets.base import TargetError

__all__ = ["Channel", "Exchanged", "PipeChannel"]

READ_SIZE = 1 << 18
WRITE_SIZE = 1 << 20
PIPE_SIZE = 1 << 20
LOOK_SECONDS = 1.0  # of silence, after which the runner is looked at: somebody may have stopped it
STOP_SECONDS = 3.0  # what a runner may take to end its worker and what that left behind


class Exchanged(NamedTuple):
    """What one exchange moved.

    Args:
        written: bytes of the input that were taken; -1 once the runner takes no more.
        data: bytes of its output.
        ended: no output will follow.
    """

    written: int
    data: bytes
    ended: bool


class Channel(Protocol):
    """Where a runner reads and writes."""

    @property
    def pid(self) -> int | None:
        """Process id of the runner on this machine; None where it runs elsewhere."""
        ...

    def exchange(self, data: memoryview, until: float) -> Exchanged:
        """Write what fits of `data`, read what is there; wait for either.

        Both in one place: a large batch and many results must not wait for each other.
        Raises TimeoutError when neither was possible before `until` (`time.monotonic()`).
        """
        ...

    @property
    def killed(self) -> int:
        """The signal that ended the runner, or has stopped it, on this machine; else 0."""
        ...

    def close_input(self) -> None:
        """Tell the runner that no batch will follow."""
        ...

    def ending(self, patience: float) -> str:
        """Wait until the runner has left; return how, to follow the words `the runner`."""
        ...

    def close(self) -> None:
        """Drop the runner, whatever it is doing."""
        ...


class PipeChannel:
    """A runner as a child process.

    Args:
        command: program and arguments.

    Raises TargetError if it cannot be started.
    """

    def __init__(self, command: Sequence[str]) -> None:
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                start_new_session=True,  # Ctrl-C is for us: we end the runner in order
            )
        except OSError as error:
            raise TargetError(
                f"the runner {command[0]} cannot be started: {error.strerror or error}"
            ) from error
        assert self._process.stdin is not None and self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        for stream in (self._in, self._out):
            os.set_blocking(stream.fileno(), False)
            # Room for hundreds of results: the runner goes on while we are busy.
            with contextlib.suppress(OSError):  # a user may have so much in pipes and no more
                fcntl.fcntl(stream.fileno(), fcntl.F_SETPIPE_SZ, PIPE_SIZE)

    @property
    def pid(self) -> int | None:
        """Process id of the runner's parent process."""
        return self._process.pid

    def exchange(self, data: memoryview, until: float) -> Exchanged:
        """See `Channel.exchange`."""
        poll = select.poll()
        poll.register(self._out, select.POLLIN)
        if data:
            poll.register(self._in, select.POLLOUT)
        while not (events := poll.poll(min(LOOK_SECONDS, _left(until)) * 1000)):
            if not _left(until) or self._stopped():
                raise TimeoutError
        written, got, ended = 0, b"", False
        for descriptor, _ in events:
            try:
                if descriptor == self._out.fileno():
                    got = os.read(descriptor, READ_SIZE)
                    ended = not got
                else:
                    written = os.write(descriptor, data[:WRITE_SIZE])
            except BlockingIOError:
                continue
            except BrokenPipeError:
                written = -1
        gone = written < 0 and self._process.poll() is not None
        return Exchanged(written, got, ended or (gone and not got))

    def _stopped(self) -> bool:
        """Whether somebody has stopped the runner; a worker that did so would be waited for."""
        try:
            stat = Path(f"/proc/{self._process.pid}/stat").read_text(errors="replace")
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[:1] == ["T"]

    @property
    def killed(self) -> int:
        """See `Channel.killed`."""
        status = self._process.poll()
        if status is None:
            return int(signal.SIGSTOP) if self._stopped() else 0
        return -status if status < 0 else 0

    def close_input(self) -> None:
        """See `Channel.close_input`."""
        self._in.close()

    def ending(self, patience: float) -> str:
        """See `Channel.ending`."""
        try:
            status = self._process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return "closed its output and was killed"
        return f"was killed by signal {-status}" if status < 0 else f"left with status {status}"

    def close(self) -> None:
        """See `Channel.close`."""
        if self._process.poll() is None and not self._stopped():
            # It takes along what the driver's processes have left behind.
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        self._process.kill()
        self._process.wait()
        self._in.close()
        self._out.close()


def _left(until: float) -> float:
    return max(0.0, until - time.monotonic())
