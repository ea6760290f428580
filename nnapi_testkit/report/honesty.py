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

__all__ = ["Honesty", "honesty", "honesty_json", "honesty_line", "honesty_lines"]

# Cases that ask whether something is computed; refusals ask the contrary.
_ASKING = frozenset({"positive", "special", "graph", "path", "pair"})
_COMPUTED = frozenset({Verdict.PASS, Verdict.OBSERVED, Verdict.WAIVED})


@dataclass(slots=True)
class Honesty:
    """One cell on one device.

    Args:
        documented: cases that the documentation gives the cell.
        claimed: those whose every operation the device claims.
        refused: claimed, but the model or its compilation was refused.
        wrong: claimed and compiled, but not computed as documented (crashes included).
        first: the ids of the first case refused and of the first wrong one.
    """

    device: str
    operation: str
    cell: str
    documented: int = 0
    claimed: int = 0
    refused: int = 0
    wrong: int = 0
    first: dict[str, str] = field(default_factory=dict)

    @property
    def compiled(self) -> int:
        """Claimed cases that compiled."""
        return self.claimed - self.refused

    @property
    def correct(self) -> int:
        """Claimed cases that were computed as documented."""
        return self.compiled - self.wrong

    @property
    def findings(self) -> tuple[str, ...]:
        """What the device says of the cell and does not keep."""
        found = []
        if self.refused:
            found.append(f"claimed but refused: {self.refused} of {self.claimed} cases")
        if self.wrong:
            found.append(f"claimed but wrong: {self.wrong} of {self.claimed} cases")
        return tuple(found)


def honesty(records: Iterable[Record]) -> list[Honesty]:
    """Return the rows in the order in which cells come; errors of the run are left out."""
    rows: dict[tuple[str, str, str], Honesty] = {}
    # A case the device does not claim has its name too; one without any belongs to no device.
    for record in records:
        if record.kind not in _ASKING or record.verdict.is_error:
            continue
        key = (record.device, record.operation, record.cell)
        row = rows.setdefault(key, Honesty(*key))
        row.documented += 1
        if record.verdict is Verdict.UNSUPPORTED:
            continue
        row.claimed += 1
        if record.verdict is Verdict.REFUSED:
            row.refused += 1
            row.first.setdefault("refused", record.id)
        elif record.verdict not in _COMPUTED:
            row.wrong += 1
            row.first.setdefault("wrong", record.id)
    return list(rows.values())


def honesty_json(rows: Iterable[Honesty]) -> list[dict[str, Any]]:
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
            **({"findings": list(row.findings), "first": row.first} if row.findings else {}),
        }
        for row in rows
    ]


def honesty_line(rows: Iterable[Honesty]) -> str:
    """Return the table in one line: cells claimed, compiled and correct throughout."""
    counts: Counter[str] = Counter()
    for row in rows:
        counts["cells"] += 1
        counts["claimed"] += bool(row.claimed)
        counts["compiled"] += bool(row.claimed) and not row.refused
        counts["correct"] += bool(row.claimed) and not row.findings
        counts["findings"] += len(row.findings)
    return (
        f"honesty: of {counts['cells']} documented cells {counts['claimed']} are claimed,"
        f" {counts['compiled']} of them compile and {counts['correct']} compute correctly"
        f" in every case; {counts['findings']} finding{'' if counts['findings'] == 1 else 's'}"
    )


def honesty_lines(rows: Iterable[Honesty], *, whole: bool = False) -> Iterator[str]:
    """Yield the table as plain text.

    Args:
        whole: every cell; else those with findings only.
    """
    shown = [row for row in rows if whole or row.findings]
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
        yield line + "".join(f"  {finding}" for finding in row.findings)
