"""Compilers that can build for Android without an NDK: zig, or clang with lld; or an NDK."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from nnapi_testkit.android.abis import Abi
from nnapi_testkit.errors import KitError

__all__ = ["KINDS", "Toolchain", "find_toolchain", "run"]

KINDS = ("zig", "clang", "ndk")
NDK_VARIABLES = ("ANDROID_NDK_HOME", "ANDROID_NDK_ROOT")
CURE = "pip install 'nnapi-testkit[android]', or install clang and lld, or set ANDROID_NDK_HOME"

COMMON = (
    "-std=c11",
    "-O2",
    "-ffreestanding",
    "-nostdlib",
    "-nostdinc",
    "-fno-stack-protector",
    "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables",
    "-fno-exceptions",
    "-fvisibility=hidden",
    "-ffunction-sections",
    "-fdata-sections",
    "-DNNAPI_RUNNER_OWN_HEADERS=1",
)


@dataclass(frozen=True)
class Toolchain:
    """A compiler driver.

    Args:
        kind: "zig", "clang" or "ndk".
        command: its first words; of an NDK, the folder.
        headers: the compiler's own headers (stdint.h, stdatomic.h, ...); none of an NDK.
    """

    kind: str
    command: tuple[str, ...]
    headers: str = ""

    def compiler(self, abi: Abi) -> list[str]:
        """The command that compiles or links for an ABI, without its inputs and outputs."""
        if self.kind == "zig":
            target = [*self.command, "cc", *abi.zig, "-fno-sanitize=all"]
        else:
            target = [*self.command, "-target", abi.clang, "-fuse-ld=lld", "-Qunused-arguments"]
        return [*target, *abi.flags, *COMMON, "-isystem", self.headers]


def find_toolchain(kind: str = "") -> Toolchain:
    """Return the toolchain of a kind, or the first there is: an NDK that is set, zig, clang.

    Raises:
        KitError: there is none; the message says what to install.
    """
    tries = {"ndk": _ndk, "zig": _zig, "clang": _clang}
    if kind and kind not in tries:
        raise KitError(f"there is no toolchain {kind!r}: write one of {', '.join(KINDS)}")
    for name in (kind,) if kind else tuple(tries):
        found = tries[name]()
        if found:
            return found
    missing = {
        "ndk": "no NDK: set ANDROID_NDK_HOME to its folder",
        "zig": "no zig: pip install 'nnapi-testkit[android]'",
        "clang": "no clang with lld: install both (Debian, Ubuntu: apt-get install clang lld)",
    }
    raise KitError(missing.get(kind, f"no compiler for Android: {CURE}"))


def run(command: list[str], what: str, environment: dict[str, str] | None = None) -> str:
    """Run a build command; return what it printed. Raises KitError with its first error."""
    try:
        done = subprocess.run(
            command,
            check=False,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )
    except OSError as error:
        raise KitError(f"{what}: {command[0]} cannot be started: {error.strerror}") from error
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        first = next((line for line in lines if "error" in line), lines[-1] if lines else "no text")
        raise KitError(f"{what} failed (status {done.returncode}): {first.strip()}")
    return done.stdout


def _ndk() -> Toolchain | None:
    for variable in NDK_VARIABLES:
        folder = os.environ.get(variable)
        if folder:
            if not (Path(folder) / "build" / "cmake" / "android.toolchain.cmake").is_file():
                raise KitError(f"{variable} names {folder}, which is no NDK: correct or unset it")
            return Toolchain("ndk", (folder,))
    return None


def _zig() -> Toolchain | None:
    places = []
    spec = importlib.util.find_spec("ziglang")
    if spec and spec.origin:
        places.append(Path(spec.origin).parent / "zig")
    on_path = shutil.which("zig")
    if on_path:
        places.append(Path(on_path).resolve())
    for zig in places:
        for headers in (zig.parent / "lib" / "include", zig.parent.parent / "lib/zig/include"):
            if zig.is_file() and (headers / "stdatomic.h").is_file():
                return Toolchain("zig", (str(zig),), str(headers))
    return None


def _clang() -> Toolchain | None:
    clang = shutil.which("clang")
    if not clang or not shutil.which("ld.lld"):
        return None
    headers = run([clang, "-print-resource-dir"], "asking clang for its headers").strip()
    return Toolchain("clang", (clang,), str(Path(headers) / "include"))
