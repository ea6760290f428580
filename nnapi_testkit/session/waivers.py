"""Waivers: expected failures with reason, owner, condition and expiry; they must keep failing."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Collection, Mapping, Sequence
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

__all__ = ["Known", "Waiver", "Waivers"]

_CONDITIONS = ("device", "target")
_FIELDS = {"pattern", "reason", "owner", "expires", "verdicts", "when", "flaky"}


@dataclass(frozen=True, slots=True)
class Waiver:
    """One `[[waiver]]` of the file.

    Args:
        pattern: case ids, with `*` and `?`; brackets are literal.
        reason, owner: why it fails and who mends it.
        expires: the last day it holds.
        verdicts: how it may fail.
        when: patterns for `device` and `target`; all must match.
        flaky: it may pass as well.
    """

    pattern: str
    reason: str
    owner: str
    expires: datetime.date
    verdicts: frozenset[Verdict] = FAILURES
    when: tuple[tuple[str, str], ...] = ()
    flaky: bool = False

    def covers(self, record: Record) -> bool:
        """Whether the record's case and device are meant."""
        return glob(self.pattern)(record.id) and all(
            glob(pattern)(getattr(record, name)) for name, pattern in self.when
        )

    def held(self, record: Record) -> bool:
        """Whether the record is a failure as this waiver expects it, whichever waived it."""
        return record.waived in self.verdicts and self.covers(record)


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
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
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
                    waived=record.verdict,
                    told=record.message,
                    message=f"{record.verdict.value} (waived, {waiver.owner}: {waiver.reason}):"
                    f" {record.message}",
                )
        return record

    def problems(self, records: Sequence[Record], known: Known) -> list[str]:
        """Name waivers that are expired, match no case, or match no failure.

        A waiver for a family holds while at least one of its cases fails as it says. Of a part of
        the family nothing follows: the one that fails may be among the others.

        Args:
            records: of the run, after `apply`.
            known: what the run could choose from.
        """
        found = []
        ran: set[str] = set()
        if self.waivers:
            ran = {record.id for record in records if not record.verdict.is_error}
            ran.update(known.left_out)
        for waiver in self.waivers:
            if self.today > waiver.expires:
                found.append(
                    f"waiver {waiver.pattern!r} expired on {waiver.expires}: mend it"
                    f" ({waiver.owner}) or renew it"
                )
            meant = known.meant(waiver.pattern)
            if meant is None:
                continue
            covered = [record for record in records if waiver.covers(record)]
            if not meant:
                found.append(f"waiver {waiver.pattern!r} is unused: it matches no case, remove it")
            elif (
                covered
                and not waiver.flaky
                and self.today <= waiver.expires
                and ran.issuperset(meant)
                and not any(map(waiver.held, covered))
            ):
                found.append(
                    f"waiver {waiver.pattern!r} matches no failure: of {len(covered)} cases none"
                    f" fails as it says, {covered[0].id} is {covered[0].verdict.value}: remove it,"
                    " or say flaky = true"
                )
        return found


@dataclass(frozen=True, slots=True)
class Known:
    """The cases that waivers can be held to.

    Args:
        ids: every case of `operations`, or every case there is if that is `None`.
        left_out: those that were chosen but that the device does not have.
    """

    ids: Collection[str] = ()
    operations: Collection[str] | None = ()
    left_out: Collection[str] = ()

    def meant(self, pattern: str) -> list[str] | None:
        """Return the ids that the pattern means; `None` if there may be more than are known."""
        if self.operations is not None and pattern.partition("[")[0] not in self.operations:
            return None
        matches = glob(pattern)
        return [case_id for case_id in self.ids if matches(case_id)]


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
    names = entry.get("verdicts", FAILURES)
    if isinstance(names, str):
        raise KitError(f'{where}: verdicts is a list, as in verdicts = ["{names}"]')
    try:
        verdicts = frozenset(Verdict(name) for name in names)
    except (ValueError, TypeError) as error:
        raise KitError(f"{where}: {error}; see docs/verdicts.md") from error
    if not verdicts or not verdicts <= FAILURES:
        names = ", ".join(sorted(verdict.value for verdict in FAILURES))
        raise KitError(f"{where}: only failures can be waived: {names}")
    when = entry.get("when", {})
    if not isinstance(when, dict) or not set(when) <= set(_CONDITIONS):
        raise KitError(f"{where}: when knows {' and '.join(_CONDITIONS)}")
    conditions = tuple((str(name), str(pattern)) for name, pattern in when.items())
    flaky = entry.get("flaky", False)
    if not isinstance(flaky, bool):
        raise KitError(f"{where}: flaky is true or false")
    return Waiver(
        entry["pattern"], entry["reason"], entry["owner"], expires, verdicts, conditions, flaky
    )
