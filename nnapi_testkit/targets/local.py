"""Targets on this machine: the bundled reference driver, or any library by its path."""

from __future__ import annotations

import os
import resource
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nnapi_testkit import paths
from nnapi_testkit.model.place import Place
from nnapi_testkit.targets.base import DEFAULT_MEMORY_LIMIT_MB, TargetError
from nnapi_testkit.targets.session import RunnerSession

__all__ = ["LocalTarget", "host_target", "library_target", "support_library_target"]

DEVICES_VARIABLE = "NNAPI_REFERENCE_DEVICES"  # what the reference driver reads
LEVEL_DEVICE = "nnapi-level-"
OPEN_FILES = 256
MACHINES = {
    3: "x86 (32 bit)",
    8: "mips",
    40: "arm (32 bit)",
    62: "x86_64",
    183: "arm64",
    243: "riscv",
}


@dataclass(frozen=True)
class LocalTarget:
    """A driver in a shared library on this machine.

    Args:
        name: the target as the user wrote it.
        find: gives the library's path, or raises KitError with what to do.
        device: name of the NNAPI device; empty for the first that is listed.
        support_library: the library offers its functions in a table, as updatable drivers do.
        levels: it is the bundled driver, which also plays devices of older feature levels.
    """

    name: str
    find: Callable[[], Path]
    device: str = ""
    support_library: bool = False
    levels: bool = False

    @property
    def between(self) -> bool:
        """A library is judged whole; behind a support library's table stands a runtime."""
        return self.support_library

    def open(
        self, *, isolate: bool = False, memory_limit_mb: int = DEFAULT_MEMORY_LIMIT_MB
    ) -> RunnerSession:
        """Start a runner and load the library. Raises TargetError or InfraError."""
        runner = paths.runner()
        library = self.find()
        check_library(library, runner)
        _room_for_files()
        described = self.levels and _is_level(self.device)

        def command(cache: str) -> list[str]:
            words = ["env", f"{DEVICES_VARIABLE}={paths.level_devices()}"] if described else []
            words += [str(runner), "--serve", "--library", str(library), "--cache-dir", cache]
            words += ["--support-library"] if self.support_library else []
            return words + (["--device", self.device] if self.device else [])

        return RunnerSession(command, self.name, isolate=isolate, memory_limit_mb=memory_limit_mb)

    def older(self, level: int) -> str:
        """Return the target that plays a device of feature level `level` - 1, or "".

        The bundled driver's own device has every level; what is newer than a device can only be
        asked of others. Devices that a user describes come first: then there are none of ours.
        """
        if not self.levels or self.device or os.environ.get(DEVICES_VARIABLE):
            return ""
        return Place.of(self.name).on(f"{LEVEL_DEVICE}{level - 1}")

    def describe(self) -> dict[str, object]:
        """Return facts about library and device, JSON values only."""
        with self.open() as runner:
            return runner.describe()


def _room_for_files() -> None:
    """Raise the limit of open files to what a worker takes; raises TargetError if it cannot be.

    A worker moves its own pipes to descriptors from 100 on, out of the driver's way.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= OPEN_FILES:
        return
    if hard != resource.RLIM_INFINITY and hard < OPEN_FILES:
        raise TargetError(
            f"a process may open {hard} files here, and a worker needs {OPEN_FILES}: raise the"
            f" limit (ulimit -n {OPEN_FILES})"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, hard))


def _is_level(device: str) -> bool:
    return device.startswith(LEVEL_DEVICE) and not os.environ.get(DEVICES_VARIABLE)


def host_target(name: str = "host", device: str = "") -> LocalTarget:
    """The reference driver that comes with the kit.

    It has the devices `nnapi-level-1` to `nnapi-level-7` too, which promise no more than their
    feature level; they are listed only where one is named.
    """
    return LocalTarget(name, paths.driver_library, device, levels=True)


def library_target(name: str, path: str, device: str = "") -> LocalTarget:
    """Any Linux library with the NNAPI C ABI."""
    if not path:
        raise TargetError("the target lib: names no library: write lib:/path/to/library.so")
    # dlopen searches the system for a bare name; a path the user wrote means this file.
    return LocalTarget(name, lambda: Path(path).expanduser().absolute(), device)


def support_library_target(name: str, path: str, device: str = "") -> LocalTarget:
    """A support library driver: a `.so` that exports `ANeuralNetworks_getSLDriverImpl`."""
    if not path:
        raise TargetError("the target sl: names no library: write sl:/path/to/driver.so")
    return LocalTarget(name, lambda: Path(path).expanduser().absolute(), device, True)


def host(text: str) -> LocalTarget:
    """`host`, or `host#DEVICE`."""
    return host_target(text, Place.of(text).device)


def library(text: str) -> LocalTarget:
    """`lib:PATH`, or `lib:PATH#DEVICE`."""
    place = Place.of(text)
    return library_target(text, place.rest, place.device)


def support_library(text: str) -> LocalTarget:
    """`sl:PATH`, or `sl:PATH#DEVICE`."""
    place = Place.of(text)
    return support_library_target(text, place.rest, place.device)


def check_library(library: Path, runner: Path) -> None:
    """Raise TargetError for a file that this machine's runner cannot load, saying why."""
    try:
        if library.is_dir():
            raise TargetError(f"{library} is a folder: name the library in it")
        with library.open("rb") as file:
            head = file.read(20)
        with runner.open("rb") as file:
            own = file.read(20)
    except FileNotFoundError:
        raise TargetError(f"there is no library {library}: check the path") from None
    except OSError as error:
        raise TargetError(f"{library} cannot be read: {os.strerror(error.errno or 0)}") from None
    if len(head) < 20 or head[:4] != b"\x7fELF":
        raise TargetError(f"{library} is not a shared library (ELF): name the driver's .so file")
    (machine,) = struct.unpack_from("<H", head, 18)
    (wanted,) = struct.unpack_from("<H", own, 18)
    if (head[4], machine) != (own[4], wanted):
        raise TargetError(
            f"{library} is built for {MACHINES.get(machine, machine)}, this machine's runner for"
            f" {MACHINES.get(wanted, wanted)}: name a library built for this machine"
        )
