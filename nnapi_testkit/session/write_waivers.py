"""Waivers for what failed in a run: a draft for review, never a verdict of its own."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable

from nnapi_testkit.judge.verdict import Record, Verdict

__all__ = ["DAYS", "draft"]

DAYS = 90
_NAMED = 3  # cases of a group that its comment names
_HEAD = """\
# Drafted from a run: {count}. Review each: give a reason and an owner, narrow the pattern, or mend
# the driver. Each holds until its day, and is an error once none of its cases fails.
"""


def draft(records: Iterable[Record], today: datetime.date | None = None) -> str:
    """Return a TOML file with a waiver for each group of failures.

    A group is the failures of one operation and type, on one device, with one verdict; its pattern
    is what their ids begin with. It may cover cases that pass, which stay passes.
    """
    day = (today or datetime.date.today()) + datetime.timedelta(days=DAYS)
    groups: dict[tuple[str, str, str, Verdict], list[Record]] = {}
    for record in records:
        # What is waived by now is kept, so that the file can take the place of the old one.
        verdict = record.waived or record.verdict
        if verdict.is_failure:
            key = (record.operation, record.cell, record.device, verdict)
            groups.setdefault(key, []).append(record)
    count = sum(map(len, groups.values()))
    parts = [_HEAD.format(count=f"{count} failures in {len(groups)} groups")]
    for (_, _, device, verdict), members in groups.items():
        ids = [record.id for record in members]
        named = ", ".join(ids[:_NAMED]) + (f" and {len(ids) - _NAMED} more" * (len(ids) > _NAMED))
        first = (members[0].message.splitlines() or [""])[0]
        parts += [
            f"\n# {len(ids)} of them: {_plain(named)}\n"
            "[[waiver]]\n"
            f"pattern = {_string(_pattern(ids))}\n"
            f"reason = {_string('to be reviewed: ' + (first or verdict.value))}\n"
            'owner = "nobody yet"\n'
            f"expires = {day.isoformat()}\n"
            f"verdicts = [{_string(verdict.value)}]\n"
        ]
        if device:
            parts.append(f"when = {{ device = {_string(device)} }}\n")
    return "".join(parts)


def _pattern(ids: list[str]) -> str:
    if len(ids) == 1:
        return ids[0]
    first, last = min(ids), max(ids)
    start = first
    while not last.startswith(start):
        start = start[:-1]
    # Up to the end of a word: `CONV_2D[quant8-*` and not `CONV_2D[quant8-s*`.
    return start[: max(start.rfind("-"), start.rfind("[")) + 1] + "*"


def _string(text: str) -> str:
    # A string of JSON is one of TOML, but for what JSON leaves as it is: DEL and lone surrogates.
    clean = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return json.dumps(clean, ensure_ascii=False).replace("\x7f", "\\u007f")


def _plain(text: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in text)
