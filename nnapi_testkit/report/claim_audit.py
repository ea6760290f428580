"""The honesty table: what each cell is documented to be, claimed, compiled and computed.

A device may leave out whatever it likes; what it claims by `getSupportedOperations` it has to
compile, and to compute correctly. Claimed but refused, and claimed but wrong, are findings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.model.kinds import Kind

__all__ = [
    "ClaimAudit",
    "claim_audit",
    "claim_audit_json",
    "claim_audit_line",
    "claim_audit_lines",
    "claim_audit_words",
]

# Cases that ask whether something is computed; refusals ask the contrary.
_ASKING = frozenset(
    {
        Kind.POSITIVE,
        Kind.SPECIAL,
        Kind.GRAPH,
        Kind.PATH,
        Kind.PAIR,
        Kind.STATE,
        Kind.QUALITY,
        Kind.EDGE,
        Kind.ENDURE,
        Kind.READING,
    }
)


@dataclass(slots=True)
class ClaimAudit:
    """One cell on one device.

    Args:
        documented: cases that the documentation gives the cell.
        claimed: those whose every operation the device claims.
        refused: claimed, but the model or its compilation was refused.
        wrong: claimed and compiled, but not computed as documented (crashes included).
        waived: claimed, and failing as a waiver expects: no finding, and not correct either.
        first: the ids of the first case refused and of the first wrong one.
    """

    device: str
    operation: str
    cell: str
    documented: int = 0
    claimed: int = 0
    refused: int = 0
    wrong: int = 0
    waived: int = 0
    first: dict[str, str] = field(default_factory=dict)

    @property
    def compiled(self) -> int:
        """Claimed cases that compiled."""
        return self.claimed - self.refused

    @property
    def correct(self) -> int:
        """Claimed cases that were computed as documented; no waiver makes one of them."""
        return self.compiled - self.wrong - self.waived

    @property
    def findings(self) -> tuple[str, ...]:
        """What the device says of the cell and does not keep."""
        found = []
        if self.refused:
            found.append(f"claimed but refused: {self.refused} of {self.claimed} cases")
        if self.wrong:
            found.append(f"claimed but wrong: {self.wrong} of {self.claimed} cases")
        return tuple(found)


def claim_audit(records: Iterable[Record]) -> list[ClaimAudit]:
    """Return the rows in the order in which cells come; errors of the run are left out."""
    rows: dict[tuple[str, str, str], ClaimAudit] = {}
    # A case the device does not claim has its name too; one without any belongs to no device.
    for record in records:
        if record.kind not in _ASKING or record.verdict.is_error:
            continue
        key = (record.device, record.operation, record.cell)
        row = rows.setdefault(key, ClaimAudit(*key))
        row.documented += 1
        if record.verdict.meaning.unclaimed:
            continue
        row.claimed += 1
        if record.verdict is Verdict.REFUSED:
            row.refused += 1
            row.first.setdefault("refused", record.id)
        elif record.verdict.is_apart:
            row.waived += 1
        elif not record.verdict.meaning.computed:
            row.wrong += 1
            row.first.setdefault("wrong", record.id)
    return list(rows.values())


def claim_audit_json(rows: Iterable[ClaimAudit]) -> list[dict[str, Any]]:
    """Return the table as JSON values."""
    return [
        {
            "device": row.device,
            "operation": row.operation,
            "cell": row.cell,
            "documented": row.documented,
            "claimed": row.claimed,
            "compiled": row.compiled,
            "correct": row.correct,
            **({"waived": row.waived} if row.waived else {}),
            **({"findings": list(row.findings), "first": row.first} if row.findings else {}),
        }
        for row in rows
    ]


def claim_audit_words(rows: Iterable[ClaimAudit], cells: str = "documented cells") -> str:
    """Return the table in a few words: cells claimed, compiled and correct throughout.

    Args:
        cells: what they are called, where only a part of the suite was run.
    """
    counts: Counter[str] = Counter()
    for row in rows:
        counts["cells"] += 1
        counts["claimed"] += bool(row.claimed)
        counts["compiled"] += bool(row.claimed) and not row.refused
        counts["correct"] += bool(row.claimed) and not row.findings and not row.waived
        counts["waived"] += bool(row.waived)
        counts["findings"] += len(row.findings)
    return (
        f"of {counts['cells']} {cells} {counts['claimed']} are claimed,"
        f" {counts['compiled']} of them compile and {counts['correct']} compute correctly"
        f" in every case; {counts['findings']} finding{'' if counts['findings'] == 1 else 's'}"
        + (f", {counts['waived']} with waived failures" if counts["waived"] else "")
    )


def claim_audit_line(rows: Iterable[ClaimAudit], cells: str = "documented cells") -> str:
    """Return the same in one line."""
    return f"honesty: {claim_audit_words(rows, cells)}"


def claim_audit_lines(rows: Iterable[ClaimAudit], *, whole: bool = False) -> Iterator[str]:
    """Yield the table as plain text.

    Args:
        whole: every cell; else those with findings or waived failures only.
    """
    shown = [row for row in rows if whole or row.findings or row.waived]
    if not shown:
        return
    wide = max(max(len(row.operation) for row in shown), 9)
    cell_wide = max(max(len(row.cell) for row in shown), 4)
    head = "documented  claimed  compiled  correct"
    yield f"{'operation':<{wide}}  {'cell':<{cell_wide}}  {head}"
    for row in shown:
        line = (
            f"{row.operation:<{wide}}  {row.cell:<{cell_wide}}  {row.documented:>10}"
            f"  {row.claimed:>7}  {row.compiled:>8}  {row.correct:>7}"
        )
        waived = f"  waived: {row.waived}" if row.waived else ""
        yield line + waived + "".join(f"  {finding}" for finding in row.findings)
