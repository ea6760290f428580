"""The page: one file, no external resource, pleasant with tens of thousands of rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nnapi_testkit.judge.verdict import Record, Verdict
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
    return {
        "verdicts": [[verdict.value, _group(verdict)] for verdict in Verdict],
        "tables": {name: list(words) for name, words in tables.items()},
        "rows": rows,
        "details": detail,
    }


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
    shown = {name: value for name, value in summary.items() if name != "worst_margins"}
    return environment.get_template("page.html.j2").render(
        data=_script(page_data(records)),
        summary=_script(shown),
        title=_title(summary),
    )


def _title(summary: Mapping[str, Any]) -> str:
    devices = ", ".join(summary.get("devices", ())) or summary.get("target", "")
    return f"NNAPI conformance: {devices}" if devices else "NNAPI conformance"


def _script(value: object) -> str:
    """Return JSON that cannot end the script element it stands in."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
