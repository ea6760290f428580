"""The pages of a site: all devices, the history of one, what a run changed; and the index."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from nnapi_testkit.judge.verdict import Group, Verdict
from nnapi_testkit.report.board import (
    Column,
    board,
    change_sections,
    changes_by_operation,
    link,
    margin_text,
    render,
)
from nnapi_testkit.report.diff import Change, Comparison
from nnapi_testkit.report.history import Part, Run
from nnapi_testkit.report.outcomes import joined
from nnapi_testkit.report.plain import plain
from nnapi_testkit.report.sides import CONDITIONS
from nnapi_testkit.report.text import counted
from nnapi_testkit.report.timeline import Point, spark, timeline
from nnapi_testkit.report.words import shortened
from nnapi_testkit.session.ledger import Exit, exit_of

__all__ = ["Entry", "changes_page", "device_page", "index", "overview", "slug"]

SCHEMA = 1
# Of a device's matrix: what a reader sees at once; older runs are in timeline, table and index.
MOST_COLUMNS = 24
_TOLD = (Change.FAILING, Change.FIXED, Change.VERDICT, Change.VANISHED, Change.NEW, Change.DRIFTED)


@dataclass(eq=False)
class Entry:
    """A device in a run, and the run before it that it is compared with.

    Args:
        at: its number among the parts of the run; `several`: there is more than one.
        changes: the counts of that comparison, as `site` keeps them.
    """

    run: Run
    at: int
    part: Part
    several: bool = False
    before: Entry | None = None
    changes: Mapping[str, Any] | None = None

    @property
    def key(self) -> tuple[str, int]:
        """What it is known by in the site."""
        return self.run.id, self.at

    @property
    def release(self) -> str:
        """The release that was tested."""
        return plain(self.run.release(self.part))

    @property
    def only(self) -> str:
        """The device that the run's page has to be filtered by, "" if it shows no other."""
        return self.part.facts.get("device", "") if self.several else ""

    @property
    def page(self) -> str:
        """The page of the run, from the root of the site."""
        return f"runs/{self.run.id}/index.html"

    @property
    def changes_name(self) -> str:
        """The page of what changed, in the folder of the run."""
        return f"changes-{slug(self.part.device)}.html"

    @property
    def day(self) -> str:
        """When it began."""
        return self.run.started.replace("T", " ")[:16] or "no date"

    def count(self, *groups: Group) -> int:
        """Return how many cases have a verdict of these groups."""
        return sum(
            n for name, n in self.part.verdicts.items() if Verdict(name).meaning.group in groups
        )

    @property
    def badge(self) -> tuple[str, str]:
        """The outcome in a word, and its colour: what is not whole is never green."""
        if self.run.partial:
            return "UNFINISHED", "error"
        code = exit_of(Verdict(name) for name, count in self.part.verdicts.items() if count)
        if code is not Exit.PASS:
            return code.name, code.name.lower()
        waived = self.part.verdicts.get(Verdict.WAIVED.value, 0)
        words = "PASS" + (f", {waived} WAIVED" if waived else "")
        if self.run.conditions.get("selection") or self.run.conditions.get("shard"):
            return f"{words}, PARTIAL", "partial"
        return words, "waived" if waived else "pass"


def slug(device: str) -> str:
    """Return a name for files and addresses; different devices have different ones."""
    plainer = re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")[:60] or "device"
    if plainer == device:
        return plainer
    return f"{plainer}-{blake2b(device.encode('utf-8', 'replace'), digest_size=3).hexdigest()}"


def index(entries: Mapping[str, Sequence[Entry]]) -> dict[str, Any]:
    """Return all that the pages show as JSON values; addresses are relative to the site."""
    return {
        "schema": SCHEMA,
        "devices": [
            {
                "device": device,
                "page": f"devices/{slug(device)}.html",
                "runs": [_run_json(entry) for entry in chain],
            }
            for device, chain in entries.items()
        ],
    }


