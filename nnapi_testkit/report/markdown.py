"""A run in Markdown, for a pull request or a job summary: outcome, clusters, what was run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nnapi_testkit.clusters.cluster import Cluster
from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.report.apart import apart_tables
from nnapi_testkit.report.clusters import clusters_of
from nnapi_testkit.report.facts import run_facts
from nnapi_testkit.report.plain import plain, plain_markdown
from nnapi_testkit.report.words import badge, run_notes

__all__ = ["LIMIT", "markdown"]

LIMIT = 60_000  # bytes: a comment on GitHub holds 65,536 characters, GitLab's more
_SHOWN_FACTS = 6


def markdown(records: Sequence[Record], summary: Mapping[str, Any]) -> str:
    """Return the page; clusters that do not fit below the limit are counted in its last line."""
    counts = summary.get("verdicts") or {}
    told = ", ".join(
        f"{counts[verdict.value]} {verdict.value}"
        for verdict in Verdict
        if counts.get(verdict.value)
    )
    title = ", ".join(map(str, summary.get("devices") or ())) or str(summary.get("target", ""))
    lines = [
        f"## NNAPI conformance: {plain_markdown(title)}",
        "",
        f"**{badge(summary)[0]}**: {told}",
        "",
    ]
    notes = [*run_notes(summary), *(f"problem: {p}" for p in summary.get("problems", ()))]
    lines += [*(f"- {plain_markdown(str(note))}" for note in notes), ""] if notes else []
    found = clusters_of(records, summary)
    if found:
        failures = sum(cluster.cases for cluster in found)
        lines += [f"### {failures} failures in {len(found)} clusters, worst first", ""]
    tail = [*apart_tables(summary), "", "| | |", "|---|---|"]
    tail += [
        f"| {plain_markdown(name)} | {plain_markdown(value)} |"
        for name, value in run_facts(summary)[:_SHOWN_FACTS]
    ]
    room = LIMIT - sum(len(line.encode()) + 1 for line in [*lines, *tail]) - 100
    for at, cluster in enumerate(found, 1):
        item = _item(at, cluster)
        room -= sum(len(line.encode()) + 1 for line in item)
        if room < 0:
            lines.append(f"and {len(found) - at + 1} more clusters, see the report")
            break
        lines += item
    return "\n".join([*lines, *tail]) + "\n"


def _item(at: int, cluster: Cluster) -> list[str]:
    lines = [f"{at}. **{plain_markdown(cluster.title)}**"]
    if cluster.looks_like:
        lines.append(f"   - looks like: {plain_markdown(cluster.why)}")
    if cluster.how:
        lines.append(f"   - {plain_markdown(cluster.how)}")
    lines.append(f"   - smallest: `{plain(cluster.smallest)}`")
    if cluster.again:
        lines.append(f"   - again: `{plain(cluster.again)}`")
    if cluster.repro:
        lines.append(f"   - folder with a C file: `{plain(cluster.repro)}`")
    return lines
