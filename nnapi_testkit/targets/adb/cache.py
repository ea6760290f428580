"""The runner on the device: chosen by ABI, pushed once under the hash of its content, tried."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnapi_testkit import paths
from nnapi_testkit.errors import KitError
from nnapi_testkit.targets.adb.device import Device, PushRefused
from nnapi_testkit.targets.adb.shell import Completed
from nnapi_testkit.targets.base import InfraError, TargetError

__all__ = ["FOLDER", "PLACES", "Installed", "Then", "install", "runners"]

FOLDER = "nnapi-testkit"
# Android's own place for programs of the shell comes first: there the dynamic linker lets a
# program load libneuralnetworks.so. Bare userlands may have it not at all, or not executable.
PLACES = ("/data/local/tmp", "/tmp", "/data")
PUSH_SECONDS = 120.0
# Exit codes of the check; what else comes is the runner's own, or the shell's word on it.
NO_FOLDER, ABSENT, DIFFERENT = 97, 99, 98
RUNS = 2  # no library was named, which the runner says
MARK = "nnapi-testkit: the runner runs"  # what a device says last where it does


@dataclass(frozen=True, slots=True)
class Installed:
    """The runner on the device.

    Args:
        abi, base, path: its ABI, the folder of ours that it lies in, its own path.
        out: what the commands said that were to follow.
    """

    abi: str
    base: str
    path: str
    out: bytes = b""


@dataclass(frozen=True, slots=True)
class Then:
    """What follows in the command that tries the runner, for a device on which each is a wait.

    Args:
        before: called before the runner is started.
        commands: for an ABI and the runner's path.
        seconds: that these may take beyond those of any command.
    """

    before: Callable[[], None] = lambda: None
    commands: Callable[[str, str], str] = lambda abi, path: ":"
    seconds: float = 0.0


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
    return paths.android_runner(abi)


def install(
    device: Device, candidates: Sequence[tuple[str, Path]], then: Then = Then()
) -> Installed:
    """Put the first runner that runs there on the device, and try it.

    Raises InfraError with the reason for each place that was tried; DeviceLost, DeviceTimeout.
    """
    reasons: list[str] = []
    for abi, program in candidates:
        content = program.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        for folder in PLACES:
            place = _Place(f"{folder}/{FOLDER}", digest, len(content))
            problem, rest = _put(device, content, place)
            if not problem:
                problem, out = _try(device, place, rest, then, abi)
                if not problem:
                    return Installed(abi, place.base, place.path, out)
            reasons.append(f"{place.base} ({abi}): {problem}")
            # What was left there is of no use.
            device.shell(f"rm -rf {place.base} 2>/dev/null")
    raise InfraError(
        f"device {device.serial}: no folder that the runner can be put into and run from:"
        f" {'; '.join(_shortened(reasons))}"
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a runner is to lie; its content is hashed there, so that what a lost connection or a
    full disk has left behind is found out. A device without sha256sum compares lengths."""

    base: str
    digest: str
    size: int

    @property
    def folder(self) -> str:
        return f"{self.base}/{self.digest}"

    @property
    def path(self) -> str:
        return f"{self.folder}/nnapi-runner"

    @property
    def check(self) -> str:
        """Commands that leave with a code of their own unless it lies there, whole.

        They do not name the runner by its whole path: what ends leftovers works at the same time,
        and would take the shell that has it in its command line for one.
        """
        return (
            f"f={self.folder}; p=$f/nnapi-runner; [ -f $p ] || {{ mkdir -p $f &&"
            f" chmod 755 {self.base} $f || exit {NO_FOLDER}; exit {ABSENT}; }};"
            f" set -- $(sha256sum $p 2>/dev/null) none; [ $1 = {self.digest} ] ||"
            f" {{ [ $1 = none ] && [ $(wc -c <$p) -eq {self.size} ]; }} || exit {DIFFERENT}"
        )


def _put(device: Device, content: bytes, place: _Place) -> tuple[str, str]:
    """Push the runner unless it lies there, whole.

    Return what is wrong, if anything, and the commands that are still to be run before it is used.
    """
    checked = device.shell(place.check)
    if checked.code == NO_FOLDER:
        return said(checked), ""
    if checked.code not in (ABSENT, DIFFERENT):
        return "", ""
    new = f"{place.path}.new"
    try:
        device.push(content, new, 0o755, PUSH_SECONDS)
    except PushRefused as error:
        return error.reason, ""
    return "", f"chmod 755 {new}; mv -f {new} {place.path}; {place.check};"


def _try(device: Device, place: _Place, rest: str, then: Then, abi: str) -> tuple[str, bytes]:
    """Run the runner, and what is to follow; return what is wrong, and what the rest has said."""
    then.before()
    trial = (
        f"p={place.path}; e=$(exec $p </dev/null 2>&1); c=$?;"
        f' case "$c $e" in "{RUNS} "*--library*) ;; *) echo "$e" >&2; exit $c;; esac'
    )
    tried = device.shell(
        f'{rest} {trial}; {then.commands(abi, place.path)}; echo "{MARK}" >&2',
        device.seconds + then.seconds,
    )
    if tried.err.rstrip().endswith(MARK.encode()):
        return "", tried.out
    if tried.code in (ABSENT, DIFFERENT):
        return "the runner arrived damaged", b""
    return f"the runner does not run there (exit code {tried.code}: {said(tried)})", b""


def said(done: Completed) -> str:
    """Return the last line of what a command complained about."""
    lines = done.err.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip()[:200] if lines else "it says nothing"


def _shortened(reasons: Sequence[str]) -> Iterator[str]:
    """Each reason once, and no more than fit into a line."""
    yield from list(dict.fromkeys(reasons))[:6]
