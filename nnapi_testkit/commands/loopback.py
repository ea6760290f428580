"""`nnapi-testkit loopback`: a device without a device, until the input ends."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nnapi_testkit.errors import KitError
from nnapi_testkit.loopback import Faults, LoopbackDevice

__all__ = ["add", "main"]


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.add_argument(
        "faults", nargs="*", metavar="FAULT=VALUE", help="what goes wrong, see docs/adb.md"
    )
    parser.add_argument("--port", type=int, default=0, help="where it listens (default: any)")
    parser.add_argument(
        "--library", type=Path, metavar="FILE", help="its driver (default: the reference driver)"
    )


def main(options: argparse.Namespace) -> int:
    """Print the serial of a new device, serve until the input ends or Ctrl-C; 0.

    Raises KitError for an unknown fault, a driver that is missing, or a port in use.
    """
    faults, port = Faults.parse(options.faults), options.port
    try:
        device = LoopbackDevice(faults, library=options.library, port=port)
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
