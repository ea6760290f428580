"""Annotations of GitHub: one for each cluster, never more than it shows, no text that escapes."""

from __future__ import annotations

import re
from dataclasses import replace

from report_samples import NASTY, mismatch, record, run

from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.report.annotations import MOST, github_annotations

COMMAND = re.compile(r"::(error|warning|notice) title=([^:,\n]*)::([^\n]*)")


def test_each_cluster_is_an_error_with_its_smallest_case() -> None:
    lines = list(
        github_annotations(run(), {"problems": ["a golden is stale"], "faults": ["signal 11"]})
    )
    found = [COMMAND.fullmatch(line) for line in lines]
    assert all(found)
    kinds = [match.group(1) for match in found if match]
    assert kinds == ["error"] * 4 + ["notice"]
    text = "\n".join(lines)
    assert "::error title=Run::a golden is stale" in text
    assert "::error title=Driver crashed::CRASH_RUNNER outside the cases: signal 11" in text
    assert (
        "smallest: MUL[quant8-b]%0Aagain: nnapi-testkit run 'MUL[quant8-b]' --target host" in text
    )
    assert "2 of 4 operations break a promise" in lines[-1]


def test_no_text_begins_a_command() -> None:
    nasty = "x\n::error::injected\r\n::stop-commands::x % " + NASTY
    failed = replace(mismatch(), message=nasty)
    lines = list(github_annotations([failed], {"problems": [nasty], "faults": [nasty]}))
    assert all(COMMAND.fullmatch(line) for line in lines)
    # A percent sign of a text is no escape of ours.
    assert any("% ".replace("%", "%25") in line for line in lines)
    assert len(lines) == 4


def test_a_step_shows_ten_and_the_last_counts_the_others() -> None:
    names = [f"OP{at}[float32-a]" for at in range(25)]
    failing = [replace(mismatch(name), operation=name.partition("[")[0]) for name in names]
    found = list(github_annotations(failing, {"problems": [f"p{at}" for at in range(20)]}))
    errors = [line for line in found if line.startswith("::error")]
    assert len(errors) == MOST
    assert re.match(r"::error title=and \d+ more::", errors[-1])


def test_a_good_run_is_a_notice_and_a_part_a_warning() -> None:
    good = [record(), record("EXP[float32-a]")]
    assert list(github_annotations(good, {})) == [
        "::notice title=NNAPI conformance::Every promise that was asked for was kept."
    ]
    part = {"selected": 2, "suite": 9, "selection": "-k x"}
    assert next(github_annotations(good, part)).startswith(
        "::warning title=NNAPI conformance::PARTIAL"
    )
    nothing = [record(verdict=Verdict.UNSUPPORTED)]
    assert "Nothing was judged" in list(github_annotations(nothing, {}))[-1]
