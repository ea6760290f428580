"""A failure that passes alone is traced to the earlier cases that cause it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.session.engine import Session
from nnapi_testkit.session.leaks import needed
from nnapi_testkit.session.plan import Selection, select
from nnapi_testkit.session.settings import Settings

Make = Callable[..., Settings]


class Counting:
    """Fails after all of these, in their order; counts how often it is asked."""

    def __init__(self, *causes: int) -> None:
        self._causes, self.runs = list(causes), 0

    def __call__(self, before: Sequence[int]) -> bool:
        self.runs += 1
        return [item for item in before if item in self._causes] == self._causes


def test_a_second_victim_costs_one_run(settings: Make) -> None:
    """What was found once is tried first."""
    import session_fakes

    special = [""] * 200
    special[10], special[150], special[170] = "poison", "victim", "victim-too"
    session = Session(settings(*special, count=200))
    found = [record for record in session.run(session.refs()) if record.after]
    assert [record.after for record in found] == [found[0].after] * 2
    # The run itself, the runner that repeats alone, the search, and two for the second victim:
    # nothing before it, and what was found.
    opened = len(session_fakes.OPENED)
    special[170] = ""
    session = Session(settings(*special, count=200))
    list(session.run(session.refs()))
    assert opened - len(session_fakes.OPENED) == 2


@pytest.mark.parametrize("count", [1, 2, 3, 25, 500])
def test_one_cause_is_found_anywhere_in_few_runs(count: int) -> None:
    for cause in {0, count // 3, count // 2, count - 1}:
        fails = Counting(cause)
        assert needed(range(count), fails) == [cause]
        assert fails.runs <= 2 * count.bit_length() + 2


def test_causes_that_are_needed_together() -> None:
    dice = random.Random(5)
    for size in (2, 3):
        for _ in range(30):
            causes = sorted(dice.sample(range(500), size))
            fails = Counting(*causes)
            assert needed(range(500), fails) == causes
            assert fails.runs <= size * 22


def test_more_than_three_are_no_name() -> None:
    assert needed(range(100), Counting(3, 40, 41, 90)) == []


def test_what_does_not_fail_again_is_nobodys() -> None:
    assert needed(range(100), Counting(-1)) is None
    assert needed([], Counting(0)) is None


def _run(settings: Settings) -> dict[str, Record]:
    session = Session(settings)
    records = list(session.run(session.refs()))
    assert len(records) == len(session.refs())
    return {record.id.split("-")[1]: record for record in records if "plain" not in record.id}


def test_the_report_names_the_case_that_leaves_something_behind(settings: Make) -> None:
    special = [""] * 30
    special[4], special[28] = "poison", "victim"
    found = _run(settings(*special, count=40))
    victim = found["victim"]
    assert victim.verdict is Verdict.MISMATCH and victim.isolated is Verdict.PASS
    assert len(victim.after) == 1 and "poison" in victim.after[0]
    assert victim.message.startswith(
        f"ORDER-DEPENDENT (alone: PASS) after {victim.after[0]}: 4 of 4 elements differ"
    )
    assert victim.repro == (
        f"nnapi-testkit run '{victim.after[0]}' '{victim.id}' --target host --in-order"
    )
    assert found["poison"].verdict is Verdict.PASS


def test_two_that_are_needed_together_are_both_named(settings: Make) -> None:
    special = [""] * 20
    special[2], special[9], special[15] = "poison", "venom", "prey"
    after = _run(settings(*special, count=40))["prey"].after
    assert ["poison" in after[0], "venom" in after[1]] == [True, True]


def test_without_a_cause_it_says_so(settings: Make) -> None:
    """The fake `leak` fails in any worker that may serve several, first too."""
    record = _run(settings("", "", "leak"))["leak"]
    assert record.after == ()
    assert "in a fresh worker that serves several it failed first too" in record.message


def test_a_worker_that_died_has_left_nothing(settings: Make) -> None:
    """What a case fails after is looked for among those of its own worker."""
    import session_fakes

    special = ["poison", "crash", "venom", "prey"]
    record = _run(settings(*special))["prey"]
    # The fake runner keeps what the dead worker left; a fresh one with the cases since does not.
    assert record.after == () and "not again after the same 1 cases" in record.message
    assert session_fakes.OPENED[0] == ("host", False)


def test_isolated_cases_have_nothing_before_them(settings: Make) -> None:
    from dataclasses import replace

    found = _run(replace(settings("poison", "victim"), isolate=True))
    assert found["victim"].verdict is Verdict.PASS


def test_shuffles_are_seeded_and_whole(settings: Make) -> None:
    session = Session(settings())
    refs = session.refs()
    plain = [ref.id for ref in select(refs, Selection())]
    first, again, other = (
        [ref.id for ref in select(refs, Selection(shuffle=seed))] for seed in (1, 1, 2)
    )
    assert first == again != other != plain != first
    assert sorted(first) == sorted(other) == sorted(plain)
    # A part of the cases keeps its order, so that a failure of the whole is seen in it too.
    part = [ref.id for ref in select(refs, Selection(operations=("MUL",), shuffle=1))]
    assert part == [name for name in first if name.startswith("MUL")]
    assert Selection(shuffle=3).whole and Selection(shuffle=3).words() == "--shuffle 3"


def test_paths_of_a_case_stay_together(settings: Make) -> None:
    session = Session(settings("path", "", "path", "", "", "path"))
    order = select(session.refs(), Selection(shuffle=4))
    places = [at for at, ref in enumerate(order) if ref.answer_id]
    assert len(places) == 3 and places[-1] - places[0] == 2


def test_named_cases_run_in_the_order_of_their_names(settings: Make) -> None:
    session = Session(settings(count=40))
    refs = session.refs()
    names = (refs[7].id, refs[3].id, refs[20].id)
    chosen = select(refs, Selection(names=names, in_order=True))
    assert tuple(ref.id for ref in chosen) == names


def test_in_order_needs_names_and_one_job() -> None:
    from nnapi_testkit.commands.line import command_line
    from nnapi_testkit.commands.run import _selection

    for words in (
        ["--in-order"],
        ["ADD", "--in-order", "-j", "2"],
        ["A", "--in-order", "--shuffle", "1"],
    ):
        with pytest.raises(KitError, match="--in-order runs named cases"):
            _selection(command_line().parse_args(["run", *words]))
