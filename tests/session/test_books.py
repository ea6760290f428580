"""Waivers, floors, the ledger and the form of a record."""

from __future__ import annotations

import datetime
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Difference, Evidence, Record, Verdict
from nnapi_testkit.model.case import Stage
from nnapi_testkit.model.kinds import Source
from nnapi_testkit.session.closing import Terms, close, lacking, settled, shown
from nnapi_testkit.session.floors import Floors
from nnapi_testkit.session.ledger import Conclusion, Exit, Ledger
from nnapi_testkit.session.record import How, decode, encode
from nnapi_testkit.session.waivers import Known, Waivers
from nnapi_testkit.session.write_waivers import draft

TODAY = datetime.date(2027, 1, 15)
GOOD = """
[[waiver]]
pattern = "CONV_2D[quant8*"
reason = "rounds down, bug 7"
owner = "drivers@example.org"
expires = 2027-01-15
verdicts = ["MISMATCH"]
when = { device = "vendor-*" }
"""


def _record(
    case_id: str = "CONV_2D[quant8-x]",
    verdict: Verdict = Verdict.MISMATCH,
    device: str = "vendor-npu",
    compared: int = 4,
    margin: float = 0.5,
) -> Record:
    operation = case_id.partition("[")[0]
    evidence = Evidence(compared=compared, margin=margin, oracle=Source.LIVE)
    return Record(case_id, operation, "quant8", 1, verdict, evidence, device, "host")


def _waivers(tmp_path: Path, text: str = GOOD, today: datetime.date = TODAY) -> Waivers:
    file = tmp_path / "waivers.toml"
    file.write_text(text)
    return Waivers.read(file, today)


def test_an_expected_failure_is_waived_with_reason_and_owner(tmp_path: Path) -> None:
    record = _waivers(tmp_path).apply(_record())
    assert record.verdict is Verdict.WAIVED
    assert record.waiver == "CONV_2D[quant8*"
    assert "MISMATCH (waived, drivers@example.org: rounds down, bug 7)" in record.message


@pytest.mark.parametrize(
    "record",
    [
        _record(verdict=Verdict.CRASH_RUNNER),
        _record(device="other"),
        _record("CONV_2D[float32-x]"),
        _record(verdict=Verdict.INFRA),
    ],
)
def test_any_other_failure_is_not(tmp_path: Path, record: Record) -> None:
    assert _waivers(tmp_path).apply(record) is record


def test_an_expired_waiver_neither_holds_nor_stays_silent(tmp_path: Path) -> None:
    waivers = _waivers(tmp_path, today=TODAY + datetime.timedelta(days=1))
    assert waivers.apply(_record()).verdict is Verdict.MISMATCH
    assert "expired on 2027-01-15" in waivers.problems([], Known())[0]


def test_a_waiver_that_matches_no_case_is_unused(tmp_path: Path) -> None:
    waivers = _waivers(tmp_path)
    assert "is unused" in waivers.problems([], Known({"ADD[float32]"}, None))[0]
    assert "is unused" in waivers.problems([], Known({"CONV_2D[float32]"}, ["CONV_2D"]))[0]
    assert not waivers.problems([], Known({"CONV_2D[quant8-x]"}, None))
    assert not waivers.problems([], Known({"ADD[a]"}, ["ADD"])), (
        "of other operations nothing follows"
    )


FAMILY = {"CONV_2D[quant8-x]", "CONV_2D[quant8-y]"}


def _passed(case_id: str, **more: object) -> Record:
    return replace(_record(case_id, Verdict.PASS), **more)  # type: ignore[arg-type]


def test_a_family_holds_while_one_member_fails(tmp_path: Path) -> None:
    waivers = _waivers(tmp_path)
    failed = waivers.apply(_record("CONV_2D[quant8-x]"))
    assert (failed.verdict, failed.waived) == (Verdict.WAIVED, Verdict.MISMATCH)
    assert not waivers.problems([failed, _passed("CONV_2D[quant8-y]")], Known(FAMILY, None))


