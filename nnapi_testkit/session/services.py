"""The rooms that the engine works with, behind one small interface.

Tests and other programs hand in their own by naming a function in `Settings.services`; worker
processes resolve the same name.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, cast, runtime_checkable

from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Record
from nnapi_testkit.model.case import Answer, Case, Result
from nnapi_testkit.model.traits import Traits
from nnapi_testkit.session.settings import Settings

__all__ = [
    "AnswerFunction",
    "Describes",
    "Explains",
    "Faults",
    "GoldenFunction",
    "JudgeFunction",
    "RunnerLike",
    "Services",
    "Waits",
    "load",
    "refs_of",
    "standard",
]

AnswerFunction = Callable[[CaseRef, Case], Answer]
GoldenFunction = Callable[[CaseRef, Case], "Answer | None"]


class RunnerLike(Protocol):
    """An open runner: results come back in the order of the cases."""

    def run(self, cases: Sequence[Case]) -> Iterator[Result]:
        """Execute the cases, yielding each result as soon as it is known."""
        ...

    def close(self) -> None:
        """End the runner and its workers."""
        ...


@runtime_checkable
class Describes(Protocol):
    """A runner that tells facts about library and device, JSON values only."""

    def describe(self) -> Mapping[str, object]:
        """Raise KitError when it is lost."""
        ...


@runtime_checkable
class Explains(Protocol):
    """A runner that can run a case once more with the driver's verbose log."""

    def explain(self, case: Case) -> str:
        """Return the log. Raises KitError when it is lost."""
        ...


@runtime_checkable
class Faults(Protocol):
    """A runner that tells what the driver did wrong outside any case."""

    @property
    def fault(self) -> str:
        """One sentence; "" for nothing."""
        ...


@runtime_checkable
class Waits(Protocol):
    """A runner that has time while its cases are under way."""

    meanwhile: Callable[[], None] | None  # called once for each batch, when all of it is sent


class JudgeFunction(Protocol):
    """Answer and result to a record."""

    def __call__(
        self,
        ref: CaseRef,
        case: Case,
        answer: Answer | None,
        result: Result,
        *,
        profile: str = ...,
        target: str = ...,
        between: bool = ...,
    ) -> Record:
        """Judge one case."""
        ...


class OpenRunner(Protocol):
    """Opens a runner on a target."""

    def __call__(self, target: str, *, isolate: bool, memory_limit_mb: int | None) -> RunnerLike:
        """Raise KitError when the target cannot be used."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """What the engine asks of the other rooms.

    Args:
        index: case references of some operations (`None`: all), for a seed.
        open_runner: opens a runner on a target.
        describe: facts about a target's device, JSON values only.
        judge: answer and result to a record.
        has_live: whether the live oracle can be imported; must not import it.
        live: imports the live oracle and returns it.
        fleet: the targets that a target's text stands for, one for each device.
        older: the target that plays a device of the feature level before this one, "" if the
            target has none.
        traits: what a target declares of itself.
        golden: opens the goldens and returns them as an oracle that knows no answer (`None`)
            where there is no golden; a stale or corrupt one raises KitError.
        kept: the index of all operations for seed 0, sooner, and with cases that were built
            before: what it takes to build a case is done when the first of its operation is built.
    """

    index: Callable[[Collection[str] | None, int], Sequence[CaseRef]]
    open_runner: OpenRunner
    describe: Callable[[str], Mapping[str, object]]
    judge: JudgeFunction
    has_live: Callable[[], bool]
    live: Callable[[], AnswerFunction]
    golden: Callable[[], GoldenFunction]
    fleet: Callable[[str], Sequence[str]] = lambda target: (target,)
    older: Callable[[str, int], str] = lambda target, level: ""
    traits: Callable[[str], Traits] = lambda target: Traits(between=False)
    kept: Callable[[], Sequence[CaseRef]] | None = None


def load(name: str) -> Services:
    """Return the services that `module:function` makes. Raises KitError for a wrong name."""
    module, _, function = name.partition(":")
    try:
        make = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise KitError(f"services {name!r} cannot be loaded: {error}") from error
    return cast(Services, make())


def refs_of(services: Services, settings: Settings) -> Sequence[CaseRef]:
    """Return the case index of the settings."""
    if services.kept and settings.operations is None and not settings.seed:
        return services.kept()
    return services.index(settings.operations, settings.seed)


def standard() -> Services:
    """Return the kit's own rooms; nothing heavy is imported before it is used."""
    return Services(
        index=_index,
        open_runner=_open_runner,
        describe=_describe,
        judge=_judge(),
        has_live=_has_live,
        live=_live,
        golden=_golden,
        fleet=_fleet,
        older=_older,
        traits=_traits,
        kept=_kept,
    )


def _index(operations: Collection[str] | None, seed: int) -> Sequence[CaseRef]:
    from nnapi_testkit.cases.index import case_index

    if not seed or not _has_live():
        return case_index(operations, seed=seed)
    return case_index(operations, seed=seed, follows=_follows)


def _kept() -> Sequence[CaseRef]:
    from nnapi_testkit.cases.kept import kept_index

    return kept_index()


def _follows(case: Case) -> bool:
    from nnapi_testkit.oracle import follows

    return follows(case)


def _has_live() -> bool:
    return importlib.util.find_spec("torch") is not None


def _open_runner(target: str, *, isolate: bool, memory_limit_mb: int | None) -> RunnerLike:
    from nnapi_testkit.targets import parse_target

    place = parse_target(target)
    if memory_limit_mb is None:
        return cast(RunnerLike, place.open(isolate=isolate))
    return cast(RunnerLike, place.open(isolate=isolate, memory_limit_mb=memory_limit_mb))


def _fleet(target: str) -> Sequence[str]:
    from nnapi_testkit.targets import fleet

    return fleet(target)


@lru_cache(maxsize=256)
def _older(target: str, level: int) -> str:
    from nnapi_testkit.targets import Aged, spokesman

    place = spokesman(target)
    return place.older(level) if isinstance(place, Aged) else ""


@lru_cache(maxsize=256)
def _traits(target: str) -> Traits:
    from nnapi_testkit.targets import spokesman, traits

    return traits(spokesman(target))


def _describe(target: str) -> Mapping[str, object]:
    from nnapi_testkit.targets import spokesman

    return spokesman(target).describe()


def _judge() -> JudgeFunction:
    from nnapi_testkit.judge.judge import judge

    return judge


def _live() -> AnswerFunction:
    from nnapi_testkit.oracle import answer

    return answer


def _golden() -> GoldenFunction:
    from nnapi_testkit.answers import MissingGolden, open_goldens
    from nnapi_testkit.paths import golden_dir

    goldens = open_goldens(golden_dir())

    def get(ref: CaseRef, case: Case) -> Answer | None:
        try:
            return goldens.get(ref, case)
        except MissingGolden:
            return None

    return get
