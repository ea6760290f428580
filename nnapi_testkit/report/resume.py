"""Continuing a report: which of its records stay, and which cases are run (again).

`--resume` runs what has no word on the driver yet: cases without a record, INFRA and NOT_RUN.
`--retry` runs what failed or was in error as well. In both the new verdict of a case stands; the
one that it replaces stays beside it (`Record.earlier`), so that a case which passes at the second
try is seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.report.accounts import RESULTS, Accounts, read_accounts
from nnapi_testkit.session.record import Beginning

__all__ = ["Earlier", "earlier", "readable", "resumed"]

# What two parts of one run have in common, as their first lines and their options call it.
_SAME = {
    "selection": "the selection",
    "shard": "--shard",
    "target": "--target",
    "profile": "--profile",
    "oracle": "--oracle",
    "seed": "--seed",
    "judged": "--judge",
    "build": "the device",
    "version": "the version of nnapi-testkit",
    "planned": "the number of planned cases",
}


@dataclass(frozen=True)
class Earlier:
    """What an earlier part of a run leaves to this one.

    Args:
        records: those that stay, in their order.
        retried: failures and errors that are replaced by what comes, by case.
        faults: of the driver outside any case.
        beginning: the first line of the report.
    """

    records: Sequence[Record]
    retried: Mapping[str, Verdict]
    faults: Sequence[str]
    beginning: Beginning


def readable(folder: Path) -> None:
    """Raise KitError for a folder that holds no report to continue."""
    if not (folder / RESULTS).is_file():
        raise KitError(
            f"{folder} holds no {RESULTS}: name a folder that run --report wrote, or begin one"
            " with --report"
        )


def earlier(
    folder: Path, beginning: Beginning, planned: Sequence[CaseRef], *, retry: bool
) -> Earlier:
    """Read the report and return what of it stays.

    Args:
        beginning: the first line that the same run would write now.
        planned: the cases of the run.
        retry: run again what failed or was in error.

    Raises KitError if the report is damaged, or of another run.
    """
    accounts = read_accounts(folder)
    old = _same_run(accounts, beginning, planned)
    by_id = {record.id: record for record in accounts.records}
    again = {
        ref.id for ref in planned if ref.id not in by_id or _is_left(by_id[ref.id], retry=retry)
    }
    again |= _companions(planned, again)
    retried = dict(old.retried)
    for record in accounts.records:
        broken = record.verdict.is_bad
        if record.id in again and broken and not record.verdict.meaning.silent:
            # Of a case that failed in several parts the first word stays.
            retried[record.id] = record.earlier or record.verdict
    kept = [record for record in accounts.records if record.id not in again]
    return Earlier(kept, retried, accounts.end.faults if accounts.end else (), old)


def resumed(found: Earlier, beginning: Beginning, now: str) -> Beginning:
    """Return the first line of a run that continues at `now` (UTC)."""
    old = found.beginning
    return replace(
        beginning, started=old.started, resumed=(*old.resumed, now), retried=found.retried
    )


def _is_left(record: Record, *, retry: bool) -> bool:
    if record.verdict.meaning.silent:
        return True
    return retry and record.verdict.is_bad


def _companions(planned: Sequence[CaseRef], again: set[str]) -> set[str]:
    """Cases whose outputs are compared with those of cases that are run again.

    The paths of one model must agree bit by bit, and a record does not hold the bits.
    """
    groups = {ref.answer_id for ref in planned if ref.answer_id and ref.id in again}
    return {ref.id for ref in planned if ref.answer_id in groups}


def _same_run(accounts: Accounts, beginning: Beginning, planned: Sequence[CaseRef]) -> Beginning:
    old = accounts.beginning
    if old is None:
        raise KitError(f"{accounts.path}: {accounts.unfinished}: run it anew with --report")
    for name, words in _SAME.items():
        was, is_ = getattr(old, name), getattr(beginning, name)
        if was != is_:
            raise KitError(
                f"{accounts.path} is a report of another run: {words} was {_told(was)} and is"
                f" {_told(is_)}: repeat the options of its run, or begin another with --report"
            )
    strange = {record.id for record in accounts.records} - {ref.id for ref in planned}
    if strange:
        raise KitError(
            f"{accounts.path} is a report of another run: it has {min(strange)}, which is not among"
            " the cases of this one: begin another with --report"
        )
    return old


def _told(value: object) -> str:
    return repr(value) if value != "" else "none"