def test_a_waiver_that_matches_no_failure_is_an_error(tmp_path: Path) -> None:
    waivers = _waivers(tmp_path)
    passed = [_passed(name) for name in sorted(FAMILY)]
    for known in (Known(FAMILY, None), Known(FAMILY, ["CONV_2D"])):
        (problem,) = waivers.problems(passed, known)
        assert "matches no failure: of 2 cases none fails as it says" in problem
        assert "CONV_2D[quant8-x] is PASS" in problem
    otherwise = [replace(passed[0], verdict=Verdict.CRASH_RUNNER), passed[1]]
    assert "is CRASH_RUNNER" in waivers.problems(otherwise, Known(FAMILY, None))[0]
    # Of a part of the family, of another device, of what was not run, nothing follows.
    assert not waivers.problems(passed[:1], Known(FAMILY, None))
    elsewhere = [replace(record, device="other") for record in passed]
    assert not waivers.problems(elsewhere, Known(FAMILY, None))
    lost = [passed[0], replace(passed[1], verdict=Verdict.NOT_RUN)]
    assert not waivers.problems(lost, Known(FAMILY, None))
    left = Known(FAMILY, None, left_out={"CONV_2D[quant8-y]"})
    assert "of 1 cases none" in waivers.problems(passed[:1], left)[0]


def test_a_flaky_waiver_allows_both(tmp_path: Path) -> None:
    waivers = _waivers(tmp_path, GOOD + "flaky = true\n")
    passed = [_passed(name) for name in sorted(FAMILY)]
    assert waivers.apply(_record()).verdict is Verdict.WAIVED
    assert not waivers.problems(passed, Known(FAMILY, None))


def test_waivers_are_drafted_in_groups_and_hold(tmp_path: Path) -> None:
    records = [
        replace(_record("CONV_2D[quant8-same-a]"), message='3 of 4 "x"\nmore'),
        _record("CONV_2D[quant8-same-b]"),
        _record("CONV_2D[quant8-crash]", Verdict.CRASH_RUNNER),
        _record("ADD[quant8-a]", device='n"pu\x7f\n'),
        _record("MUL[quant8-a]", Verdict.INFRA),
        _passed("CONV_2D[quant8-same-c]"),
    ]
    text = draft(records, TODAY)
    assert text.count("[[waiver]]") == 3
    assert 'pattern = "CONV_2D[quant8-same-*"' in text
    assert 'pattern = "CONV_2D[quant8-crash]"' in text
    assert 'verdicts = ["CRASH_RUNNER"]' in text
    assert "expires = 2027-04-15" in text
    assert 'reason = "to be reviewed: 3 of 4 \\"x\\""' in text
    assert "4 failures in 3 groups" in text
    waivers = _waivers(tmp_path, text)
    after = [waivers.apply(record) for record in records]
    assert [record.verdict for record in after] == [Verdict.WAIVED] * 4 + [
        Verdict.INFRA, Verdict.PASS,
    ]  # fmt: skip
    assert not waivers.problems(after, Known({record.id for record in records}, None))
    again = draft(after, TODAY)
    assert again.count("[[waiver]]") == 3, "what is waived by now is kept"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace('owner = "drivers@example.org"', ""), "waiver 1 of .*owner is missing"),
        (GOOD.replace('"rounds down, bug 7"', '""'), "reason is missing"),
        (GOOD.replace("expires = 2027-01-15", ""), "expires is missing"),
        (GOOD.replace("MISMATCH", "PASS"), "only failures can be waived"),
        (GOOD.replace("MISMATCH", "WRONG"), "docs/verdicts.md"),
        (GOOD.replace("device =", "moon ="), "when knows device and target"),
        (GOOD.replace("owner =", "ower ="), "ower is unknown"),
        (GOOD + 'flaky = "yes"\n', "flaky is true or false"),
        (GOOD.replace('["MISMATCH"]', '"MISMATCH"'), "verdicts is a list"),
        (GOOD.replace('["MISMATCH"]', "[1]"), "docs/verdicts.md"),
        ("[waivers]\n", "only .*waiver.* tables"),
        ("nonsense", "are not TOML"),
    ],
)
def test_a_waiver_without_its_facts_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(KitError, match=message):
        _waivers(tmp_path, text)


