"""The command line: a table of commands, each a module that is loaded when it is called."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import nnapi_testkit
from nnapi_testkit.commands.parser import EXIT_CODES, Command, Parser, complete

__all__ = ["COMMANDS", "command_line", "execute"]

# A command's module has its name (`build_runners` for `build-runners`), a function `add` that
# declares its options on a parser, and a function `main` of what was typed, to the exit code.
COMMANDS = {
    "run": "judge a driver",
    "report": "render a report again, or compare two",
    "ops": "list operations, their cells and cases",
    "devices": "list the NNAPI devices of a target",
    "golden": "check or update the frozen answers",
    "field": "judge outcomes of a device, kept in a file",
    "loopback": "start a device without a device, for dry runs of adb targets",
    "where": "print paths of the bundled driver and runner",
    "model": "whole models: right, covered, how fast",
    "merge": "join reports: the shards of a CI matrix, or a run and its repetition",
    "diff": "compare runs: releases of a driver, devices, the devices of a fleet",
    "site": "static pages of many runs: timelines of devices, matrix across them",
    "power": "what does the suite notice? faults, rules left out, mutants",
    "random": "random graphs of many operations; each failure becomes its smallest model",
    "replay": "judge a saved case again, on any target",
    "explain": "why a verdict: the model drawn, what is promised, the bound term by term",
    "build-runners": "build the runner for Android devices",
    "emulator": "Android emulators in containers",
}


def execute(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. Raises KitError and SystemExit."""
    parser = command_line()
    complete(parser)
    options = parser.parse_args(arguments)
    main: Callable[[argparse.Namespace], int] = options.main
    return main(options)


def command_line() -> Parser:
    """Return the parser of the whole line; what it parses has the command's `main`."""
    parser = Parser(
        prog="nnapi-testkit",
        description="Does an NNAPI driver compute what the Neural Networks API promises?",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version=f"nnapi-testkit {nnapi_testkit.__version__}"
    )
    commands = parser.add_subparsers(
        title="commands", required=True, metavar="COMMAND", parser_class=Command
    )
    for name, about in COMMANDS.items():
        commands.add_parser(name, help=about, module=name.replace("-", "_"))
    return parser
