"""Which known fault failures look like: the signatures of the kill matrix.

The matrix (`nnapi-testkit power`) says which cases notice a fault, with which verdict and by which
margin. What a case computes under a fault does not depend on who computes it, so another driver
with the same fault has nearly the same margins: an error of a thousand bounds is that of one wrong
way to compute, and hardly of another.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from nnapi_testkit.judge.verdict import Record

__all__ = ["Signature", "looks_like", "signatures"]

_FILE = Path(__file__).resolve().parent.parent / "data" / "signatures.json"

NEAR = 0.05  # by which margins may differ, relative: a real driver rounds in its own way as well
LEAST = 3.0  # margins below are not far enough from rounding to tell anything
WITNESSES = 2  # cases that have to agree
AGREE = 0.75  # share of the fault's cases in this run that have to agree


@dataclass(frozen=True, slots=True)
class Signature:
    """How a fault shows.

    Args:
        fault, what: its name, and what goes wrong.
        cases: by id the verdict and the margin that a driver with the fault gets.
    """

    fault: str
    what: str
    cases: dict[str, tuple[str, float]]


@cache
def signatures() -> tuple[Signature, ...]:
    """Those of the shipped kill matrix."""
    try:
        rows = json.loads(_FILE.read_text())
    except OSError:
        return ()
    return tuple(
        Signature(
            row["fault"],
            row["what"],
            {
                case: (str(verdict), float(margin))
                for case, (verdict, margin) in row["cases"].items()
            },
        )
        for row in rows
    )


def looks_like(
    members: Sequence[Record],
    records: Sequence[Record],
    known: Sequence[Signature] | None = None,
) -> tuple[str, str] | None:
    """Name and description of the fault whose signature these failures have.

    Args:
        members: failures of one cluster.
        records: of the whole run: a case of the fault that passed speaks against it.
        known: signatures; those of the shipped kill matrix by default.
    """
    failed = {record.id: record for record in members}
    every = {record.id: record for record in records}
    found: tuple[float, float, str, str] | None = None
    for one in signatures() if known is None else known:
        asked = [case for case in one.cases if case in every and _computed(every[case])]
        alike = [
            case for case in asked if case in failed and _alike(failed[case], *one.cases[case])
        ]
        exact = [case for case in alike if _tells(one.cases[case][1])]
        if len(exact) < WITNESSES or len(alike) < AGREE * len(asked):
            continue
        rank = (len(exact) / len(asked), float(len(exact)), one.fault, one.what)
        if found is None or rank[:2] > found[:2]:
            found = rank
    return None if found is None else (found[2], found[3])


def _computed(record: Record) -> bool:
    return record.verdict.is_failure or record.verdict.meaning.computed


def _tells(margin: float) -> bool:
    return math.isfinite(margin) and margin >= LEAST


def _alike(record: Record, verdict: str, margin: float) -> bool:
    if record.verdict.value != verdict:
        return False
    got = record.evidence.margin
    if not math.isfinite(margin) or not math.isfinite(got):
        return not math.isfinite(margin) and not math.isfinite(got)
    return abs(got - margin) <= NEAR * max(margin, got)
