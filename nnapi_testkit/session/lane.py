"""One runner at work: builds cases, runs them, judges, repeats every non-pass alone."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.closing import Closing
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.agreement import Agreement
from nnapi_testkit.judge.second import contested
from nnapi_testkit.judge.verdict import Evidence, Record, Verdict
from nnapi_testkit.model.case import Answer, Case, Ending, Result, Stage
from nnapi_testkit.model.place import Place
from nnapi_testkit.session.answering import Dispute, answering
from nnapi_testkit.session.leaks import Leaks, order_dependent
from nnapi_testkit.session.platforms import Platform, known
from nnapi_testkit.session.services import (
    Describes,
    Explains,
    Faults,
    RunnerLike,
    Services,
    Waits,
    load,
)
from nnapi_testkit.session.settings import OracleMode, Settings
from nnapi_testkit.spec.levels import level_of
from nnapi_testkit.targets.base import TargetError

__all__ = ["BREAKER", "Lane", "reproduction"]

BREAKER = 3  # infrastructure errors in a row after which a target is given up
INFRA_ATTEMPTS = 2
MOST_EXPLAINED = 20  # failures of a lane that are run once more for the driver's verbose log
_UNATTRIBUTED = "right, but the device that computed it is not known: no pass"

_Work = tuple[CaseRef, Case]
REFERENCE = "nnapi-reference"  # the device beside each driver that computes with Android's kernels


@dataclass(frozen=True, slots=True)
class _Failed:
    """A non-pass: its record, what it said at first, and the result of running it again alone."""

    ref: CaseRef
    case: Case
    record: Record
    said: str
    result: Result | None = None


class Lane(Closing):
    """Runs blocks of cases on one target, one after another, without threads.

    The runner is a process of its own, here or in a device, so it computes the next case while
    this one is judged.
    """

    def __init__(self, settings: Settings, services: Services | None = None) -> None:
        self._settings = settings
        self._services = services or load(settings.services)
        self._runner: RunnerLike | None = None
        self._alone: RunnerLike | None = None
        self._explainer: RunnerLike | None = None
        self._answer: Callable[[CaseRef, Case], Answer | None] | None = None
        self._failures_in_row = 0
        self._agreement = Agreement()
        self._leaks = Leaks(lambda: self._open(False), self._judge)
        self._opened = False
        self._faults: list[str] = []
        self._older: dict[str, Lane] = {}
        self._explained = 0
        charged = settings.judged == "platform"
        self._second: RunnerLike | None = None
        self._alone_here = False  # no reference stands beside the driver
        self._facts: Mapping[str, object] | None = None
        self._after: Sequence[CaseRef] = ()
        self._built: dict[str, Case | Exception] = {}
        self._between = not charged and self._services.traits(settings.target).between

    @property
    def given_up(self) -> bool:
        """Whether infrastructure errors in a row have ended this lane's use of its target."""
        return self._failures_in_row >= BREAKER

    def close(self) -> None:
        """End the runners; `faults` is whole then."""
        for runner in (self._runner, self._alone, self._explainer, self._second):
            self._end(runner)
        self._runner = self._alone = self._explainer = self._second = None
        for lane in self._older.values():
            lane.close()

    def _end(self, runner: RunnerLike | None) -> None:
        if runner is None:
            return
        runner.close()
        fault = runner.fault if isinstance(runner, Faults) else ""
        if fault and fault not in self._faults:
            self._faults.append(fault)

    @property
    def faults(self) -> list[str]:
        """What the driver did wrong outside any case, by the runners that have ended so far."""
        found = list(self._faults)
        for lane in self._older.values():
            found += [fault for fault in lane.faults if fault not in found]
        return found

    def run(self, refs: Sequence[CaseRef], after: Sequence[CaseRef] = ()) -> Iterator[Record]:
        """Yield one record for each reference, non-passes last, then those of older devices.

        Args:
            after: what is asked for next; it is built while the runner is at work.

        Raises KitError if the target cannot be opened or the goldens cannot be read.
        """
        self._after = after
        elsewhere: dict[str, list[CaseRef]] = {}
        for ref in refs:
            elsewhere.setdefault(self._place(ref), []).append(ref)
        yield from self._run(elsewhere.pop("", []))
        for target, part in elsewhere.items():
            yield from self._run_older(target, part)

    def _place(self, ref: CaseRef) -> str:
        """Return the target of an older device that the case is for; "" for the lane's own."""
        if ref.broken is None or not ref.broken.newer:
            return ""
        return self._services.older(self._settings.target, ref.level)

    def _run_older(self, target: str, refs: Sequence[CaseRef]) -> Iterator[Record]:
        if target not in self._older:
            services = replace(self._services, older=lambda target, level: "")
            self._older[target] = Lane(replace(self._settings, target=target), services)
        left = {ref.id: ref for ref in refs}
        try:
            for record in self._older[target].run(refs):
                del left[record.id]
                yield record
        except TargetError as error:
            # Another library in the place of the bundled driver need not have such devices.
            why = f"no older device: {error}"
            for ref in left.values():
                yield self._unjudged(ref, Verdict.UNSUPPORTED, why)

    def _run(self, refs: Sequence[CaseRef]) -> Iterator[Record]:
        if self._answer is None:
            self._answer = answering(self._settings.oracle, self._services, self._settings.seed)
        built, self._built = self._built, {}
        work: list[_Work] = []
        for ref in refs:
            made = built.get(ref.id) or _build(ref)
            if isinstance(made, Case):
                work.append((ref, made))
                continue
            yield self._unjudged(
                ref,
                Verdict.NOT_RUN,
                f"the case cannot be built: {type(made).__name__}: {made}",
            )
        again: list[_Failed] = []
        for (ref, case), outcome in self._execute(work):
            record = outcome if isinstance(outcome, Record) else self._judge(ref, case, outcome)
            if record.verdict.is_failure or record.verdict is Verdict.INFRA:
                again.append(_Failed(ref, case, record, record.message))
            else:
                yield record
        repeated = [self._traced(item) for item in self._repeat(again)]
        self._leaks.forget()
        yield from self._second_opinions(repeated)

    def _build_ahead(self) -> None:
        """Build what comes next, while the runner computes and nothing is there to be judged."""
        after, self._after = self._after, ()
        self._built |= {ref.id: _build(ref) for ref in after}

    def _execute(self, work: Sequence[_Work]) -> Iterator[tuple[_Work, Result | Record]]:
        """Run cases in order; a lost runner is replaced, and only its case is in doubt."""
        done = 0
        attempts = 0
        while done < len(work):
            if self._failures_in_row >= BREAKER:
                yield work[done], self._given_up(work[done][0])
                done += 1
                continue
            message = "the runner ended before its batch was done"
            try:
                if self._runner is None:
                    self._runner = self._open(self._settings.isolate)
                    self._opened = True
                    if isinstance(self._runner, Waits):
                        self._runner.meanwhile = self._build_ahead
                for result in self._runner.run([case for _, case in work[done:]]):
                    self._leaks.ran(work[done][0], result)
                    yield work[done], result
                    done += 1
                    attempts = self._failures_in_row = 0
            except (KitError, OSError) as error:
                if not self._opened:
                    raise  # a target that never worked is an error of the user's, not of a case
                message = str(error)
            if done >= len(work):
                return
            self._drop()
            attempts += 1
            if attempts >= INFRA_ATTEMPTS:
                yield work[done], self._unjudged(work[done][0], Verdict.INFRA, message)
                done += 1
                attempts = 0
                self._failures_in_row += 1

    def not_run(self, ref: CaseRef, message: str) -> Record:
        """Return the record of a case that was not tried, for this reason."""
        return self._unjudged(ref, Verdict.NOT_RUN, message)

    def _given_up(self, ref: CaseRef) -> Record:
        return self._unjudged(
            ref,
            Verdict.NOT_RUN,
            f"target {self._settings.target} was given up after {BREAKER} infrastructure errors"
            " in a row: see the first INFRA record",
        )

    def _drop(self) -> None:
        runner, self._runner = self._runner, None
        self._end(runner)
        self._leaks.fresh()

    def _open(self, isolate: bool) -> RunnerLike:
        return self._services.open_runner(
            self._settings.target,
            isolate=isolate,
            memory_limit_mb=self._settings.memory_limit_mb,
        )

    def _judge(self, ref: CaseRef, case: Case, result: Result) -> Record:
        assert self._answer is not None
        answer: Answer | None = None
        if result.ending is Ending.COMPLETED:
            try:
                answer = self._answer(ref, case)
            except Dispute as dispute:
                record = self._unjudged(ref, Verdict.ORACLE_DISPUTE, str(dispute))
                return replace(record, device=result.device)
        settings = self._settings
        try:
            record = self._services.judge(
                ref,
                case,
                answer,
                result,
                profile=settings.profile,
                target=settings.target,
                between=self._between,
            )
        except Exception as error:
            # A judge that fails must neither pass the case nor end the run.
            why = f"the judge failed: {type(error).__name__}: {error}"
            return replace(self._unjudged(ref, Verdict.ORACLE_DISPUTE, why), device=result.device)
        record = self._agreement.check(ref, case, answer, result, record)
        if record.verdict.is_pass and not record.device:
            # Without a name it may have been any device's, or the system's own fallback.
            return replace(record, verdict=Verdict.OBSERVED, message=_UNATTRIBUTED)
        if record.verdict.is_failure and self._between and settings.profile != "strict":
            record = known(self._platform(record.device), record, ref, case)
        if record.verdict.is_failure and not record.repro:
            record = replace(record, repro=reproduction(ref.id, settings))
        return record

    def _platform(self, device: str) -> Platform:
        if self._facts is None:
            runner = self._runner or self._alone
            try:
                self._facts = dict(runner.describe()) if isinstance(runner, Describes) else {}
            except (KitError, OSError):
                self._facts = {}  # without facts no entry of a level holds
        level = self._facts.get("feature_level")
        print_ = str(self._facts.get("fingerprint", ""))
        return Platform(device, level_of(level) if isinstance(level, int) else 0, print_)

    def _second_opinions(self, failed: Sequence[_Failed]) -> Iterator[Record]:
        """Ask the platform's own reference, in one batch, for what a driver beside it failed."""
        asked = [item for item in failed if self._may_be_contested(item)]
        told: dict[str, Record] = {}
        if asked and self._beside():
            assert self._second is not None
            try:
                results = self._second.run([item.case for item in asked])
                for item, other in zip(asked, results, strict=False):
                    assert item.result is not None
                    both = (item.result, other)
                    told[item.ref.id] = self._compared(item.ref, item.case, item.record, both)
            except (KitError, OSError):
                self._second.close()
                self._second = None
        for item in failed:
            yield self._explain(told.get(item.ref.id, item.record), item.case)

    def _may_be_contested(self, item: _Failed) -> bool:
        # What is newer than a device is not newer than the reference.
        newer = item.ref.broken is not None and item.ref.broken.newer
        driver = item.record.device not in ("", REFERENCE)
        failure = item.record.verdict.is_failure
        return failure and driver and item.result is not None and not newer

    def _beside(self) -> bool:
        """Whether the reference can be asked; opens it at the first failure of a driver."""
        if self._second is None and not self._alone_here:
            try:
                self._second = self._services.open_runner(
                    Place.of(self._settings.target).on(REFERENCE),
                    isolate=False,
                    memory_limit_mb=self._settings.memory_limit_mb,
                )
            except (KitError, OSError):
                self._alone_here = True
        return self._second is not None

    def _compared(
        self, ref: CaseRef, case: Case, record: Record, results: tuple[Result, Result]
    ) -> Record:
        profile = self._settings.profile
        assert self._answer is not None
        completed = any(each.ending is Ending.COMPLETED for each in results)
        answer = self._answer(ref, case) if completed and case.expect is Stage.DONE else None
        judged = self._services.judge(ref, case, answer, results[1], profile=profile)
        if results[1].device != REFERENCE:
            return record
        if not judged.verdict.is_failure:
            return replace(record, message=f"{record.message}; {REFERENCE} beside it is right")
        why = contested(case, answer, record, results, judged.verdict, profile=profile)
        if not why:
            told = f"{REFERENCE} beside it fails otherwise: {judged.verdict.value}"
            return replace(record, message=f"{record.message}; {told}")
        text = f"{record.verdict.value}: {record.message}; {why}"
        if profile == "strict":
            return replace(record, message=f"{record.message}; {why}")
        return replace(record, verdict=Verdict.CONTESTED, message=text)

    def _repeat(self, again: Sequence[_Failed]) -> Iterator[_Failed]:
        """Run each non-pass alone in a fresh worker; its first verdict stands.

        Only infrastructure errors are retried: there the second word counts.
        """
        if not again:
            return
        done = 0
        try:
            if self._alone is None:
                self._alone = self._open(True)
            for result in self._alone.run([item.case for item in again]):
                first = again[done]
                record = _combine(first.record, self._judge(first.ref, first.case, result))
                done += 1
                yield replace(first, record=record, result=result)
        except (KitError, OSError):
            runner, self._alone = self._alone, None
            self._end(runner)
        yield from again[done:]

    def _traced(self, failed: _Failed) -> _Failed:
        """Name the earlier case that a failure is due to which passes alone."""
        if self._settings.isolate or not failed.record.order_dependent:
            return failed
        record = self._leaks.traced(failed.ref, failed.case, failed.record, failed.said)
        if record.after:
            again = reproduction(record.id, self._settings, record.after)
            record = replace(record, repro=again)
        return replace(failed, record=record)

    def _explain(self, record: Record, case: Case) -> Record:
        """Add the driver's verbose log of another run, where that was asked for."""
        if not self._settings.driver_log or not record.verdict.is_failure:
            return record
        if self._explained >= MOST_EXPLAINED:
            return record
        if self._explainer is None:
            self._explainer = self._open(True)
        if not isinstance(self._explainer, Explains):
            return record
        self._explained += 1
        try:
            log = self._explainer.explain(case)
        except (KitError, OSError) as error:
            log = f"no verbose log: {error}"
        return replace(record, text="\n".join(filter(None, (record.text, log))))

    def _unjudged(self, ref: CaseRef, verdict: Verdict, message: str) -> Record:
        return Record(
            id=ref.id,
            operation=ref.operation,
            cell=ref.cell,
            level=ref.level,
            verdict=verdict,
            evidence=Evidence(),
            target=self._settings.target,
            kind=ref.kind,
            message=message,
            repro=reproduction(ref.id, self._settings),
        )


def _build(ref: CaseRef) -> Case | Exception:
    """The case, or what an op file raised: then it is one case less, and the run goes on."""
    try:
        return ref.make()
    except Exception as error:
        return error


def _combine(first: Record, alone: Record) -> Record:
    if first.verdict is Verdict.INFRA:
        return alone
    if alone.verdict.is_bad:
        return replace(first, isolated=alone.verdict)
    return order_dependent(replace(first, isolated=alone.verdict), first.message)


def reproduction(case_id: str, settings: Settings, after: Sequence[str] = ()) -> str:
    """Return the command line that runs one case again, after others if it needs them."""
    words = ["nnapi-testkit", "run", *after, case_id, "--target", settings.target]
    if after:
        words.append("--in-order")
    if settings.profile != "standard":
        words += ["--profile", settings.profile]
    if settings.judged != "driver":
        words += ["--judge", settings.judged]
    if settings.oracle is OracleMode.GOLDEN:
        words += ["--oracle", "golden"]
    if settings.seed:
        words += ["--seed", str(settings.seed)]
    return shlex.join(words)
