"""What an emulator's container is started with, as data (`emulator/images/profiles.toml`)."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from nnapi_testkit import paths
from nnapi_testkit.targets.base import TargetError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["KINDS", "VARIABLE", "ImageProfile", "find_profile", "read_profiles"]

VARIABLE = "NNAPI_TESTKIT_PROFILES"
KINDS = ("ready", "ours", "example")
# The only things of the host that a container may be handed.
DEVICES = ("/dev/kvm",)


@dataclass(frozen=True)
class ImageProfile:
    """One kind of emulator.

    Args:
        name: stands after `docker:`.
        image: with its tag.
        about: one line for people.
        kind: "ready" (pulled), "ours" (built here), "example" (pulled, but not looked after).
        api_level: of Android in it; 0 if that is not known.
        adb_port: where adbd answers within the container.
        environment: variables of the container.
        command: replaces the image's; empty for its own.
        devices: of the host; only /dev/kvm is allowed.
        memory_mb, cpus, shm_mb: limits of the container; 0 for none.
        boot_seconds: from the start until it runs commands and says that it has booted.
        service_seconds: from then on until it lists the same NNAPI devices twice.
        life_seconds: after which it ends by itself, whoever still uses it.
        build: arguments of our Dockerfile, for "ours".
    """

    name: str
    image: str
    about: str = ""
    kind: str = "example"
    api_level: int = 0
    adb_port: int = 5555
    environment: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    memory_mb: int = 0
    cpus: float = 0
    shm_mb: int = 0
    boot_seconds: float = 300
    service_seconds: float = 120
    life_seconds: int = 7200
    build: Mapping[str, str] = field(default_factory=dict)


def read_profiles(path: Path | None = None) -> dict[str, ImageProfile]:
    """Return the kit's profiles, and over them those of the file `NNAPI_TESTKIT_PROFILES` names.

    Args:
        path: another file in place of the user's.

    Raises:
        TargetError: a file cannot be read, or says something that no profile has.
    """
    profiles = _read(paths.images_dir() / "profiles.toml")
    named = os.environ.get(VARIABLE)
    own = path or (Path(named) if named else None)
    if own:
        profiles.update(_read(own))
    return profiles


def find_profile(name: str) -> ImageProfile:
    """Return the profile of a name. Raises TargetError if there is none."""
    profiles = read_profiles()
    if name not in profiles:
        raise TargetError(
            f"there is no profile {name!r}: write one of {', '.join(profiles)}, or name a file with"
            f" your own in {VARIABLE}"
        )
    return profiles[name]


def _read(path: Path) -> dict[str, ImageProfile]:
    try:
        tables = tomllib.loads(path.read_text())
    except OSError as error:
        raise TargetError(f"the profiles in {path} cannot be read: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise TargetError(f"{path} is not TOML: {error}") from error
    return {name: _profile(name, table, path) for name, table in tables.items()}


def _profile(name: str, table: object, path: Path) -> ImageProfile:
    where = f"profile {name} in {path}"
    if not isinstance(table, dict):
        raise TargetError(f"{where} is no table: write [{name}] above its keys")
    known = {one.name: one for one in fields(ImageProfile)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known or key == "name":
            raise TargetError(f"{where} has an unknown key {key!r}: known are {', '.join(known)}")
        values[key] = _value(key, value, known[key].default, where)
    if not values.get("image"):
        raise TargetError(f"{where} names no image")
    if values.get("kind", "example") not in KINDS:
        raise TargetError(f"{where}: kind is one of {', '.join(KINDS)}")
    for device in values.get("devices", ()):
        if device not in DEVICES:
            raise TargetError(f"{where} asks for {device}: a container is given /dev/kvm at most")
    return ImageProfile(name=name, **values)


def _value(key: str, value: object, default: object, where: str) -> object:
    """What a key of a profile holds, of the type of the field. Raises TargetError."""
    wanted: tuple[type, ...] = (str,) if key == "image" else (type(default),)
    if key in ("environment", "build"):
        wanted = (dict,)
    elif key in ("command", "devices"):
        wanted = (list,)
    elif isinstance(default, (int, float)):
        wanted = (int, float)
    if not isinstance(value, wanted) or isinstance(value, bool):
        raise TargetError(f"{where}: {key} is {value!r}, which has the wrong type")
    if isinstance(value, list):
        return tuple(str(one) for one in value)
    if isinstance(value, dict):
        return {str(k): str(v) for k, v in value.items()}
    if isinstance(value, (int, float)) and value < 0:
        raise TargetError(f"{where}: {key} is {value}, less than nothing")
    return value
