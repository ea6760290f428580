"""The table of verdicts: each word has a row, and every report shows it by that row."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import nnapi_testkit
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


def test_reports_of_pytest_follow_the_row() -> None:
    expected = {verdict for verdict in Verdict if verdict.meaning.pytest is Shown.EXPECTED}
    assert expected == {Verdict.WAIVED}


def test_what_is_apart_says_why() -> None:
    for verdict in Verdict:
        assert bool(verdict.meaning.why) == verdict.is_apart


def test_an_error_code_outranks_what_was_computed() -> None:
    names = sorted(Verdict, key=lambda verdict: verdict.meaning.told)
    assert names[:3] == [Verdict.INFRA, Verdict.EXEC_ERROR, Verdict.DIMENSIONS]


# What a file of an older kit says of an ending, read back.
OWN = {"judge/verdict.py", "commands/field.py"}


def test_nothing_sorts_verdicts_beside_the_table() -> None:
    package = Path(nnapi_testkit.__file__).parent
    found = []
    for path in sorted(package.rglob("*.py")):
        name = str(path.relative_to(package))
        if name in OWN:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.Set, ast.List, ast.Tuple)):
                members = node.elts
            elif isinstance(node, ast.Dict):
                members = [key for key in node.keys if key is not None]
            else:
                continue
            own = [ast.unparse(one) for one in members]
            if sum(word.startswith("Verdict.") for word in own) > 1:
                found.append(f"{name}:{node.lineno}: {', '.join(own)}")
    assert not found, "a property or a column of judge/verdict.py says it for every verdict"
