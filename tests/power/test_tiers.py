"""Tiers and what a report says of known faults."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.judge import judge
from nnapi_testkit.judge.verdict import OPEN, Evidence, Record, Verdict
from nnapi_testkit.model.case import Ending
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.power.tiers import DATA, choose
from nnapi_testkit.report.excluded import excluded, excluded_lines
from nnapi_testkit.session.plan import Selection, select
from nnapi_testkit.session.tiers import in_tier, power_line, tier
from nnapi_testkit.targets.local import host_target


def test_greedy_takes_what_notices_most_for_its_time() -> None:
    kills = {"a": ["slow", "x"], "b": ["slow", "y"], "c": ["y"]}
    assert choose(kills, {"slow": 500.0, "x": 1.0, "y": 1.0}, 10, 1) == ["y", "x"]
    assert choose(kills, {}, 1, 1) == ["slow"] or choose(kills, {}, 1, 1) == ["y"]
    assert sorted(choose(kills, {}, 10, 2)) == ["slow", "x", "y"]


@pytest.mark.parametrize(("name", "most", "share"), [("smoke", 400, 0.9), ("standard", 3000, 0.98)])
def test_tiers_keep_their_power(name: str, most: int, share: float) -> None:
    found = tier(name)
    full = tier("full")
    assert found.cases is not None and 0 < len(found.cases) <= most
    assert found.killed >= share * full.known
    assert full.cases is None and full.killed >= found.killed


@pytest.mark.parametrize("name", ["smoke", "standard"])
def test_a_run_of_a_tier_can_say_what_the_tier_notices(name: str) -> None:
    found = tier(name)
    assert found.cases is not None
    chosen = set(found.cases)
    known = json.loads((DATA / "power.json").read_text())
    assert sum(1 for row in known if chosen & set(row["cases"])) == found.killed


def test_a_tier_survives_cases_that_come_and_go() -> None:
    refs = case_index(["ADD"])
    kept = in_tier(refs, "standard")
    assert kept and len(kept) < len(refs)
    assert in_tier(refs, "full") == list(refs)
    assert "not in this selection" in power_line("smoke", kept)
    with pytest.raises(KitError, match="use --tier full"):
        in_tier([], "smoke")
    with pytest.raises(KitError, match="unknown"):
        tier("quick")


def test_selection_by_tier() -> None:
    refs = case_index(["ADD"])
    chosen = select(refs, Selection(tier="standard"))
    assert [ref.id for ref in chosen] == [ref.id for ref in in_tier(refs, "standard")]
    assert Selection(tier="smoke").words() == "--tier smoke"
    assert not Selection(tier="smoke").whole


def record(case: str, verdict: Verdict) -> Record:
    return Record(case, case.partition("[")[0], "float32", 1, verdict, Evidence())


def test_a_report_says_what_a_run_excludes() -> None:
    rows = [row for row in json.loads((DATA / "power.json").read_text()) if row["cases"]]
    row = rows[0]
    passed = excluded([record(row["cases"][0], Verdict.PASS)])
    assert row["fault"] in [name for name, _ in passed.excluded]
    # A contested case that was computed as one reading has it says as much; a refusal says nothing.
    seen = replace(record(row["cases"][0], Verdict.OBSERVED), reading="field")
    computed = replace(seen, evidence=Evidence(compared=1))
    for told, expected in ((computed, True), (seen, False)):
        assert (row["fault"] in [name for name, _ in excluded([told]).excluded]) is expected
    failed = excluded([record(row["cases"][0], Verdict.MISMATCH)])
    assert row["fault"] in [name for name, _ in failed.unseen]
    unclaimed = excluded([record(case, Verdict.UNSUPPORTED) for case in row["cases"]])
    assert row["fault"] in [name for name, _ in unclaimed.unasked]
    assert "could not be asked for" in "\n".join(excluded_lines(unclaimed))
    assert Path(DATA).is_dir()


def edge(verdict: Verdict, **told: object) -> Record:
    """What becomes of an edge that alone notices a driver that traps where it divides by zero."""
    (row,) = [
        row
        for row in json.loads((DATA / "power.json").read_text())
        if row["fault"] == "integer-by-zero-traps"
    ]
    evidence = Evidence(**told)  # type: ignore[arg-type]
    found = record(row["cases"][0], verdict)
    return replace(found, kind=Kind.EDGE, evidence=evidence, device="npu")


def test_an_edge_that_came_to_its_end_excludes_what_it_notices() -> None:
    def names(told: Record) -> set[str]:
        return {name for name, _ in excluded([told]).excluded}

    whole = edge(Verdict.OBSERVED, exempt=1, exempt_why=OPEN, status_checked=1)
    assert "integer-by-zero-traps" in names(whole)
    # Refused, in whole or in one execution, as a device may: it was not executed.
    refused = edge(Verdict.OBSERVED, status_checked=1)
    partly = edge(Verdict.OBSERVED, exempt=1, exempt_why="set 1: OP_FAILED; it may refuse")
    failed = [
        edge(verdict, exempt=1, exempt_why=OPEN)
        for verdict in (Verdict.CRASH_RUNNER, Verdict.TIMEOUT, Verdict.NOT_RUN, Verdict.UNSUPPORTED)
    ]
    other = replace(whole, kind=Kind.POSITIVE)  # values open elsewhere prove no end of their own
    unnamed = replace(whole, device="")  # computed by whom?
    for told in (refused, partly, *failed, other, unnamed):
        assert not names(told), told
    assert not excluded([]).excluded


def test_the_judge_says_of_an_edge_whether_it_came_to_its_end() -> None:
    (ref, *_) = [ref for ref in case_index(["DIV"]) if ref.kind == "edge" and ref.cell == "int32"]
    case = ref.make()
    runner = host_target().open()
    try:
        (result,) = runner.run([case])
    finally:
        runner.close()
    told = judge(ref, case, None, result)
    assert told.kind == "edge" and told.verdict is Verdict.OBSERVED
    assert told.evidence.exempt > 0 and told.evidence.exempt_why == OPEN
    assert "integer-by-zero-traps" in {name for name, _ in excluded([told]).excluded}
    dead = judge(ref, case, None, replace(result, ending=Ending.CRASHED, executions=()))
    assert dead.verdict is Verdict.CRASH_RUNNER
    assert not excluded([dead]).excluded


def test_signatures_keep_the_margins_that_tell() -> None:
    from nnapi_testkit.cases.index import case_index
    from nnapi_testkit.power.signatures import KEPT, signature_rows

    cases = [ref.id for ref in case_index(["ADD", "MUL"]) if ref.computes]
    kills = {case: ["MISMATCH", 10.0 + at if at % 2 else "inf"] for at, case in enumerate(cases)}
    rows = signature_rows({"f": {"what": "w", "kills": kills}, "none": {"what": "", "kills": {}}})
    (row,) = rows
    assert len(row["cases"]) == KEPT
    assert {case.partition("[")[0] for case in row["cases"]} == {"ADD", "MUL"}
    assert all(kills[case] == told for case, told in row["cases"].items())
    assert all(isinstance(margin, float) for _, margin in row["cases"].values())
