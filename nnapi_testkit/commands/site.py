"""`nnapi-testkit site`: the history of devices as static pages."""

from __future__ import annotations

import argparse
from pathlib import Path

from nnapi_testkit.report.plain import plain
from nnapi_testkit.report.text import counted

__all__ = ["add", "main"]


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.description = (
        "Take reports into a folder of static pages: a timeline of each device by"
        " release, the matrix across devices, what each run changed, and index.json for programs."
        " A site grows: what it has taken before stays, under the same addresses, and a report"
        " that it has taken may be deleted."
    )
    parser.add_argument(
        "reports",
        nargs="*",
        metavar="[RELEASE=]DIR",
        help="what run --report or merge wrote, in any order; none writes the pages again",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="SITE", help="the folder of the site"
    )
    parser.add_argument(
        "-j", "--jobs", type=int, metavar="N", help="processes (default: one for each processor)"
    )


def main(options: argparse.Namespace) -> int:
    """Take the reports and write the pages; 0. Raises KitError."""
    from nnapi_testkit.report.site import make_site

    made = make_site(options.reports, options.output, options.jobs)
    for line in made.partial:
        print(plain(f"UNFINISHED: {line}"))
    taken = f"{counted(len(made.taken), 'run')} taken, {made.runs} in all"
    print(f"{taken}, {counted(made.devices, 'device')}")
    print(plain(str(options.output / "index.html")))
    return 0
