"""Which known kinds of driver bug a run excludes, which it could not ask for, and which not.

The kill matrix (`nnapi-testkit power`) says which cases notice a kind of fault; the package ships
some of them for each (`nnapi_testkit/data/power.json`). A kind is *excluded* where one of these
cases passed: a driver with that fault would have failed it. An edge, whose values are open, never
passes; where it was executed, ended in time, wrote everything and touched nothing else, it has not
failed either, and excludes the kinds that crash, hang or write astray there. A kind *could not be
asked for* where the device claims none of their operations. Everything else the run *cannot see*:
the cases were not selected, did not pass, or there are none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.model.kinds import Kind

__all__ = ["Excluded", "excluded", "excluded_lines"]

_FILE = Path(__file__).resolve().parent.parent / "data" / "power.json"


@dataclass(frozen=True, slots=True)
class Excluded:
    """Kinds of fault by what a run can say of them: (name, what goes wrong).

    Args:
        excluded: a case that notices it passed, or ended where the fault does not.
        unasked: the device claims no operation whose cases notice it.
        unseen: nothing can be said.
    """

    excluded: tuple[tuple[str, str], ...]
    unasked: tuple[tuple[str, str], ...]
    unseen: tuple[tuple[str, str], ...]

    def as_json(self) -> dict[str, list[str]]:
        """The names alone, for `summary.json`."""
        return {
            "excluded": [name for name, _ in self.excluded],
            "unasked": [name for name, _ in self.unasked],
            "unseen": [name for name, _ in self.unseen],
        }


@cache
def _known() -> list[Mapping[str, object]]:
    try:
        return list(json.loads(_FILE.read_text()))
    except OSError:
        return []


def excluded(records: Iterable[Record]) -> Excluded:
    """Sort the known kinds of fault by what these records say."""
    asked = {record.id: record for record in records}
    sorted_: dict[str, list[tuple[str, str]]] = {"excluded": [], "unasked": [], "unseen": []}
    for row in _known():
        cases = row["cases"]
        assert isinstance(cases, list)
        found = [_word(asked[case]) for case in cases if case in asked]
        if any(verdict.is_pass for verdict in found):
            place = "excluded"
        elif found and all(verdict.meaning.unclaimed for verdict in found):
            place = "unasked"
        else:
            place = "unseen"
        sorted_[place].append((str(row["fault"]), str(row["what"])))
    return Excluded(*(tuple(sorted_[place]) for place in ("excluded", "unasked", "unseen")))


def _word(record: Record) -> Verdict:
    """The verdict; PASS where a case whose values are open could have failed as well, and did not.

    That is a contested case whose outputs were compared with the reading that the device follows,
    and an edge of which each execution ran to its end.
    """
    evidence = record.evidence
    followed = bool(record.reading) and evidence.compared > 0
    # Whoever computed: what cannot be named excludes nothing.
    ended = bool(record.device) and record.kind is Kind.EDGE and evidence.ended
    told = record.verdict is Verdict.OBSERVED and (followed or ended)
    return Verdict.PASS if told else record.verdict


def excluded_lines(found: Excluded, most: int = 8) -> list[str]:
    """Say it in a few lines; empty where the package has no kill matrix."""
    known = len(found.excluded) + len(found.unasked) + len(found.unseen)
    if not known:
        return []
    lines = [f"known kinds of driver bug: {len(found.excluded)} of {known} excluded by this run"]
    for title, rows in (
        ("could not be asked for (operations not claimed)", found.unasked),
        ("cannot be seen in this run", found.unseen),
    ):
        if rows:
            names = ", ".join(name for name, _ in rows[:most])
            more = f" and {len(rows) - most} more" if len(rows) > most else ""
            lines.append(f"  {len(rows)} {title}: {names}{more}")
    return lines
