"""The commands and their options: `run`, `report`, `ops`, `devices`, `golden`, `where`, `model`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import nnapi_testkit
from nnapi_testkit.commands.android import add_build_runners
from nnapi_testkit.commands.diff import add_diff
from nnapi_testkit.commands.emulator import add_emulator
from nnapi_testkit.commands.explain import add_explain
from nnapi_testkit.commands.parser import Parser, add_shared, complete
from nnapi_testkit.commands.power import add_power
from nnapi_testkit.commands.random import add_random
from nnapi_testkit.commands.repro import add_replay
from nnapi_testkit.commands.site import add_site
from nnapi_testkit.report.formats import FORMATS, TEXT

__all__ = ["execute"]

_EXIT_CODES = """\
exit codes: 0 every promise was kept; 1 the driver broke one; 2 error: usage, target, oracle,
floors or waivers, output, or nothing was judged"""


def execute(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. Raises KitError and SystemExit."""
    parser = _parser()
    complete(parser)
    options = parser.parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    return command(options)


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = Parser(
        prog="nnapi-testkit",
        description="Does an NNAPI driver compute what the Neural Networks API promises?",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version=f"nnapi-testkit {nnapi_testkit.__version__}"
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_run(commands)
    _add_report(commands)
    _add_small(commands)
    _add_merge(commands)
    add_diff(commands)
    add_site(commands)
    add_power(commands)
    add_random(commands, _target)
    add_replay(commands, _target)
    add_explain(commands, _target)
    add_build_runners(commands)
    add_emulator(commands)
    return parser


if TYPE_CHECKING:
    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def _add_run(commands: _Commands) -> None:
    run = commands.add_parser(
        "run",
        help="judge a driver",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.set_defaults(command=_run)
    pick = run.add_argument_group("selection (default: every case)")
    pick.add_argument(
        "names", nargs="*", metavar="CASE", help="case id, operation, or pattern with * and ?"
    )
    pick.add_argument(
        "-k",
        dest="keyword",
        default="",
        metavar="EXPR",
        help="words joined by and, or, not, as in pytest",
    )
    add_shared(pick, "pick")
    pick.add_argument(
        "--in-order", action="store_true", help="run the named cases in the order of their names"
    )
    how = run.add_argument_group("how")
    add_shared(how, "how")
    how.add_argument(
        "-x",
        "--fail-fast",
        nargs="?",
        type=int,
        const=1,
        default=0,
        metavar="N",
        help="stop after N failures (1)",
    )
    how.add_argument("--services", default=None, help=argparse.SUPPRESS)
    out = run.add_argument_group("what comes out")
    add_shared(out, "out")
    out.add_argument(
        "--show", type=int, default=10, metavar="N", help="failures to print in full (default 10)"
    )
    out.add_argument(
        "--write-floor",
        type=Path,
        metavar="FILE",
        help="store what this run reached as the floor of later ones",
    )
    out.add_argument(
        "--save",
        type=Path,
        metavar="DIR",
        help="write the one selected case as a folder: model, data, a C file, the evidence",
    )


def _target(group: argparse._ActionsContainer) -> None:
    add_shared(group, "target")


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")


def _add_report(commands: _Commands) -> None:
    report = commands.add_parser("report", help="render a report again, or compare two")
    report.set_defaults(command=_report)
    report.add_argument(
        "folder",
        type=Path,
        metavar="DIR",
        help="a folder that run --report wrote, or a results.jsonl",
    )
    report.add_argument(
        "--format",
        choices=tuple(FORMATS),
        default=TEXT,
        help="; ".join(f"{name}: {form.about}" for name, form in FORMATS.items())
        + f" (default: {TEXT})",
    )
    report.add_argument("-o", "--output", type=Path, help="where the file goes (default: into DIR)")
    report.add_argument(
        "--diff",
        type=Path,
        metavar="OTHER",
        help="what has changed from OTHER to DIR, as diff OTHER DIR tells it",
    )
    report.add_argument(
        "--anyway", action="store_true", help="with --diff: although conditions differ"
    )


def _add_merge(commands: _Commands) -> None:
    parser = commands.add_parser(
        "merge",
        help="join reports: the shards of a CI matrix, or a run and its repetition",
        description="Join the reports of run --shard 1/N ... N/N into one, with the exit code that"
        " the whole run would have had. Of several verdicts on a case the worst stays; INFRA and"
        " NOT_RUN give way to any verdict on the driver. A missing shard is an error.",
    )
    parser.set_defaults(command=_merge)
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--floor", type=Path, metavar="FILE", help="as of run, for the whole that is joined"
    )
    parser.add_argument("--waivers", type=Path, metavar="FILE", help="as of run, for the whole")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace another report in the folder of -o"
    )


