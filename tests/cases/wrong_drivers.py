"""Wrong drivers for the tests of cases: what they compute is judged by what was asked of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.judge.judge import judge
from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.model.case import Answer, Case, Result
from nnapi_testkit.model.types import Graph
from nnapi_testkit.oracle.evaluate import answer_case
from nnapi_testkit.targets.base import Runner

Edit = Callable[[Case], Case]
Spoil = Callable[[Case, Result], Result]


def refs_of(operation: str, *words: str) -> list[CaseRef]:
    """The operation's cases that have a word in their ids."""
    found = [ref for ref in case_index([operation]) if any(word in ref.id for word in words)]
    assert found, f"no case of {operation} is called {words}"
    return found


@dataclass
class Judged:
    """Runs cases in the way of a wrong driver, and judges them by the oracle."""

    runner: Runner

    def verdicts(
        self, refs: Sequence[CaseRef], edit: Edit | None = None, spoil: Spoil | None = None
    ) -> dict[str, Record]:
        """The record of each case; `edit` changes what is run, `spoil` what comes back."""
        cases = [ref.make() for ref in refs]
        run = [edit(case) for case in cases] if edit else cases
        found = {}
        for ref, case, result in zip(refs, cases, self.runner.run(run), strict=True):
            got = spoil(case, result) if spoil else result
            answer: Answer = answer_case(case)
            found[ref.id] = judge(ref, case, answer, got, profile="strict")
        return found

    def healthy(self, refs: Sequence[CaseRef]) -> None:
        """The bundled driver passes: what is noticed is the fault."""
        bad = {i: r for i, r in self.verdicts(refs).items() if r.verdict is not Verdict.PASS}
        assert not bad, bad

    def noticed(
        self, refs: Sequence[CaseRef], edit: Edit | None = None, spoil: Spoil | None = None
    ) -> None:
        """Every one of these cases fails where the driver is wrong."""
        self.healthy(refs)
        records = self.verdicts(refs, edit, spoil)
        missed = {i: r.message for i, r in records.items() if not r.verdict.is_failure}
        assert not missed, missed


def on_main(change: Callable[[Graph], Graph]) -> Edit:
    """A driver that takes the main graph for another one."""

    def edit(case: Case) -> Case:
        return replace(case, model=replace(case.model, main=change(case.model.main)))

    return edit
