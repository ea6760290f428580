"""JUnit XML: one test suite for each operation, one test case for each case."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nnapi_testkit.clusters.cluster import Cluster
from nnapi_testkit.judge.verdict import Record, Shown
from nnapi_testkit.report.apart import apart_properties
from nnapi_testkit.report.clusters import clusters_of, members
from nnapi_testkit.report.plain import plain, plain_lines
from nnapi_testkit.report.text import details

__all__ = ["junit"]

# What XML 1.0 cannot hold at all, escaped or not.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(
    records: Iterable[Record],
    problems: Iterable[str] = (),
    faults: Iterable[str] = (),
    clusters: Sequence[Cluster] = (),
) -> str:
    """Return the document. What concerns the run as a whole is in a suite `run`.

    Its problems are errors there, what the driver did wrong outside any case is a failure. Clusters
    of failures are properties of each suite that has some of them, worst first, and the first line
    of each failure; its evidence is what the case wrote (`system-out`).
    """
    cluster_of = members(clusters)
    records = list(records)
    apart = apart_properties(records)
    suites: dict[str, list[Record]] = {}
    for record in records:
        suites.setdefault(plain(record.operation), []).append(record)
    parts = ['<?xml version="1.0" encoding="utf-8"?>\n<testsuites name="nnapi-testkit">\n']
    for operation, found in suites.items():
        shown = Counter(record.verdict.meaning.junit for record in found)
        failures, errors = shown[Shown.FAILED], shown[Shown.ERROR]
        skipped = shown[Shown.SKIPPED]
        seconds = sum(record.nanoseconds for record in found) / 1e9
        parts.append(
            f'<testsuite name={_attribute(operation)} tests="{len(found)}"'
            f' failures="{failures}" errors="{errors}" skipped="{skipped}"'
            f' time="{seconds:.6f}">\n'
        )
        parts += _properties(operation, clusters, apart.get(found[0].operation, ()))
        parts += (_case(record, cluster_of, clusters) for record in found)
        parts.append("</testsuite>\n")
    told, bad = list(problems), list(faults)
    if told or bad:
        parts.append(
            f'<testsuite name="run" tests="{len(told) + len(bad)}" failures="{len(bad)}"'
            f' errors="{len(told)}" skipped="0" time="0">\n'
        )
        parts += [
            f'<testcase classname="nnapi.run" name="fault {at}" time="0">'
            f'<failure type="CRASH_RUNNER" message={_attribute(fault)}/></testcase>\n'
            for at, fault in enumerate(bad, 1)
        ]
        parts += [
            f'<testcase classname="nnapi.run" name="problem {at}" time="0">'
            f"<error message={_attribute(problem)}/></testcase>\n"
            for at, problem in enumerate(told, 1)
        ]
        parts.append("</testsuite>\n")
    parts.append("</testsuites>\n")
    return "".join(parts)


def junit_of(records: Sequence[Record], summary: Mapping[str, Any]) -> str:
    """Return the XML of a report that is read again: its records and its summary."""
    found = clusters_of(records, summary)
    return junit(records, summary["problems"], summary["faults"], found)


def _properties(
    operation: str, clusters: Sequence[Cluster], apart: Sequence[tuple[str, str]]
) -> list[str]:
    """The clusters that an operation has failures in, and what is not charged, as properties."""
    concerned = [
        (at, cluster) for at, cluster in enumerate(clusters, 1) if operation in cluster.operations
    ]
    if not concerned and not apart:
        return []
    lines = ["<properties>\n"]
    for at, cluster in concerned:
        told = [(f"cluster {at}", cluster.title), (f"cluster {at} smallest", cluster.smallest)]
        told += [(f"cluster {at} looks like", cluster.why)] if cluster.why else []
        lines += [
            f"<property name={_attribute(name)} value={_attribute(value)}/>\n"
            for name, value in told
        ]
    lines += [
        f"<property name={_attribute(name)} value={_attribute(value)}/>\n" for name, value in apart
    ]
    return [*lines, "</properties>\n"]


def _case(record: Record, cluster_of: Mapping[str, int], clusters: Sequence[Cluster]) -> str:
    verdict = record.verdict
    head = (
        f"<testcase classname={_attribute('nnapi.' + record.operation)}"
        f' name={_attribute(record.id)} time="{record.nanoseconds / 1e9:.6f}"'
    )
    meaning = verdict.meaning
    if meaning.junit is Shown.PASSED and not meaning.passed_on:
        return head + "/>\n"
    message = _attribute(f"{verdict.value}: {record.message}" if record.message else verdict.value)
    if meaning.junit is Shown.SKIPPED:
        return f"{head}><skipped message={message}/></testcase>\n"
    if meaning.junit is Shown.PASSED:
        return f"{head}><system-out>{_text(record.message)}</system-out></testcase>\n"
    tag = "failure" if meaning.junit is Shown.FAILED else "error"
    at = cluster_of.get(record.id, 0) if meaning.junit is Shown.FAILED else 0
    lines = [f"cluster {at}: {clusters[at - 1].title}"] if at else []
    body = _text("\n".join([*lines, plain(record.message or verdict.value)]))
    evidence = _text("\n".join(details(record)))
    return (
        f'{head}><{tag} type="{verdict.value}" message={message}>{body}</{tag}>'
        f"<system-out>{evidence}</system-out></testcase>\n"
    )


# `xml.sax` loads an HTTP client, which takes longer than many a selection of cases: only a report
# that is written waits for it.


def _attribute(text: str) -> str:
    from xml.sax.saxutils import quoteattr

    return quoteattr(_ILLEGAL.sub("\ufffd", plain(text)))


def _text(text: str) -> str:
    from xml.sax.saxutils import escape

    return escape(_ILLEGAL.sub("\ufffd", "\n".join(plain_lines(text))))
