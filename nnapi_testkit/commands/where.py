"""`nnapi-testkit where`: paths of the parts that are not Python modules."""

from __future__ import annotations

import argparse

from nnapi_testkit import paths
from nnapi_testkit.commands.parser import add_json, print_json

__all__ = ["add", "main"]

_PATHS = {
    "driver": paths.driver_library,
    "runner": paths.runner,
    "golden": paths.golden_dir,
    "op_tests": paths.op_tests_dir,
}


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.add_argument("what", nargs="?", choices=tuple(_PATHS), help="print this path only")
    add_json(parser)


def main(options: argparse.Namespace) -> int:
    """Print paths; 0. Raises KitError for a part that is not there."""
    if options.json:
        chosen = [options.what] if options.what else _PATHS
        print_json({name: str(_PATHS[name]()) for name in chosen})
    elif options.what:
        print(_PATHS[options.what]())
    else:
        for name, path in _PATHS.items():
            print(f"{name + ':':<9} {path()}")
    return 0
