"""The page: one file, no external resource, pleasant with tens of thousands of rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.report.columns import column_of, in_order
from nnapi_testkit.report.facts import run_facts
from nnapi_testkit.report.honesty import Honesty, honesty, honesty_line
from nnapi_testkit.report.text import details

__all__ = ["html", "page_data"]


def page_data(records: Sequence[Record]) -> dict[str, Any]:
    """Return what the page shows, compactly: columns of indexes into tables of words.

    Details are kept only for records that did not simply pass.
    """
    tables: dict[str, dict[str, int]] = {
        name: {} for name in ("operation", "cell", "kind", "device", "oracle")
    }
    verdicts = {verdict: at for at, verdict in enumerate(Verdict)}

    def put(table: str, word: str) -> int:
        words = tables[table]
        return words.setdefault(word, len(words))

    rows = []
    detail: dict[int, str] = {}
    for at, record in enumerate(records):
        evidence = record.evidence
        margin = float(f"{evidence.margin:.4g}")
        rows.append(
            [
                record.id,
                put("operation", record.operation),
                put("cell", record.cell),
                record.level,
                put("kind", record.kind),
                verdicts[record.verdict],
                margin if margin - margin == 0 else str(margin),
                evidence.compared,
                put("device", record.device),
                put("oracle", evidence.oracle),
                record.nanoseconds // 1000,
            ]
        )
        if record.verdict is not Verdict.PASS:
            detail[at] = "\n".join(details(record))
    table = [
        [
            put("operation", row.operation),
            put("cell", row.cell),
            put("device", row.device),
            row.documented,
            row.claimed,
            row.compiled,
            row.correct,
            list(row.findings),
            list(row.first.values()),
        ]
        for row in sorted(honesty(records), key=_rank)
    ]
    cells = list(tables["cell"])
    columns = in_order({column_of(cell) for cell in cells})
    return {
        "verdicts": [[verdict.value, _group(verdict)] for verdict in Verdict],
        "tables": {name: list(words) for name, words in tables.items()},
        # The order of the types, and the matrix column that each belongs to.
        "order": [cells.index(cell) for cell in in_order(cells)],
        "columns": columns,
        "column": [columns.index(column_of(cell)) for cell in cells],
        "rows": rows,
        "honesty": table,
        "details": detail,
    }


def _rank(row: Honesty) -> tuple[bool, bool, str]:
    """Findings first, then what is claimed only in part, then what is claimed, by name."""
    return not row.findings, not 0 < row.claimed < row.documented, row.operation


def _group(verdict: Verdict) -> str:
    if verdict.is_failure:
        return "fail"
    if verdict.is_error:
        return "error"
    return "pass" if verdict is Verdict.PASS else "other"


def html(records: Sequence[Record], summary: Mapping[str, Any]) -> str:
    """Return the page of a run; `summary` may be empty."""
    import jinja2  # only who renders pays for it

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("nnapi_testkit.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    data = page_data(records)
    table = honesty(records)
    data["target"] = summary.get("target", records[0].target if records else "")
    return environment.get_template("page.html.j2").render(
        data=_script(data),
        title=_title(records, summary),
        outcome=summary.get("outcome", ""),
        problems=list(summary.get("problems", ())),
        facts=run_facts(summary),
        honesty=honesty_line(table).removeprefix("honesty: "),
        findings=any(row.findings for row in table),
        numbers=_numbers(records, summary),
    )


def _title(records: Sequence[Record], summary: Mapping[str, Any]) -> str:
    devices = summary.get("devices") or sorted({record.device for record in records} - {""})
    named = ", ".join(devices) or summary.get("target", "")
    return f"NNAPI conformance: {named}" if named else "NNAPI conformance"


def _numbers(records: Sequence[Record], summary: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return (name, value, class) of the figures at the top."""
    groups = Counter(_group(record.verdict) for record in records)
    elements = sum(record.evidence.compared for record in records)
    executed = sum(not record.verdict.is_error for record in records)
    numbers = [
        ("operations", len({record.operation for record in records}), ""),
        ("cells", len({(record.operation, record.cell) for record in records}), ""),
        ("cases", len(records), ""),
        ("executed", executed, ""),
        ("passed", groups["pass"], "pass"),
        ("failed", groups["fail"], "fail" if groups["fail"] else ""),
        ("errors", groups["error"], "error" if groups["error"] else ""),
        ("elements compared", elements, ""),
    ]
    found = [(name, f"{value:,}".replace(",", "\u2009"), kind) for name, value, kind in numbers]
    if "seconds" in summary:
        found.append(("seconds", f"{summary['seconds']:.1f}", ""))
    return found


def _script(value: object) -> str:
    """Return JSON that cannot end the script element it stands in."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
