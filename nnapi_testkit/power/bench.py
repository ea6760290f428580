"""The bench on which faults are tried: cases made and answered once, run as often as needed.

Answers come from the goldens; the live oracle helps out where one is missing or stale. A fault is
*killed* by a case whose verdict it turns into a failure.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.agreement import Agreement
from nnapi_testkit.judge.judge import judge
from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.model.case import Answer, Case, Ending, Result, Stage
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.power.fault import CHOICE, Fault
from nnapi_testkit.session.answering import Dispute, answering
from nnapi_testkit.session.services import RunnerLike, Services, standard
from nnapi_testkit.session.settings import OracleMode
from nnapi_testkit.targets import parse_target

__all__ = ["Bench", "Kill", "Prepared"]

FAULT = "NNAPI_TESTKIT_FAULT"
TRACE = "NNAPI_TESTKIT_FAULT_TRACE"
DRIVER = "NNAPI_TESTKIT_DRIVER"
DEADLINE_MS = 5000  # of a mutant that loops for ever
MOST_HUNG = 3  # cases that may run into it: the others would tell the same, slowly
# Cases that differ in how they run, not in what they compute.
SPECIAL_KINDS = (Kind.PATH, Kind.GRAPH, Kind.PAIR, Kind.STATE, Kind.QUALITY, Kind.EDGE, Kind.ENDURE)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A case that is ready to be run and judged; `answer` is None for models to refuse."""

    ref: CaseRef
    case: Case
    answer: Answer | None


@dataclass(frozen=True, slots=True)
class Kill:
    """How a case noticed a fault.

    Args:
        verdict: what the fault got. margin: error over bound, 0 where nothing was compared.
    """

    verdict: Verdict
    margin: float


