"""The honesty table: what is claimed has to be compiled and computed."""

from __future__ import annotations

from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.report.claim_audit import (
    claim_audit,
    claim_audit_json,
    claim_audit_line,
    claim_audit_lines,
)
from tests.report.report_samples import record

RECORDS = [
    record("ADD[float32-a]"),
    record("ADD[float32-b]", Verdict.OBSERVED),
    record("ADD[float16-a]", Verdict.UNSUPPORTED),
    record("MUL[float32-a]", Verdict.REFUSED),
    record("MUL[float32-b]"),
    record("SUB[float32-a]", Verdict.MISMATCH),
    record("SUB[float32-b]", Verdict.CRASH_RUNNER),
    record("SUB[float32-c]", Verdict.UNSUPPORTED),
    record("SUB[float32-refused-x]", Verdict.ACCEPTED_INVALID, kind=Kind.REFUSAL),
    record("SUB[float32-d]", Verdict.INFRA),
]
ROWS = {(row.operation, row.cell): row for row in claim_audit(RECORDS)}


def test_cells_that_keep_their_word() -> None:
    row = ROWS["ADD", "float32"]
    assert (row.documented, row.claimed, row.compiled, row.correct) == (2, 2, 2, 2)
    assert row.findings == ()


def test_what_is_not_claimed_is_no_finding() -> None:
    row = ROWS["ADD", "float16"]
    assert (row.documented, row.claimed) == (1, 0)
    assert row.findings == ()


def test_claimed_but_refused() -> None:
    row = ROWS["MUL", "float32"]
    assert (row.claimed, row.compiled, row.correct) == (2, 1, 1)
    assert row.findings == ("claimed but refused: 1 of 2 cases",)
    assert row.first == {"refused": "MUL[float32-a]"}


def test_claimed_but_wrong_counts_neither_refusals_nor_lost_cases() -> None:
    row = ROWS["SUB", "float32"]
    assert (row.documented, row.claimed, row.compiled, row.correct) == (3, 2, 2, 0)
    assert row.findings == ("claimed but wrong: 2 of 2 cases",)


def test_text_and_json() -> None:
    rows = list(ROWS.values())
    assert (
        "of 4 documented cells 3 are claimed, 2 of them compile and 1 compute"
        in claim_audit_line(rows)
    )
    assert "2 findings" in claim_audit_line(rows)
    shown = list(claim_audit_lines(rows))
    assert [line.split()[0] for line in shown] == ["operation", "MUL", "SUB"]
    assert len(list(claim_audit_lines(rows, whole=True))) == 5
    assert claim_audit_json(rows)[2]["findings"] == ["claimed but refused: 1 of 2 cases"]
    assert list(claim_audit_lines([])) == []
