"""`nnapi-testkit replay DIR`: a saved case again, judged or in a debugger."""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.ref import Broken, CaseRef, Constraint
from nnapi_testkit.catalog import catalog
from nnapi_testkit.commands.parser import add_shared
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.judge import judge
from nnapi_testkit.model.case import Stage
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.model.place import Place
from nnapi_testkit.report.text import details
from nnapi_testkit.repro.debug import DEBUGGERS, command, on_device, program
from nnapi_testkit.repro.read import read_answer, read_case
from nnapi_testkit.session.settings import PROFILES

__all__ = ["add", "main"]


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="what run CASE --save DIR wrote")
    parser.add_argument("--profile", choices=PROFILES, help="default: that of the saved run")
    parser.add_argument(
        "--debug",
        choices=DEBUGGERS,
        help="run it in one process in a debugger instead, stopped in the function where it ended",
    )
    add_shared(parser, "target")


def main(options: argparse.Namespace) -> int:
    """Run and judge; 0 for a pass, 1 if the driver broke a promise, 2 if nothing was judged."""
    from nnapi_testkit.targets import parse_target

    folder: Path = options.folder
    facts = _facts(folder / "record.json")
    saved = facts.get("record")
    assert isinstance(saved, dict)
    if options.debug:
        return _debug(folder, str(saved.get("stage", "")), options.target, options.debug)
    case = read_case(folder / "case.nntk", str(saved.get("id", folder.name)))
    answer = read_answer(folder, case)
    ref = CaseRef(
        case.id,
        str(saved.get("operation", "")),
        str(saved.get("cell", "")),
        int(saved.get("level", 1)),
        _kind(saved),
        lambda: case,
        broken=_broken(saved) if case.expect is not Stage.DONE else None,
        refusable=_refusable(saved),
    )
    with parse_target(options.target).open(isolate=True) as runner:
        result = next(iter(runner.run([case])))
    profile = options.profile or str(facts.get("profile", "standard"))
    record = judge(ref, case, answer, result, profile=profile, target=options.target)
    print("\n".join(details(record)))
    if record.verdict.is_failure:
        return 1
    return 2 if record.verdict.is_error else 0


def _debug(folder: Path, stage: str, text: str, debugger: str) -> int:
    """Print the debugger's command for a target, and start it where somebody is there to use it."""
    from nnapi_testkit.targets import LocalTarget, fleet, parse_target

    if not (folder / "repro.c").is_file():
        raise KitError(
            f"{folder} has no repro.c to debug: save the case again with run CASE --save"
        )
    place = parse_target(text)
    if not isinstance(place, LocalTarget):
        first = Place.of(fleet(text)[0])
        adb = ["adb", *(["-s", first.rest] if first.rest else [])]
        print("in the folder, with an Android NDK at $NDK:")
        print("\n".join(on_device(debugger, stage, adb, first.device)))
        return 0
    if place.support_library:
        raise KitError("a support library has no functions to link to: debug it as lib: or adb:")
    words = command(debugger, stage, program(folder, place.find()), place.device)
    print(shlex.join(words), flush=True)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return 0
    if shutil.which(debugger) is None:
        raise KitError(
            f"{debugger} is not installed: install it, or paste the line above elsewhere"
        )
    return subprocess.run(words, check=False).returncode and 2


def _kind(saved: Mapping[str, object]) -> Kind:
    word = str(saved.get("kind", Kind.POSITIVE))
    if word not in set(Kind):
        raise KitError(
            f"record.json: {word[:40]!r} is no kind of case: was it written by a newer version?"
        )
    return Kind(word)


def _broken(saved: Mapping[str, object]) -> Broken:
    """What the saved refusal breaks."""
    return Broken(
        Constraint(str(saved.get("rule", ""))),
        control=str(saved.get("neighbour", "")),
        newer=saved.get("newer") is True,
    )


def _refusable(saved: dict[str, object]) -> str:
    """Why a device may refuse the saved edge, as the suite says; empty for other cases."""
    if saved.get("kind") != Kind.EDGE or saved.get("operation") not in catalog():
        return ""
    refs = case_index([str(saved["operation"])])
    return next((ref.refusable for ref in refs if ref.id == saved.get("id")), "")


def _facts(path: Path) -> dict[str, object]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise KitError(f"{path} cannot be read: {error}") from error
    if not isinstance(facts, dict) or not isinstance(facts.get("record"), dict):
        raise KitError(f"{path} is no record of a saved case: name the folder of run --save")
    return facts
