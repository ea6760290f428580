"""The runner on the device: chosen by ABI, pushed once under the hash of its content, tried."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from nnapi_testkit import paths
from nnapi_testkit.errors import KitError
from nnapi_testkit.targets.adb.device import Device, PushRefused
from nnapi_testkit.targets.adb.shell import Completed
from nnapi_testkit.targets.base import InfraError, TargetError

__all__ = ["FOLDER", "PLACES", "Installed", "install", "runners"]

FOLDER = "nnapi-testkit"
# Android's own place for programs of the shell comes first: there the dynamic linker lets a
# program load libneuralnetworks.so. Bare userlands may have it not at all, or not executable.
PLACES = ("/data/local/tmp", "/tmp", "/data")
PUSH_SECONDS = 120.0
# Exit codes of the check; what else comes is the runner's own, or the shell's word on it.
ABSENT, DIFFERENT, RUNS = 99, 98, 2  # the last: no library was named, which the runner says
Installed = tuple[str, str, str]  # ABI, folder of ours, path of the runner


def runners(device: str, abis: Sequence[str]) -> list[tuple[str, Path]]:
    """Return the ABIs of a device that there is a runner for, best first, with the runners.

    A loopback device has the ABI `linux-MACHINE`: there it is the runner of this machine.
    Raises TargetError with the reason for each ABI if there is none.
    """
    found, reasons = [], []
    for abi in abis:
        try:
            found.append((abi, _runner(abi)))
        except KitError as error:
            reasons.append(f"{abi}: {error}")
    if not found:
        raise TargetError(
            f"there is no runner for device {device}: " + ("; ".join(reasons) or "it names no ABI")
        )
    return found


def _runner(abi: str) -> Path:
    if abi.startswith("linux-"):
        if abi != f"linux-{platform.machine()}":
            raise KitError(f"this machine is {platform.machine()}")
        return paths.runner()
    find: Callable[[str], Path] | None = getattr(paths, "android_runner", None)
    if find is None:
        raise KitError("this installation has no Android runners")
    return find(abi)


def install(device: Device, candidates: Sequence[tuple[str, Path]]) -> Installed:
    """Put the first runner that runs there on the device; return its ABI, our folder, its path.

    Raises InfraError with the reason for each place that was tried; DeviceLost, DeviceTimeout.
    """
    reasons: list[str] = []
    for abi, program in candidates:
        content = program.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        for place in PLACES:
            base = f"{place}/{FOLDER}"
            path = f"{base}/{digest}/nnapi-runner"
            problem = _put(device, content, digest, base, path)
            if not problem:
                return abi, base, path
            reasons.append(f"{base} ({abi}): {problem}")
            # What was left there is of no use.
            device.shell(f"rm -rf {base} 2>/dev/null")
    raise InfraError(
        f"device {device.serial}: no folder that the runner can be put into and run from:"
        f" {'; '.join(_shortened(reasons))}"
    )


def _put(device: Device, content: bytes, digest: str, base: str, path: str) -> str:
    """Make sure that the runner lies there, whole, and runs; return what is wrong, if anything."""
    # The content is hashed where it lies: what a lost connection or a full disk has left behind
    # is found out. A device without sha256sum compares lengths.
    check = (
        f"p={path}; [ -f $p ] || exit {ABSENT}; set -- $(sha256sum $p 2>/dev/null) none;"
        f" [ $1 = {digest} ] || {{ [ $1 = none ] && [ $(wc -c <$p) -eq {len(content)} ]; }}"
        f" || exit {DIFFERENT}; exec $p </dev/null"
    )
    checked = device.shell(check)
    if checked.code in (ABSENT, DIFFERENT):
        folder = path.rpartition("/")[0]
        made = device.shell(f"mkdir -p {folder} && chmod 755 {base} {folder}")
        if made.code:
            return said(made)
        try:
            device.push(content, f"{path}.new", 0o755, PUSH_SECONDS)
        except PushRefused as error:
            return error.reason
        device.shell(f"chmod 755 {path}.new; mv -f {path}.new {path}")
        checked = device.shell(check)
    if checked.code == RUNS and b"--library" in checked.err:
        return ""
    if checked.code in (ABSENT, DIFFERENT):
        return "the runner arrived damaged"
    return f"the runner does not run there (exit code {checked.code}: {said(checked)})"


def said(done: Completed) -> str:
    """Return the last line of what a command complained about."""
    lines = done.err.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip()[:200] if lines else "it says nothing"


def _shortened(reasons: Sequence[str]) -> Iterator[str]:
    """Each reason once, and no more than fit into a line."""
    yield from list(dict.fromkeys(reasons))[:6]