class Bench:
    """Cases, answers and what the sound driver makes of them.

    Args:
        target: the sound driver; wrappers stand around it.
        library: the test build; planted faults, rules and mutants are switched on in it.
        profile: of the judge.
        most: cases of each operation, spread over its index; 0 for all.
        environment: variables that the driver is run with, sound or not.
    """

    def __init__(
        self,
        target: str = "host",
        library: Path | None = None,
        profile: str = "standard",
        most: int = 0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._most = most
        self._environment = dict(environment or {})
        self._target = target
        self._library = library
        self._profile = profile
        self._services: Services = standard()
        self._prepared: dict[str, list[Prepared]] = {}
        self._sound: dict[str, dict[str, tuple[Result, Record]]] = {}
        self._golden = answering(OracleMode.GOLDEN, self._services)
        self._live = (
            answering(OracleMode.LIVE, replace(self._services, golden=lambda: _no_golden))
            if self._services.has_live()
            else None
        )
        self._proven: set[str] = set()
        self.unanswered: set[str] = set()

    def cases(self, operation: str) -> list[Prepared]:
        """The operation's cases, those of its own level; older devices' are not asked here."""
        if operation not in self._prepared:
            found: list[Prepared] = []
            for ref in self._chosen(operation):
                case = ref.make()
                case = replace(case, deadline_ms=min(case.deadline_ms, DEADLINE_MS))
                try:
                    found.append(Prepared(ref, case, self._answer(ref, case)))
                except Dispute:
                    self.unanswered.add(ref.id)
            self._prepared[operation] = found
        return self._prepared[operation]

    def _chosen(self, operation: str) -> list[CaseRef]:
        refs = [
            ref
            for ref in case_index([operation])
            if not ref.needs and not (ref.broken is not None and ref.broken.newer)
        ]
        if not self._most or len(refs) <= self._most:
            return refs
        # A quarter for refusals, which are many and alike; the others evenly.
        computing = [ref for ref in refs if ref.computes]
        refused = [ref for ref in refs if not ref.computes]
        part = self._most // 4
        kept = {
            ref.id
            for group, most in ((computing, self._most - part), (refused, part))
            for ref in group[:: max(1, -(-len(group) // most))]
        }
        return [ref for ref in refs if ref.id in kept]

    def _answer(self, ref: CaseRef, case: Case) -> Answer | None:
        try:
            return self._golden(ref, case)
        except Dispute:
            if self._live is None:
                raise
            return self._live(ref, case)

    def forget(self, operation: str) -> None:
        """Drop what is kept of an operation: its cases may take much memory."""
        self._prepared.pop(operation, None)
        self._sound.pop(operation, None)

    @contextlib.contextmanager
    def open(self, number: int | None = None, trace: Path | None = None) -> Iterator[RunnerLike]:
        """A runner on the sound driver (None), or on the test build with a switch on (0: none)."""
        changes = dict(self._environment)
        target = self._target
        if number is not None:
            if self._library is None:
                raise KitError("this fault is in the test build of the driver, which is not there")
            target = "host"
            changes |= {DRIVER: str(self._library), FAULT: str(number)}
            if trace is not None:
                changes[TRACE] = str(trace)
        with _environment(changes):
            runner = parse_target(target).open()
            try:
                yield runner
            finally:
                runner.close()

    def judge(self, one: Prepared, result: Result, agreement: Agreement) -> Record:
        """The record of a case; agreement of paths is part of it."""
        record = judge(
            one.ref, one.case, one.answer, result, profile=self._profile, target=self._target
        )
        return agreement.check(one.ref, one.case, one.answer, result, record)

    def sound(self, operation: str) -> Mapping[str, tuple[Result, Record]]:
        """What the sound driver gives, by case id."""
        if operation not in self._sound:
            cases = self.cases(operation)
            agreement = Agreement()
            found: dict[str, tuple[Result, Record]] = {}
            with self.open() as runner:
                results = runner.run([one.case for one in cases])
                for one, result in zip(cases, results, strict=True):
                    found[one.ref.id] = (result, self.judge(one, result, agreement))
            self._sound[operation] = found
        return self._sound[operation]

    def counts(self, operation: str, one: Prepared) -> bool:
        """Whether a failure of this case would tell: it is none of the sound driver's."""
        record = self.sound(operation)[one.ref.id][1]
        return not record.verdict.is_failure and not record.verdict.is_error

    # ---- faults ----

    def kills(
        self, fault: Fault, operations: Sequence[str], first: bool = False
    ) -> dict[str, Kill]:
        """Which cases of these operations notice a fault, by id; with `first` the first alone."""
        found: dict[str, Kill] = {}
        for operation in operations:
            failed = self.failures(fault, operation)
            found |= {case: _kill(record) for case, record in failed.items()}
            if first and found:
                break
        return found

    def failures(self, fault: Fault, operation: str) -> dict[str, Record]:
        """The failing records of an operation's cases under a fault, by id."""
        if fault.layer == "planted":
            return self._switched(fault.number, operation, self._concerned(fault, operation))
        if fault.layer == "in":
            return self._rewritten(fault, operation)
        return self._left(fault, operation)

    def _concerned(self, fault: Fault, operation: str) -> list[Prepared]:
        cases = self.cases(operation)
        if fault.operations != ("*",) or operation not in CHOICE:
            return [one for one in cases if one.ref.computes or one.case.sets]
        # What happens between operations is asked by the special ways to run, and a few others.
        special = [one for one in cases if one.ref.kind in SPECIAL_KINDS]
        plain = [one for one in cases if one.ref.computes and one.ref.kind not in SPECIAL_KINDS]
        return special + plain[:: max(1, len(plain) // 40)]

    def switched(
        self, number: int, operation: str, cases: Sequence[Prepared], first: bool = False
    ) -> dict[str, Kill]:
        """Which of these cases notice that a switch of the test build is on."""
        failed = self._switched(number, operation, cases, first)
        return {case: _kill(record) for case, record in failed.items()}

    def _switched(
        self, number: int, operation: str, cases: Sequence[Prepared], first: bool = False
    ) -> dict[str, Record]:
        wanted = [one for one in cases if self.counts(operation, one)]
        found: dict[str, Record] = {}
        if not wanted:
            return found
        self._prove(operation)
        agreement = Agreement()
        hung = 0
        with self.open(number) as runner, contextlib.suppress(KitError):
            for at in (slice(0, 20), slice(20, None)) if first else (slice(None),):
                part = wanted[at]
                if not part:
                    continue
                for one, result in zip(part, runner.run([p.case for p in part]), strict=True):
                    record = self.judge(one, result, agreement)
                    if record.verdict.is_failure:
                        found[one.ref.id] = record
                        hung += record.verdict is Verdict.TIMEOUT
                        if first or hung >= MOST_HUNG:
                            return found
        return found

    def _prove(self, operation: str) -> None:
        """Show that the test build with no switch on passes what the sound driver passes.

        Raises KitError where it does not: its instruments would be noticed, not its faults.
        """
        if operation in self._proven:
            return
        cases = [one for one in self.cases(operation) if self.counts(operation, one)]
        agreement = Agreement()
        with self.open(0) as runner:
            results = runner.run([one.case for one in cases])
            for one, result in zip(cases, results, strict=True):
                record = self.judge(one, result, agreement)
                if record.verdict.is_failure or record.verdict.is_error:
                    raise KitError(
                        f"the test build of the driver fails {one.ref.id} with no fault switched"
                        f" on ({record.verdict.value}): find in nnapi_testkit/power/instrument.py"
                        " or planted.py what its instruments change"
                    )
        self._proven.add(operation)

    def refused_still(self, number: int, cases: Sequence[Prepared]) -> bool:
        """Whether each of these models is refused all the same with the switch on."""
        with self.open(number) as runner:
            return all(_refused(result) for result in runner.run([one.case for one in cases]))

    def _rewritten(self, fault: Fault, operation: str) -> dict[str, Record]:
        assert fault.case is not None
        changed: list[tuple[Prepared, Case]] = []
        for one in self.cases(operation):
            if one.case.expect is not Stage.DONE or not self.counts(operation, one):
                continue
            try:
                case = fault.case(one.case)
            except (IndexError, ValueError):
                continue  # what cannot be rewritten in this way is left as it is
            if case is not None:
                changed.append((one, case))
        found: dict[str, Record] = {}
        if not changed:
            return found
        agreement = Agreement()
        with self.open() as runner:
            results = runner.run([case for _, case in changed])
            for (one, _), result in zip(changed, results, strict=True):
                if result.ending is Ending.BAD_CASE:
                    continue
                record = self.judge(one, result, agreement)
                if record.verdict.is_failure:
                    found[one.ref.id] = record
        return found

    def _left(self, fault: Fault, operation: str) -> dict[str, Record]:
        assert fault.result is not None
        found: dict[str, Record] = {}
        agreement = Agreement()
        sound = self.sound(operation)
        for one in self.cases(operation):
            if not self.counts(operation, one):
                continue
            result = fault.result(one.case, sound[one.ref.id][0])
            if result is None:
                continue
            record = self.judge(one, result, agreement)
            if record.verdict.is_failure:
                found[one.ref.id] = record
        return found


def _refused(result: Result) -> bool:
    if result.ending is Ending.COMPLETED:
        return any(one.code for one in result.executions)
    return result.ending is Ending.STOPPED


def _kill(record: Record) -> Kill:
    return Kill(record.verdict, record.evidence.margin)


def _no_golden(ref: CaseRef, case: Case) -> Answer | None:
    return None


@contextlib.contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
