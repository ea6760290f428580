"""Waivers: expected failures with reason, owner, condition and expiry; they must keep failing."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import FAILURES, Record, Verdict
from nnapi_testkit.session.plan import glob

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Waiver", "Waivers"]

_CONDITIONS = ("device", "target")
_FIELDS = {"pattern", "reason", "owner", "expires", "verdicts", "when"}


@dataclass(frozen=True, slots=True)
class Waiver:
    """One `[[waiver]]` of the file.

    Args:
        pattern: case ids, with `*` and `?`; brackets are literal.
        reason, owner: why it fails and who mends it.
        expires: the last day it holds.
        verdicts: how it may fail.
        when: patterns for `device` and `target`; all must match.
    """

    pattern: str
    reason: str
    owner: str
    expires: datetime.date
    verdicts: frozenset[Verdict] = FAILURES
    when: tuple[tuple[str, str], ...] = ()

    def covers(self, record: Record) -> bool:
        """Whether the record's case and device are meant."""
        return glob(self.pattern)(record.id) and all(
            glob(pattern)(getattr(record, name)) for name, pattern in self.when
        )


@dataclass(frozen=True, slots=True)
class Waivers:
    """The waivers of a run, on a certain day."""

    waivers: tuple[Waiver, ...] = ()
    today: datetime.date = datetime.date.max

    @classmethod
    def read(cls, path: Path, today: datetime.date | None = None) -> Waivers:
        """Read a TOML file. Raises KitError with the place of what is wrong."""
        try:
            document = tomllib.loads(path.read_text("utf-8"))
        except OSError as error:
            raise KitError(
                f"waivers {path} cannot be read ({error.strerror}): check the path"
            ) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise KitError(f"waivers {path} are not TOML: {error}") from error
        entries = document.pop("waiver", [])
        if document or not isinstance(entries, list):
            raise KitError(f"waivers {path}: only [[waiver]] tables are known")
        return cls(
            tuple(_waiver(entry, f"waiver {at} of {path}") for at, entry in enumerate(entries, 1)),
            today or datetime.date.today(),
        )

    def apply(self, record: Record) -> Record:
        """Return the record, WAIVED if a waiver that still holds expects its failure."""
        if not record.verdict.is_failure:
            return record
        for waiver in self.waivers:
            if (
                self.today <= waiver.expires
                and record.verdict in waiver.verdicts
                and waiver.covers(record)
            ):
                return replace(
                    record,
                    verdict=Verdict.WAIVED,
                    waiver=waiver.pattern,
                    message=f"{record.verdict.value} (waived, {waiver.owner}: {waiver.reason}):"
                    f" {record.message}",
                )
        return record

    def problems(self, records: Iterable[Record], index: Collection[str] | None) -> list[str]:
        """Name waivers that are expired, unused or no longer needed.

        Args:
            records: of the run, after `apply`.
            index: every case id there is; `None` if only a part of the index is known, then a
                waiver that matches no case is not reported.
        """
        found = [
            f"waiver {waiver.pattern!r} expired on {waiver.expires}: mend it ({waiver.owner}) or"
            " renew it"
            for waiver in self.waivers
            if self.today > waiver.expires
        ]
        for waiver in self.waivers:
            if index is not None and not any(map(glob(waiver.pattern), index)):
                found.append(f"waiver {waiver.pattern!r} is unused: it matches no case, remove it")
        if self.waivers:
            found += [
                f"waiver {waiver.pattern!r} must keep failing, but {record.id} is"
                f" {record.verdict.value}: remove it or narrow its pattern"
                for record in records
                if not record.verdict.is_failure and record.verdict in _RAN
                for waiver in self.waivers
                if waiver.covers(record)
            ]
        return found


_RAN = frozenset({Verdict.PASS, Verdict.OBSERVED, Verdict.UNSUPPORTED})


def _waiver(entry: Mapping[str, Any], where: str) -> Waiver:
    unknown = set(entry) - _FIELDS
    if unknown:
        raise KitError(
            f"{where}: {', '.join(sorted(unknown))} is unknown; known are"
            f" {', '.join(sorted(_FIELDS))}"
        )
    for name in ("pattern", "reason", "owner"):
        if not isinstance(entry.get(name), str) or not entry[name].strip():
            raise KitError(f"{where}: {name} is missing; every waiver says {name}")
    expires = entry.get("expires")
    if not isinstance(expires, datetime.date) or isinstance(expires, datetime.datetime):
        raise KitError(
            f"{where}: expires is missing; write a day, for example expires = 2027-06-30"
        )
    try:
        verdicts = frozenset(Verdict(name) for name in entry.get("verdicts", FAILURES))
    except ValueError as error:
        raise KitError(f"{where}: {error}; see docs/verdicts.md") from error
    if not verdicts or not verdicts <= FAILURES:
        names = ", ".join(sorted(verdict.value for verdict in FAILURES))
        raise KitError(f"{where}: only failures can be waived: {names}")
    when = entry.get("when", {})
    if not isinstance(when, dict) or not set(when) <= set(_CONDITIONS):
        raise KitError(f"{where}: when knows {' and '.join(_CONDITIONS)}")
    conditions = tuple((str(name), str(pattern)) for name, pattern in when.items())
    return Waiver(entry["pattern"], entry["reason"], entry["owner"], expires, verdicts, conditions)
