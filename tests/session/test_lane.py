from __future__ import annotations

from collections.abc import Callable

import pytest

from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.session.engine import Session
from nnapi_testkit.session.lane import reproduction
from nnapi_testkit.session.settings import OracleMode, Settings

Make = Callable[..., Settings]


def _run(settings: Settings) -> dict[str, Record]:
    session = Session(settings)
    records = list(session.run(session.refs()))
    found = {record.id.split("-")[1]: record for record in records}
    assert len(records) == len(session.refs()), "every case has one record"
    return found


def test_a_wrong_answer_is_a_mismatch_alone_too(settings: Make) -> None:
    record = _run(settings("wrong"))["wrong"]
    assert record.verdict is Verdict.MISMATCH
    assert record.isolated is Verdict.MISMATCH
    assert record.repro == "nnapi-testkit run 'ADD[float32-wrong-0]' --target host"


def test_a_failure_that_passes_alone_stays_a_failure_and_says_why(settings: Make) -> None:
    record = _run(settings("leak"))["leak"]
    assert record.verdict is Verdict.MISMATCH
    assert record.isolated is Verdict.PASS
    assert record.message.startswith("ORDER-DEPENDENT (alone: PASS)")


def test_only_non_passes_are_repeated_and_in_an_isolated_runner(settings: Make) -> None:
    import session_fakes

    _run(settings("wrong", "unsupported"))
    assert session_fakes.OPENED == [("host", False), ("host", True)]
    repeated = {name for name, seen in session_fakes.STATE.items() if seen > 1}
    assert repeated == {"ADD[float32-wrong-0]"}


def test_a_crash_keeps_what_the_driver_printed(settings: Make) -> None:
    record = _run(settings("crash"))["crash"]
    assert record.verdict is Verdict.CRASH_RUNNER
    assert record.text == "segfault"


def test_a_device_without_a_name_never_earns_a_pass(settings: Make) -> None:
    record = _run(settings("nameless"))["nameless"]
    assert record.verdict is Verdict.OBSERVED
    assert record.message.endswith("no pass")


def test_a_refusal_needs_no_oracle(settings: Make) -> None:
    record = _run(settings("refuse-badoracle"))["refuse"]
    assert record.verdict is Verdict.PASS
    assert record.evidence.oracle == "expected-refusal"


@pytest.mark.parametrize(
    ("word", "verdict", "message"),
    [
        ("stale", Verdict.ORACLE_DISPUTE, "the golden is stale.*golden update"),
        ("corrupt", Verdict.ORACLE_DISPUTE, "golden ADD is corrupt"),
        ("badoracle", Verdict.ORACLE_DISPUTE, "the live oracle failed: RuntimeError: no kernel"),
        ("badjudge", Verdict.ORACLE_DISPUTE, "the judge failed: ZeroDivisionError"),
        ("badmake", Verdict.NOT_RUN, "the case cannot be built: ValueError: no such shape"),
    ],
)
def test_what_the_kit_cannot_answer_is_never_held_against_the_driver(
    settings: Make, word: str, verdict: Verdict, message: str
) -> None:
    record = _run(settings(word))[word]
    assert record.verdict is verdict
    assert record.verdict.is_error
    import re

    assert re.search(message, record.message)


def test_live_answers_are_checked_by_their_goldens(settings: Make) -> None:
    found = _run(settings("nogolden", "plain"))
    assert found["plain"].evidence.oracle == "live+golden"
    assert found["nogolden"].evidence.oracle == "live"


def test_without_torch_goldens_judge_alone(settings: Make) -> None:
    made = settings("nogolden", "plain", torch=False)
    session = Session(made)
    assert session.oracle is OracleMode.GOLDEN
    assert "torch is not installed" in session.notice
    found = _run(made)
    assert found["plain"].evidence.oracle == "golden"
    assert found["nogolden"].verdict is Verdict.ORACLE_DISPUTE
    with pytest.raises(KitError, match="the live oracle needs torch"):
        Session(settings(torch=False, oracle=OracleMode.LIVE))


def test_a_lost_runner_costs_the_case_it_was_lost_at(settings: Make) -> None:
    found = _run(settings("plain", "gone", "plain2"))
    assert found["gone"].verdict is Verdict.INFRA
    assert "the runner was killed" in found["gone"].message
    assert all(r.verdict is Verdict.PASS for name, r in found.items() if name != "gone")


def test_infrastructure_errors_are_retried(settings: Make) -> None:
    assert _run(settings("flaky"))["flaky"].verdict is Verdict.PASS


def test_a_dying_target_is_given_up(settings: Make) -> None:
    found = _run(settings("gone1", "gone2", "gone3", "later", count=5))
    assert [found[f"gone{at}"].verdict for at in (1, 2, 3)] == [Verdict.INFRA] * 3
    assert found["later"].verdict is Verdict.NOT_RUN
    assert "given up" in found["later"].message


def test_a_wrong_target_is_an_error_of_the_run(settings: Make) -> None:
    session = Session(settings(target="moon"))
    with pytest.raises(KitError, match="target 'moon' is unknown"):
        list(session.run(session.refs()))


def test_nothing_to_judge_is_an_error(settings: Make) -> None:
    with pytest.raises(KitError, match="nothing to judge"):
        list(Session(settings()).run([]))


def test_stopping_early_closes_the_runner(settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    import session_fakes

    closed: list[bool] = []
    monkeypatch.setattr(session_fakes.FakeRunner, "close", lambda self: closed.append(True))
    session = Session(settings(count=100))
    records = session.run(session.refs())
    next(records)
    assert not closed
    records.close()
    assert closed == [True]


def test_the_line_that_reproduces_names_everything_that_matters() -> None:
    made = Settings(target="lib:/a b.so", profile="strict", oracle=OracleMode.GOLDEN, seed=3)
    assert reproduction("ADD[x]", made) == (
        "nnapi-testkit run 'ADD[x]' --target 'lib:/a b.so' --profile strict --oracle golden"
        " --seed 3"
    )
