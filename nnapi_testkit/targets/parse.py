"""From the text a user writes to a target."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from nnapi_testkit.model.place import Place
from nnapi_testkit.targets.base import Target, TargetError

__all__ = ["ENTRY_POINTS", "FLEETS", "each_device", "fleet", "parse_target", "spokesman"]

# A package adds a target kind by an entry point of this group: its name is what stands before the
# colon, its object a function that is handed the whole text and returns a Target.
ENTRY_POINTS = "nnapi_testkit.targets"
# And, under the same name in this group, where one text may stand for several devices: a function
# that is handed the text and returns the targets, one for each device.
FLEETS = "nnapi_testkit.fleets"
# One whose texts for several devices are targets too, the first device that is free, says so here:
# its object is the function of ENTRY_POINTS.
FIRST_FREE = "nnapi_testkit.first_free"

# What comes with the kit is registered in the same way; loaded when asked for, as adbutils and
# docker take their time. With what a user writes of each kind.
_ADB, _DOCKER = "nnapi_testkit.targets.adb", "nnapi_testkit.targets.docker"
BUILT_IN = (
    EntryPoint("host", "nnapi_testkit.targets.local:host", ENTRY_POINTS),
    EntryPoint("lib", "nnapi_testkit.targets.local:library", ENTRY_POINTS),
    EntryPoint("sl", "nnapi_testkit.targets.local:support_library", ENTRY_POINTS),
    EntryPoint("adb", f"{_ADB}:adb_target", ENTRY_POINTS),
    EntryPoint("docker", f"{_DOCKER}:docker_target", ENTRY_POINTS),
    EntryPoint("adb", f"{_ADB}:serials_of", FLEETS),
    EntryPoint("docker", f"{_DOCKER}:docker_fleet", FLEETS),
    EntryPoint("adb", f"{_ADB}:adb_target", FIRST_FREE),
)
FORMS = {"lib": "lib:PATH", "sl": "sl:PATH", "adb": "adb:SERIAL", "docker": "docker:PROFILE"}


def parse_target(text: str) -> Target:
    """Return the target that `text` names. Nothing is started or loaded yet.

    `host`, `lib:PATH`, `sl:PATH`, `adb:`, `adb:SERIAL`, `docker:PROFILE`, each with
    `#DEVICE` for one NNAPI device, or `KIND:...` of an installed package.

    Raises:
        TargetError: no such kind of target.
    """
    place = Place.of(text)
    if place.device == "*":
        raise TargetError(
            f"{text} means every NNAPI device in turn, which only nnapi-testkit run can do: name"
            " one behind the #, as nnapi-testkit devices lists them"
        )
    make = _registered(ENTRY_POINTS, place.kind)
    # `host` alone takes nothing behind a colon, and alone goes without one.
    if make is None or (place.kind == "host") == (place.kind != place.base):
        ours = (point.name for point in BUILT_IN if point.group == ENTRY_POINTS)
        own = [FORMS.get(name, name) for name in ours]
        others = sorted({point.name for point in entry_points(group=ENTRY_POINTS)})
        kinds = ", ".join([*own, *(f"{name}:..." for name in others)])
        raise TargetError(f"there is no target {text!r}: write one of {kinds}")
    return cast(Callable[[str], Target], make)(text)


def _registered(group: str, kind: str) -> Any:
    """Return what is registered for a kind of target; None if nothing is.

    Raises TargetError if what a package has registered cannot be loaded.
    """
    for point in BUILT_IN:
        if (point.group, point.name) == (group, kind):
            return point.load()
    if any(point.name == kind for point in BUILT_IN):
        return None  # what packages have registered takes long to find: never for our own kinds
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
    place = Place.of(text)
    several = _registered(FLEETS, place.kind) if place.kind != place.base else None
    return tuple(several(text)) if several is not None else (text,)


def spokesman(text: str) -> Target:
    """Return the target that is asked for facts where `text` may stand for several devices.

    The first that is free where the kind can tell, else the first. Raises TargetError.
    """
    free = _registered(FIRST_FREE, Place.of(text).kind)
    return cast(Target, free(text)) if free is not None else parse_target(fleet(text)[0])


def each_device(text: str) -> tuple[str, ...]:
    """Return the targets of `TARGET#*`, one for each NNAPI device; otherwise the text alone.

    Raises TargetError or InfraError if the devices cannot be listed.
    """
    place = Place.of(text)
    if place.device != "*":
        return (text,)
    with parse_target(fleet(place.base)[0]).open() as runner:
        names = [device.name for device in runner.devices()]
    if not names:
        raise TargetError(
            f"{place.base} lists no NNAPI devices (below feature level 3 a library cannot): leave"
            " #* out"
        )
    return tuple(map(place.on, names))
