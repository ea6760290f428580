"""One runner at work: builds cases, runs them, judges, repeats every non-pass alone."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import TracebackType

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.agreement import Agreement
from nnapi_testkit.judge.verdict import Evidence, Record, Verdict
from nnapi_testkit.model.case import Answer, Case, Ending, Result
from nnapi_testkit.session.answering import Dispute, answering
from nnapi_testkit.session.services import RunnerLike, Services, load
from nnapi_testkit.session.settings import OracleMode, Settings

__all__ = ["BREAKER", "Lane", "reproduction"]

BREAKER = 3  # infrastructure errors in a row after which a target is given up
INFRA_ATTEMPTS = 2
MOST_EXPLAINED = 20  # failures of a lane that are run once more for the driver's verbose log
_UNATTRIBUTED = "right, but the device that computed it is not known: no pass"

_Work = tuple[CaseRef, Case]


class Lane:
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
        self._opened = False
        self._older: dict[str, Lane] = {}
        self._explained = 0

    @property
    def given_up(self) -> bool:
        """Whether infrastructure errors in a row have ended this lane's use of its target."""
        return self._failures_in_row >= BREAKER

    def __enter__(self) -> Lane:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the runners."""
        for runner in (self._runner, self._alone, self._explainer):
            if runner is not None:
                runner.close()
        self._runner = self._alone = self._explainer = None
        for lane in self._older.values():
            lane.close()

    def run(self, refs: Sequence[CaseRef]) -> Iterator[Record]:
        """Yield one record for each reference, non-passes last, then those of older devices.

        Raises KitError if the target cannot be opened or the goldens cannot be read.
        """
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
        except KitError as error:
            # Another library in the place of the bundled driver need not have such devices.
            why = f"no older device: {error}"
            for ref in left.values():
                yield self._unjudged(ref, Verdict.UNSUPPORTED, why)

    def _run(self, refs: Sequence[CaseRef]) -> Iterator[Record]:
        if self._answer is None:
            self._answer = answering(self._settings.oracle, self._services, self._settings.seed)
        work: list[_Work] = []
        for ref in refs:
            try:
                work.append((ref, ref.make()))
            except Exception as error:  # of an op file: one case less, and the run goes on
                yield self._unjudged(
                    ref,
                    Verdict.NOT_RUN,
                    f"the case cannot be built: {type(error).__name__}: {error}",
                )
        again: list[tuple[CaseRef, Case, Record]] = []
        for (ref, case), outcome in self._execute(work):
            record = outcome if isinstance(outcome, Record) else self._judge(ref, case, outcome)
            if record.verdict.is_failure or record.verdict is Verdict.INFRA:
                again.append((ref, case, record))
            else:
                yield record
        yield from self._repeat(again)

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
                for result in self._runner.run([case for _, case in work[done:]]):
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
        if runner is not None:
            runner.close()

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
                ref, case, answer, result, profile=settings.profile, target=settings.target
            )
        except Exception as error:
            # A judge that fails must neither pass the case nor end the run.
            why = f"the judge failed: {type(error).__name__}: {error}"
            return replace(self._unjudged(ref, Verdict.ORACLE_DISPUTE, why), device=result.device)
        record = self._agreement.check(ref, case, answer, result, record)
        if record.verdict is Verdict.PASS and not record.device:
            # Without a name it may have been any device's, or the system's own fallback.
            return replace(record, verdict=Verdict.OBSERVED, message=_UNATTRIBUTED)
        if record.verdict.is_failure and not record.repro:
            record = replace(record, repro=reproduction(ref.id, settings))
        return record

    def _repeat(self, again: Sequence[tuple[CaseRef, Case, Record]]) -> Iterator[Record]:
        """Run each non-pass alone in a fresh worker; its first verdict stands.

        Only infrastructure errors are retried: there the second word counts.
        """
        if not again:
            return
        done = 0
        try:
            if self._alone is None:
                self._alone = self._open(True)
            for result in self._alone.run([case for _, case, _ in again]):
                ref, case, first = again[done]
                record = _combine(first, self._judge(ref, case, result))
                done += 1
                yield self._explain(record, case)
        except (KitError, OSError):
            runner, self._alone = self._alone, None
            if runner is not None:
                runner.close()
        for _, _, first in again[done:]:
            yield first

    def _explain(self, record: Record, case: Case) -> Record:
        """Add the driver's verbose log of another run, where that was asked for."""
        if not self._settings.driver_log or not record.verdict.is_failure:
            return record
        if self._explained >= MOST_EXPLAINED:
            return record
        if self._explainer is None:
            self._explainer = self._open(True)
        explain = getattr(self._explainer, "explain", None)
        if explain is None:
            return record
        self._explained += 1
        try:
            log = str(explain(case))
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


def _combine(first: Record, alone: Record) -> Record:
    if first.verdict is Verdict.INFRA:
        return alone
    if alone.verdict.is_failure or alone.verdict.is_error:
        return replace(first, isolated=alone.verdict)
    message = f"ORDER-DEPENDENT (alone: {alone.verdict.value}): {first.message}"
    return replace(first, isolated=alone.verdict, message=message)


def reproduction(case_id: str, settings: Settings) -> str:
    """Return the command line that runs one case again."""
    words = ["nnapi-testkit", "run", case_id, "--target", settings.target]
    if settings.profile != "standard":
        words += ["--profile", settings.profile]
    if settings.oracle is OracleMode.GOLDEN:
        words += ["--oracle", "golden"]
    if settings.seed:
        words += ["--seed", str(settings.seed)]
    return shlex.join(words)
