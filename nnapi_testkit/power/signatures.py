"""From a kill matrix to signatures: the cases by which a report recognizes a known fault.

`data/signatures.json` keeps for each fault some of the cases that notice it with verdict and margin
(`nnapi_testkit.clusters.known` compares them with what a device got): of each operation in turn,
those first whose margins tell, because they are far above 1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.clusters.known import LEAST

__all__ = ["signature_rows", "write_signatures"]

KEPT = 24  # cases of each fault


def write_signatures(faults: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Write the signatures, one line each.

    Args:
        faults: rows of a kill matrix by fault, as `read_matrix` returns them.
    """
    lines = [json.dumps(row) for row in signature_rows(faults)]
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n")


def signature_rows(faults: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """`fault`, `what`, and `cases`: by id verdict and margin, of the faults that have some."""
    operations = {ref.id: ref.operation for ref in case_index()}
    rows = []
    for name, row in faults.items():
        by_operation: dict[str, list[tuple[str, str, float]]] = {}
        for case, (verdict, margin) in row["kills"].items():
            if case in operations:
                told = (case, verdict, float(margin))
                by_operation.setdefault(operations[case], []).append(told)
        for group in by_operation.values():
            group.sort(key=lambda one: (not LEAST <= one[2] < float("inf"), one[0]))
            group[:] = _spread(group)
        kept: dict[str, list[Any]] = {}
        for turn in range(KEPT):
            for group in by_operation.values():
                if turn < len(group) and len(kept) < KEPT:
                    case, verdict, margin = group[turn]
                    kept[case] = [verdict, margin if margin < float("inf") else "inf"]
        if kept:
            rows.append({"fault": name, "what": row["what"], "cases": kept})
    return rows


def _spread(group: list[tuple[str, str, float]]) -> list[tuple[str, str, float]]:
    """Those whose margins tell first, evenly from all of them; then the others."""
    telling = [one for one in group if LEAST <= one[2] < float("inf")]
    step = max(1, len(telling) // KEPT)
    first = telling[::step]
    return [*first, *(one for one in group if one not in first)]
