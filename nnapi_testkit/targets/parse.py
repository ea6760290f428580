"""From the text a user writes to a target."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any, cast

from nnapi_testkit.targets.base import Target, TargetError
from nnapi_testkit.targets.local import host_target, library_target, support_library_target

__all__ = ["ENTRY_POINTS", "FLEETS", "each_device", "fleet", "parse_target"]

# A package adds a target kind by an entry point of this group: its name is what stands before the
# colon, its object a function that is handed the whole text and returns a Target.
ENTRY_POINTS = "nnapi_testkit.targets"
# And, under the same name in this group, where one text may stand for several devices: a function
# that is handed the text and returns the targets, one for each device.
FLEETS = "nnapi_testkit.fleets"


def parse_target(text: str) -> Target:
    """Return the target that `text` names. Nothing is started or loaded yet.

    `host`, `lib:PATH`, `sl:PATH`, `adb:`, `adb:SERIAL`, `docker:PROFILE`, each with
    `#DEVICE` for one NNAPI device, or `KIND:...` of an installed package.

    Raises:
        TargetError: no such kind of target.
    """
    kind, _, rest = text.partition(":")
    if text.partition("#")[2] == "*":
        raise TargetError(
            f"{text} means every NNAPI device in turn, which only nnapi-testkit run can do: name"
            " one behind the #, as nnapi-testkit devices lists them"
        )
    if kind in ("lib", "sl"):
        path, _, device = rest.partition("#")
        make_local = library_target if kind == "lib" else support_library_target
        return make_local(text, path, device)
    if kind == "adb":
        from nnapi_testkit.targets.adb import adb_target  # adbutils takes its time

        return adb_target(text)
    if kind == "docker":
        from nnapi_testkit.targets.docker import docker_target

        return docker_target(text)
    base, _, device = text.partition("#")
    if base == "host":
        return host_target(text, device)
    make = _registered(ENTRY_POINTS, kind)
    if make is not None:
        return cast(Callable[[str], Target], make)(text)
    known = {point.name for point in entry_points(group=ENTRY_POINTS)}
    kinds = ", ".join(
        [
            "host",
            "lib:PATH",
            "sl:PATH",
            "adb:SERIAL",
            "docker:PROFILE",
            *(f"{name}:..." for name in sorted(known)),
        ]
    )
    raise TargetError(f"there is no target {text!r}: write one of {kinds}")


def _registered(group: str, kind: str) -> Any:
    """Return what a package has registered for a kind of target; None if none has.

    Raises TargetError if that cannot be loaded.
    """
    for point in entry_points(group=group):
        if point.name == kind:
            try:
                return point.load()
            except Exception as error:  # a package's own code runs: anything may go wrong in it
                raise TargetError(
                    f"the target kind {kind} ({point.value}) cannot be loaded: {error}"
                ) from error
    return None


def fleet(text: str) -> tuple[str, ...]:
    """Return the targets that `text` stands for, one for each machine or phone.

    `adb:A,B`, `adb:*` (every connected device) and `docker:PROFILE*N` name several, and what
    packages say in the group FLEETS; anything else is one target. Raises TargetError if `adb:*`
    finds no device.
    """
    kind, colon, _ = text.partition(":")
    if kind == "docker":
        from nnapi_testkit.targets.docker import docker_fleet

        return docker_fleet(text)
    if kind == "adb":
        from nnapi_testkit.targets.adb import serials_of

        return serials_of(text)
    several = _registered(FLEETS, kind) if colon and kind not in ("host", "lib", "sl") else None
    return tuple(several(text)) if several is not None else (text,)


def each_device(text: str) -> tuple[str, ...]:
    """Return the targets of `TARGET#*`, one for each NNAPI device; otherwise the text alone.

    Raises TargetError or InfraError if the devices cannot be listed.
    """
    base, hash_sign, device = text.partition("#")
    if device != "*":
        return (text,)
    with parse_target(fleet(base)[0]).open() as runner:
        names = [device.name for device in runner.devices()]
    if not names:
        raise TargetError(
            f"{base} lists no NNAPI devices (below feature level 3 a library cannot): leave #* out"
        )
    return tuple(f"{base}{hash_sign}{name}" for name in names)
