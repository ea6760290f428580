"""`nnapi-testkit build-runners`."""

from __future__ import annotations

import argparse
from pathlib import Path

from nnapi_testkit.android import ABIS, build_runners
from nnapi_testkit.android.toolchain import KINDS

__all__ = ["add", "main"]


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.description = (
        "Build the runner for Android devices and emulators, without an NDK. Release"
        " wheels carry the runners; an installation from source needs this once. Compiler: the NDK"
        " that ANDROID_NDK_HOME names, else zig (pip install 'nnapi-testkit[android]'), else clang"
        " with lld."
    )
    parser.add_argument(
        "abis", nargs="*", metavar="ABI", help=f"{', '.join(ABIS)} (default: all of them)"
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="where to (default: where the kit looks)"
    )
    parser.add_argument("--toolchain", default="", metavar="KIND", help=" or ".join(KINDS))


def main(options: argparse.Namespace) -> int:
    """Build them; 0. Raises KitError."""
    build_runners(options.output, options.abis, options.toolchain)
    return 0
