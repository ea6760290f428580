"""The table of verdicts: each word has a row, and every report shows it by that row."""

from __future__ import annotations

import pytest

from nnapi_testkit.judge.verdict import (
    APART,
    FAILURES,
    MEANINGS,
    Evidence,
    Group,
    Record,
    Shown,
    Verdict,
)
from nnapi_testkit.report.junit import junit
from nnapi_testkit.session.ledger import Exit, Ledger


def test_every_verdict_has_a_row() -> None:
    assert set(MEANINGS) == set(Verdict)


def test_what_is_charged() -> None:
    assert {verdict.value for verdict in APART} == {"WAIVED", "CONTESTED", "KNOWN", "PLATFORM"}
    assert not FAILURES & set(APART)
    for verdict in Verdict:
        row = verdict.meaning
        assert (row.group is Group.FAILURE) == (row.junit is Shown.FAILED)
        assert (row.group is Group.PASS) == (verdict is Verdict.PASS)


@pytest.mark.parametrize("verdict", Verdict)
def test_reports_and_exit_code_follow_the_row(verdict: Verdict) -> None:
    record = Record("ADD[float32-a]", "ADD", "float32", 1, verdict, Evidence(), message="why")
    text = junit([record])
    row = verdict.meaning
    assert f'failures="{int(row.junit is Shown.FAILED)}"' in text
    assert f'errors="{int(row.junit is Shown.ERROR)}"' in text
    assert f'skipped="{int(row.junit is Shown.SKIPPED)}"' in text
    ledger = Ledger()
    ledger.add(record)
    due = {Group.FAILURE: Exit.FAIL, Group.ERROR: Exit.ERROR}.get(row.group, Exit.PASS)
    assert ledger.exit_code() is due