def _add_small(commands: _Commands) -> None:
    ops = commands.add_parser("ops", help="list operations, their cells and cases")
    ops.set_defaults(command=_ops)
    ops.add_argument("names", nargs="*", metavar="OP")
    ops.add_argument("--cases", action="store_true", help="list the ids of the cases")
    _json(ops)

    devices = commands.add_parser("devices", help="list the NNAPI devices of a target")
    devices.set_defaults(command=_devices)
    _target(devices)
    _json(devices)

    golden = commands.add_parser("golden", help="check or update the frozen answers")
    actions = golden.add_subparsers(required=True, metavar="ACTION")
    for name, text in (
        ("check", "recompute every golden; stale, missing, unused and corrupt ones are errors"),
        ("update", "write what has changed"),
    ):
        action = actions.add_parser(name, help=text)
        action.set_defaults(command=_golden, action=name)
        action.add_argument("names", nargs="*", metavar="OP")

    field = commands.add_parser("field", help="judge outcomes of a device, kept in a file")
    field.set_defaults(command=_field)
    field.add_argument("file", type=Path, metavar="FILE", help="id, verdict, stage, code; tabs")
    field.add_argument("--device", default="nnapi-reference", help="what the outcomes are of")
    field.add_argument("--level", type=int, default=8, help="its feature level (default 8)")
    field.add_argument(
        "--ids", default="", metavar="WORD", help="list the cases of a class, by its first word"
    )

    loopback = commands.add_parser(
        "loopback", help="start a device without a device, for dry runs of adb targets"
    )
    loopback.set_defaults(command=_loopback)
    loopback.add_argument(
        "faults", nargs="*", metavar="FAULT=VALUE", help="what goes wrong, see docs/adb.md"
    )
    loopback.add_argument("--port", type=int, default=0, help="where it listens (default: any)")
    loopback.add_argument(
        "--library", type=Path, metavar="FILE", help="its driver (default: the reference driver)"
    )

    where = commands.add_parser("where", help="print paths of the bundled driver and runner")
    where.set_defaults(command=_where)
    where.add_argument(
        "what",
        nargs="?",
        choices=("driver", "runner", "golden", "op_tests"),
        help="print this path only",
    )
    _json(where)

    from nnapi_testkit.commands import model

    model.add(commands, _target)


def _run(options: argparse.Namespace) -> int:
    from nnapi_testkit.commands.run import run

    return run(options)


def _report(options: argparse.Namespace) -> int:
    from nnapi_testkit.commands.report import report

    return report(options)


def _merge(options: argparse.Namespace) -> int:
    from nnapi_testkit.commands.merge import merge

    return merge(options)


def _ops(options: argparse.Namespace) -> int:
    from nnapi_testkit.commands.listing import ops

    return ops(options.names, options.cases, as_json=options.json)


def _devices(options: argparse.Namespace) -> int:
    from nnapi_testkit.commands.listing import devices

    return devices(options.target, as_json=options.json)


def _golden(options: argparse.Namespace) -> int:
    from nnapi_testkit.commands.golden import golden

    return golden(options.action, options.names)


def _field(options: argparse.Namespace) -> int:
    from nnapi_testkit.commands.field import field

    return field(options.file, options.device, options.level, options.ids)


def _loopback(options: argparse.Namespace) -> int:
    from nnapi_testkit.loopback.__main__ import serve

    return serve(options.faults, library=options.library, port=options.port)


def _where(options: argparse.Namespace) -> int:
    from nnapi_testkit.commands.listing import where

    return where(options.what, as_json=options.json)