def _run_json(entry: Entry) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": entry.run.id,
        "release": entry.release,
        "started": entry.run.started,
        "page": link(entry.page, only=entry.only),
        "outcome": entry.badge[0],
        "unfinished": entry.run.partial,
        "target": entry.part.target,
        "conditions": dict(entry.run.conditions),
        "facts": dict(entry.part.facts),
        "verdicts": dict(entry.part.verdicts),
        "margins": dict(zip(_MARGINS, map(_real, entry.part.margins), strict=False)),
        "operations": {
            name: {
                "cases": tally.cases, "passed": tally.passed, "failed": tally.failed,
                "errors": tally.errors, "apart": tally.apart, "margin": _real(tally.margin),
            }
            for name, tally in _operations(entry).items()
        },
    }  # fmt: skip
    if entry.before is not None and entry.changes is not None:
        found["changes"] = {
            "since": entry.before.run.id,
            "page": f"runs/{entry.run.id}/{entry.changes_name}",
            "worse": entry.changes["worse"],
            "counts": entry.changes["counts"],
        }
    return found


def _operations(entry: Entry) -> dict[str, Any]:
    return {name: joined(cells) for name, cells in entry.part.tallies.items()}


def _real(value: float) -> float | str | None:
    if value == -1:
        return None
    return value if value - value == 0 else str(value)


def overview(entries: Mapping[str, Sequence[Entry]]) -> str:
    """Return the first page: each device with its latest run, and these beside each other."""
    latest = {device: _latest(chain) for device, chain in entries.items()}
    rows = []
    for device, entry in latest.items():
        rows.append(
            {
                "device": plain(device),
                "page": f"devices/{slug(device)}.html",
                "runs": len(entries[device]),
                **_row(entry, ""),
                "note": _newer(entries[device], entry),
            }
        )
    columns = [_column(entry, "", label=device) for device, entry in latest.items()]
    return render(
        "site.html.j2",
        title="NNAPI conformance",
        outcome="",
        colour="",
        warnings=_differing(list(latest.values())),
        rows=rows,
        board=board(columns),
    )


def _latest(chain: Sequence[Entry]) -> Entry:
    """The newest run that is whole, or else the newest."""
    return next((entry for entry in reversed(chain) if not entry.run.partial), chain[-1])


def _newer(chain: Sequence[Entry], shown: Entry) -> str:
    """What a reader must know beside the latest whole run: that a newer one is not whole."""
    if chain[-1] is shown:
        return plain(shown.run.partial or _selection(shown.run))
    return f"a newer run is UNFINISHED: {chain[-1].day}"


def _differing(entries: Sequence[Entry]) -> list[str]:
    """What makes the columns hard to compare; another target is no surprise here."""
    lines = []
    for name in CONDITIONS:
        values = [entry.run.conditions.get(name, "") for entry in entries]
        if name == "target" or len(set(values)) < 2:
            continue
        told = ", ".join(
            f"{value or 'none'} on {entry.part.device}"
            for entry, value in zip(entries, values, strict=True)
        )
        lines.append(plain(f"CONDITIONS DIFFER: {name}: {told}"))
    return lines


def _row(entry: Entry, up: str) -> dict[str, Any]:
    """What tables say of a run; `up` leads from the page to the root of the site."""
    words, colour = entry.badge
    changes = []
    if entry.changes is not None:
        counts = entry.changes["counts"]
        changes = [(change.value, counts[change.value]) for change in _TOLD if counts[change.value]]
    margins = entry.part.margins
    return {
        "id": entry.run.id,
        "release": entry.release,
        "day": entry.day,
        "href": link(up + entry.page, only=entry.only),
        "outcome": words,
        "colour": colour,
        "cases": sum(entry.part.verdicts.values()),
        "failed": entry.count(Group.FAILURE),
        "errors": entry.count(Group.ERROR),
        "apart": entry.count(Group.APART),
        "margin": margin_text(margins[-1]) if margins else "",
        "changes": [(name, f"{count:,}", name in _BAD) for name, count in changes],
        "changes_href": f"{up}runs/{entry.run.id}/{entry.changes_name}" if entry.changes else "",
        "since": entry.before.release if entry.before and entry.changes else "",
        "note": plain(entry.run.partial or _selection(entry.run)),
    }


_MARGINS = ("median", "p95", "worst")
_BAD = (Change.FAILING.value, Change.VANISHED.value)


