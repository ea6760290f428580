"""What a terminal shows of records: failure details, counts, the coverage matrix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from nnapi_testkit.judge.verdict import Difference, Record, Verdict
from nnapi_testkit.model.case import Stage
from nnapi_testkit.report.columns import in_order
from nnapi_testkit.report.plain import plain, plain_lines
from nnapi_testkit.session.ledger import CellTally

__all__ = [
    "count_line",
    "counted",
    "details",
    "difference_line",
    "matrix_lines",
    "number",
    "one_line",
]


def number(value: float) -> str:
    """Return a number with 6 digits."""
    return f"{value:.6g}"


def counted(count: int, what: str) -> str:
    """Return `1 case` or `3 cases`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def one_line(record: Record) -> str:
    """Return verdict, id and message."""
    message = plain_lines(record.message)[0]
    return f"{record.verdict.value} {plain(record.id)}" + (f": {message}" if message else "")


def details(record: Record) -> Iterator[str]:
    """Yield the lines that explain a record which did not pass.

    Whatever a driver said stands behind an indent and with its control characters escaped.
    """
    device = plain(record.device) or "an unattributed device"
    yield f"{record.verdict.value}  {plain(record.id)}  (on {device}, feature level {record.level})"
    evidence = record.evidence
    message = plain_lines(record.message) if record.message else []
    message[1:] = [f"| {line}" for line in message[1:]]
    if record.differences:
        total = record.mismatched or len(record.differences)
        told = message or [f"{total} of {evidence.compared} elements are outside their bounds"]
        message = [*told[:-1], f"{told[-1]}; first:"]
    yield from (f"  {line}" for line in message)
    yield from (f"    {difference_line(item)}" for item in record.differences)
    if evidence.minimum_tolerance:
        yield (
            f"  minimum tolerance that would pass: {number(evidence.minimum_tolerance)} absolute"
            f" (error / bound: {number(evidence.margin)})"
        )
    if record.stage not in (None, Stage.DONE):
        code = f", code {record.code}" if record.code else ""
        yield f"  stage: {record.stage.name}{code}"
    if record.isolated is not None:
        yield f"  alone in a fresh worker: {record.isolated.value}"
    if record.earlier is not None:
        yield f"  before it was run again: {record.earlier.value}"
    if record.text:
        yield "  the driver printed last:"
        yield from (f"    | {line}" for line in plain_lines(record.text.rstrip("\r\n"))[-10:])
    if record.repro:
        yield f"  again: {plain(record.repro)}"


def difference_line(item: Difference) -> str:
    """Return one element: where, what, how far and how far was allowed."""
    place = ", ".join(map(str, item.index))
    output = f"set {item.set} output {item.output}[{place}]"
    got = number(item.actual)
    if item.actual_code is not None:
        got += f" (code {item.actual_code})"
    want = number(item.expected)
    if item.legal_codes is not None:
        low, high = item.legal_codes
        want += f" (code {low})" if low == high else f" (codes {low} to {high})"
    error, bound = number(item.error), number(item.bound)
    return f"{output}: {got}, expected {want}, error {error}, bound {bound}"


def count_line(verdicts: Iterable[tuple[Verdict, int]]) -> str:
    """Return `3 MISMATCH, 120 PASS`: what is bad comes first."""
    order = {verdict: at for at, verdict in enumerate(Verdict)}
    counted = [(verdict, count) for verdict, count in verdicts if count]
    counted.sort(key=lambda item: (not item[0].is_failure, not item[0].is_error, order[item[0]]))
    return ", ".join(f"{count} {verdict.value}" for verdict, count in counted) or "no case"


def matrix_lines(cells: Iterable[CellTally]) -> Iterator[str]:
    """Yield the coverage matrix as plain text: operation, cell, level, counts, worst margin."""
    given = list(cells)
    if not given:
        return
    place = {name: at for at, name in enumerate(in_order({cell.cell for cell in given}))}
    rows = sorted(given, key=lambda cell: (cell.operation, place[cell.cell], cell.level))
    wide = max(max(len(row.operation) for row in rows), 9)
    cell_wide = max(max(len(row.cell) for row in rows), 4)
    yield (
        f"{'operation':<{wide}}  {'cell':<{cell_wide}}  level  cases"
        "   pass   fail waived  error  other  worst margin"
    )
    last = ""
    for row in rows:
        counts: Counter[str] = Counter()
        for verdict, count in row.verdicts.items():
            counts[verdict.meaning.colour] += count
        told = [counts[colour] for colour in ("pass", "fail", "waived", "error")]
        columns = "".join(f"  {n or '.':>5}" for n in (*told, row.cases - sum(told)))
        name = row.operation if row.operation != last else ""
        last = row.operation
        margin = f"{row.margin:.3g}" if row.margin_id else "-"
        yield (
            f"{name:<{wide}}  {row.cell:<{cell_wide}}  {row.level:>5}  {row.cases:>5}"
            f"{columns}  {margin:>12}"
        )
