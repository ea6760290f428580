"""What an earlier case leaves behind: which one makes a later case fail that passes alone.

The cases that one worker ran before the failure are run again in a fresh one, half as many each
time (A. Zeller, Yesterday, my program worked. Today, it does not. Why?, 1999): so some ten runs
name the case that is needed, and where several are needed together, each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Record
from nnapi_testkit.model.case import Case, Ending, Result
from nnapi_testkit.session.services import RunnerLike

__all__ = ["Leaks", "needed"]

MOST_NEEDED = 3  # cases that are named; what needs more together is told as that
MOST_TRACED = 10  # failures of a lane whose cause is looked for
REMEMBERED = 1000  # cases before a failure: more than one worker serves
DEAD = frozenset({Ending.CRASHED, Ending.TIMED_OUT, Ending.OUT_OF_MEMORY, Ending.EXITED})

T = TypeVar("T")


def needed(before: Sequence[T], fails: Callable[[Sequence[T]], bool]) -> list[T] | None:
    """Return the items of a sequence after which something fails; None if it does not fail again.

    Args:
        fails: whether it fails after these items, in this order. It must not fail after none.

    At most `MOST_NEEDED` are returned; if they are not enough together, the list is empty.
    """
    found: list[T] = []
    rest = list(before)
    while len(found) < MOST_NEEDED:
        # Most leaks are young: look at the last ones first, twice as many each time.
        good, reach = 0, 1  # it passes after the last `good` of the rest
        while reach < len(rest) and not fails([*found, *rest[-reach:]]):
            good, reach = reach, 2 * reach
        reach = min(reach, len(rest))
        if not reach or (reach == len(rest) and not fails([*found, *rest])):
            return [] if found else None
        while reach - good > 1:
            middle = (reach + good) // 2
            if fails([*found, *rest[-middle:]]):
                reach = middle
            else:
                good = middle
        found.append(rest[-reach])
        rest = rest[len(rest) - reach + 1 :]
        if fails(found):
            return found
    return []


class Leaks:
    """Remembers which cases one worker has run, and finds out whose fault a later failure is.

    Args:
        open_runner: a runner with a fresh worker that serves all its cases.
        judge: the verdict on a case.
    """

    def __init__(
        self,
        open_runner: Callable[[], RunnerLike],
        judge: Callable[[CaseRef, Case, Result], Record],
    ) -> None:
        self._open, self._judge = open_runner, judge
        self._ran: list[CaseRef] = []
        self._begun = 0  # where the cases of the worker of now begin
        self._since: dict[str, int] = {}  # where those of a case's own worker begin
        self._traced = 0
        self._known: list[list[CaseRef]] = []

    def ran(self, ref: CaseRef, result: Result) -> None:
        """Remember a case that the runner has run."""
        self._since[ref.id] = self._begun
        self._ran.append(ref)
        if result.ending in DEAD:
            self.fresh()

    def fresh(self) -> None:
        """The runner has a new worker from here on."""
        self._begun = len(self._ran)

    def forget(self) -> None:
        """Drop what no later failure can be due to; call it when failures have been traced."""
        surplus = max(self._begun, len(self._ran) - REMEMBERED)
        self._ran = self._ran[surplus:]
        self._begun = max(0, self._begun - surplus)
        self._since = {}

    def traced(self, ref: CaseRef, case: Case, record: Record, said: str) -> Record:
        """The record of a failure that passes alone, with the cases that it fails after.

        `said` is the message that it failed with.
        """
        if ref.id not in self._since:
            return record
        at = next(i for i in range(len(self._ran) - 1, -1, -1) if self._ran[i].id == ref.id)
        before = self._ran[max(self._since[ref.id], at - REMEMBERED) : at]
        if not before:
            return record

        if self._traced >= MOST_TRACED:
            return record
        self._traced += 1

        def fails(earlier: Sequence[CaseRef]) -> bool:
            return self._fails(earlier, ref, case)

        if fails(()):
            told = ", but in a fresh worker that serves several it failed first too"
            return order_dependent(record, said, told)
        here = {each.id for each in before}
        for culprits in self._known:
            if all(each.id in here for each in culprits) and fails(culprits):
                self._traced -= 1  # it has cost little
                return _told(record, said, culprits, len(before))
        found = needed(before, fails)
        if found:
            self._known.append(found)
        return _told(record, said, found, len(before))

    def _fails(self, earlier: Sequence[CaseRef], ref: CaseRef, case: Case) -> bool:
        """Whether the case fails in a fresh worker after these; a lost runner tells nothing."""
        runner: RunnerLike | None = None
        try:
            runner = self._open()
            *_, last = runner.run([*(each.make() for each in earlier), case])
        except (KitError, OSError, ValueError):
            return False
        finally:
            if runner is not None:
                runner.close()
        return self._judge(ref, case, last).verdict.is_failure


def order_dependent(record: Record, said: str, told: str = "") -> Record:
    """The record of what failed so (`said`) and passes alone, with what is `told` of it."""
    alone = record.isolated.value if record.isolated else ""
    return replace(record, message=f"ORDER-DEPENDENT (alone: {alone}){told}: {said}")


def _told(record: Record, said: str, culprits: Sequence[CaseRef] | None, count: int) -> Record:
    after = tuple(each.id for each in culprits or ())
    if after:
        told = f" after {' and '.join(after)}"
    elif culprits is None:
        told = f", but not again after the same {count} cases in a fresh worker"
    else:
        told = f" after more than {MOST_NEEDED} of the {count} cases before it"
    return order_dependent(replace(record, after=after), said, told)
