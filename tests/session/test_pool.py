from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.session import pool
from nnapi_testkit.session.engine import Session
from nnapi_testkit.session.settings import Settings

Make = Callable[..., Settings]


def test_several_lanes_give_the_records_of_one(settings: Make) -> None:
    made = settings("wrong", "crash", "leak", "stale", "gone", "unsupported", "badmake", count=200)
    one = {record.id: record for record in Session(made).run(Session(made).refs())}
    session = Session(made, jobs=3)
    many = {record.id: record for record in session.run(session.refs())}
    assert many == one


def test_a_case_that_takes_its_lane_down_is_the_only_one_lost(settings: Make) -> None:
    session = Session(settings("plain", "suicide", count=60), jobs=2)
    records = list(session.run(session.refs()))
    lost = [record for record in records if record.verdict is not Verdict.PASS]
    assert [record.id for record in lost] == ["ADD[float32-suicide-1]"]
    assert lost[0].verdict is Verdict.INFRA
    assert "exit status 7" in lost[0].message
    assert len({record.id for record in records}) == len(records) == 60


def test_lanes_that_keep_ending_end_the_run(
    settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "SPARE_STARTS", 2)
    session = Session(settings(*["suicide"] * 8, count=8), jobs=2)
    with pytest.raises(KitError, match=r"lane processes keep ending .*--jobs 1"):
        list(session.run(session.refs()))


def test_what_a_lane_cannot_do_is_told_by_the_parent(settings: Make) -> None:
    session = Session(settings(target="moon"), jobs=2)
    with pytest.raises(KitError, match="target 'moon' is unknown"):
        list(session.run(session.refs()))


def test_closing_the_stream_ends_every_lane(settings: Make) -> None:
    session = Session(settings(count=5000), jobs=2)
    records = session.run(session.refs())
    next(records)
    lanes = _children()
    assert len(lanes) == 2
    records.close()
    until = time.monotonic() + 60
    while _children() and time.monotonic() < until:
        time.sleep(0.05)
    assert not _children() & lanes


def _children() -> set[int]:
    found = set()
    for task in Path("/proc/self/task").iterdir():
        found.update(int(pid) for pid in (task / "children").read_text().split())
    lanes = set()
    for pid in found:
        try:
            if b"lane_process" in Path(f"/proc/{pid}/cmdline").read_bytes():
                lanes.add(pid)
        except OSError:
            continue
    return lanes


@pytest.mark.parametrize("jobs", [0, -1])
def test_no_jobs_is_an_error(settings: Make, jobs: int) -> None:
    with pytest.raises(KitError, match="use 1 or more"):
        Session(settings(), jobs)
