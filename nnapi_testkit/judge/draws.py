"""Outputs that are drawn: whether they follow their distribution, at a stated rate of false alarms.

Of n independent draws, the share q of those with a property of probability p satisfies
P(n KL(q, p) > t on one side) <= exp(-t) (Chernoff), exactly and for every n. The properties
are "is class k" and, for the independence of neighbours, "is the pair (k, l)" over the pairs
that do not overlap. With T properties of all rows together, t = ln(2 T / FALSE_ALARM) makes
the chance that a right driver is called wrong less than FALSE_ALARM for each output.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.op.bounds import ARITHMETIC

FALSE_ALARM = 1e-9
Reals = NDArray[np.float64]


def draws_margin(distribution: Reals, drawn: NDArray[np.int64]) -> Reals:
    """How far each row of draws is from its distribution: above 1 is not by chance.

    Args:
        distribution: probabilities and how far a driver's may be from them, [2, ..., classes].
        drawn: class numbers, [..., draws].

    Returns:
        A margin for each row, [...]; infinite where a class is impossible or out of range.
    """
    classes, draws = distribution.shape[-1], drawn.shape[-1]
    middle, reach = distribution.reshape(2, -1, classes)
    reach = reach + middle * ARITHMETIC
    low, high = np.maximum(middle - reach, 0.0), np.minimum(middle + reach, 1.0)
    rows = drawn.reshape(-1, draws)
    tests = max(1, rows.shape[0] * (classes + classes * classes))
    limit = math.log(2 * tests / FALSE_ALARM)
    margins = np.zeros(rows.shape[0])
    for number, row in enumerate(rows):
        if row.size and (row.min() < 0 or row.max() >= classes):
            margins[number] = math.inf
            continue
        bottom, top = low[number], high[number]
        single = _evidence(np.bincount(row, minlength=classes), draws, bottom, top)
        pairs = row[: draws // 2 * 2].reshape(-1, 2)
        double = np.zeros(1)
        if len(pairs):  # of thousands of classes, pairs are millions, drawn or not
            counts = np.bincount(pairs[:, 0] * classes + pairs[:, 1], minlength=classes * classes)
            double = _evidence(
                counts, len(pairs), np.outer(bottom, bottom).ravel(), np.outer(top, top).ravel()
            )
        margins[number] = max(single.max(initial=0.0), double.max(initial=0.0)) / limit
    return margins.reshape(drawn.shape[:-1])


def _evidence(counts: NDArray[np.int64], total: int, low: Reals, high: Reals) -> Reals:
    """n KL(q, p) of each property, p the nearest legal probability."""
    if not total:
        return np.zeros(len(counts))
    share = counts / total
    p = np.clip(share, low, high)
    with np.errstate(divide="ignore", invalid="ignore"):
        here = np.where(share > 0, share * np.log(share / p), 0.0)
        rest = np.where(share < 1, (1 - share) * np.log((1 - share) / (1 - p)), 0.0)
    found: Reals = total * np.maximum(here + rest, 0.0)
    return found
