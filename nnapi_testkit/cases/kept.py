"""The index of cases, kept in the user's cache: ids without building what they stand for.

To know which samples make cases, tens of thousands of models are planned, which takes longer than
all else before a first verdict. What follows from that, ids and what selections ask for, is kept
under the hash of everything it follows from: the contents of the op files and of the rooms they
are built by, Python and numpy. So it is never of another state of the sources, and nothing has to
be thrown away by hand. A case that is kept builds its operation's part of the index when it is
itself built, and an operation's part is compared with what was kept of it.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from functools import cached_property, partial
from hashlib import blake2b
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy

from nnapi_testkit import paths
from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.kept_cases import FOLDER as CASES
from nnapi_testkit.cases.kept_cases import KeptCases
from nnapi_testkit.cases.kept_files import forget_old, read, write
from nnapi_testkit.cases.ref import Aspect, Broken, CaseRef, Constraint
from nnapi_testkit.catalog import operation
from nnapi_testkit.errors import KitError
from nnapi_testkit.model.case import Case
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.op.declare import Op
from nnapi_testkit.op.forms import forms_of
from nnapi_testkit.op.readings import Contest
from nnapi_testkit.process import collecting_rarely, process_start

__all__ = ["FOLDER", "ROOMS", "kept_index", "place_of_index", "sources"]

FOLDER = "index"  # in the user's cache
ROOMS = ("spec", "model", "op", "catalog", "cases")  # whose code decides on the index
MOST_KEPT = 8  # states of the sources; each takes about 4 MB
# What a case has of its own, or what is no JSON value; the other fields go by their names.
_OTHER = ("id", "operation", "kind", "make", "answer_id", "broken", "contest")
PLAIN = tuple(field.name for field in fields(CaseRef) if field.name not in _OTHER)
_SLACK = 1.0  # seconds, for clocks that do not show the same


def kept_index() -> list[CaseRef]:
    """Every case in the order of `case_index()`, from the cache or for it, built cases too.

    Where nothing can be kept (no home, a full disk), the index is built as if nothing were.
    """
    place = place_of_index()
    if place is None:
        return _built()
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        return _decode(json.loads(read(place)), place)
    refs = _built()
    try:
        entries = _encode(refs)
    except (ValueError, LookupError):
        return refs
    with contextlib.suppress(OSError):
        write(place, json.dumps(entries, separators=(",", ":")).encode())
        forget_old(place, "*.json", MOST_KEPT, lambda path: path.unlink(missing_ok=True))
    return _decode(entries, place, refs)


def _built() -> list[CaseRef]:
    with collecting_rarely():
        return case_index()


def sources() -> list[Path]:
    """Return the files that the index follows from."""
    package = Path(paths.__file__).parent
    found = [path for room in ROOMS for path in (package / room).rglob("*.py")]
    return sorted([*found, *package.glob("*.py"), *paths.op_tests_dir().glob("*.py")])


def place_of_index() -> Path | None:
    """Return where the index of the present sources is kept; None if that cannot be said.

    That is so without a home, and where a source has changed since this process began: which
    state of it is at work here, nobody knows.
    """
    began = process_start() - _SLACK
    digest = blake2b(digest_size=16)
    digest.update(f"{sys.version}\n{numpy.__version__}\n".encode())
    try:
        for path in sources():
            data = path.read_bytes()
            if path.stat().st_ctime > began:
                return None
            digest.update(f"{path.parent.name}/{path.name}\n{len(data)}\n".encode() + data)
        return paths.user_cache() / FOLDER / f"{digest.hexdigest()}.json"
    except (OSError, RuntimeError):
        return None


def _contests(op: Op) -> list[Contest]:
    """The questions of an operation, each once, in a fixed order."""
    asked = [sample.contest for cell in op.cells for sample in op.samples_for(cell)]
    asked += [form.contest for form in forms_of(op)]
    return list({id(contest): contest for contest in asked if contest is not None}.values())


def _encode(refs: Iterable[CaseRef]) -> list[list[Any]]:
    """The index as JSON values, an entry for each operation."""
    return [_entry(name, list(part)) for name, part in groupby(refs, lambda ref: ref.operation)]


def _entry(name: str, refs: Sequence[CaseRef]) -> list[Any]:
    """Ids; what several cases have in common, and which of it each has; links by position."""
    contests = [id(contest) for contest in _contests(operation(name))]
    place = {ref.id: at for at, ref in enumerate(refs)}
    facts: dict[tuple[Any, ...], int] = {}
    which = []
    for ref in refs:
        broken = ref.broken
        contest = contests.index(id(ref.contest)) if ref.contest is not None else None
        breaks = _broken_facts(broken) if broken else None
        key = (ref.kind.value, contest, breaks, *(getattr(ref, name) for name in PLAIN))
        which.append(facts.setdefault(key, len(facts)))
    answers = [place[ref.answer_id] if ref.answer_id else -1 for ref in refs]
    controls = [
        place[ref.broken.control] if ref.broken and ref.broken.control else -1 for ref in refs
    ]
    return [name, [ref.id for ref in refs], list(facts), which, answers, controls]


def _broken_facts(broken: Broken) -> tuple[str, str, str, bool, str]:
    """What a refusal breaks as JSON values, but for its control."""
    constraint = broken.constraint
    aspect = constraint.aspect.value
    return constraint.rule, constraint.how, aspect, broken.newer, broken.open


def _decode(
    entries: Iterable[Any], place: Path, built: Sequence[CaseRef] | None = None
) -> list[CaseRef]:
    """The index again. Raises ValueError, LookupError or TypeError for what is none.

    Args:
        built: the index that the entries were made of, where it was.
    """
    parts = {name: list(part) for name, part in groupby(built or (), lambda ref: ref.operation)}
    found: list[CaseRef] = []
    for name, *entry in entries:
        found += _refs(_Operation(name, entry[0], place, parts.get(name)), *entry)
    return found


def _refs(
    op: _Operation,
    ids: list[str],
    facts: list[list[Any]],
    which: list[int],
    answers: list[int],
    controls: list[int],
) -> Iterator[CaseRef]:
    contests: list[Contest] = []
    shared = []
    for kind, contest, broken, *plain in facts:
        if contest is not None and not contests:
            contests = _contests(operation(op.name))
        common = dict(zip(PLAIN, plain, strict=True))
        common |= {"kind": Kind(kind), "contest": None if contest is None else contests[contest]}
        if broken:
            rule, how, aspect, *rest = broken
            broken = (Constraint(rule, how, Aspect(aspect)), *rest)
        shared.append((common, broken))
    for case_id, fact, answer, control in zip(ids, which, answers, controls, strict=True):
        common, broken = shared[fact]
        breaks = None
        if broken:
            constraint, newer, open_ = broken
            breaks = Broken(constraint, ids[control] if control >= 0 else "", newer, open_)
        yield CaseRef(
            id=case_id,
            operation=op.name,
            make=partial(op.case, case_id),
            answer_id=ids[answer] if answer >= 0 else "",
            broken=breaks,
            **common,
        )


class _Operation:
    """The cases of one operation: kept, or built by its part of the index."""

    def __init__(
        self, name: str, ids: list[str], place: Path, refs: Sequence[CaseRef] | None
    ) -> None:
        self.name = name
        self._ids = ids
        self._place = place
        self._given = refs

    @cached_property
    def _kept(self) -> KeptCases:
        folder = self._place.parent.parent / CASES / self._place.stem / self.name
        return KeptCases(folder, self._ids, self._build)

    @cached_property
    def _refs(self) -> dict[str, CaseRef]:
        if self._given is not None:
            return {ref.id: ref for ref in self._given}
        with collecting_rarely():
            refs = {ref.id: ref for ref in case_index([self.name])}
        if list(refs) != self._ids:
            with contextlib.suppress(OSError):
                self._place.unlink()
            raise KitError(f"the op file of {self.name} has changed during the run: start again")
        return refs

    def case(self, case_id: str) -> Case:
        """Return the case. Raises KitError where the op files are not those of the index."""
        return self._kept.get(case_id)

    def _build(self, case_id: str) -> Case:
        return self._refs[case_id].make()
