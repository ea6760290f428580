"""`nnapi-testkit golden check|update`: the frozen answers."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from nnapi_testkit.answers import Flaw, check, update
from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.paths import golden_dir
from nnapi_testkit.report.text import counted
from nnapi_testkit.session.answering import resolve
from nnapi_testkit.session.plan import Selection, select
from nnapi_testkit.session.services import Services, standard
from nnapi_testkit.session.settings import OracleMode

__all__ = ["add", "main"]


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    for name, text in (
        ("check", "recompute every golden; stale, missing, unused and corrupt ones are errors"),
        ("update", "write what has changed"),
    ):
        action = actions.add_parser(name, help=text)
        action.set_defaults(action=name)
        action.add_argument("names", nargs="*", metavar="OP")


def main(options: argparse.Namespace) -> int:
    """Check or update the goldens of some operations (default: all).

    Returns 0 if nothing is wrong, 2 otherwise. Raises KitError if torch is missing and an update
    is asked for, and for a corrupt file, which is never overwritten.
    """
    names = tuple(options.names)
    index: Sequence[CaseRef] = case_index()
    if names:
        index = select(index, Selection(operations=names))
    services = standard()
    refs = [ref for ref in index if ref.kind != Kind.REFUSAL]  # a driver has to refuse those
    return (
        _check(refs, bool(names), services)
        if options.action == "check"
        else _update(refs, services)
    )


def _check(refs: Sequence[CaseRef], partly: bool, services: Services) -> int:
    mode, notice = resolve(OracleMode.AUTO, services)
    if notice:
        print("note: torch is not installed: hashes and checksums are checked, values are not")
    live = services.live() if mode is OracleMode.LIVE else None
    findings = check(golden_dir(), refs, live)
    if partly:
        operations = {ref.operation for ref in refs}
        findings = [
            item
            for item in findings
            if item.kind is not Flaw.UNUSED or item.operation in operations
        ]
    for item in findings:
        print(f"{item.kind.value}: {item.message}")
    print(f"{counted(len(refs), 'golden')} checked, {counted(len(findings), 'finding')}")
    return 2 if findings else 0


def _update(refs: Sequence[CaseRef], services: Services) -> int:
    resolve(OracleMode.LIVE, services)
    changed = update(golden_dir(), refs, services.live())
    for name in changed:
        print(f"written: {name}")
    print(f"{counted(len(refs), 'golden')} computed, {counted(len(changed), 'file')} changed")
    return 0
