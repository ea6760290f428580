"""Refusals in numbers: what was refused, and what shows that it means something."""

from __future__ import annotations

import pytest

from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Evidence, Record, Verdict
from nnapi_testkit.model.case import Stage
from nnapi_testkit.model.kinds import Kind, Source
from nnapi_testkit.report.refusals import refusal_facts
from nnapi_testkit.session.record import decode, encode
from tests.report.report_samples import record


def refusal(name: str, control: str, verdict: Verdict = Verdict.PASS, **more: object) -> Record:
    evidence = Evidence(status_checked=1, oracle=Source.REFUSAL)
    rule = name.partition("-refused-")[2].partition(".")[0]
    found = {
        "kind": Kind.REFUSAL,
        "stage": Stage.COMPILATION,
        "evidence": evidence,
        "rule": rule,
    } | more
    return record(f"{name}]", verdict, control=control, **found)


DOCUMENTED = Evidence(status_checked=2, oracle=Source.CODE)
RECORDS = [
    record("ADD[float32-a]"),
    record("MUL[float32-a]", Verdict.UNSUPPORTED),
    record("SUB[float32-a]", Verdict.REFUSED),
    refusal("ADD[float32-refused-rank-input.5", "ADD[float32-a]"),
    refusal("ADD[float32-refused-rank-input.6", "ADD[float32-a]", stage=Stage.MODEL),
    refusal("ADD[float32-refused-output-size", "ADD[float32-a]", evidence=DOCUMENTED),
    refusal("ADD[float32-refused-level-type", "ADD[float32-a]", newer=True),
    # Whoever refuses the unbroken model, or does not take it at all, proves nothing.
    refusal("MUL[float32-refused-rank-input.5", "MUL[float32-a]"),
    refusal("SUB[float32-refused-rank-input.5", "SUB[float32-a]"),
    refusal("SUB[float32-refused-inputs.none", "SUB[float32-b]"),
    refusal("SUB[float32-refused-outputs.none", "SUB[float32-a]", Verdict.ACCEPTED_INVALID),
    refusal("SUB[float32-refused-output-size", "SUB[float32-a]", Verdict.WRONG_CODE),
]


def test_counts() -> None:
    assert refusal_facts(RECORDS) == {
        "cases": 9,
        "refused": 7,
        "pairs": 6,
        "by_runtime": 1,
        "by_older_device": 1,
        "documented_code": 1,
        "neighbour_computed": 4,
    }


def test_nothing_asked_is_nothing_refused() -> None:
    assert set(refusal_facts(RECORDS[:3]).values()) == {0}


def test_the_neighbour_travels_with_the_record() -> None:
    assert [decode(encode(each)) for each in RECORDS] == RECORDS


def test_the_stage_is_a_word_in_the_file() -> None:
    line = encode(RECORDS[3])
    assert '"stage":"COMPILATION"' in line and decode(line).stage is Stage.COMPILATION
    with pytest.raises(KitError, match="stage"):
        decode(line.replace("COMPILATION", "NOWHERE"))
