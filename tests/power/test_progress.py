"""A draw of mutants that was ended goes on where it stood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nnapi_testkit.errors import KitError
from nnapi_testkit.power.instrument import Site
from nnapi_testkit.power.mutants import try_mutants
from nnapi_testkit.power.progress import Progress
from nnapi_testkit.power.trace import Trace

SETTING = {"build": "ab", "profile": "standard"}
MUTANTS = {
    number: Site(
        f"mutant:f.cpp:{number}:1:+ to -", "f.cpp", number, 0, 1, "+", "-", "expression", "+ to -"
    )
    for number in (11, 12, 13)
}
REACHED = {"ADD": {11: [0, 1], 12: [1]}, "SUB": {12: [0, 2]}}
NOTICES = {("ADD", 11), ("SUB", 12)}


class Ended(Exception):
    """What ends a run in these tests."""


@dataclass
class Bench:
    """Cases that are numbers; notes what is switched on, and may be ended there."""

    end_at: tuple[str, int] | None = None
    asked: list[tuple[str, int]] = field(default_factory=list)

    def cases(self, operation: str) -> list[str]:
        return [f"{operation}/{place}" for place in range(3)]

    def switched(
        self, number: int, operation: str, cases: Sequence[str], first: bool
    ) -> dict[str, str]:
        if (operation, number) == self.end_at:
            raise Ended
        self.asked.append((operation, number))
        return {cases[-1]: "MISMATCH"} if (operation, number) in NOTICES else {}

    def forget(self, operation: str) -> None:
        pass


def ways(bench: Bench) -> list[Any]:
    built = SimpleNamespace(mutants=MUTANTS)
    look = lambda operation: Trace(reached=REACHED[operation])  # noqa: E731
    return [SimpleNamespace(bench=bench, build=built, look=look)]


def quiet(line: str) -> None:
    pass


def run(bench: Bench, progress: Progress | None = None) -> list[tuple[str, str, int]]:
    outcomes = try_mutants(ways(bench), ["ADD", "SUB"], 0, quiet, progress)
    return [(one.status, one.by, one.cases) for one in outcomes]


WHOLE = [("killed", "ADD/1", 2), ("killed", "SUB/2", 3), ("unreached", "", 0)]


def test_a_whole_run() -> None:
    bench = Bench()
    assert run(bench) == WHOLE
    assert bench.asked == [("ADD", 11), ("ADD", 12), ("SUB", 12)]


@pytest.mark.parametrize("end_at", [("ADD", 11), ("ADD", 12), ("SUB", 12)])
def test_it_goes_on_where_it_stood(tmp_path: Path, end_at: tuple[str, int]) -> None:
    file = tmp_path / "progress"
    first = Bench(end_at)
    with pytest.raises(Ended):
        run(first, Progress.kept(file, SETTING, resume=False))
    second = Bench()
    assert run(second, Progress.kept(file, SETTING, resume=True)) == WHOLE
    assert first.asked + second.asked == [("ADD", 11), ("ADD", 12), ("SUB", 12)]
    third = Bench()
    assert run(third, Progress.kept(file, SETTING, resume=True)) == WHOLE
    assert not third.asked


def test_a_line_that_was_not_written_whole(tmp_path: Path) -> None:
    file = tmp_path / "progress"
    run(Bench(), Progress.kept(file, SETTING, resume=False))
    file.write_text(file.read_text()[:-9])
    bench = Bench()
    assert run(bench, Progress.kept(file, SETTING, resume=True)) == WHOLE
    assert not bench.asked  # of the last line only the end of SUB was lost
    again = Bench()
    assert run(again, Progress.kept(file, SETTING, resume=True)) == WHOLE
    assert file.read_text().count("\n") == 6


def test_another_build_is_not_gone_on_with(tmp_path: Path) -> None:
    file = tmp_path / "progress"
    Progress.kept(file, SETTING, resume=False)
    with pytest.raises(KitError, match="--resume"):
        Progress.kept(file, SETTING | {"build": "cd"}, resume=True)


def test_without_resume_it_begins_anew(tmp_path: Path) -> None:
    file = tmp_path / "progress"
    run(Bench(), Progress.kept(file, SETTING, resume=False))
    bench = Bench()
    assert run(bench, Progress.kept(file, SETTING, resume=False)) == WHOLE
    assert len(bench.asked) == 3
