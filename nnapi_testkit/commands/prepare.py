"""`--before-run`: what a driver team does to a device before each run."""

from __future__ import annotations

import os
import subprocess

from nnapi_testkit.errors import KitError
from nnapi_testkit.model.place import Place
from nnapi_testkit.targets import fleet, kept, parse_target
from nnapi_testkit.targets.base import TargetError
from nnapi_testkit.targets.kept import changed

__all__ = ["before_run"]


def before_run(command: str, target: str) -> None:
    """Run a command of this machine's shell for each device of the target, then check it again.

    For an `adb:` target the command finds `ANDROID_SERIAL` and `ANDROID_ADB_SERVER_PORT` set, so
    that plain `adb push` and `adb shell` reach the device. It may restart services or the device:
    the device is used when it lists the same NNAPI devices twice.

    Raises KitError if the command fails or the device does not come back.
    """
    with kept():  # the command finds the device that was leased for it
        _before_run(command, target)


def _before_run(command: str, target: str) -> None:
    for name in fleet(Place.of(target).base):
        place = parse_target(name)
        environment = dict(os.environ)
        adjust = getattr(place, "environment", None)
        if adjust is not None:
            environment.update(adjust())
        done = subprocess.run(command, shell=True, env=environment)
        if done.returncode:
            raise TargetError(f"--before-run {command!r} left with status {done.returncode}")
        changed()
        try:
            place.open().close()
        except KitError as error:
            raise TargetError(f"after --before-run: {error}") from error
