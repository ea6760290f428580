"""Reports joined: shards, repetitions, what is missing."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.report.merge import Part, merge_records, read_parts, shard_problems
from nnapi_testkit.report.store import read_records, read_summary

SELECTION = ("-o", "FLOOR", "--oracle", "golden")


def command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nnapi_testkit.cli", *map(str, words)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the reports 1, 2, 3 of three shards, and `whole`."""
    folder = tmp_path_factory.mktemp("shards")
    for at in (1, 2, 3):
        done = command("run", *SELECTION, "--shard", f"{at}/3", "--report", folder / str(at))
        assert done.returncode == 0, done.stdout + done.stderr
    assert command("run", *SELECTION, "--report", folder / "whole").returncode == 0
    return folder


def test_shards_make_the_whole(shards: Path, tmp_path: Path) -> None:
    done = command("merge", *(shards / name for name in "312"), "-o", tmp_path / "joined")
    assert done.returncode == 0, done.stdout + done.stderr
    joined = {record.id: record for record in read_records(tmp_path / "joined")}
    whole = {record.id: record for record in read_records(shards / "whole")}
    assert joined.keys() == whole.keys()
    assert all(joined[name].verdict is whole[name].verdict for name in whole)
    summary = read_summary(tmp_path / "joined")
    for key in ("cases", "compared", "elements", "verdicts", "outcome", "profile", "target"):
        assert summary[key] == read_summary(shards / "whole")[key], key
    for name in ("junit.xml", "index.html"):
        assert (tmp_path / "joined" / name).stat().st_size > 100
    diff = command("report", tmp_path / "joined", "--diff", shards / "whole")
    assert diff.returncode == 0, diff.stdout


def test_the_order_does_not_matter(shards: Path) -> None:
    known = [
        merge_records(read_parts(shards / name for name in names))
        for names in itertools.permutations("123")
    ]
    assert all(one == known[0] for one in known)


def test_a_missing_shard_is_an_error(shards: Path, tmp_path: Path) -> None:
    done = command("merge", shards / "1", shards / "3", "-o", tmp_path / "joined")
    assert done.returncode == 2
    assert "shard 2/3 is missing" in done.stdout


def test_a_shard_that_was_killed(shards: Path, tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.mkdir()
    text = (shards / "2" / "results.jsonl").read_text()
    (part / "results.jsonl").write_text(text[: len(text) // 2])
    done = command("merge", shards / "1", shards / "3", part, "-o", tmp_path / "joined")
    assert done.returncode == 2
    assert f"UNFINISHED: {part}: " in done.stdout
    assert re.search(
        r"(\d+) of (\d+) planned cases have a record, and the run did not end", done.stdout
    )
    assert done.stdout.splitlines()[-1].startswith("UNFINISHED: ")
    diff = command("report", tmp_path / "joined", "--diff", shards / "whole")
    assert diff.returncode == 2, diff.stdout


def test_parts_of_different_runs(shards: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert command("run", *SELECTION, "--profile", "cts", "--report", other).returncode == 0
    done = command("merge", shards / "1", other, "-o", tmp_path / "joined")
    assert done.returncode == 2
    assert "parts of different runs: profile is 'cts' and 'standard'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_part_is_not_overwritten(shards: Path) -> None:
    before = (shards / "1" / "results.jsonl").read_bytes()
    done = command("merge", shards / "1", shards / "2", "-o", shards / "1")
    assert done.returncode == 2
    assert (shards / "1" / "results.jsonl").read_bytes() == before


def test_what_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(KitError, match="cannot be read"):
        read_parts([tmp_path])


class TestWorst:
    @pytest.fixture
    def record(self, shards: Path) -> Record:
        return next(r for r in read_records(shards / "whole") if r.verdict is Verdict.PASS)

    @pytest.fixture
    def join(self, record: Record) -> Callable[..., list[Verdict]]:
        def merged(*verdicts: Verdict) -> list[Verdict]:
            found = []
            for order in itertools.permutations(verdicts):
                parts = [
                    Part(Path(str(at)), [replace(record, verdict=verdict)], {})
                    for at, verdict in enumerate(order)
                ]
                found.append([one.verdict for one in merge_records(parts)])
            assert all(one == found[0] for one in found)
            return found[0]

        return merged

    def test_no_repetition_makes_a_pass(self, join: Callable[..., list[Verdict]]) -> None:
        for verdict in Verdict:
            if verdict.is_failure:
                assert join(Verdict.PASS, verdict, Verdict.INFRA) == [verdict]

    def test_infrastructure_gives_way(self, join: Callable[..., list[Verdict]]) -> None:
        for silent in (Verdict.INFRA, Verdict.NOT_RUN):
            assert join(silent, Verdict.PASS) == [Verdict.PASS]
            assert join(silent, Verdict.UNSUPPORTED) == [Verdict.UNSUPPORTED]
            assert join(silent, silent) == [silent]

    def test_less_is_worse(self, join: Callable[..., list[Verdict]]) -> None:
        assert join(Verdict.PASS, Verdict.UNSUPPORTED) == [Verdict.UNSUPPORTED]
        assert join(Verdict.PASS, Verdict.OBSERVED) == [Verdict.OBSERVED]
        assert join(Verdict.ORACLE_DISPUTE, Verdict.PASS) == [Verdict.ORACLE_DISPUTE]

    def test_two_devices_are_two(self, record: Record) -> None:
        parts = [
            Part(Path("a"), [replace(record, device="a")], {}),
            Part(Path("b"), [replace(record, device="b", verdict=Verdict.MISMATCH)], {}),
        ]
        assert [(r.device, r.verdict) for r in merge_records(parts)] == [
            ("a", Verdict.PASS), ("b", Verdict.MISMATCH),
        ]  # fmt: skip


def test_problems_of_a_part_stay(shards: Path) -> None:
    parts = read_parts(shards / name for name in "123")
    assert shard_problems(parts) == []
    broken = replace(parts[0], problems=("a waiver expired",))
    (problem,) = shard_problems([broken, *parts[1:]])
    assert problem.endswith(": a waiver expired")


def test_cuts_that_do_not_fit(shards: Path) -> None:
    parts = read_parts(shards / name for name in "12")
    assert parts[1].beginning is not None
    other = replace(parts[1], beginning=replace(parts[1].beginning, shard="2/4"))
    assert any("different cuts: of 3, 4" in line for line in shard_problems([parts[0], other]))