def test_a_missing_waiver_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KitError, match=r"cannot be read \(No such file.*\): check the path"):
        Waivers.read(tmp_path / "none.toml")


RUN = [
    _record("ADD[a]", Verdict.PASS),
    _record("ADD[b]", Verdict.UNSUPPORTED, compared=0),
    _record("CONV_2D[a]", Verdict.MISMATCH),
    _record("CONV_2D[b]", Verdict.INFRA, device="", compared=0),
]


def _floors(tmp_path: Path) -> Floors:
    file = tmp_path / "floor.json"
    file.write_text(Floors.of(RUN).dump())
    return Floors.read(file)


def test_a_floor_holds_for_the_run_that_wrote_it(tmp_path: Path) -> None:
    assert _floors(tmp_path).problems(RUN) == []


def test_fewer_cases_executed_or_compared_are_errors(tmp_path: Path) -> None:
    floors = _floors(tmp_path)
    problems = "\n".join(floors.problems(RUN[1:]))
    assert "2 cases executed on vendor-npu" in problems
    assert "1 cases compared on vendor-npu" in problems
    assert "0 cases of ADD compared" in problems


def test_one_operation_cannot_hide_behind_the_growth_of_another(tmp_path: Path) -> None:
    grown = [RUN[0], RUN[1], _record("ADD[c]", Verdict.PASS)]
    assert _floors(tmp_path).problems(grown) == [
        f"floor: 0 cases of CONV_2D compared on vendor-npu, {tmp_path / 'floor.json'} expects 1"
    ]


def test_another_device_is_an_error_either_way(tmp_path: Path) -> None:
    problems = _floors(tmp_path).problems([replace(record, device="new") for record in RUN])
    assert "knows no device 'new'" in problems[0]
    assert "no case was executed on device 'vendor-npu'" in problems[1]


@pytest.mark.parametrize("text", ["", "[]", '{"devices": {"a": {}}}', '{"devices": 3}'])
def test_damaged_floors_are_an_error(tmp_path: Path, text: str) -> None:
    file = tmp_path / "floor.json"
    file.write_text(text)
    with pytest.raises(KitError, match="damaged"):
        Floors.read(file)


NOTHING = "nothing was judged"


def _ledger(*records: Record, planned: int | None = None, how: How = How.FINISHED) -> Ledger:
    ledger = Ledger()
    for record in records:
        ledger.add(record)
    count = len(records) if planned is None else planned
    close(ledger, how, Terms(Waivers(), None, Known(), lacking(how, len(records), count), NOTHING))
    return ledger


def test_exit_codes_tell_pass_fail_and_error_apart() -> None:
    passed, failed, broken = RUN[0], RUN[2], RUN[3]
    assert _ledger(passed).exit_code() is Exit.PASS
    assert _ledger(passed, failed).exit_code() is Exit.FAIL
    assert _ledger(passed, failed, broken).exit_code() is Exit.ERROR
    assert _ledger(passed, planned=2).exit_code() is Exit.ERROR
    assert _ledger(failed, planned=2, how=How.STOPPED).exit_code() is Exit.FAIL
    assert _ledger(passed, planned=2, how=How.INTERRUPTED).exit_code() is Exit.ERROR


def test_a_run_is_stopped_by_failures_only() -> None:
    passed, failed = RUN[0], RUN[2]
    assert settled(How.STOPPED, _ledger(passed)) is How.FINISHED
    assert settled(How.STOPPED, _ledger(passed, failed)) is How.STOPPED
    assert settled(How.INTERRUPTED, _ledger(passed)) is How.INTERRUPTED


