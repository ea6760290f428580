"""Tiers: selections of cases that keep most of the suite's power for a part of its time.

They are data (`nnapi_testkit/data/tiers.json`), taken from a kill matrix by `nnapi-testkit power
tiers`. A tier lists ids of cases; what is no longer in the index is left out and counted, and cases
that came after the tiers were made belong to `full` alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.errors import KitError

__all__ = ["TIERS", "Tier", "in_tier", "power_line"]

TIERS = ("smoke", "standard", "full")
_FILE = Path(__file__).resolve().parent.parent / "data" / "tiers.json"


@dataclass(frozen=True, slots=True)
class Tier:
    """A selection.

    Args:
        cases: ids; None stands for every case.
        killed, known: faults of the catalogue that its cases notice, of how many.
    """

    name: str
    cases: frozenset[str] | None
    killed: int
    known: int


@cache
def tier(name: str) -> Tier:
    """Return the tier called so. Raises KitError for another name, or where there are none."""
    if name not in TIERS:
        raise KitError(f"tier {name!r} is unknown: use one of {', '.join(TIERS)}")
    try:
        kept = json.loads(_FILE.read_text())
        row = kept["tiers"][name]
        cases = None if row["cases"] is None else frozenset(row["cases"])
        return Tier(name, cases, int(row["killed"]), int(kept["known"]))
    except (OSError, ValueError, KeyError) as error:
        raise KitError(
            f"the tiers cannot be read ({error}): make them with nnapi-testkit power tiers"
        ) from error


def in_tier(refs: Sequence[CaseRef], name: str) -> list[CaseRef]:
    """Return the cases of a tier, in their order. Raises KitError if none of them is left."""
    chosen = tier(name)
    if chosen.cases is None:
        return list(refs)
    kept = [ref for ref in refs if ref.id in chosen.cases]
    if not kept:
        raise KitError(f"the tier {name} has none of the selected cases: use --tier full")
    return kept


def power_line(name: str, refs: Sequence[CaseRef]) -> str:
    """Say what a tier is worth: `tier smoke: 312 cases notice 181 of 192 known kinds of fault`."""
    chosen = tier(name)
    gone = 0 if chosen.cases is None else len(chosen.cases - {ref.id for ref in refs})
    lost = f"; {gone} of its cases are not in this selection" if gone else ""
    return (
        f"tier {name}: {len(refs)} cases; the whole tier notices {chosen.killed} of"
        f" {chosen.known} known kinds of fault{lost}"
    )
