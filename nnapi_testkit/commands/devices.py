"""`nnapi-testkit devices`: what the library of a target offers."""

from __future__ import annotations

import argparse

from nnapi_testkit.commands.parser import add_json, add_shared, print_json
from nnapi_testkit.report.facts import device_line
from nnapi_testkit.report.plain import plain
from nnapi_testkit.targets import parse_target
from nnapi_testkit.targets.session import DEVICE_TYPES

__all__ = ["add", "main"]


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    add_shared(parser, "target")
    add_json(parser)


def main(options: argparse.Namespace) -> int:
    """List the devices; 0. Raises KitError where the target cannot be asked."""
    with parse_target(options.target).open(isolate=False) as runner:
        found = runner.devices()
    if options.json:
        print_json(
            [
                {
                    "name": device.name,
                    "type": DEVICE_TYPES.get(device.type, ""),
                    "version": device.version,
                    "feature_level": device.feature_level,
                }
                for device in found
            ]
        )
        return 0
    for device in found:
        kind = DEVICE_TYPES.get(device.type, "")
        print(plain(device_line(device.name, kind, device.version, device.feature_level)))
    if not found:
        known = plain(options.target)
        print(f"{known} lists no device: below feature level 3 there is no way to ask")
    return 0
