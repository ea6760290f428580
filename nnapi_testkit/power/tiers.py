"""From a kill matrix to tiers and to what a report can say: generated data of the package."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nnapi_testkit
from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.power.matrix import read_matrix
from nnapi_testkit.power.signatures import write_signatures

__all__ = ["choose", "write_tiers"]

DATA = Path(nnapi_testkit.__file__).resolve().parent / "data"
SMOKE, STANDARD = 400, 3000
# A case more than asked for each fault: where a device lacks one operation, another still tells.
SMOKE_DEPTH, STANDARD_DEPTH = 1, 12
WITNESSES = 24  # cases kept for each fault, over as many operations as there are
FIXED_COST = 20.0  # milliseconds that a case takes on a phone, whatever it computes


def choose(
    kills: Mapping[str, Sequence[str]],
    milliseconds: Mapping[str, float],
    most: int,
    depth: int,
) -> list[str]:
    """Choose cases greedily by faults still wanted for a millisecond.

    Args:
        kills: by fault the cases that notice it.
        milliseconds: of each case.
        most: cases to choose at most.
        depth: how many cases should notice each fault, each of another operation if that is
            possible.
    """
    wanted = {fault: min(depth, len(cases)) for fault, cases in kills.items()}
    by_case: dict[str, set[str]] = {}
    for fault, cases in kills.items():
        for case in cases:
            by_case.setdefault(case, set()).add(fault)
    chosen: list[str] = []
    while len(chosen) < most and any(wanted.values()):
        best, score = "", 0.0
        for case, faults in by_case.items():
            gain = sum(1 for fault in faults if wanted[fault])
            if not gain:
                continue
            worth = gain / (FIXED_COST + milliseconds.get(case, 1.0))
            if worth > score or (worth == score and case < best):
                best, score = case, worth
        if not best:
            break
        chosen.append(best)
        for fault in by_case.pop(best):
            wanted[fault] = max(0, wanted[fault] - 1)
    return chosen


def write_tiers(path: Path) -> str:
    """Write tiers, witnesses and signatures into the package's data; returns what to print.

    Raises KitError.
    """
    matrix = read_matrix(path)
    suite = {ref.id: ref for ref in case_index()}
    spent: dict[str, float] = matrix["head"]["milliseconds"]
    milliseconds = {case: took for case, took in spent.items() if case in suite}
    rows: dict[str, Any] = matrix["faults"]
    # Cases that are no more since it was measured notice nothing.
    kills = {fault: [case for case in row["kills"] if case in suite] for fault, row in rows.items()}
    # Fixed steps towards one tier each: the second begins where the first ended.
    tiers: dict[str, list[str]] = {
        "smoke": choose(kills, milliseconds, SMOKE, SMOKE_DEPTH),
        "standard": choose(kills, milliseconds, STANDARD, STANDARD_DEPTH),
    }
    for name, most in (("smoke", SMOKE), ("standard", STANDARD)):
        tiers[name] = _filled(tiers[name], milliseconds, suite, most)
    known = len(rows)
    data: dict[str, Any] = {"known": known, "tiers": {}}
    lines = []
    for name, cases in tiers.items():
        killed = _noticed(kills, cases)
        data["tiers"][name] = {"cases": sorted(cases), "killed": killed}
        lines.append(f"{name}: {len(cases)} cases notice {killed} of {known} kinds of fault")
    every = sum(1 for cases in kills.values() if cases)
    data["tiers"]["full"] = {"cases": None, "killed": every}
    lines.append(f"full: {every} of {known}")
    (DATA / "tiers.json").write_text(json.dumps(data, indent=0) + "\n")
    summary = [
        {
            "fault": fault,
            "what": row["what"],
            "seen": row["seen"],
            "layer": row["layer"],
            "cases": _witnesses(kills[fault], suite, tiers),
        }
        for fault, row in rows.items()
    ]
    (DATA / "power.json").write_text(json.dumps(summary, indent=0) + "\n")
    write_signatures(rows, DATA / "signatures.json")
    return "\n".join(lines) + "\n"


def _noticed(kills: Mapping[str, Sequence[str]], cases: Sequence[str]) -> int:
    chosen = set(cases)
    return sum(1 for found in kills.values() if chosen & set(found))


def _filled(
    cases: list[str], milliseconds: Mapping[str, float], suite: Mapping[str, CaseRef], most: int
) -> list[str]:
    """Add the quickest case of each operation that has none: every operation is asked."""
    chosen = set(cases)
    asked = {suite[case].operation for case in cases}
    quickest: dict[str, str] = {}
    for case in sorted(milliseconds, key=lambda c: (milliseconds[c], c)):
        if suite[case].kind is not Kind.REFUSAL:
            quickest.setdefault(suite[case].operation, case)
    for operation, case in sorted(quickest.items()):
        if operation not in asked and case not in chosen and len(chosen) < most:
            chosen.add(case)
    return sorted(chosen)


def _witnesses(
    cases: list[str], suite: Mapping[str, CaseRef], tiers: Mapping[str, list[str]]
) -> list[str]:
    """A few cases that notice a fault: those of the tiers, then of each operation in turn.

    A run of a tier has to be able to say what the tier notices.
    """
    known = set(cases)
    chosen = [case for tier in tiers.values() for case in tier if case in known]
    found = list(dict.fromkeys(chosen))[: WITNESSES // 2]
    by_operation: dict[str, list[str]] = {}
    for case in cases:
        if case not in found:
            by_operation.setdefault(suite[case].operation, []).append(case)
    for turn in range(WITNESSES):
        for group in by_operation.values():
            if turn < len(group) and len(found) < WITNESSES:
                found.append(group[turn])
    return found
