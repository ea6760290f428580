"""The page: one file, no external resource, pleasant with tens of thousands of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from nnapi_testkit.judge.verdict import Record
from nnapi_testkit.report.apart import apart_facts
from nnapi_testkit.report.broken import broken, headline, link, picture, states
from nnapi_testkit.report.claim_audit import claim_audit, claim_audit_words
from nnapi_testkit.report.clusters import clusters_of, members
from nnapi_testkit.report.excluded import excluded
from nnapi_testkit.report.facts import run_facts
from nnapi_testkit.report.page_data import page_data
from nnapi_testkit.report.plain import plain
from nnapi_testkit.report.readings import readings, readings_words
from nnapi_testkit.report.render import script_json, template
from nnapi_testkit.report.words import badge, cells_word, fault_lines

__all__ = ["html", "page_data"]

_FIRST = 8  # operations that the first screen names
_HEAD = ("target", "device", "profile", "oracle", "nnapi-testkit", "started")


def html(records: Sequence[Record], summary: Mapping[str, Any]) -> str:
    """Return the page of a run; `summary` may be empty."""
    table = claim_audit(records)
    contested = sorted(readings(records), key=lambda row: (not row.finding, row.operation))
    outcome, colour = badge(summary)
    rows = broken(records)
    facts = run_facts(summary)
    kinds = excluded(records)
    drawn = picture(records)
    found = clusters_of(records, summary)
    shown = {"operations": drawn.operations, "rows": drawn.rows}
    return template("page.html.j2").render(
        data=script_json({**page_data(records, members(found)), "picture": shown}),
        title=_title(records, summary),
        outcome=outcome,
        colour=colour,
        problems=[plain(str(problem)) for problem in summary.get("problems", ())],
        faults=[plain(fault) for fault in fault_lines(summary)],
        facts=facts,
        head=[(name, value) for name, value in facts if name in _HEAD],
        headline=headline(records, summary, rows),
        broken=rows[:_FIRST],
        more=rows[_FIRST:],
        states=states(records, summary),
        picture=drawn,
        claim_audit=claim_audit_words(table, cells_word(summary)),
        findings=any(row.findings for row in table),
        apart=[_apart(row) for row in apart_facts(records)],
        readings=[
            (row.operation, row.topic, row.word, row.cases, plain(row.device), row.finding)
            for row in contested
        ],
        readings_line=readings_words(contested),
        readings_open=any(row.finding for row in contested),
        numbers=_numbers(records, summary),
        kinds=[
            ("excluded", "Excluded: a case that notices them did not fail", kinds.excluded),
            ("unseen", "Cannot be seen in this run", kinds.unseen),
            ("unasked", "Could not be asked for: operations not claimed", kinds.unasked),
        ],
        known=len(kinds.excluded) + len(kinds.unseen) + len(kinds.unasked),
        clusters=found[:_FIRST],
        more_clusters=found[_FIRST:],
        open_link=link,
    )


def _title(records: Sequence[Record], summary: Mapping[str, Any]) -> str:
    devices = summary.get("devices") or sorted({record.device for record in records} - {""})
    named = ", ".join(map(str, devices)) or str(summary.get("target", ""))
    return plain(f"NNAPI conformance: {named}") if named else "NNAPI conformance"


def _apart(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of the table of what is not charged, with its link and the first case's."""
    chosen = {"operation": "=" + plain(row["operation"]), "verdict": row["verdict"]}
    return {
        **row,
        "what": plain(row["what"]),
        "operation": plain(row["operation"]),
        "link": link(**chosen),
        "open": link(**chosen, open=plain(row["first"])),
        "first": plain(row["first"]),
    }


def _numbers(records: Sequence[Record], summary: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return (name, value, class) of the figures at the top."""
    groups = Counter(record.verdict.meaning.colour for record in records)
    elements = sum(record.evidence.compared for record in records)
    executed = sum(not record.verdict.is_error for record in records)
    numbers = [
        ("operations", len({record.operation for record in records}), ""),
        ("cells", len({(record.operation, record.cell) for record in records}), ""),
        ("cases", len(records), ""),
        ("executed", executed, ""),
        ("passed", groups["pass"], "pass" if groups["pass"] else ""),
        ("failed", groups["fail"], "fail" if groups["fail"] else ""),
        *([("waived", groups["waived"], "waived")] if groups["waived"] else []),
        *([("not charged", groups["apart"], "apart")] if groups["apart"] else []),
        ("errors", groups["error"], "error" if groups["error"] else ""),
        ("elements compared", elements, ""),
    ]
    found = [(name, f"{value:,}".replace(",", "\u2009"), kind) for name, value, kind in numbers]
    if "seconds" in summary:
        found.append(("seconds", f"{summary['seconds']:.1f}", ""))
    return found
