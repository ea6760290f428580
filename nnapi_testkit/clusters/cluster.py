"""`Cluster`: failures that have one description, with what a report shows of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Cluster", "clusters_json", "from_json", "operations_word"]

NAMED = 4  # operations that a title names


@dataclass(frozen=True, slots=True)
class Cluster:
    """Failures that share what the words say.

    Args:
        words: statements that hold for every one of them; none where nothing is shared but the
            operation.
        operations: how many failures each operation has, most first.
        cases: failures; `of` cases that the words hold for, these included.
        without: failures of the same sort that the words do not hold for; those of clusters before
            this one are not counted.
        verdicts: how many of each.
        how: what most of them say, "" where they differ; numbers are those of the smallest.
        way: the words are about how cases are run, the same cases pass otherwise, and the
            operations are not to blame.
        smallest: the id of the smallest failing case; `again`: the command that runs it.
        looks_like, why: the known fault whose cases fail in the same way, and what goes wrong in
            it; "" if there is none.
        ids: of all failures.
        repro: where its smallest case is kept as a folder, relative to the report; "" if nowhere.
    """

    words: tuple[str, ...]
    operations: Mapping[str, int]
    cases: int
    of: int
    without: int
    verdicts: Mapping[str, int]
    how: str
    way: bool
    smallest: str
    again: str
    looks_like: str = ""
    why: str = ""
    ids: tuple[str, ...] = ()
    repro: str = ""

    @property
    def title(self) -> str:
        """One sentence: where, how many of how many, and what they share."""
        where = operations_word(self.operations)
        if self.way:
            where = f"not the operations ({len(self.operations)} of them)"
            where = where if len(self.operations) > 1 else f"not {next(iter(self.operations))}"
        shared = " and ".join(self.words)
        if not shared and self.way:
            where = operations_word(self.operations)
            fail = f"{self.cases} of {self.of} cases by other paths, memories or states fail"
            return f"{where}: {fail}, what they compute is right otherwise"
        if not shared:
            return f"{where}: {self.cases} of {self.of} cases fail"
        fail = f"{self.cases} of {self.of} cases with it fail, {self.without or 'none'} without"
        if self.way:
            return f"{shared}: {fail}; {where}"
        return f"{where}: {shared}: {fail}"

    def as_json(self) -> dict[str, Any]:
        """The cluster as JSON values, for `summary.json`."""
        return {
            "title": self.title,
            "words": list(self.words),
            "operations": dict(self.operations),
            "cases": self.cases,
            "of": self.of,
            "without": self.without,
            "verdicts": dict(self.verdicts),
            "how": self.how,
            "way": self.way,
            "smallest": self.smallest,
            "again": self.again,
            "looks_like": self.looks_like,
            "why": self.why,
            "repro": self.repro,
            "ids": list(self.ids),
        }


def operations_word(operations: Mapping[str, int]) -> str:
    """`MUL`, `ADD and MUL`, or `14 operations (ADD, CONV_2D, DIV, MUL, ...)`."""
    names = list(operations)
    if len(names) <= NAMED:
        return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else "?"
    return f"{len(names)} operations ({', '.join(names[:NAMED])}, ...)"


def counted(words: Iterable[str]) -> dict[str, int]:
    """Counts by word, most first, then by name."""
    return dict(sorted(Counter(words).items(), key=lambda item: (-item[1], item[0])))


def clusters_json(clusters: Sequence[Cluster]) -> list[dict[str, Any]]:
    """The clusters as JSON values."""
    return [cluster.as_json() for cluster in clusters]


def from_json(rows: object) -> list[Cluster]:
    """The clusters of a `summary.json`; what cannot be read is left out."""
    found = []
    for row in rows if isinstance(rows, list) else ():
        try:
            found.append(
                Cluster(
                    tuple(map(str, row["words"])),
                    {str(k): int(v) for k, v in row["operations"].items()},
                    int(row["cases"]),
                    int(row["of"]),
                    int(row["without"]),
                    {str(k): int(v) for k, v in row["verdicts"].items()},
                    str(row["how"]),
                    bool(row["way"]),
                    str(row["smallest"]),
                    str(row["again"]),
                    str(row.get("looks_like", "")),
                    str(row.get("why", "")),
                    tuple(map(str, row["ids"])),
                    str(row.get("repro", "")),
                )
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
    return found
