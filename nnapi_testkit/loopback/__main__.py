"""`python -m nnapi_testkit.loopback [FAULT=VALUE ...]`: a device until the input ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from nnapi_testkit.errors import KitError
from nnapi_testkit.loopback.device import LoopbackDevice
from nnapi_testkit.loopback.faults import Faults

__all__ = ["serve"]


def serve(faults: Sequence[str] = (), *, library: Path | None = None, port: int = 0) -> int:
    """Print the serial of a new device, serve until the input ends or Ctrl-C; return 0.

    Raises KitError for an unknown fault, a driver that is missing, or a port in use.
    """
    try:
        device = LoopbackDevice(Faults.parse(faults), library=library, port=port)
    except OSError as error:
        raise KitError(f"port {port} cannot be used: {error.strerror}; choose another") from error
    with device:
        print(device.serial, flush=True)
        try:
            while sys.stdin.buffer.read(1 << 16):
                pass
        except KeyboardInterrupt:
            pass
        print(
            f"{device.results} results, {len(device.opened)} streams opened by the host",
            file=sys.stderr,
        )
    return 0


if __name__ == "__main__":
    try:
        sys.exit(serve(sys.argv[1:]))
    except KitError as problem:
        sys.exit(f"nnapi-testkit: {problem}")
