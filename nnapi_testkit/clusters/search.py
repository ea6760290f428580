"""The description that tells failing cases from the others: as few words as explain the most.

The failures of a class are described one after the other. A description is a conjunction of at
most three statements; its worth is how many bits shorter the list of verdicts becomes when it is
told (the likelihood ratio of two shares of failures against one), less what the words cost. So a
description is good if what it says fails, and if what it does not say passes, and a rare attribute
of three cases does not win over a kind of 300. (The score of subgroup discovery by Klösgen's
family of measures, in bits, as in the two-part codes of Rissanen's minimum description length.)
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nnapi_testkit.clusters.predicates import Predicate

__all__ = ["Description", "best"]

MOST_WORDS = 3
BEAM = 24
PLAINER = 0.93  # of the bits, for a plain fact to be preferred to a limit of a number
LEAST_BEAM = 6
FEW = 4000  # cases up to which the whole beam is used
LEAST_FAILING = 2  # failures that a description has to cover, if there are as many
EACH = 2  # descriptions kept of one set of facts
LEAST_GAIN = 4.0  # bits, below which a description is chance
ENOUGH = 0.85  # of the bits that a longer description saves, for the shorter to be preferred


@dataclass(frozen=True, slots=True)
class Description:
    """Statements that hold together, the most telling first.

    Args:
        predicates: none where all cases are meant.
        mask: the cases for which all hold.
        gain: bits that it saves.
    """

    predicates: tuple[Predicate, ...]
    mask: int
    gain: float


def _bits(failing: int, cases: int) -> float:
    """Bits of a list of verdicts of which so many fail, each with the share's probability."""
    passing = cases - failing
    if not failing or not passing:
        return 0.0
    return failing * math.log2(cases / failing) + passing * math.log2(cases / passing)


def worth(mask: int, failing: int, every: int) -> float:
    """Bits that it saves to tell the cases of `mask` from the others; 0 if they fail less often."""
    within = mask & every
    cases, total = within.bit_count(), every.bit_count()
    bad, all_bad = (within & failing).bit_count(), failing.bit_count()
    if not cases or bad * total <= all_bad * cases:
        return 0.0
    return _bits(all_bad, total) - _bits(bad, cases) - _bits(all_bad - bad, total - cases)


def best(words: Sequence[Predicate], failing: int, every: int) -> Description | None:
    """The description worth the most; None if none is worth its words.

    Args:
        words: statements to choose from.
        failing: the failures that are to be described, as bits.
        every: those, and the cases that passed.
    """
    price = math.log2(len(words) + 1)
    found: Description | None = None
    total = failing.bit_count()
    words = [word for word in words if word.mask & failing]
    # Of many cases each statement takes longer to weigh, and fewer are needed to tell them apart.
    width = max(LEAST_BEAM, min(BEAM, BEAM * FEW // max(every.bit_length(), 1)))
    beam: list[Description] = [Description((), every, 0.0)]
    for _ in range(MOST_WORDS):
        longer: dict[int, Description] = {}
        for one in beam:
            for word in words:
                mask = one.mask & word.mask
                if mask == one.mask:
                    continue
                bad = (mask & failing).bit_count()
                if bad < min(total, LEAST_FAILING):
                    continue
                cost = sum(price + each.cost for each in (*one.predicates, word))
                gain = worth(mask, failing, every) - cost
                if mask not in longer or longer[mask].gain < gain:
                    longer[mask] = Description((*one.predicates, word), mask, gain)
        beam = _varied(longer.values(), width)
        if not beam:
            break
        if beam[0].gain > (found.gain if found else LEAST_GAIN):
            found = beam[0]
    if found is None:
        return None
    return _plainer(_shorter(found, price, failing, every), words, price, failing, every)


def _described(kept: Sequence[Predicate], price: float, failing: int, every: int) -> Description:
    mask = every
    for one in kept:
        mask &= one.mask
    cost = sum(price + one.cost for one in kept)
    return Description(tuple(kept), mask, worth(mask, failing, every) - cost)


def _plainer(
    found: Description, words: Sequence[Predicate], price: float, failing: int, every: int
) -> Description:
    """The description with a plain fact in the place of a limit that says hardly more."""
    for at, word in enumerate(found.predicates):
        others = found.predicates[:at], found.predicates[at + 1 :]
        tried = [
            _described((*others[0], other, *others[1]), price, failing, every)
            for other in words
            if other.cost < word.cost and other not in found.predicates
        ]
        plainest = max(tried, key=lambda d: d.gain, default=found)
        if plainest.gain >= PLAINER * found.gain:
            found = plainest
    return found


def _varied(found: Iterable[Description], width: int) -> list[Description]:
    """The best, of each set of facts two: the limits of one number must not fill the beam."""
    kept: list[Description] = []
    seen: Counter[frozenset[str]] = Counter()
    for one in sorted(found, key=lambda d: -d.gain):
        names = frozenset(word.name for word in one.predicates)
        seen[names] += 1
        if seen[names] <= EACH:
            kept.append(one)
            if len(kept) == width:
                break
    return kept


def _shorter(found: Description, price: float, failing: int, every: int) -> Description:
    """The description without statements that add little to the others."""
    enough = ENOUGH * found.gain
    while len(found.predicates) > 1:
        tried = []
        for left in found.predicates:
            kept = [one for one in found.predicates if one is not left]
            tried.append(_described(kept, price, failing, every))
        best_ = max(tried, key=lambda d: d.gain)
        if best_.gain < enough:
            break
        found = best_
    return found
