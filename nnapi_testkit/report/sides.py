"""The runs that are compared: read from reports, with the conditions they were made under."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from nnapi_testkit.model.place import Place
from nnapi_testkit.report.accounts import HTML, Line
from nnapi_testkit.report.facts import level_words
from nnapi_testkit.report.outcomes import Outcome
from nnapi_testkit.report.plain import plain
from nnapi_testkit.session.record import Beginning

__all__ = [
    "CONDITIONS",
    "Side",
    "conditions_of",
    "differing",
    "named",
    "side_facts",
    "split",
]

# What two runs have in common if a difference between them is the driver's.
CONDITIONS = ("profile", "oracle", "seed", "selection", "shard", "target", "version")
_WORDS = {"version": "version of nnapi-testkit"}
_EMPTY = {"selection": "every case", "shard": "none"}


L = TypeVar("L", bound=Line)


@dataclass(frozen=True, slots=True)
class Side:
    """One column of a comparison: a run, or what one device did in it.

    Args:
        label: what it is called, unique in the comparison.
        path: the report.
        conditions: `CONDITIONS` by name; empty where a report does not say.
        partial: why the run is not whole, "" if it is.
        facts: `device`, `release`, `level`, `model`, `started`: as far as they are known.
        readings: of each (operation, contested question) the reading that is followed.
        only: the device whose records these are, "" for all of the report.
    """

    label: str
    path: Path
    outcomes: Sequence[Outcome]
    conditions: Mapping[str, str] = field(default_factory=dict)
    partial: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    readings: Mapping[tuple[str, str], str] = field(default_factory=dict)
    only: str = ""

    @property
    def page(self) -> Path | None:
        """The page of the run, `None` where the report has none."""
        folder = self.path if self.path.is_dir() else self.path.parent
        return folder / HTML if (folder / HTML).is_file() else None

    @property
    def line(self) -> str:
        """Label, device, release, feature level and date, as far as they are known."""
        told = [self.facts.get(name, "") for name in ("device", "release", "level", "model")]
        told.append(self.facts.get("started", "").replace("T", " ").replace("Z", " UTC"))
        return plain(f"{self.label}: {', '.join(filter(None, told))}")


def named(text: str) -> tuple[str, Path]:
    """Return (label, report) of `LABEL=DIR` or `DIR`; the label is "" without one."""
    label, equals, path = text.partition("=")
    if equals and label and not Path(text).exists():
        return label, Path(path)
    return "", Path(text)


def split(records: Sequence[L]) -> dict[tuple[str, str], list[L]]:
    """Return the records of each (target, device) that is judged.

    Older devices that are played beside one, which are asked for what is newer than they are and
    nothing else, and cases that no device has answered, belong to it.
    """
    counts = Counter([(record.target, record.device) for record in records])
    targets = {target for target, _ in counts}
    asked_all = {(record.target, record.device) for record in records if not record.newer}
    judged: dict[str, Counter[str]] = {}
    older: dict[tuple[str, str], str] = {}  # to the target they are played beside
    for (target, device), count in counts.items():
        base = Place.of(target).base
        if base != target and base in targets and device and (target, device) not in asked_all:
            older[target, device] = base
        elif device:
            judged.setdefault(target, Counter())[device] += count
    place = {}
    for target, device in counts:
        base = older.get((target, device), target)
        devices = judged.get(base, Counter())
        main = devices.most_common(1)[0][0] if devices else ""
        own = device in devices and base == target
        place[target, device] = base, device if own else main
    found: dict[tuple[str, str], list[L]] = {}
    for record in records:
        found.setdefault(place[record.target, record.device], []).append(record)
    return dict(sorted(found.items()))


def differing(sides: Sequence[Side]) -> list[str]:
    """Return a line for each condition under which the runs were not alike."""
    lines = []
    for name in CONDITIONS:
        values = [side.conditions.get(name) for side in sides]
        if len(set(values)) < 2 or (name == "target" and len({s.path for s in sides}) == 1):
            continue
        told = ", ".join(
            f"{value or _EMPTY.get(name, 'not recorded')} in {side.label}"
            for side, value in zip(sides, values, strict=True)
        )
        lines.append(plain(f"{_WORDS.get(name, name)}: {told}"))
    return lines


def side_facts(summary: Mapping[str, Any], records: Sequence[Line], device: str) -> dict[str, str]:
    """Return what a report says of a device."""
    told = summary.get("device", {})
    alone = not device or told.get("device") in (device, "", None)
    if not device:
        device = str(told.get("device") or next((r.device for r in records if r.device), ""))
    facts = {"device": device}
    if alone:
        facts |= {
            "release": str(told.get("device_version") or ""),
            "level": level_words(told.get("feature_level")),
            "model": str(told.get("model") or ""),
            "fingerprint": str(told.get("fingerprint") or ""),
        }
    return {name: value for name, value in facts.items() if value}


def conditions_of(beginning: Beginning | None) -> dict[str, str]:
    """Return the conditions of a run; empty where its file does not say."""
    if beginning is None:
        return {}
    return {name: str(getattr(beginning, name)) for name in CONDITIONS}
