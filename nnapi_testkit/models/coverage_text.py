"""Coverage of a model on one or several devices as text, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from io import StringIO

from rich.console import Console
from rich.table import Table

from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.models.coverage import Coverage, Row
from nnapi_testkit.report.plain import plain, plain_markdown

__all__ = ["html", "markdown", "text"]


def state(row: Row) -> str:
    """What happened to an operation, in one or two words; why a node stays on the CPU."""
    if row.index < 0:
        return f"not in NNAPI: {row.message}"
    if not row.claimed:
        return "not claimed"
    if not row.compiled:
        return f"not compiled ({row.verdict.value})"
    if row.verdict.is_pass:
        return "right"
    return row.verdict.value


def _time(row: Row) -> str:
    return f"{row.nanoseconds / 1e3:.1f} µs" if row.nanoseconds and row.claimed else ""


def _macs(count: int) -> str:
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return str(count) if count else ""


def _header(found: Sequence[Coverage]) -> list[str]:
    names = [plain(item.device or item.target) for item in found]
    if len(set(names)) < len(names):  # two phones of one kind, two runtimes of one driver
        names = [plain(f"{item.device} ({item.target})") for item in found]
    return ["operation", "level", "MACs", *(f"{name}{part}" for name in names for part in _PARTS)]


_PARTS = ("", " time", " part")


def _cells(found: Sequence[Coverage]) -> Iterator[tuple[list[str], list[Verdict | None]]]:
    """Yield the cells of each operation, and the verdict behind each device's cell."""
    for rows in zip(*(item.rows for item in found), strict=True):
        first = rows[0]
        cells = [
            first.label,
            str(first.level or ("?" if first.index >= 0 else "")),
            _macs(first.macs),
        ]
        for row in rows:
            where = f"{row.partition}" if row.claimed else f"{row.partition} (CPU)"
            cells += [state(row), _time(row), where]
        yield cells, [row.verdict if row.claimed else None for row in rows]


def summary(item: Coverage) -> str:
    """One line: what a device runs of the model."""
    share = f"{item.share:.1%} of multiply-accumulates on it"
    parts = "1 part" if item.partitions == 1 else f"{item.partitions} parts"
    wrong = f", {len(item.wrong)} wrong" if item.wrong else ""
    where = plain(f"{item.device or 'an unattributed device'} ({item.target})")
    return (
        f"{where}: claims {item.claimed} of"
        f" {len(item.rows)} operations, {item.right} right{wrong}; {parts},"
        f" {item.transitions} transitions, {share}; the model needs feature level {item.level}"
    )


def text(found: Sequence[Coverage], width: int = 120) -> str:
    """A table for a terminal of `width` columns, one line a device below it."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in _header(found):
        table.add_column(name, overflow="fold")
    for cells, _ in _cells(found):
        table.add_row(*cells)
    stream = StringIO()
    Console(file=stream, width=width, highlight=False, markup=False).print(table)
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    return "\n".join([plain(found[0].model), *lines, *(summary(item) for item in found)])


def markdown(found: Sequence[Coverage]) -> str:
    """A table for a pull request."""
    header = _header(found)
    lines = [f"### {plain_markdown(found[0].model)}", ""]
    lines += [*(f"- {plain_markdown(summary(item))}" for item in found), ""]
    lines.append("| " + " | ".join(map(plain_markdown, header)) + " |")
    lines.append("|" + "---|" * len(header))
    for cells, _ in _cells(found):
        lines.append("| " + " | ".join(map(plain_markdown, cells)) + " |")
    return "\n".join(lines)


def html(found: Sequence[Coverage]) -> str:
    """A page of its own."""
    head = "".join(f"<th scope=col>{escape(name)}</th>" for name in _header(found))
    body = []
    for cells, verdicts in _cells(found):
        row = [f"<th scope=row>{escape(cells[0])}</th>"]
        for position, cell in enumerate(cells[1:], 1):
            kind = ""
            device, part = divmod(position - 3, len(_PARTS))
            if position >= 3 and part == 0:
                kind = f' class="{_class(verdicts[device])}"'
            row.append(f"<td{kind}>{escape(cell)}</td>")
        body.append(f"<tr>{''.join(row)}</tr>")
    lines = "".join(f"<li>{escape(summary(item))}</li>" for item in found)
    title = escape(f"{found[0].model}: which operations run where")
    return _PAGE.format(title=title, lines=lines, head=head, body="\n".join(body))


def _class(verdict: Verdict | None) -> str:
    if verdict is None:
        return "cpu"
    if verdict.is_pass:
        return "right"
    return "wrong" if verdict.is_failure else "open"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 1.5rem; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; }}
th, td {{ padding: .25rem .6rem; text-align: left; border-bottom: 1px solid #8886; }}
td.right {{ background: #1a7f3733; }} td.wrong {{ background: #cf222e55; font-weight: 600; }}
td.cpu {{ background: #8883; }} td.open {{ background: #bf870055; }}
@media print {{ .wide {{ overflow: visible; }} body {{ font-size: 9px; }} }}
</style></head><body><main><h1>{title}</h1><ul>{lines}</ul>
<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>
{body}
</tbody></table></div></main></body></html>
"""
