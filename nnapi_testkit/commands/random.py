"""`nnapi-testkit random`: random graphs on a device, and the smallest model for each failure."""

from __future__ import annotations

import argparse
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from nnapi_testkit.commands.parser import add_shared
from nnapi_testkit.errors import KitError
from nnapi_testkit.session.settings import PROFILES

if TYPE_CHECKING:
    from nnapi_testkit.random_graphs.hunt import Finding, Report

__all__ = ["add", "main"]

MOST_OPERATIONS = 200


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.description = (
        "Grows random graphs over all operations and types, with control flow, shared"
        " operands and several outputs. Each operation is judged on the values that the device"
        " itself computed, and then the end. A failing graph is cut down to the smallest model that"
        " still fails, many candidates in each round trip."
    )
    parser.epilog = (
        "exit codes: 0 nothing was found; 1 the driver is wrong; 2 error, or nothing ran"
    )
    add_shared(parser, "target")
    parser.add_argument(
        "--graphs", type=int, default=200, metavar="N", help="how many (default 200)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="S", help="others for each number (default 0)"
    )
    parser.add_argument(
        "--operations",
        type=int,
        default=40,
        metavar="MAX",
        help="a graph has 1 to MAX operations (default 40)",
    )
    parser.add_argument(
        "-o",
        "--operation",
        action="append",
        default=[],
        metavar="OP",
        help="made of this operation, and what leads values to it (may be repeated)",
    )
    parser.add_argument("--level", type=int, metavar="N", help="default: the device's own")
    parser.add_argument("--profile", choices=PROFILES, default="standard")
    parser.add_argument(
        "--report", type=Path, metavar="DIR", help="keep the smallest models there, one folder each"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")


def main(options: argparse.Namespace) -> int:
    """Hunt; 0 if nothing was found, 1 for a wrong driver. Raises KitError if nothing was judged."""
    _sane(options)
    if find_spec("torch") is None:
        raise KitError("random graphs need eager PyTorch: pip install 'nnapi-testkit[torch]'")
    from nnapi_testkit.catalog import operation
    from nnapi_testkit.random_graphs.hunt import Hunt, level_of_device, nothing_judged
    from nnapi_testkit.targets import parse_target

    names = tuple(operation(name).name for name in options.operation)
    with parse_target(options.target).open() as runner:
        level = options.level or level_of_device(runner)
        hunt = Hunt(options.graphs, options.seed, options.operations, names, level, options.profile)
        report = hunt.run(runner, _told)
    nothing_judged(report)
    saved = {}
    for finding in report.findings if options.report else ():
        folder = options.report / finding.name
        finding.save(folder, options.profile)
        saved[finding.name] = str(folder)
    if options.format == "json":
        print(json.dumps(_json(report, saved), indent=1))
    else:
        print("\n".join(_text(report, saved)))
    return 1 if report.failed else 2 if report.errors else 0


def _sane(options: argparse.Namespace) -> None:
    if options.graphs < 1:
        raise KitError("--graphs must be at least 1")
    if not 1 <= options.operations <= MOST_OPERATIONS:
        raise KitError(f"--operations must be from 1 to {MOST_OPERATIONS}")
    if options.level is not None and options.level < 1:
        raise KitError("--level counts from 1")


def _told(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _text(report: Report, saved: dict[str, str]) -> list[str]:
    from nnapi_testkit.report.plain import plain

    hunt = report.hunt
    lines = []
    for finding in report.findings:
        lines += [*_finding(finding), ""]
        if finding.name in saved:
            lines[-1:] = [f"  kept: nnapi-testkit replay {saved[finding.name]}", ""]
    lines.append(
        f"{report.graphs} graphs of 1 to {hunt.most} operations, seed {hunt.seed}, feature level"
        f" {hunt.level}, on {plain(report.device) or 'an unattributed device'}:"
        f" {report.operations} operations of {len(report.kinds)} kinds,"
        f" {report.trips} round trips"
    )
    lines.append(
        f"{report.right} operations right, {report.open} with bounds too wide to judge;"
        f" {report.failed} graphs failed, {len(report.findings)} different failures"
    )
    if report.differing:
        lines.append(
            f"{report.differing} graphs end in other bits while their values are not looked at;"
            " their parts were judged that way too"
        )
    if report.unclaimed:
        lines.append(
            f"not claimed by the device: {', '.join(sorted(report.unclaimed))};"
            f" {report.left_out} graphs left out"
        )
    lines += [f"error: {plain(line)}" for line in report.errors[:10]]
    return lines


def _finding(finding: Finding) -> list[str]:
    from nnapi_testkit.report.plain import plain
    from nnapi_testkit.report.text import difference_line
    from nnapi_testkit.repro.model_text import model_text

    shrunk, record = finding.shrunk, finding.record
    left = shrunk.graph.operations
    lines = [
        f"{record.verdict.value} {finding.where}: {plain(record.message)}",
        f"  {left} operation{'s' * (left != 1)}, cut from {shrunk.first.trial.graph.operations} of"
        f" {finding.name} in {shrunk.trips} round trips"
        + ("; only while its values are not looked at" if shrunk.outcome.hidden else ""),
    ]
    lines += [f"  {difference_line(each)}" for each in record.differences[:3]]
    text = model_text(shrunk.outcome.trial.whole).splitlines()
    return [*lines, *(f"    {plain(line)}" for line in text[1:])]


def _json(report: Report, saved: dict[str, str]) -> dict[str, object]:
    hunt = report.hunt
    return {
        "graphs": report.graphs,
        "seed": hunt.seed,
        "most_operations": hunt.most,
        "feature_level": hunt.level,
        "device": report.device,
        "operations": report.operations,
        "right": report.right,
        "open": report.open,
        "failed": report.failed,
        "differing": report.differing,
        "round_trips": report.trips,
        "verdicts": dict(report.verdicts),
        "kinds": dict(sorted(report.kinds.items())),
        "not_claimed": sorted(report.unclaimed),
        "left_out": report.left_out,
        "errors": report.errors,
        "findings": [
            {
                "graph": finding.name,
                "operation": finding.where,
                "verdict": finding.record.verdict.value,
                "message": finding.record.message,
                "operations": finding.shrunk.graph.operations,
                "of": finding.shrunk.first.trial.graph.operations,
                "round_trips": finding.shrunk.trips,
                "folder": saved.get(finding.name, ""),
            }
            for finding in report.findings
        ],
    }
