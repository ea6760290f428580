"""JUnit XML: one test suite for each operation, one test case for each case."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.report.text import details

__all__ = ["junit"]

_SKIPPED = frozenset({Verdict.UNSUPPORTED, Verdict.WAIVED, Verdict.NOT_RUN})
# What XML 1.0 cannot hold at all, escaped or not.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(records: Iterable[Record], problems: Iterable[str] = ()) -> str:
    """Return the document. Problems of the run as a whole become errors of a suite `run`."""
    suites: dict[str, list[Record]] = {}
    for record in records:
        suites.setdefault(record.operation, []).append(record)
    parts = ['<?xml version="1.0" encoding="utf-8"?>\n<testsuites name="nnapi-testkit">\n']
    for operation, members in suites.items():
        failures = sum(record.verdict.is_failure for record in members)
        errors = sum(_is_error(record.verdict) for record in members)
        skipped = sum(record.verdict in _SKIPPED for record in members)
        seconds = sum(record.nanoseconds for record in members) / 1e9
        parts.append(
            f'<testsuite name={quoteattr(operation)} tests="{len(members)}"'
            f' failures="{failures}" errors="{errors}" skipped="{skipped}"'
            f' time="{seconds:.6f}">\n'
        )
        parts += map(_case, members)
        parts.append("</testsuite>\n")
    found = list(problems)
    if found:
        parts.append(
            f'<testsuite name="run" tests="{len(found)}" failures="0" errors="{len(found)}"'
            ' skipped="0" time="0">\n'
        )
        parts += [
            f'<testcase classname="nnapi.run" name="problem {at}" time="0">'
            f"<error message={_attribute(problem)}/></testcase>\n"
            for at, problem in enumerate(found, 1)
        ]
        parts.append("</testsuite>\n")
    parts.append("</testsuites>\n")
    return "".join(parts)


def _is_error(verdict: Verdict) -> bool:
    return verdict.is_error and verdict not in _SKIPPED


def _case(record: Record) -> str:
    verdict = record.verdict
    head = (
        f"<testcase classname={_attribute('nnapi.' + record.operation)}"
        f' name={_attribute(record.id)} time="{record.nanoseconds / 1e9:.6f}"'
    )
    if verdict is Verdict.PASS:
        return head + "/>\n"
    message = _attribute(f"{verdict.value}: {record.message}" if record.message else verdict.value)
    if verdict in _SKIPPED:
        return f"{head}><skipped message={message}/></testcase>\n"
    if verdict is Verdict.OBSERVED:
        return f"{head}><system-out>{_text(record.message)}</system-out></testcase>\n"
    tag = "failure" if verdict.is_failure else "error"
    body = _text("\n".join(details(record)))
    return f'{head}><{tag} type="{verdict.value}" message={message}>{body}</{tag}></testcase>\n'


def _attribute(text: str) -> str:
    return quoteattr(_ILLEGAL.sub("�", text), {"\n": "&#10;"})


def _text(text: str) -> str:
    return escape(_ILLEGAL.sub("�", text))
