"""`run --resume` and `--retry`: a run is continued, and its report is that of a whole run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.report.accounts import Accounts, read_accounts
from nnapi_testkit.session.record import decode_line, encode

World = Callable[..., object]
Kit = Callable[..., "subprocess.CompletedProcess[str]"]
FILES = {"results.jsonl", "summary.json", "junit.xml", "index.html"}
SERVICES = ["--services", "session_fakes:services"]


@pytest.fixture
def kit(environment, tmp_path: Path) -> Kit:
    """`nnapi-testkit` in the world of the fakes; returns the finished process."""

    def call(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*_command(*words)],
            env={**environment(), **more},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return call


def _command(*words: str) -> list[str]:
    services = SERVICES if words[0] == "run" else []
    return [sys.executable, "-m", "nnapi_testkit.cli", *words, *services]


def _by_id(accounts: Accounts) -> dict[str, Record]:
    return {record.id: replace(record, nanoseconds=0) for record in accounts.records}


def _cut(out: Path, lines: int, torn: str = "") -> None:
    """Leave what a run leaves that is killed: some whole lines, perhaps a part of the next."""
    kept = (out / "results.jsonl").read_text().splitlines(keepends=True)[:lines]
    (out / "results.jsonl").write_text("".join(kept) + torn)
    for name in FILES - {"results.jsonl"}:
        (out / name).unlink()


@pytest.mark.parametrize(
    ("lines", "torn"), [(1, ""), (2, '{"id": "AD'), (17, ""), (41, "")], ids=str
)
def test_a_killed_run_is_continued(
    settings: World, kit: Kit, tmp_path: Path, lines: int, torn: str
) -> None:
    settings("wrong", "refuse", "unsupported", count=40)
    out = tmp_path / "out"
    assert kit("run", "--report", "out").returncode == 1
    whole = read_accounts(out)
    junit = len(ElementTree.parse(out / "junit.xml").getroot().findall(".//testcase"))
    _cut(out, lines, torn)
    assert kit("report", "out").returncode == 2
    done = kit("run", "--resume", "out")
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"note: {lines - 1} of 40 cases have a record in out, {41 - lines} run" in done.stdout
    assert "FAIL: 1 MISMATCH, 38 PASS, 1 UNSUPPORTED" in done.stdout
    accounts = read_accounts(out)
    assert not accounts.partial and _by_id(accounts) == _by_id(whole)
    assert {path.name for path in out.iterdir()} == {*FILES, "repro"}
    assert len(ElementTree.parse(out / "junit.xml").getroot().findall(".//testcase")) == junit
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["cases"], summary["kept"], summary["outcome"]) == (40, lines - 1, "fail")
    assert summary["retried"] == {} and "RETRIED" not in done.stdout
    assert accounts.beginning and len(accounts.beginning.resumed) == 1
    assert kit("report", "out").returncode == 0
    again = kit("run", "--resume", "out")  # nothing is left, and the word is the same
    assert again.returncode == 1 and "40 of 40 cases have a record" in again.stdout
    assert _by_id(read_accounts(out)) == _by_id(whole)


def test_a_real_kill(settings: World, kit: Kit, environment, tmp_path: Path) -> None:
    settings(count=20_000)
    first = subprocess.Popen(
        _command("run", "--report", "out"),
        env=environment(),
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    results = tmp_path / "out" / "results.jsonl"
    until = time.monotonic() + 30
    while not (results.exists() and results.stat().st_size > 20_000):
        assert time.monotonic() < until and first.poll() is None
        time.sleep(0.01)
    busy = kit("run", "--resume", "out")
    assert busy.returncode == 2 and "being written by another run" in busy.stderr
    first.kill()
    first.wait()
    left = len(read_accounts(tmp_path / "out").records)
    assert 0 < left < 20_000
    done = kit("run", "--resume", "out")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS: 20000 PASS" in done.stdout
    assert f"note: {left} of 20000 cases have a record" in done.stdout


def test_what_a_lost_device_left_is_run(settings: World, kit: Kit, tmp_path: Path) -> None:
    settings("plain", "away", "away", "away", "sick", count=12)
    done = kit("run", "--report", "out")
    assert done.returncode == 2 and "NOT_RUN" in done.stdout
    done = kit("run", "--resume", "out", FAKE_MENDED="1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS: 12 PASS" in done.stdout
    assert "RETRIED" not in done.stdout, "INFRA and NOT_RUN said nothing of the driver"


def test_failures_are_retried_and_show_that_they_failed(
    settings: World, kit: Kit, tmp_path: Path
) -> None:
    settings("sick", "wrong", "plain", "sick", count=30)
    assert kit("run", "--report", "out").returncode == 1
    assert kit("run", "--resume", "out", FAKE_MENDED="1").returncode == 1, "a word is a word"
    done = kit("run", "--retry", "out", FAKE_MENDED="1")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "note: 27 of 30 cases have a record in out, 3 run" in done.stdout
    assert "RETRIED: 3 cases that had failed, 2 of them did not fail again: " in done.stdout
    assert "before it was run again: MISMATCH" in done.stdout
    records = _by_id(read_accounts(tmp_path / "out"))
    assert len(records) == 30
    told = {name: (record.verdict, record.earlier) for name, record in records.items()}
    assert told["ADD[float32-sick-0]"] == (Verdict.PASS, Verdict.MISMATCH)
    assert told["ADD[float32-wrong-1]"] == (Verdict.MISMATCH, Verdict.MISMATCH)
    assert told["ADD[float32-plain-2]"] == (Verdict.PASS, None)
    assert json.loads((tmp_path / "out/summary.json").read_text())["retried"] == {
        "cases": 3,
        "mended": 2,
    }
    # What failed once is known through further retries, and through a kill of one.
    _cut(tmp_path / "out", 4)
    assert kit("run", "--retry", "out").returncode == 1
    records = _by_id(read_accounts(tmp_path / "out"))
    assert records["ADD[float32-sick-0]"].earlier is Verdict.MISMATCH
    # Joined with a report of the failure, the failure stays.
    text = kit("report", "out").stdout
    assert "RETRIED: 3 cases" in text


def test_a_path_is_compared_with_its_others_again(
    settings: World, kit: Kit, tmp_path: Path
) -> None:
    settings("path", "path", "plain", "path", count=12)
    assert kit("run", "--report", "out").returncode == 0
    _cut(tmp_path / "out", 3)
    done = kit("run", "--resume", "out")
    assert "note: 0 of 12 cases have a record in out, 12 run" in done.stdout
    assert done.returncode == 0 and len(read_accounts(tmp_path / "out").records) == 12


def test_waivers_of_now_decide(settings: World, kit: Kit, tmp_path: Path) -> None:
    settings("wrong", "wrong", count=30)
    text = (
        '[[waiver]]\npattern = "ADD[float32-wrong-*]"\nreason = "bug 7 (old): see there"\n'
        'owner = "me"\nexpires = 2999-01-01\n'
    )
    (tmp_path / "waivers.toml").write_text(text)
    assert kit("run", "--report", "out", "--waivers", "waivers.toml").returncode == 0
    _cut(tmp_path / "out", 8)
    done = kit("run", "--resume", "out", "--waivers", "waivers.toml")
    assert done.returncode == 0 and "PASS: 28 PASS, 2 WAIVED" in done.stdout, done.stdout
    done = kit("run", "--resume", "out")
    assert done.returncode == 1 and "FAIL: 2 MISMATCH" in done.stdout
    message = _by_id(read_accounts(tmp_path / "out"))["ADD[float32-wrong-0]"].message
    assert "4 of 4 elements differ" in message and "waived" not in message


def test_floors_hold_the_whole(settings: World, kit: Kit, tmp_path: Path) -> None:
    settings(count=30)
    assert kit("run", "--write-floor", "floor.json", "--report", "out").returncode == 0
    _cut(tmp_path / "out", 20)
    done = kit("run", "--resume", "out", "--floor", "floor.json")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("words", "world", "message"),
    [
        (["ADD"], {}, "the selection was none and is 'ADD'"),
        (["--shard", "1/2"], {}, "--shard was none and is '1/2'"),
        (["--seed", "3"], {}, "--seed was 0 and is 3"),
        (["--profile", "strict"], {}, "--profile was 'standard' and is 'strict'"),
        (["--oracle", "golden"], {}, "--oracle was 'live' and is 'golden'"),
        (["--judge", "platform"], {}, "--judge was none and is 'platform'"),
        ([], {"FAKE_VERSION": "2.0"}, "the device was '1.0, 1000008' and is '2.0, 1000008'"),
        ([], {"FAKE_CASES": "13"}, "the number of planned cases was 12 and is 13"),
        ([], {"FAKE_SPECIAL": "other"}, "it has ADD[float32-plain-0], which is not among"),
        (["--report", "out"], {}, "leave out --report"),
        (["--overwrite"], {}, "leave out --report and --overwrite"),
        (["--retry", "out"], {}, "use one of them"),
    ],
    ids=str,
)
def test_another_run_is_not_continued(
    settings: World,
    kit: Kit,
    tmp_path: Path,
    words: list[str],
    world: dict[str, str],
    message: str,
) -> None:
    settings(count=12)
    assert kit("run", "--report", "out").returncode == 0
    _cut(tmp_path / "out", 5)
    before = (tmp_path / "out" / "results.jsonl").read_bytes()
    done = kit("run", "--resume", "out", *words, **world)
    assert done.returncode == 2
    assert message in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
    assert (tmp_path / "out" / "results.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "holds no results.jsonl"),
        ("", "and no first line that says how many were planned: run it anew"),
        ("what\n", "results.jsonl line 1: "),
    ],
    ids=["absent", "empty", "other"],
)
def test_a_folder_without_a_report(
    settings: World, kit: Kit, tmp_path: Path, text: str | None, message: str
) -> None:
    settings(count=12)
    out = tmp_path / "out"
    if text is not None:
        out.mkdir()
        (out / "results.jsonl").write_text(text)
    done = kit("run", "--retry", "out")
    assert done.returncode == 2 and message in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert out.exists() == (text is not None)


def test_the_first_line_keeps_what_failed(tmp_path: Path) -> None:
    from nnapi_testkit.session.record import Beginning

    line = Beginning(3, resumed=("a", "b"), retried={"ADD[x]": Verdict.TIMEOUT})
    assert decode_line(encode(line)) == line
    assert os.linesep not in encode(line)
