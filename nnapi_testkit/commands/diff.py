"""`nnapi-testkit diff`: runs side by side."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from nnapi_testkit.errors import KitError
from nnapi_testkit.report.files import write_whole
from nnapi_testkit.report.plain import plain
from nnapi_testkit.report.sources import read_sides
from nnapi_testkit.report.versus import Versus, as_json, markdown, text_lines, versus
from nnapi_testkit.session.ledger import Exit

__all__ = ["FORMATS", "add", "main"]

FORMATS = ("text", "markdown", "json", "html")
_ANYWAY = "another driver cannot be told from other conditions: --anyway compares them all the same"


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.description = (
        "Compare each report with the first: newly failing, fixed, another verdict,"
        " vanished, new, drifted inside the bound, identical bits. One report of several devices"
        " is compared device by device."
    )
    parser.epilog = (
        "exit codes: 0 nothing got worse; 1 something fails that did not, vanished or is no"
        " longer computed; 2 conditions differ, a run is not whole, or error"
    )
    parser.add_argument(
        "reports",
        nargs="+",
        metavar="[LABEL=]DIR",
        help="what run --report or merge wrote, the oldest first; LABEL names its column",
    )
    parser.add_argument(
        "--format", choices=FORMATS, default="text", help="text (default); html needs -o"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write it there")
    parser.add_argument(
        "--anyway",
        action="store_true",
        help="compare runs of other profiles, oracles, selections, targets or versions too",
    )
    parser.add_argument("--all", action="store_true", help="list every case, as text")


def main(options: argparse.Namespace) -> int:
    """Compare reports and write what was found; returns the exit code. Raises KitError."""
    form: str = options.format
    output: Path | None = options.output
    if form == "html" and output is None:
        raise KitError("a page goes into a file: name it with -o FILE")
    found = versus(read_sides(options.reports))
    if form == "html":
        from nnapi_testkit.report.board import diff_page

        assert output is not None
        text = diff_page(found, Path(os.path.abspath(output)).parent)
    elif form == "json":
        text = json.dumps(as_json(found), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    elif form == "markdown":
        text = markdown(found)
    else:
        text = "".join(f"{line}\n" for line in text_lines(found, everything=options.all))
    if output is None:
        sys.stdout.write(text)
    else:
        write_whole(output, text)
        _say(found, output)
    if found.differing and not options.anyway:
        print(f"nnapi-testkit: {_ANYWAY}", file=sys.stderr)
    return int(_code(found, options.anyway))


def _say(found: Versus, output: Path) -> None:
    """Tell in a few lines what the file holds."""
    for line in found.differing:
        print(f"CONDITIONS DIFFER: {line}")
    for line in found.partial:
        print(f"UNFINISHED: {line}")
    for side, comparison in zip(found.sides[1:], found.comparisons, strict=True):
        print(plain(f"{found.sides[0].label} -> {side.label}: {comparison.line}"))
    print(plain(str(output)))


def _code(found: Versus, anyway: bool) -> Exit:
    if found.partial or (found.differing and not anyway):
        return Exit.ERROR
    return Exit.FAIL if found.worse else Exit.PASS
