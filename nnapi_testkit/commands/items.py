"""What pytest is told of a case: its item, and the one report of its record."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.judge.verdict import Evidence, Record, Shown, Verdict
from nnapi_testkit.report.plain import plain
from nnapi_testkit.report.text import details, one_line
from nnapi_testkit.session.record import encode

__all__ = ["NAME", "CaseItem", "Deselected", "left_out", "lost", "report_of"]

NAME = "nnapi"


class CaseItem(pytest.Item):
    """One case. It is run by `SuitePlugin`, not by the protocol of functions."""

    ref: CaseRef

    def runtest(self) -> None:
        """Never called: the plugin's protocol reports the record."""
        raise NotImplementedError

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return where reports say the case is: nowhere in a file."""
        return self.path, None, self.name


class Deselected:
    """Stands for a case that -k left out and that was never made an item; pytest counts it."""

    name = nodeid = NAME

    def __init__(self, config: pytest.Config) -> None:
        self.config = config


def lost(ref: CaseRef, message: str, target: str) -> Record:
    """Return the record of a case whose runner could not be had."""
    return Record(
        ref.id,
        ref.operation,
        ref.cell,
        ref.level,
        Verdict.INFRA,
        Evidence(),
        target=target,
        kind=ref.kind,
        message=message,
    )


def left_out(item: CaseItem) -> pytest.TestReport:
    """Return the report of a case that the device was never asked: a skip without a record."""
    ref = item.ref
    if ref.broken and ref.broken.newer:
        absent = "ask devices below a feature level, which this is not"
    elif ref.needs:
        absent = f"need {ref.needs.replace('_', ' ')}, which the target has not"
    else:
        absent = "need a newer feature level than the device has"
    now = time.time()
    return pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords={},
        outcome="skipped",
        longrepr=(str(item.path), 0, f"of those that {absent}"),
        when="call",
        duration=0.0,
        start=now,
        stop=now,
    )


def report_of(item: CaseItem, record: Record) -> pytest.TestReport:
    """Return the one report of a case: errors count as errors of pytest, not as failures."""
    verdict = record.verdict
    seconds = record.nanoseconds / 1e9
    now = time.time()
    longrepr: Any = None
    outcome: Any = "passed"
    when: Any = "call"
    shown = verdict.meaning.pytest
    if shown in (Shown.SKIPPED, Shown.EXPECTED):
        outcome = "skipped"
        longrepr = (str(item.path), 0, one_line(record) if record.waiver else plain(record.message))
    elif shown is not Shown.PASSED:
        outcome = "failed"
        longrepr = "\n".join(details(record))
        when = "call" if shown is Shown.FAILED else "setup"
    report = pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords={},
        outcome=outcome,
        longrepr=longrepr,
        when=when,
        duration=seconds,
        start=now - seconds,
        stop=now,
        nnapi_record=encode(record),
    )
    if shown is Shown.EXPECTED:
        report.wasxfail = plain(record.message)
    return report
