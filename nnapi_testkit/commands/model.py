"""`nnapi-testkit model check`, `coverage`, `bench`: whole models on any target."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nnapi_testkit.commands import mobile
from nnapi_testkit.commands.parser import add_shared
from nnapi_testkit.errors import KitError
from nnapi_testkit.session.settings import PROFILES

if TYPE_CHECKING:
    from nnapi_testkit.model.program import Program
    from nnapi_testkit.models.coverage import Coverage
    from nnapi_testkit.targets.base import Runner

__all__ = ["add", "main"]

FORMATS = ("text", "json", "markdown", "html")


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    check = actions.add_parser(
        "check", help="judge each operation of a model alone, and its end; names the wrong one"
    )
    coverage = actions.add_parser(
        "coverage", help="which operations a device claims, compiles and computes rightly"
    )
    bench = actions.add_parser("bench", help="time a model by each way to run it")
    for action, function in ((check, _check), (coverage, _coverage), (bench, _bench)):
        action.set_defaults(action=function)
        action.add_argument(
            "file",
            type=Path,
            metavar="FILE",
            help=".pt2: torch.export; .onnx: ONNX; .tflite: LiteRT; .pt, .ptl: TorchScript",
        )
        mobile.source_options(action)
        action.add_argument(
            "--unsigned",
            action="store_true",
            help="8-bit signed data as unsigned, for devices below feature level 4",
        )
        action.add_argument(
            "--level",
            type=int,
            choices=range(1, 9),
            metavar="N",
            help="with the operations and types of feature level N (1 to 8); below 3 also --layout"
            " nhwc",
        )
    for action in (check, coverage):
        action.add_argument("--profile", choices=PROFILES, default="standard")
    add_shared(check, "target")
    add_shared(bench, "target")
    check.add_argument("--format", choices=("text", "json"), default="text")
    coverage.add_argument(
        "-t",
        "--target",
        action="append",
        metavar="TARGET",
        help="a device; may come several times (default host)",
    )
    coverage.add_argument("--format", choices=FORMATS, default="text")
    coverage.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: the terminal")
    coverage.add_argument(
        "--baseline",
        type=Path,
        metavar="FILE",
        help="an earlier --format json: exit 1 if a device runs less than it says",
    )
    bench.add_argument("--runs", type=int, default=30, metavar="N", help="of each way (default 30)")
    bench.add_argument("--format", choices=("text", "json", "markdown"), default="text")
    mobile.add_actions(actions)


def main(options: argparse.Namespace) -> int:
    """Do the action that was called; returns its exit code. Raises KitError."""
    action: Callable[[argparse.Namespace], int] = options.action
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own, about parts of it that will be removed
        return action(options)


def _load(options: argparse.Namespace) -> Program:
    from nnapi_testkit.frontends import load

    program = load(
        options.file,
        options.input,
        # Before level 3 there are no channels first.
        layout="nhwc" if (options.level or 8) < 3 else options.layout,
        flexible=options.flexible or (),
        relaxed=options.relaxed,
    )
    if options.unsigned:
        from nnapi_testkit.frontends.unsigned import unsigned

        program = unsigned(program)
    if options.level:
        from nnapi_testkit.frontends.older import older

        program = older(program, options.level)
    return program


def _open(target: str) -> Runner:
    from nnapi_testkit.targets import parse_target

    return parse_target(target).open()


def _check(options: argparse.Namespace) -> int:
    """Judge the model; 0 for PASS, 1 if the driver is wrong, 2 if it could not be judged."""
    from nnapi_testkit.models.check import check

    program = _load(options)
    with _open(options.target) as runner:
        report = check(program, runner, profile=options.profile)
    if options.format == "json":
        print(json.dumps(report.json(), indent=1))
    else:
        print(report.text())
    if report.verdict.is_failure:
        return 1
    return 0 if report.passed else 2


def _coverage(options: argparse.Namespace) -> int:
    """Print the table; 1 if a claimed operation is wrong, or less runs than the baseline says."""
    from nnapi_testkit.models.coverage import cover, regressions

    before = _baseline(options.baseline) if options.baseline else []
    program = _load(options)
    found = []
    for target in options.target or ["host"]:
        with _open(target) as runner:
            found.append(cover(program, runner, target, profile=options.profile))
    text = _rendered(found, options.format)
    if options.output:
        try:
            options.output.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise KitError(f"{options.output} cannot be written: {error.strerror}") from error
    else:
        print(text)
    worse = []
    for item in found:
        old = next((row for row in before if row.get("target") == item.target), None)
        if before and old is None:
            worse.append(f"{item.target} is not in the baseline")
        elif old is not None:
            worse += [f"{item.target}: {line}" for line in regressions(item, old)]
    for line in worse:
        print(f"regression: {line}", file=sys.stderr)
    return 1 if worse or any(item.wrong for item in found) else 0


def _rendered(found: list[Coverage], form: str) -> str:
    from nnapi_testkit.models import coverage_text

    if form == "json":
        return json.dumps([item.json() for item in found], indent=1)
    render = {
        "text": coverage_text.text,
        "markdown": coverage_text.markdown,
        "html": coverage_text.html,
    }
    return render[form](found)


def _baseline(path: Path) -> list[dict[str, object]]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise KitError(f"the baseline {path} cannot be read: {error}") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise KitError(f"{path} is no baseline: write one with model coverage --format json -o")
    return rows


def _bench(options: argparse.Namespace) -> int:
    from nnapi_testkit.models import bench_text
    from nnapi_testkit.models.bench import bench

    if options.runs < 2:
        raise KitError("--runs must be at least 2: the first run is told apart")
    program = _load(options)
    found = bench(program, lambda: _open(options.target), options.target, runs=options.runs)
    if options.format == "json":
        print(json.dumps(found.json(), indent=1))
    else:
        print(
            bench_text.markdown(found) if options.format == "markdown" else bench_text.text(found)
        )
    return 0
