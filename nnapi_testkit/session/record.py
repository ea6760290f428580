"""Lines of `results.jsonl`: how a run begins, its records, how it ends.

    {"run": {"schema": 2, "planned": 30339, ...}}
    {"id": "ADD[float32-both]", ...}
    {"end": {"how": "finished", "cases": 30339, "exit_code": 0, ...}}

The first line is written before anything runs and the last when all is told, so a file that was
cut off anywhere, by a kill or a full disk, is known by itself.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.session.fields import from_json, to_json

__all__ = ["SCHEMA", "Beginning", "End", "How", "decode", "decode_line", "encode", "parse", "utc"]

SCHEMA = 2  # of results.jsonl and summary.json
_SHOWN = 80

_ENCODE = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


class How(str, Enum):
    """How a run ended."""

    FINISHED = "finished"  # every planned case has its record
    STOPPED = "stopped"  # after as many failures as it was told to wait for
    INTERRUPTED = "interrupted"  # by a signal


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a run has set out to do.

    Args:
        planned: cases that will each have one record.
        schema, version: of the file, of the kit.
        selection: how cases were chosen, "" for all; the shard is apart.
        shard: `i/n`, "" without.
        selected: cases that were chosen, before what the device does not have was left out.
        target, profile, oracle, seed: as in `Settings`.
        started: in UTC.
        judged: `platform` where the runtime before the driver is charged too, as in `Settings`.
        build: name and versions of the device, "" where there are several.
        resumed: when the run was continued, in UTC.
        retried: what failed in an earlier part and is run again, by case.
    """

    planned: int
    schema: int = SCHEMA
    version: str = ""
    selection: str = ""
    shard: str = ""
    selected: int = 0
    target: str = ""
    profile: str = ""
    oracle: str = ""
    seed: int = 0
    started: str = ""
    judged: str = ""
    build: str = ""
    resumed: tuple[str, ...] = ()
    retried: Mapping[str, Verdict] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class End:
    """How a run has ended.

    Args:
        cases: records written.
        verdicts: how many of each.
        stop_after: failures after which a stopped run was to stop.
        suite: cases that there are, of which `Beginning.selected` were chosen.
        problems: of the run as a whole.
        faults: what the driver did wrong outside any case.
        ended: in UTC.
    """

    how: How
    cases: int
    exit_code: int
    verdicts: Mapping[str, int]
    stop_after: int = 0
    suite: int = 0
    problems: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    ended: str = ""


def encode(line: Record | Beginning | End) -> str:
    """Return JSON without a line break; fields at their defaults are left out.

    JSON has no infinities and no NaN: such numbers become the strings "inf", "-inf", "nan".
    """
    found = to_json(line)
    if isinstance(line, Beginning):
        found = {"run": found}
    elif isinstance(line, End):
        found = {"end": found}
    return _ENCODE(found)


def decode(line: str) -> Record:
    """Return the record of a JSON line. Raises KitError if it is none."""
    found = decode_line(line)
    if not isinstance(found, Record):
        raise KitError(f"not a record of a run: {line[:_SHOWN]!r}")
    return found


def decode_line(line: str) -> Record | Beginning | End:
    """Return what a line says. Raises KitError if it is no line of a run, or a damaged one."""
    try:
        found = parse(line)
        if isinstance(found, dict) and len(found) == 1:
            if "run" in found:
                return _beginning(found["run"])
            if "end" in found:
                return from_json(End, found["end"])
        record = from_json(Record, found)
        _counts(record)
        return record
    except RecursionError:
        raise KitError("not a record of a run: it is nested too deeply") from None
    except ValueError as error:
        raise KitError(f"not a record of a run: {error}: {line[:_SHOWN]!r}") from error


def _beginning(found: object) -> Beginning:
    if isinstance(found, dict) and found.get("schema", SCHEMA) != SCHEMA:
        raise ValueError(
            f"schema {str(found['schema'])[:20]} where this version of nnapi-testkit reads {SCHEMA}"
        )
    beginning = from_json(Beginning, found)
    if beginning.planned < 0:
        raise ValueError("a negative count")
    return beginning


def _counts(record: Record) -> None:
    evidence = record.evidence
    if (
        min(
            record.level, record.mismatched, record.nanoseconds, evidence.compared,
            evidence.exempt, evidence.dims_checked, evidence.status_checked,
        ) < 0
    ):  # fmt: skip
        raise ValueError("a negative count")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


parse = json.JSONDecoder(parse_constant=_no_constant).decode


def utc(when: float) -> str:
    """Return a `time.time()` as the text of `started` and `ended`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))
