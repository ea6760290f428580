"""`nnapi-testkit emulator up|list|down|build|doctor`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from nnapi_testkit.errors import KitError

__all__ = ["add", "main"]


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    up = actions.add_parser("up", help="start an emulator and leave it running")
    up.set_defaults(action=_up)
    up.add_argument("profile", metavar="PROFILE")

    listing = actions.add_parser("list", help="list profiles, and the emulators that run")
    listing.set_defaults(action=_list)

    down = actions.add_parser("down", help="remove emulators: all of this machine, or the named")
    down.set_defaults(action=_down)
    down.add_argument("names", nargs="*", metavar="CONTAINER", help="id, profile or serial")

    build = actions.add_parser("build", help="build the image of a profile of ours")
    build.set_defaults(action=_build)
    build.add_argument("profile", metavar="PROFILE")

    doctor = actions.add_parser("doctor", help="name what is missing and the command that mends it")
    doctor.set_defaults(action=_doctor)


def main(options: argparse.Namespace) -> int:
    """Do the action that was called; returns its exit code. Raises KitError."""
    action: Callable[[argparse.Namespace], int] = options.action
    return action(options)


def _up(options: argparse.Namespace) -> int:
    from nnapi_testkit.targets.docker.up import up

    for line in up(options.profile):
        print(line, flush=True)
    return 0


def _list(options: argparse.Namespace) -> int:
    from nnapi_testkit.targets.docker import Engine, read_profiles

    profiles = read_profiles()
    wide = max(map(len, profiles))
    for profile in profiles.values():
        print(f"{profile.name:<{wide}}  {profile.kind:<7}  {profile.about} ({profile.image})")
    try:
        running = Engine().emulators()
    except KitError as error:
        print(f"containers: {error}")
        return 0
    print(f"containers: {len(running)}")
    for one in running:
        left = max(0, round((one.deadline - time.time()) / 60))
        print(f"{one.id}  {one.profile}  {one.state}  adb:{one.serial}  {left} min left")
    return 0


def _down(options: argparse.Namespace) -> int:
    from nnapi_testkit.targets.docker import Engine

    engine = Engine()
    found = engine.emulators()
    wanted = set(options.names)
    chosen = [one for one in found if not wanted or wanted & {one.id, one.profile, one.serial}]
    strangers = wanted - {name for one in found for name in (one.id, one.profile, one.serial)}
    if strangers:
        raise KitError(
            f"no emulator is called {', '.join(sorted(strangers))}: nnapi-testkit emulator list"
        )
    for one in chosen:
        engine.remove(one.id)
        print(f"{one.id}  {one.profile}  removed")
    if not chosen:
        print("no emulator runs")
    return 0


def _build(options: argparse.Namespace) -> int:
    from nnapi_testkit.targets.docker import Engine, find_profile

    profile = find_profile(options.profile)
    print(f"building {profile.image}; this accepts the Android SDK licence", flush=True)
    print(Engine().build(profile))
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from nnapi_testkit.targets.docker import examine

    findings = examine()
    for finding in findings:
        print("\n".join(finding.lines()))
    return 0 if all(finding.good or not finding.needed for finding in findings) else 2
