"""The parser of the command line: complaints of one line, with a guess at what was meant."""

from __future__ import annotations

import argparse
import difflib
import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from nnapi_testkit import paths
from nnapi_testkit.errors import KitError
from nnapi_testkit.options import OPTIONS
from nnapi_testkit.report.plain import plain

__all__ = [
    "EXIT_CODES",
    "Command",
    "Parser",
    "add_json",
    "add_shared",
    "complete",
    "print_json",
]

EXIT_CODES = """\
exit codes: 0 every promise was kept; 1 the driver broke one; 2 error: usage, target, oracle,
floors or waivers, output, or nothing was judged"""

_CHOICE = re.compile(r"invalid choice: '?([^' ]*)'? \(choose from (.*)\)$")


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line, as every other error is."""

    def error(self, message: str) -> NoReturn:
        """Leave with code 2 and one line."""
        found = _CHOICE.search(message)
        if found:
            given, known = found.group(1), re.findall(r"[^', ]+", found.group(2))
            message = message[: found.start()] + f"{given!r} is unknown{_hint(given, known)}"
            if not _hint(given, known):
                message += f": there are {', '.join(known)}"
        self.exit(2, f"{self.prog}: {plain(message)}: see {self.prog} --help\n")

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As of argparse, but an unknown option ends it here, where its likes are known."""
        self.load()
        found, rest = super().parse_known_args(args, namespace)
        unknown = [word for word in rest if word.startswith("-") and word != "--"]
        if unknown:
            known = [
                flag
                for flag in self._option_string_actions
                if flag.startswith("--") and not flag.startswith("--nnapi-")
            ]
            name = unknown[0].partition("=")[0]
            self.error(f"there is no option {name}{_hint(name, known)}")
        return found, rest

    def load(self) -> None:
        """Declare what is not declared yet; nothing here."""

    def _print_message(self, message: str, file: Any = None) -> None:
        # argparse keeps to itself that help could not be written.
        if message and file is sys.stdout:
            file.write(message)
        else:
            super()._print_message(message, file)


class Command(Parser):
    """A parser of a command, which asks the command's module for its options when they are needed.

    Args:
        module: below `nnapi_testkit.commands`; "" for an action of a command, which declares it.
        more: as of argparse.
    """

    def __init__(self, *, module: str = "", **more: Any) -> None:
        super().__init__(**more)
        self._module = module

    def load(self) -> None:
        """Let the module declare its options, once."""
        if self._module:
            module = import_module(f"nnapi_testkit.commands.{self._module}")
            self._module = ""
            module.add(self)
            self.set_defaults(main=module.main)


def _hint(given: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(given, list(known), n=1, cutoff=0.6)
    return f": did you mean {close[0]}?" if close else ""


def add_shared(group: argparse._ActionsContainer, name: str) -> None:
    """Add the options of `OPTIONS` that belong to this group, or the one of this name."""
    for option in OPTIONS:
        if name not in (option.group, option.name):
            continue
        more = dict(option.more)
        if more.pop("path", False):
            more["type"] = Path
        action = group.add_argument(*option.flags(pytest=False), **more)
        if option.name in _COMPLETERS:
            action.completer = _COMPLETERS[option.name]  # type: ignore[attr-defined]


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the option --json."""
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")


def print_json(value: object) -> None:
    """Print what --json asks for."""
    print(json.dumps(value, indent=1))


def _operations(prefix: str, **_: object) -> list[str]:
    try:
        names = [path.stem for path in paths.golden_dir().glob("*.golden")]
    except KitError:
        return []
    return [name for name in sorted(names) if name.startswith(prefix.upper())]


def _targets(prefix: str, **_: object) -> list[str]:
    known = ["host", "lib:", "sl:", "adb:", "docker:"]
    if prefix.startswith("docker:"):
        try:
            from nnapi_testkit.targets.docker import read_profiles
        except KitError:  # without the extra there is nothing to name
            return []
        known = [f"docker:{name}" for name in read_profiles()]
    return [name for name in known if name.startswith(prefix)]


_COMPLETERS = {"operation": _operations, "target": _targets}


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer a shell that asks for completions, and leave; else do nothing."""
    if "_ARGCOMPLETE" not in os.environ:
        return
    import argcomplete

    named = os.environ.get("COMP_LINE", "").split()
    for action in _every_action(parser, named):
        if action.dest == "names":
            action.completer = _operations  # type: ignore[attr-defined]
    argcomplete.autocomplete(parser)


def _every_action(
    parser: argparse.ArgumentParser, named: Sequence[str]
) -> Iterable[argparse.Action]:
    """Every option there is, of commands only those that are named: others need not be loaded."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for name in named:
                child = action.choices.get(name)
                if isinstance(child, Command):
                    child.load()
                    yield from _every_action(child, named)