def test_what_is_shown_again_concludes_as_it_was_closed() -> None:
    passed, failed = RUN[0], RUN[2]
    assert shown([passed], [], [], unfinished=False).conclusion is Conclusion.PASS
    assert shown([passed], [], ["died"], unfinished=False).conclusion is Conclusion.FAIL
    assert shown([failed], [], [], unfinished=False).conclusion is Conclusion.FAIL
    assert shown([failed], ["short"], [], unfinished=False).conclusion is Conclusion.ERROR
    cut = shown([passed], ["short"], [], unfinished=True)
    assert (cut.conclusion, cut.exit_code()) == (Conclusion.UNFINISHED, Exit.ERROR)


def test_a_run_in_which_nothing_was_computed_is_an_error() -> None:
    ledger = _ledger(RUN[1])
    assert ledger.exit_code() is Exit.ERROR
    assert "nothing was judged" in ledger.problems[0]
    assert _ledger().exit_code() is Exit.ERROR


def test_worst_margins_join_levels_and_put_nan_in_its_place() -> None:
    records = [
        _record("ADD[a]", Verdict.PASS, margin=0.2),
        replace(_record("ADD[b]", Verdict.PASS, margin=0.7), level=3),
        _record("MUL[a]", Verdict.PASS, margin=0.0),
        _record("RELU[a]", Verdict.MISMATCH, margin=math.inf),
        _record("TANH[a]", Verdict.UNSUPPORTED, compared=0),
    ]
    worst = _ledger(*records).worst()
    found = [(cell.operation, cell.cases, cell.margin, cell.margin_id) for cell in worst]
    assert found == [
        ("RELU", 1, math.inf, "RELU[a]"),
        ("ADD", 2, 0.7, "ADD[b]"),
        ("MUL", 1, 0.0, "MUL[a]"),
    ]


_REALS = st.floats(allow_nan=False)
_TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
_DIFFERENCES = st.builds(
    Difference,
    st.integers(0, 3),
    st.integers(0, 3),
    st.lists(st.integers(0, 99), max_size=4).map(tuple),
    _REALS, _REALS, _REALS, _REALS,
    st.none() | st.integers(-128, 255),
    st.none() | st.tuples(st.integers(-128, 255), st.integers(-128, 255)),
)  # fmt: skip
_EVIDENCES = st.builds(
    Evidence,
    compared=st.integers(0, 10**9),
    dims_checked=st.integers(0, 9),
    status_checked=st.integers(0, 9),
    margin=_REALS,
    minimum_tolerance=_REALS,
    bias=st.none() | _REALS,
    oracle=st.sampled_from(Source),
)
_RECORDS = st.builds(
    Record,
    _TEXTS, _TEXTS, _TEXTS, st.integers(1, 8), st.sampled_from(Verdict), _EVIDENCES, _TEXTS, _TEXTS,
    message=_TEXTS,
    differences=st.lists(_DIFFERENCES, max_size=3).map(tuple),
    mismatched=st.integers(0, 99),
    stage=st.none() | st.sampled_from(Stage),
    code=st.integers(-5, 300),
    isolated=st.none() | st.sampled_from(Verdict),
    nanoseconds=st.integers(0, 10**12),
    waiver=_TEXTS,
    repro=_TEXTS,
    text=_TEXTS,
)  # fmt: skip


@given(_RECORDS)
def test_a_record_survives_its_line(record: Record) -> None:
    line = encode(record)
    assert "\n" not in line
    assert decode(line) == record


def test_numbers_that_json_lacks_survive_too() -> None:
    line = encode(_record(margin=math.nan))
    assert '"margin":"nan"' in line
    assert math.isnan(decode(line).evidence.margin)


@pytest.mark.parametrize("line", ["", "{}", "[1]", "null", '{"id": "a"}', encode(RUN[0])[:-9]])
def test_what_is_no_record_is_an_error(line: str) -> None:
    with pytest.raises(KitError, match="not a record of a run"):
        decode(line)
