"""The command line: `nnapi-testkit run`, `report`, `ops`, `devices`, `golden`, `where`, `model`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import nnapi_testkit
from nnapi_testkit.commands.android import add_build_runners
from nnapi_testkit.commands.emulator import add_emulator
from nnapi_testkit.errors import KitError

__all__ = ["main"]

_EXIT_CODES = """\
exit codes: 0 every promise was kept; 1 the driver broke one; 2 error: usage, target, oracle,
floors or waivers, or nothing was judged"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    try:
        options = _parser().parse_args(arguments)
        command: Callable[[argparse.Namespace], int] = options.command
        code = command(options)
        sys.stdout.flush()
        return code
    except KitError as error:
        print(f"nnapi-testkit: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader (head, a pager) has gone. Python would complain again when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 2
    except KeyboardInterrupt:
        print("nnapi-testkit: interrupted", file=sys.stderr)
        return 2


class _Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line, as every other error is."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}: see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = _Parser(
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
    pick.add_argument(
        "-o",
        "--operation",
        action="append",
        default=[],
        metavar="OP",
        help="only this operation (may be repeated)",
    )
    pick.add_argument(
        "--level",
        "--nnapi-feature-level",
        type=int,
        metavar="N",
        help="only cases that need at most feature level N (default: the device's own)",
    )
    pick.add_argument(
        "--kind", action="append", default=[], help="only this kind of case (may be repeated)"
    )
    pick.add_argument("--shard", metavar="I/N", help="part I of N of the selected cases")
    pick.add_argument(
        "--seed",
        type=int,
        default=0,
        help="other data for the same cases; goldens answer seed 0 only",
    )
    how = run.add_argument_group("how")
    _target(how)
    how.add_argument(
        "-j",
        "--jobs",
        "--nnapi-jobs",
        type=int,
        default=1,
        metavar="N",
        help="runner processes (default 1)",
    )
    how.add_argument(
        "--oracle",
        "--nnapi-oracle",
        choices=("auto", "live", "golden"),
        default="auto",
        help="who answers (default: live if torch is installed)",
    )
    how.add_argument(
        "--profile",
        "--nnapi-profile",
        choices=("strict", "standard", "cts"),
        default="standard",
        help="what counts as equal (default standard)",
    )
    how.add_argument("--isolate", action="store_true", help="a worker of its own for every case")
    how.add_argument(
        "--before-run",
        metavar="CMD",
        help="run this first, with ANDROID_SERIAL set: push a driver, restart it, set properties",
    )
    how.add_argument(
        "--driver-log",
        action="store_true",
        help="run failures once more with the driver's verbose log (debug.nn.vlog) and keep it",
    )
    how.add_argument("--memory-limit", type=int, metavar="MB", help="what a worker may grow to")
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
    out.add_argument(
        "--report",
        type=Path,
        metavar="DIR",
        help="write results.jsonl, summary.json, junit.xml and index.html",
    )
    out.add_argument("--matrix", action="store_true", help="print the coverage matrix")
    out.add_argument(
        "--show", type=int, default=10, metavar="N", help="failures to print in full (default 10)"
    )
    out.add_argument(
        "--floor",
        type=Path,
        metavar="FILE",
        help="fail if fewer cases run or are compared than FILE expects",
    )
    out.add_argument(
        "--write-floor",
        type=Path,
        metavar="FILE",
        help="store what this run reached as the floor of later ones",
    )
    out.add_argument("--waivers", type=Path, metavar="FILE", help="TOML file of expected failures")


def _target(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "-t",
        "--target",
        "--nnapi-target",
        default="host",
        help="host, lib:PATH, adb:SERIAL or another registered target (default host)",
    )


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
        choices=("text", "html", "junit"),
        default="text",
        help="text to the terminal (default), html or junit to a file",
    )
    report.add_argument(
        "-o", "--output", type=Path, help="where html or junit go (default: into DIR)"
    )
    report.add_argument(
        "--diff",
        type=Path,
        metavar="OTHER",
        help="what has changed from OTHER to DIR; exit code 1 if something got worse",
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


def _add_small(commands: _Commands) -> None:
    ops = commands.add_parser("ops", help="list operations, their cells and cases")
    ops.set_defaults(command=_ops)
    ops.add_argument("names", nargs="*", metavar="OP")
    ops.add_argument("--cases", action="store_true", help="list the ids of the cases")

    devices = commands.add_parser("devices", help="list the NNAPI devices of a target")
    devices.set_defaults(command=_devices)
    _target(devices)

    golden = commands.add_parser("golden", help="check or update the frozen answers")
    actions = golden.add_subparsers(required=True, metavar="ACTION")
    for name, text in (
        ("check", "recompute every golden; stale, missing, unused and corrupt ones are errors"),
        ("update", "write what has changed"),
    ):
        action = actions.add_parser(name, help=text)
        action.set_defaults(command=_golden, action=name)
        action.add_argument("names", nargs="*", metavar="OP")

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

    _add_model(commands)


def _add_model(commands: _Commands) -> None:
    model = commands.add_parser("model", help="models through PyTorch's own NNAPI runtime")
    actions = model.add_subparsers(required=True, metavar="ACTION")
    check = actions.add_parser("check", help="compare a saved model on the driver with eager")
    convert = actions.add_parser("convert", help="convert a saved model, with inputs and answers")
    for action in (check, convert):
        action.set_defaults(command=_model, action="check" if action is check else "convert")
        action.add_argument("file", type=Path, metavar="FILE", help="a TorchScript file")
        action.add_argument(
            "-i",
            "--input",
            action="append",
            default=[],
            metavar="SHAPE[:TYPE]",
            help="random data for the next input, as in 1,3,224,224:float32, instead of the inputs"
            " that the file carries",
        )
        action.add_argument("--layout", choices=("nchw", "nhwc"), default="nchw")
        action.add_argument(
            "--flexible",
            type=int,
            nargs="+",
            metavar="DIM",
            help="dimensions of every input that are left open until the first run",
        )
        action.add_argument(
            "--relaxed", action="store_true", help="float32 may be computed as float16"
        )
        action.add_argument(
            "--lite", action="store_true", help="the file format of PyTorch's lite interpreter"
        )
    _target(check)
    check.add_argument(
        "--eager", type=Path, metavar="FILE", help="what a converted FILE was made from"
    )
    check.add_argument(
        "--runs", type=int, default=5, metavar="N", help="timed runs; 0 takes no time (default 5)"
    )
    check.add_argument(
        "--timeout", type=float, default=300.0, metavar="SECONDS", help="default 300"
    )
    convert.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    sample = actions.add_parser("sample", help="write one of the kit's own models, to try these")
    sample.set_defaults(command=_model, action="sample")
    sample.add_argument("name", metavar="NAME", help="mobilenet_v2, convnet, mlp, ...")
    sample.add_argument("file", type=Path, metavar="FILE")


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

    return ops(options.names, options.cases)


def _devices(options: argparse.Namespace) -> int:
    from nnapi_testkit.commands.listing import devices

    return devices(options.target)


def _golden(options: argparse.Namespace) -> int:
    from nnapi_testkit.commands.golden import golden

    return golden(options.action, options.names)


def _loopback(options: argparse.Namespace) -> int:
    from nnapi_testkit.loopback.__main__ import serve

    return serve(options.faults, library=options.library, port=options.port)


def _where(options: argparse.Namespace) -> int:
    from nnapi_testkit.commands.listing import where

    return where(options.what)


def _model(options: argparse.Namespace) -> int:
    from nnapi_testkit.commands.model import model

    return model(options)


if __name__ == "__main__":
    sys.exit(main())