def _selection(run: Run) -> str:
    selection = shortened(run.conditions.get("selection", ""))
    chosen = filter(None, (selection, run.conditions.get("shard")))
    profile = run.conditions.get("profile", "standard")
    return ", ".join(
        [*chosen, *([f"profile {profile}"] if profile not in ("", "standard") else [])]
    )


def _column(entry: Entry, up: str, label: str = "") -> Column:
    changes = entry.changes["operations"] if entry.changes and not label else {}
    return Column(
        label or entry.release,
        entry.part.tallies,
        f"{entry.release}, {entry.run.started[:10]}" if label else entry.run.started[:10],
        up + entry.page,
        {
            name: {change: counts[change.value] for change in Change if change.value in counts}
            for name, counts in changes.items()
        },
        f"UNFINISHED: {entry.run.partial}" if entry.run.partial else "",
        entry.only,
    )


def changes_page(entry: Entry, before: Entry, comparison: Comparison) -> str:
    """Return the page of what a run changed against the one before it."""
    old, new = f"../{before.run.id}/index.html", "index.html"
    columns = [_column(one, "../../") for one in (before, entry)]
    told = changes_by_operation(comparison)
    columns[1] = Column(
        columns[1].label, columns[1].tallies, columns[1].small, new, told, "", entry.only
    )
    warnings = [
        plain(f"CONDITIONS DIFFER: {name}: {one or 'none'}, then {other or 'none'}")
        for name in CONDITIONS
        if (one := before.run.conditions.get(name)) != (other := entry.run.conditions.get(name))
    ]
    device = plain(entry.part.device)
    return render(
        "diff.html.j2",
        title=f"{device}: {before.release} → {entry.release}",
        outcome="WORSE" if comparison.worse else "NOT WORSE",
        colour="fail" if comparison.worse else "pass",
        warnings=warnings,
        sides=[
            f"{before.release}: {before.day}, run {before.run.id}",
            f"{entry.release}: {entry.day}, run {entry.run.id}",
        ],
        board=board(columns),
        comparisons=[
            {
                "title": "What changed",
                "line": comparison.line,
                "sections": change_sections(comparison, old, new, entry.only),
            }
        ],
        readings=[
            (operation, topic, [one, other])
            for (operation, topic), other in sorted(entry.part.readings.items())
            if (one := before.part.readings.get((operation, topic), other)) != other
        ],
        labels=[before.release, entry.release],
        above=[
            ("All devices", "../../index.html"),
            (device, f"../../devices/{slug(entry.part.device)}.html"),
        ],
    )


def _point(entry: Entry) -> Point:
    failed, errors = entry.count(Group.FAILURE), entry.count(Group.ERROR)
    title = f"{entry.release}, {entry.day}: {entry.badge[0]}, {failed} failed, {errors} errors"
    if entry.part.margins:
        title += f", worst margin {margin_text(entry.part.margins[-1])}"
    href = link(f"../{entry.page}", only=entry.only)
    return Point(entry.release, title, href, failed, errors, entry.part.margins)


def device_page(device: str, chain: Sequence[Entry]) -> str:
    """Return the history of a device: a timeline, a table, and the matrix of its releases."""
    newest = list(reversed(chain))
    shown = newest[:MOST_COLUMNS]
    last = _latest(chain)
    words, colour = last.badge
    operations = [_operations(entry) for entry in chain]
    names = sorted({name for found in operations for name in found})
    sparks = {plain(name): spark([found.get(name) for found in operations]) for name in names}
    return render(
        "device.html.j2",
        title=plain(device),
        outcome=words,
        colour=colour,
        facts=[
            (name, plain(last.part.facts[name]))
            for name in ("release", "level", "fingerprint")
            if last.part.facts.get(name)
        ]
        + ([("note", _newer(chain, last))] if chain[-1] is not last else []),
        timeline=timeline([_point(entry) for entry in chain]),
        rows=[_row(entry, "../") for entry in newest],
        board=board([_column(entry, "../") for entry in shown]),
        sparks=sparks,
        older=counted(len(chain) - len(shown), "older run") if len(chain) > len(shown) else "",
        above=[("All devices", "../index.html")],
    )
