"""`nnapi-testkit power`: what the suite notices of known faults, rules left out, and mutants."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from nnapi_testkit.errors import KitError

if TYPE_CHECKING:
    from nnapi_testkit.power.matrix import Matrix
    from nnapi_testkit.power.rules import Outcome

__all__ = ["add", "main"]

ACTIONS = ("run", "list", "rules", "mutants", "variants", "tiers", "build")
PROGRESS = "mutants.progress.jsonl"


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.description = (
        "Tries known faults on the suite and writes which case notices which: run"
        " (default) the catalogue, rules the driver's validation rules left out one at a time,"
        " mutants changes of its kernels, variants correct drivers that compute otherwise, tiers"
        " the smallest selections that keep the power, build the driver's test build alone, list"
        " the catalogue."
    )
    parser.epilog = (
        "exit codes: 0 everything was noticed or is explained; 1 something was not; 2 error"
    )
    parser.add_argument("action", nargs="?", choices=ACTIONS, default="run")
    parser.add_argument(
        "-o",
        "--operation",
        action="append",
        default=[],
        metavar="OP",
        help="only cases of this operation (may be repeated)",
    )
    parser.add_argument(
        "-f",
        "--fault",
        action="append",
        default=[],
        metavar="NAME",
        help="only this fault (may be repeated); see power list",
    )
    parser.add_argument(
        "--layer",
        choices=("in", "out", "planted", "wrappers"),
        help="only faults of this layer; wrappers are in and out, and need no test build",
    )
    parser.add_argument(
        "-t", "--target", default="host", help="what wrappers stand around (default host)"
    )
    parser.add_argument("--profile", choices=("strict", "standard", "cts"), default="standard")
    parser.add_argument(
        "--sample",
        type=int,
        default=0,
        metavar="N",
        help="of the mutants the first N (default all)",
    )
    parser.add_argument(
        "--cases",
        type=int,
        default=0,
        metavar="N",
        help="at most N cases of each operation, spread evenly (default all)",
    )
    _add_report(parser)


def _add_report(power: argparse.ArgumentParser) -> None:
    power.add_argument("--report", type=Path, metavar="DIR", help="write JSON and text there")
    power.add_argument(
        "--resume",
        action="store_true",
        help="of mutants: go on where a run with the same --report was ended",
    )
    power.add_argument(
        "--matrix", type=Path, metavar="FILE", help="of tiers: the kill matrix to take them from"
    )


def main(options: argparse.Namespace) -> int:
    """Do what `options.action` says; 1 if something is not noticed. Raises KitError."""
    if options.report:
        options.report.mkdir(parents=True, exist_ok=True)
    actions = {
        "run": _run,
        "list": _list,
        "rules": _rules,
        "mutants": _mutants,
        "variants": _variants,
        "tiers": _tiers,
        "build": _build,
    }
    return actions[options.action](options)


def _operations(options: argparse.Namespace) -> tuple[str, ...]:
    from nnapi_testkit.catalog import operation

    return tuple(operation(name).name for name in options.operation)


def _told(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _list(options: argparse.Namespace) -> int:
    from nnapi_testkit.power.catalogue import pick

    for fault in pick(tuple(options.fault), _operations(options)):
        print(f"{fault.id}  [{fault.layer}]  {fault.what}")
        print(f"    {', '.join(fault.operations)}; seen: {fault.seen}")
    return 0


def _build(options: argparse.Namespace) -> int:
    from nnapi_testkit.power.build import build

    made = build()
    print(made.library)
    print(
        f"{len(made.planted)} planted faults, {len(made.rules)} rules,"
        f" {len(made.mutants)} mutants ({made.invalid} drawn ones do not compile)"
    )
    return 0


def _run(options: argparse.Namespace) -> int:
    from nnapi_testkit.power.bench import Bench
    from nnapi_testkit.power.build import build
    from nnapi_testkit.power.catalogue import pick
    from nnapi_testkit.power.matrix import measure

    operations = _operations(options)
    faults = pick(tuple(options.fault), operations)
    if options.layer:
        layers = ("in", "out") if options.layer == "wrappers" else (options.layer,)
        faults = [fault for fault in faults if fault.layer in layers]
    if options.target != "host":
        faults = [fault for fault in faults if fault.layer != "planted"]
    if not faults:
        raise KitError("no fault is left: see nnapi-testkit power list")
    library = build().library if any(fault.layer == "planted" for fault in faults) else None
    bench = Bench(options.target, library, options.profile, options.cases)
    matrix = measure(bench, faults, operations, _told)
    matrix.profile = options.profile
    text = _matrix_text(matrix)
    if options.report:
        matrix.dump(options.report / "matrix.jsonl")
        (options.report / "matrix.txt").write_text(text)
    print(text, end="")
    if bench.unanswered:
        _told(f"{len(bench.unanswered)} cases have no answer and were left out")
    from nnapi_testkit.power.catalogue import catalogue

    known = catalogue()
    return 1 if any(not known[name].waived for name in matrix.survivors) else 0


def _matrix_text(matrix: Matrix) -> str:
    from nnapi_testkit.power.catalogue import catalogue

    known = catalogue()
    lines = []
    for name, kills in matrix.kills.items():
        fault = known[name]
        if kills:
            margins = sorted(kill.margin for kill in kills.values())
            middle = margins[len(margins) // 2]
            lines.append(f"{name:34} {len(kills):6} kills, median margin {middle:.3g}")
        else:
            lines.append(f"{name:34}   none: {fault.waived or fault.what}")
    killed = len(matrix.kills) - len(matrix.survivors)
    lines.append(f"{killed} of {len(matrix.kills)} kinds of fault noticed under {matrix.profile}")
    return "\n".join(lines) + "\n"


def _outcomes(options: argparse.Namespace, name: str, outcomes: Sequence[Outcome]) -> int:
    counts = Counter(outcome.status for outcome in outcomes)
    lines = []
    for outcome in outcomes:
        if outcome.status == "killed":
            continue
        site = outcome.site
        change = f" -> {site.instead}" if site.change else ""
        lines.append(f"{outcome.status:9} {site.name}: {site.text[:90]}{change[:90]}")
        if outcome.by:
            lines.append(f"          {outcome.by}")
    good = sum(counts[status] for status in ("killed", "explained", "shadowed", "tested"))
    lines.append(
        f"{name}: {counts['killed']} of {len(outcomes)} noticed; "
        + ", ".join(f"{n} {status}" for status, n in sorted(counts.items()) if status != "killed")
    )
    text = "\n".join(lines) + "\n"
    if options.report:
        rows = [json.dumps(asdict(outcome)) for outcome in outcomes]
        (options.report / f"{name}.jsonl").write_text("\n".join(rows) + "\n")
        (options.report / f"{name}.txt").write_text(text)
    print(text, end="")
    return 0 if good == len(outcomes) else 1


def _rules(options: argparse.Namespace) -> int:
    from nnapi_testkit.catalog import catalog
    from nnapi_testkit.power.build import build
    from nnapi_testkit.power.rules import try_rules, ways_of

    ways = ways_of(build(), options.profile, options.cases)
    operations = _operations(options) or tuple(catalog())
    return _outcomes(options, "rules", try_rules(ways, operations, _told))


def _mutants(options: argparse.Namespace) -> int:
    from nnapi_testkit.catalog import catalog
    from nnapi_testkit.power.build import build
    from nnapi_testkit.power.mutants import try_mutants
    from nnapi_testkit.power.progress import Progress
    from nnapi_testkit.power.rules import WAYS, ways_of

    if options.resume and not options.report:
        raise KitError("--resume goes on with what is in a report: name it with --report DIR")
    made = build()
    ways = ways_of(made, options.profile, options.cases)
    operations = _operations(options) or tuple(catalog())
    progress = None
    if options.report:
        setting = {
            "build": made.library.parent.name,
            "profile": options.profile,
            "cases": options.cases,
            "ways": list(map(dict, WAYS)),
        }
        progress = Progress.kept(options.report / PROGRESS, setting, options.resume)
    outcomes = try_mutants(ways, operations, options.sample, _told, progress)
    return _outcomes(options, "mutants", outcomes)


def _variants(options: argparse.Namespace) -> int:
    from nnapi_testkit.catalog import catalog
    from nnapi_testkit.power.bench import Bench
    from nnapi_testkit.power.variants import VARIANTS, try_variants

    bench = Bench(options.target, None, options.profile, options.cases)
    judged = alarms = 0
    for name in _operations(options) or tuple(catalog()):
        tally = try_variants(bench, name)
        judged += tally.judged
        alarms += len(tally.alarms)
        for line in tally.alarms[:20]:
            print(line)
        _told(f"{name}: {tally.judged} judged, {len(tally.alarms)} alarms")
        bench.forget(name)
    print(f"{len(VARIANTS)} correct variants, {judged} cases judged, {alarms} alarms")
    return 1 if alarms or not judged else 0


def _tiers(options: argparse.Namespace) -> int:
    from nnapi_testkit.power.tiers import write_tiers

    if options.matrix is None:
        raise KitError("tiers are taken from a kill matrix: name it with --matrix FILE")
    print(write_tiers(options.matrix), end="")
    return 0
