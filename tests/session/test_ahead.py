"""The next block of cases is built while the runner computes; nothing else changes by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import session_fakes

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.model.case import Case, Result
from nnapi_testkit.session.lane import Lane
from nnapi_testkit.session.settings import Settings
from nnapi_testkit.targets import parse_target

Make = Callable[..., Settings]


class Waiting(session_fakes.FakeRunner):
    """A runner that has time as soon as its cases are under way."""

    meanwhile: Callable[[], None] | None = None

    def run(self, cases: Sequence[Case]) -> Iterator[Result]:
        if self.meanwhile is not None:
            self.meanwhile()
        yield from super().run(cases)


def test_the_next_block_is_built_once_and_gives_the_same_records(settings: Make) -> None:
    chosen = settings("plain", "wrong", "plain", "badmake", "wrong", count=8)
    built: list[str] = []

    def counted(ref: session_fakes.CaseRef) -> session_fakes.CaseRef:
        def make() -> Case:
            built.append(ref.id)
            return ref.make()

        return replace(ref, make=make)

    refs = session_fakes.refs()
    counting = [counted(ref) for ref in refs]
    services = replace(
        session_fakes.services(),
        open_runner=lambda target, *, isolate, memory_limit_mb: Waiting(isolate),
    )
    with Lane(chosen, services) as lane:
        records = []
        for record in lane.run(counting[:3], counting[3:]):
            records.append(record)
            assert built == [ref.id for ref in refs]
        records += lane.run(counting[3:])
    assert built == [ref.id for ref in refs]
    with Lane(chosen) as lane:
        assert records == [*lane.run(refs[:3]), *lane.run(refs[3:])]
    assert [record.id for record in records if record.verdict is Verdict.NOT_RUN] == [refs[3].id]


def test_a_runner_has_time_once_for_each_batch_when_it_is_sent() -> None:
    cases = [ref.make() for ref in case_index(["RELU"])[:30]]
    seen: list[int] = []
    came = 0
    with parse_target("host").open() as runner:
        runner.meanwhile = lambda: seen.append(came)  # type: ignore[attr-defined]
        for part in (cases, cases[:1]):
            for result in runner.run(part):
                came += 1
                assert result.ending is not None
    assert seen == [0, 30]
