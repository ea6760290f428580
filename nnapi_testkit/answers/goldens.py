"""All goldens of a folder: looking up, checking, updating."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from pathlib import Path

from nnapi_testkit.answers.container import SUFFIX, Container, CorruptGolden, pack, write
from nnapi_testkit.answers.stale import case_hash, moved
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.errors import KitError
from nnapi_testkit.model.case import Answer, Case, Expected


class GoldenError(KitError):
    """A golden cannot serve; the message names it and says what to do."""


class MissingGolden(GoldenError):
    """No answer is frozen for a case."""


class StaleGolden(GoldenError):
    """The case has changed since its answer was frozen."""


_REMEDY = "run nnapi-testkit golden update"


class Goldens:
    """The golden files of one folder; each is opened when an operation's first case asks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: dict[str, Container | None] = {}

    def container(self, operation: str) -> Container | None:
        """The container of an operation, or None if there is no file."""
        if operation not in self._open:
            path = self.folder / f"{operation}{SUFFIX}"
            self._open[operation] = Container(path) if path.exists() else None
        return self._open[operation]

    def get(self, ref: CaseRef, case: Case) -> Answer:
        """The frozen answer to `case`.

        Raises:
            MissingGolden, StaleGolden, CorruptGolden: naming the golden and the remedy.
        """
        name = ref.answer_id or ref.id
        container = self.container(ref.operation)
        if container is None or name not in container.index:
            raise MissingGolden(f"no golden answers {name}: {_REMEDY}")
        # A case that shares an answer has another model; the owner's own check holds the answer.
        if not ref.answer_id and container.hash_of(name) != case_hash(case):
            raise StaleGolden(
                f"the golden of {name} answers other inputs or another model: {_REMEDY}"
            )
        answer = container.answer(name)
        asked = [reading.name for reading in ref.contest.readings] if ref.contest else []
        if [name for name, _ in answer.readings] != asked:
            raise StaleGolden(f"the golden of {name} answers other readings: {_REMEDY}")
        misfit = _misfit(answer, case)
        if misfit:
            raise CorruptGolden(
                f"the golden of {name} does not fit its case ({misfit}): delete"
                f" {container.path.name} and run nnapi-testkit golden update"
            )
        return answer


def _misfit(answer: Answer, case: Case) -> str:
    """What an answer has that its case has not; a driver must never be blamed for it."""
    for _, sets in answer.readings or (("", answer.sets),):
        misfit = "" if sets is None else _misfit_of(sets, case)
        if misfit:
            return misfit
    return ""


def _misfit_of(sets: tuple[tuple[Expected, ...], ...], case: Case) -> str:
    if len(sets) != len(case.sets):
        return f"{len(sets)} input sets instead of {len(case.sets)}"
    for told, asked in zip(sets, case.sets, strict=True):
        if len(told) != len(asked.output_dims):
            return f"{len(told)} outputs instead of {len(asked.output_dims)}"
        for index, expected, dims in zip(
            case.model.main.outputs, told, asked.output_dims, strict=True
        ):
            shape = expected.value.shape
            # How many rows there are may depend on the data; the buffer then has room for most.
            declared = case.model.main.operands[index].dims
            open_ = not declared or declared[0] == 0
            rows = len(shape) == len(dims) > 0 and shape[0] <= dims[0] and shape[1:] == dims[1:]
            if shape != tuple(dims) and not (open_ and rows):
                return f"dimensions {list(shape)} instead of {list(dims)}"
    return ""


def open_goldens(folder: Path) -> Goldens:
    """The goldens of `folder`; nothing is read yet."""
    return Goldens(folder)


class Flaw(str, Enum):
    """What is wrong with a golden."""

    MISSING = "missing"
    STALE = "stale"
    UNUSED = "unused"
    CORRUPT = "corrupt"


@dataclass(frozen=True, slots=True)
class Finding:
    """One golden that is not as it should be; `operation` is that of an answer, "" of a file."""

    kind: Flaw
    name: str
    message: str
    operation: str = ""


def check(
    folder: Path, refs: Iterable[CaseRef], live: Callable[[CaseRef, Case], Answer] | None
) -> list[Finding]:
    """Everything wrong with the goldens of `folder`, against the whole suite `refs`.

    Args:
        live: computes the answers to compare with; None compares input hashes only.
    """
    goldens = open_goldens(folder)
    findings = []
    wanted: dict[str, set[str]] = {}
    damaged: set[str] = set()
    for ref in refs:
        if not ref.has_golden:
            continue
        wanted.setdefault(ref.operation, set()).add(ref.id)
        if ref.operation in damaged:
            continue
        case = ref.make()
        try:
            frozen = goldens.get(ref, case)
        except MissingGolden as error:
            findings.append(Finding(Flaw.MISSING, ref.id, str(error), ref.operation))
        except StaleGolden as error:
            findings.append(Finding(Flaw.STALE, ref.id, str(error), ref.operation))
        except CorruptGolden as error:
            damaged.add(ref.operation)
            findings.append(Finding(Flaw.CORRUPT, f"{ref.operation}{SUFFIX}", str(error)))
        else:
            difference = moved(frozen, live(ref, case)) if live else ""
            if difference:
                text = f"the golden of {ref.id} is stale ({difference}): {_REMEDY}"
                findings.append(Finding(Flaw.STALE, ref.id, text, ref.operation))
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        if path.stem in damaged:
            continue
        if path.stem not in wanted:
            text = f"golden {path.name} answers no operation: delete it"
            findings.append(Finding(Flaw.UNUSED, path.name, text))
            continue
        container = goldens.container(path.stem)
        assert container is not None
        for case_id in sorted(set(container.index) - wanted[path.stem]):
            text = f"golden {path.name} answers {case_id}, which is no case: {_REMEDY}"
            findings.append(Finding(Flaw.UNUSED, case_id, text, path.stem))
    return findings


def update(
    folder: Path, refs: Iterable[CaseRef], live: Callable[[CaseRef, Case], Answer]
) -> list[str]:
    """Freeze the answers of whole operations; returns the names of the files that changed.

    An answer that has not moved keeps its bytes, so a regeneration changes only what it must.

    Raises:
        CorruptGolden: a file to be written is damaged; nothing of it is overwritten.
    """
    goldens = open_goldens(folder)
    changed = []
    for operation, group in groupby(refs, key=lambda ref: ref.operation):
        container = goldens.container(operation)
        entries = {}
        for ref in group:
            if not ref.has_golden:
                continue
            case = ref.make()
            answer = live(ref, case)
            digest = case_hash(case)
            if container is not None and container.unmoved(ref.id, digest, answer):
                entries[ref.id] = (digest, *container.blob(ref.id))
                continue
            entries[ref.id] = (digest, *pack(answer))
        path = folder / f"{operation}{SUFFIX}"
        if write(path, entries):
            changed.append(path.name)
    return changed
