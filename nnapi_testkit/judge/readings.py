"""Which reading of a contested question a device follows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from nnapi_testkit.judge.verdict import Evidence, Record, Verdict
from nnapi_testkit.model.case import Answer, Ending, Expected, Result, Stage
from nnapi_testkit.op.readings import Contest
from nnapi_testkit.spec.codes import ResultCode

NEITHER = "neither"
_AND = "+"


def together(names: Iterable[str]) -> str:
    """Readings that agree, as a record has them."""
    return _AND.join(names)


def agreeing(reading: str) -> tuple[str, ...]:
    """The readings of `Record.reading` again; one for a device that follows one alone."""
    return tuple(reading.split(_AND))


def refused(result: Result) -> bool:
    """Whether the model was refused: by an error code, at the execution at the latest."""
    if result.ending == Ending.STOPPED:
        return Stage.DEVICE < result.stage <= Stage.EXECUTION
    runs = result.executions
    done = result.ending == Ending.COMPLETED and bool(runs)
    return done and all(run.code != ResultCode.NO_ERROR for run in runs)


def by_ending(contest: Contest, result: Result, record: Record) -> Record:
    """The record of a contested case whose execution did not succeed, which needs no answer.

    Args:
        record: that of the case if there were no contest.
    """
    record = replace(record, topic=contest.topic)
    if record.verdict.is_error or not refused(result):
        return record  # a crash, a hang, an operation that is not claimed, no word at all
    if record.verdict is Verdict.PLATFORM and result.stage != Stage.MODEL:
        return record  # it was no matter of the model
    names = [reading.name for reading in contest.readings if reading.refuses]
    if not names:
        return replace(record, reading=NEITHER)
    bare = replace(record, evidence=Evidence(status_checked=1), differences=(), mismatched=0)
    return _followed(bare, names, contest)


def by_readings(
    contest: Contest,
    answer: Answer,
    result: Result,
    judge: Callable[[tuple[tuple[Expected, ...], ...]], Record],
) -> Record:
    """The record of a contested case.

    PASS where every reading agrees with what the device did, OBSERVED where one does, which the
    record names. A device that follows none is a failure: it refused what all readings compute, or
    computed what none gives. A crash or a hang is itself.

    Args:
        judge: the record of the case if these were the only answers to it.
    """
    tried = {name: judge(sets) for name, sets in answer.readings if sets is not None}
    first = replace(next(reversed(tried.values())), topic=contest.topic)
    if refused(result) or first.verdict.is_error:
        return by_ending(contest, result, first)
    good = {name: record for name, record in tried.items() if record.verdict.meaning.computed}
    if good:
        # A reading that leaves elements open says less than one that tells them.
        least = min(record.evidence.exempt for record in good.values())
        names = [name for name, record in good.items() if record.evidence.exempt == least]
        everyone = len(names) == len(answer.readings)
        best = tried[names[-1]]
        if everyone and all(record.verdict.is_pass for record in tried.values()):
            return replace(best, topic=contest.topic, reading=together(names))
        return _followed(replace(best, topic=contest.topic), names, contest)
    others = "; ".join(
        f"{name}: {record.message or record.verdict.value}" for name, record in tried.items()
    )
    refusing = [name for name, sets in answer.readings if sets is None]
    others += "".join(f"; {name}: to be refused" for name in refusing)
    text = f"follows no reading of {contest.topic} ({others})"
    return replace(first, reading=NEITHER, message=text)


def _followed(record: Record, names: list[str], contest: Contest) -> Record:
    text = f"follows the reading {' and '.join(names)}: {contest.text}"
    return replace(record, verdict=Verdict.OBSERVED, message=text, reading=together(names))
