"""The runner on the device: chosen by ABI, pushed once under the hash of its content."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Sequence
from pathlib import Path

from nnapi_testkit import paths
from nnapi_testkit.errors import KitError
from nnapi_testkit.targets.adb.device import Device
from nnapi_testkit.targets.base import InfraError, TargetError

__all__ = ["BASE", "choose_runner", "install"]

BASE = "/data/local/tmp/nnapi-testkit"
PUSH_SECONDS = 120.0


def choose_runner(device: str, abis: Sequence[str]) -> tuple[str, Path]:
    """Return the first ABI of a device that there is a runner for, and that runner.

    A loopback device has the ABI `linux-MACHINE`: there it is the runner of this machine.
    Raises TargetError with the reason for each ABI.
    """
    reasons = []
    for abi in abis:
        try:
            return abi, _runner(abi)
        except KitError as error:
            reasons.append(f"{abi}: {error}")
    raise TargetError(
        f"there is no runner for device {device}: " + ("; ".join(reasons) or "it names no ABI")
    )


def _runner(abi: str) -> Path:
    if abi.startswith("linux-"):
        if abi != f"linux-{platform.machine()}":
            raise KitError(f"this machine is {platform.machine()}")
        return paths.runner()
    find: Callable[[str], Path] | None = getattr(paths, "android_runner", None)
    if find is None:
        raise KitError("this installation has no Android runners")
    return find(abi)


def install(device: Device, runner: Path) -> str:
    """Make sure that the device has the runner, whole and executable; return its path there.

    Raises InfraError with the device's reason, for example a full or read-only file system.
    """
    content = runner.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    folder = f"{BASE}/{digest}"
    path = f"{folder}/nnapi-runner"
    # The content is hashed where it lies: what a lost connection or a full disk has left behind
    # is found out. A device without sha256sum compares lengths.
    check = (
        f"p={path}; [ -x $p ] && {{ set -- $(sha256sum $p 2>/dev/null || echo none);"
        f" [ $1 = {digest} ] || {{ [ $1 = none ] && [ $(wc -c <$p) -eq {len(content)} ]; }}; }}"
    )
    if device.shell(check).code == 0:
        return path
    made = device.shell(f"mkdir -p {folder} && chmod 755 {BASE} {folder}")
    if made.code:
        raise InfraError(
            f"device {device.serial}: {BASE} cannot be made:"
            f" {made.err.decode('utf-8', 'replace').strip()}"
        )
    device.push(content, f"{path}.new", 0o755, PUSH_SECONDS)
    device.shell(f"chmod 755 {path}.new && mv {path}.new {path}")
    checked = device.shell(check)
    if checked.code:
        raise InfraError(f"device {device.serial}: the runner arrived damaged at {path}")
    return path
