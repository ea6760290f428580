"""Pages that list what the code defines list all of it, as the code has it."""

import re
from pathlib import Path

from nnapi_testkit.judge.verdict import Verdict

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| `([A-Z_]+)` \|.*\| (\w+) \|$", re.M)


def test_every_verdict_is_explained() -> None:
    rows = dict(ROW.findall((ROOT / "docs" / "verdicts.md").read_text()))
    assert set(rows) == {verdict.name for verdict in Verdict}
    for name, counts in rows.items():
        assert (counts == "failure") == Verdict[name].is_failure, name
        assert (counts == "error") == Verdict[name].is_error, name


def test_changelog_keeps_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert text.startswith("# Changelog\n") and "## [Unreleased]" in text
    kinds = set(re.findall(r"^### (\w+)$", text, re.M))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
