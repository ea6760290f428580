"""Runs side by side: identical bits, drifted, newly failing, fixed, vanished, new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import chain
from typing import Any

from nnapi_testkit.report.columns import in_order
from nnapi_testkit.report.outcomes import Outcome

__all__ = ["Change", "Comparison", "Group", "Pair", "compare"]

DRIFT_FACTOR = 1.5  # a margin that grows by more than this has drifted, where no bits tell
DRIFT_FLOOR = 0.05  # margins below this are rounding noise


class Change(Enum):
    """What has become of a case, in the order in which a reader wants to know."""

    FAILING = "newly failing"
    FIXED = "fixed"
    VERDICT = "other verdict"
    VANISHED = "vanished"
    NEW = "new"
    DRIFTED = "drifted inside the bound"
    STILL = "still failing"
    IDENTICAL = "identical bits"
    SAME = "same verdict"

    @property
    def told(self) -> bool:
        """Whether a comparison lists its cases; of the others the count is enough."""
        return self not in (Change.IDENTICAL, Change.SAME, Change.STILL)


@dataclass(frozen=True, slots=True)
class Pair:
    """A case in both runs; one is missing where it vanished or is new."""

    was: Outcome | None
    now: Outcome | None

    @property
    def case(self) -> Outcome:
        """The newer of the two."""
        found = self.now or self.was
        assert found is not None
        return found

    @property
    def growth(self) -> float:
        """By how much the margin grew; of one that is no number, without limit."""
        if self.was is None or self.now is None:
            return 0.0
        grown = self.now.margin - self.was.margin
        return grown if grown == grown else float("inf")


@dataclass(frozen=True, slots=True)
class Group:
    """What changed in one way in one cell.

    Args:
        pairs: the cases, those that grew worst first.
        total: cases of the cell in the new run, or in the old one where it has none.
    """

    change: Change
    operation: str
    cell: str
    pairs: Sequence[Pair]
    total: int

    @property
    def verdicts(self) -> Counter[str]:
        """What the cases are now; of vanished ones, what they were."""
        return Counter(pair.case.verdict.value for pair in self.pairs)


@dataclass(frozen=True)
class Comparison:
    """What has changed from an old run to a new one.

    Args:
        counts: cases of each change, all of them.
        groups: of the changes that are told, by change, operation and type.
    """

    counts: Counter[Change] = field(default_factory=Counter)
    groups: Sequence[Group] = ()
    worse: bool = False

    def of(self, change: Change) -> list[Group]:
        """Return the groups of a change, the largest first."""
        found = [group for group in self.groups if group.change is change]
        return sorted(found, key=lambda group: -len(group.pairs))

    def pairs(self, change: Change) -> list[Pair]:
        """Return the cases of a change that is told."""
        return [pair for group in self.groups if group.change is change for pair in group.pairs]

    @property
    def line(self) -> str:
        """All counts in one line."""
        always = (Change.FAILING, Change.FIXED, Change.DRIFTED, Change.VANISHED, Change.NEW)
        told = [
            f"{self.counts[change]:,} {change.value}"
            for change in Change
            if self.counts[change] or change in always
        ]
        return ", ".join(told)


def compare(old: Iterable[Outcome], new: Iterable[Outcome]) -> Comparison:
    """Compare by case id, and by device where a run has a case on several.

    A run that lists a case twice counts its last word. Worse is what fails and did not, what is
    no longer there, and what is no longer computed.
    """
    old, new = list(old), list(new)
    several = any(len({outcome.id for outcome in run}) < len(run) for run in (old, new))
    before, after = (_by_case(run, several) for run in (old, new))
    counts: Counter[Change] = Counter()
    told: dict[tuple[Change, str, str], list[Pair]] = {}
    worse = False
    identical = 0  # nearly all are, so these are counted at once
    gone = [(was, None) for key, was in before.items() if key not in after]
    for was, now in chain(((before.get(key), now) for key, now in after.items()), gone):
        if _passes_alike(was, now):
            identical += 1
            continue
        change = _change(was, now)
        counts[change] += 1
        if not change.told:
            continue
        pair = Pair(was, now)
        told.setdefault((change, pair.case.operation, pair.case.cell), []).append(pair)
        worse = worse or _worse(change, pair)
    if identical:
        counts[Change.IDENTICAL] += identical
    return Comparison(counts, _groups(told, before.values(), after.values()), worse)


def _passes_alike(was: Outcome | None, now: Outcome | None) -> bool:
    if was is None or now is None or not now.verdict.is_pass:
        return False
    return bool(now.bits) and was.bits == now.bits and was.verdict.is_pass


def _by_case(run: Sequence[Outcome], several: bool) -> dict[Any, Outcome]:
    if several:
        return {(outcome.id, outcome.device): outcome for outcome in run}
    return {outcome.id: outcome for outcome in run}


def _groups(
    told: dict[tuple[Change, str, str], list[Pair]],
    before: Iterable[Outcome],
    after: Iterable[Outcome],
) -> list[Group]:
    older = Counter((outcome.operation, outcome.cell) for outcome in before)
    newer = Counter((outcome.operation, outcome.cell) for outcome in after)
    found = [
        Group(
            change,
            operation,
            cell,
            sorted(pairs, key=lambda pair: (-pair.growth, pair.case.id)),
            max(len(pairs), newer[operation, cell] or older[operation, cell]),
        )
        for (change, operation, cell), pairs in told.items()
    ]
    order = {change: at for at, change in enumerate(Change)}
    cells = {cell: at for at, cell in enumerate(in_order({group.cell for group in found}))}
    return sorted(found, key=lambda g: (order[g.change], g.operation, cells[g.cell]))


def _change(was: Outcome | None, now: Outcome | None) -> Change:
    if was is None:
        return Change.NEW
    if now is None:
        return Change.VANISHED
    if was.bad or now.bad:
        if was.bad and now.bad:
            return Change.STILL if was.verdict is now.verdict else Change.VERDICT
        return Change.FAILING if now.bad else Change.FIXED
    if was.verdict is not now.verdict:
        return Change.VERDICT
    computed = not now.verdict.is_apart
    if was.bits and now.bits:
        if was.bits == now.bits:
            return Change.IDENTICAL
        return Change.DRIFTED if computed else Change.SAME
    return Change.DRIFTED if _grew(was, now) else Change.SAME


def _grew(was: Outcome, now: Outcome) -> bool:
    """Whether a margin grew so far that the bits cannot be the same."""
    if not (was.compared and now.compared):
        return False
    return now.margin > DRIFT_FLOOR and not now.margin <= was.margin * DRIFT_FACTOR


def _worse(change: Change, pair: Pair) -> bool:
    if change in (Change.FAILING, Change.VANISHED):
        return True
    if change is Change.NEW:
        return pair.case.bad
    if change is not Change.VERDICT or pair.was is None or pair.now is None:
        return False
    return not pair.now.bad and bool(pair.was.compared) and not pair.now.compared
