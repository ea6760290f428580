"""The command line's entry: whatever goes wrong is one line, and never exit code 1.

1 means that the driver broke a promise. A full disk, a closed pipe, too little memory or a fault of
the kit itself are 2, so nothing is imported here that could fail before it can be said.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Sequence

__all__ = ["main"]

_ERROR = 2
_TRACEBACK = "NNAPI_TESTKIT_TRACEBACK"
_OUT_OF_MEMORY = (
    "out of memory: free some, or raise the limit of this process (ulimit -v, a container's limit)"
)
_CURES = {
    errno.EMFILE: "too many open files: raise the limit of this process (ulimit -n)",
    errno.ENFILE: "too many open files on this machine: end some programs",
    errno.ENOMEM: _OUT_OF_MEMORY,
    errno.EAGAIN: "the system has no room for another process or thread: raise ulimit -u",
    errno.ENOSPC: "no space left: make room on the disk",
    errno.EDQUOT: "the quota is used up: make room",
}

_OUTPUT_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    try:
        if sys.stdout is None:
            _complain("standard output is closed: redirect it to a file or to /dev/null")
            return _ERROR
        for stream in (sys.stdout, sys.stderr):
            # Names and texts of drivers may hold what the terminal's encoding cannot say.
            reconfigure = getattr(stream, "reconfigure", None)
            if reconfigure is not None:
                reconfigure(errors="backslashreplace")
        if not _memory_for_numpy():
            _complain(_OUT_OF_MEMORY)
            return _ERROR
        from nnapi_testkit.commands.line import execute

        _end_in_order()
        try:
            code = execute(arguments)
        except SystemExit as left:  # of argparse, after its own words
            code = left.code if isinstance(left.code, int) else _ERROR
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        _complain("interrupted")
    except BaseException as error:
        if os.environ.get(_TRACEBACK) and not isinstance(error, OSError):
            raise
        _explain(error)
    _drop_output()
    return _ERROR


def _end_in_order() -> None:
    """Let SIGTERM and SIGHUP end a run as Ctrl-C does: with its accounts and folders closed.

    A program that is told to ignore them, as nohup does, goes on doing so. While the run closes,
    a second one is not needed and would only be in the way.
    """

    def interrupt(number: int, frame: object) -> None:
        for other in numbers:
            signal.signal(other, signal.SIG_IGN)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        return  # of a program that has called `main`
    numbers = [
        number
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) == signal.SIG_DFL
    ]
    for number in numbers:
        signal.signal(number, interrupt)


def _memory_for_numpy() -> bool:
    """Whether numpy finds room under a limit of this process; asked only where there is one.

    Its linear algebra ends the process with status 1 where it does not, past every handler. So a
    child tries first.
    """
    import resource

    limits = (resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA))
    if all(limit == resource.RLIM_INFINITY for limit in limits):
        return True
    child = os.fork()
    if child == 0:
        try:
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, 1)
            os.dup2(nothing, 2)
            import numpy

            square = numpy.ones((300, 300))
            square @ square
        except BaseException:
            os._exit(_ERROR)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def _explain(error: BaseException) -> None:
    gone = _output_fault(error)
    if gone == errno.EPIPE:
        return  # the reader (head, a pager) has left, which is no fault
    if gone:
        _complain(f"standard output cannot be written ({os.strerror(gone)}): redirect it elsewhere")
        return
    _complain(_told(error), getattr(error, "details", ()))


def _told(error: BaseException) -> str:
    kit_error = getattr(sys.modules.get("nnapi_testkit.errors"), "KitError", None)
    if kit_error is not None and isinstance(error, kit_error):
        return str(error.args[0]) if error.details else str(error)
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, OSError) and error.errno in _CURES:
        return f"{_CURES[error.errno]} ({error})"
    low = text.lower()
    if isinstance(error, MemoryError) or "map segment" in low or "allocate memory" in low:
        return _OUT_OF_MEMORY
    if "can't start new thread" in low:
        return f"{_CURES[errno.EAGAIN]}, or ulimit -v ({error})"
    return f"internal error: {text}: please report it; {_TRACEBACK}=1 shows where"


def _output_fault(error: BaseException) -> int:
    """Return the errno of what keeps standard output from being written, 0 if nothing does."""
    if isinstance(error, BrokenPipeError):
        return errno.EPIPE if _reader_left() else 0
    # Files that the kit writes are named in its own errors: what has no name is the output.
    if isinstance(error, OSError) and error.filename is None and error.errno in _OUTPUT_FAULTS:
        return int(error.errno)
    return 0


def _reader_left() -> bool:
    import select

    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return bool(poll.poll(0))
    except (OSError, ValueError):
        return True


def _complain(text: str, details: Sequence[str] = ()) -> None:
    if sys.stderr is None:
        return
    lines = [text, *details]
    try:
        from nnapi_testkit.report.plain import plain

        lines = [plain(line) for line in lines]
    except BaseException:
        lines = [" ".join(line.split()) for line in lines]
    try:
        sys.stderr.write("\n  ".join([f"nnapi-testkit: {lines[0]}", *lines[1:]]) + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # there is nobody to be told


def _drop_output() -> None:
    """Let Python not complain again when it flushes standard output at its end."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError, AttributeError):
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        except OSError:
            os._exit(_ERROR)


if __name__ == "__main__":
    sys.exit(main())
