from __future__ import annotations

import json
import os
import pty
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from nnapi_testkit.commands.run import folder_name
from nnapi_testkit.report.store import read_records

World = Callable[..., object]


@pytest.fixture
def kit(settings: World, environment, tmp_path: Path) -> Callable[..., object]:
    """Runs the command line in a folder of its own; returns the finished process."""

    def call(*words: str, **more: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            _command(*words),
            env=environment(),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            **more,  # type: ignore[call-overload]
        )

    return call


def _command(*words: str) -> list[str]:
    command = [sys.executable, "-m", "nnapi_testkit.cli", *words]
    return [*command, "--services", "session_fakes:services"] if words[0] == "run" else command


def test_a_run_writes_its_report(settings: World, kit, tmp_path: Path) -> None:
    settings("wrong", "unsupported", count=30)
    done = kit("run", "--report", "out")
    assert done.returncode == 1
    assert done.stderr == ""
    assert "FAIL: 1 MISMATCH, 28 PASS, 1 UNSUPPORTED" in done.stdout
    assert "ADD[float32-wrong-0]" in done.stdout
    assert "again: nnapi-testkit run 'ADD[float32-wrong-0]' --target host" in done.stdout
    assert "minimum tolerance that would pass: 1 absolute" in done.stdout
    assert "error 1, bound 1e-06" in done.stdout
    out = tmp_path / "out"
    assert {p.name for p in out.iterdir()} == {
        "results.jsonl",
        "summary.json",
        "junit.xml",
        "index.html",
        "repro",
    }
    assert len(list(read_records(out))) == 30
    summary = json.loads((out / "summary.json").read_text())
    assert summary["outcome"] == "fail"
    assert summary["exit_code"] == 1
    assert (summary["operations"], summary["cells"], summary["cases"]) == (3, 3, 30)
    assert summary["verdicts"]["PASS"] == 28
    assert set(summary["verdicts"]) > {"MISMATCH", "NOT_RUN", "WAIVED"}
    assert summary["worst_margins"][0]["id"] == "ADD[float32-wrong-0]"
    assert summary["devices"] == ["fake"]
    assert summary["device"]["feature_level"] == 1000008
    assert 0 < summary["seconds_to_first_verdict"] < 60
    assert {"nnapi-testkit", "python", "numpy"} <= set(summary["versions"])
    root = ElementTree.parse(out / "junit.xml").getroot()
    assert len(root.findall(".//testcase")) == 30
    assert len(root.findall(".//failure")) == 1


def test_the_exit_code_tells_pass_fail_and_error_apart(settings: World, kit) -> None:
    settings()
    assert kit("run").returncode == 0
    settings("crash")
    assert kit("run").returncode == 1
    settings("crash", "gone")
    assert kit("run").returncode == 2
    settings("unsupported", count=1)
    done = kit("run")
    assert done.returncode == 2
    assert "nothing was judged" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--target", "moon"], "target 'moon' is unknown"),
        (["ADDD"], "operation 'ADDD' is unknown"),
        (["--shard", "3/2"], "not of the form i/n"),
        (["-k", "and"], "-k 'and'"),
        (["--kind", "odd"], "kind 'odd' is unknown: there are "),
        (["--oracle", "silver"], "see nnapi-testkit run --help"),
        (["--colour"], "there is no option --colour"),
        (["--jobs", "0"], "use 1 or more"),
        (["--waivers", "none.toml"], "none.toml cannot be read"),
        (["--floor", "none.json"], "none.json cannot be read"),
        (["--floor", "none.json", "ADD"], "leave the selection out"),
        (["--report", "/proc/none"], "cannot be used"),
    ],
)
def test_trouble_is_one_line_that_says_what_to_do(
    settings: World, kit, words: list[str], message: str
) -> None:
    settings()
    done = kit("run", *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert re.match(r"nnapi-testkit( run)?: ", done.stderr)
    assert len(done.stderr.splitlines()) == 1


def test_failures_beyond_those_shown_are_counted(settings: World, kit) -> None:
    settings(*["wrong"] * 5)
    done = kit("run", "--show", "2")
    assert len(re.findall(r"^MISMATCH  ", done.stdout, re.MULTILINE)) == 2
    assert "... and 3 more that did not pass" in done.stdout


def test_what_is_wrong_with_the_run_is_said_once(settings: World, kit) -> None:
    settings(*["gone"] * 5, count=30)
    done = kit("run")
    assert done.returncode == 2
    assert len(re.findall(r"^(?:INFRA|NOT_RUN)  ", done.stdout, re.MULTILINE)) == 2
    assert "... and 28 more that did not pass" in done.stdout


def test_fail_fast_stops_with_the_exit_code_of_a_failure(settings: World, kit) -> None:
    settings("crash", "crash", count=600)
    done = kit("run", "-x", "--report", "out")
    assert done.returncode == 1, done.stdout
    assert "stopped after 1 failure: 5" in done.stdout and "problem" not in done.stdout
    text = kit("report", "out")
    assert "stopped after 1 failure" in text.stdout and "FAIL: 1 CRASH_RUNNER" in text.stdout
    diff = kit("report", "out", "--diff", "out")
    assert diff.returncode == 2 and "UNFINISHED: out: stopped after" in diff.stdout
    joined = kit("merge", "out", "-o", "joined")
    assert joined.returncode == 2 and "UNFINISHED" in joined.stdout
    settings("plain", count=30)
    assert kit("run", "-x").returncode == 0, "nothing failed"
    settings("gone", "plain", count=600)
    assert kit("run", "-x").returncode == 2, "an error is no failure of the driver"
    settings("crash", "crash", count=600)
    assert "stopped after 2 failures: " in kit("run", "-x", "2").stdout


def test_floors_and_waivers(settings: World, kit, tmp_path: Path) -> None:
    settings("wrong", count=30)
    assert kit("run", "--write-floor", "floor.json").returncode == 1
    waivers = tmp_path / "waivers.toml"
    waivers.write_text(
        '[[waiver]]\npattern = "ADD[float32-wrong-0]"\nreason = "bug 7"\nowner = "me"\n'
        "expires = 2999-01-01\n"
    )
    done = kit("run", "--floor", "floor.json", "--waivers", "waivers.toml")
    assert done.returncode == 0, done.stdout
    assert "1 WAIVED" in done.stdout
    settings("wrong", "unsupported", count=29)
    done = kit("run", "--floor", "floor.json", "--waivers", "waivers.toml")
    assert done.returncode == 2
    assert "problem: floor: 29 cases executed on fake, floor.json expects 30" in done.stdout
    settings(count=30)
    done = kit("run", "--waivers", "waivers.toml")
    assert done.returncode == 2
    assert "is unused" in done.stdout


def test_waivers_are_drafted_and_hold(settings: World, kit, tmp_path: Path) -> None:
    settings("wrong", "wrong", "crash", count=30)
    assert kit("run", "--write-waivers", "draft.toml").returncode == 1
    text = (tmp_path / "draft.toml").read_text()
    assert text.count("[[waiver]]") == 2 and "to be reviewed: 4 of 4 elements differ" in text
    done = kit("run", "--waivers", "draft.toml", "--report", "out")
    assert done.returncode == 0, done.stdout
    assert "PASS: 27 PASS, 3 WAIVED" in done.stdout
    assert "1 with waived failures" in done.stdout
    page = (tmp_path / "out" / "index.html").read_text()
    assert '<span class="pill waived" id="outcome">PASS, 3 WAIVED</span>' in page
    done = kit("run", "-o", "ADD", "--waivers", "draft.toml")
    assert done.returncode == 0, done.stdout
    settings(count=30)
    done = kit("run", "-o", "MUL", "--waivers", "draft.toml")
    assert done.returncode == 0, "nothing is known of another operation"


def test_jobs_give_the_same_report(settings: World, kit, tmp_path: Path) -> None:
    settings("wrong", "leak", "stale", count=120)
    assert kit("run", "--report", "one").returncode == 2
    assert kit("run", "--report", "two", "--jobs", "2").returncode == 2
    one, two = ({r.id: r for r in read_records(tmp_path / name)} for name in ("one", "two"))
    assert one == two
    assert kit("report", "two", "--diff", "one").returncode == 0


def test_a_report_is_rendered_again(settings: World, kit, tmp_path: Path) -> None:
    settings("wrong", count=6)
    kit("run", "--report", "out")
    before = (tmp_path / "out" / "junit.xml").read_text()
    (tmp_path / "out" / "junit.xml").unlink()
    assert kit("report", "out", "--format", "junit").stdout.strip() == "out/junit.xml"
    assert (tmp_path / "out" / "junit.xml").read_text() == before
    assert kit("report", "out", "--format", "html", "-o", "page.html").returncode == 0
    assert "<title>" in (tmp_path / "page.html").read_text()
    text = kit("report", "out").stdout
    assert "FAIL: 1 MISMATCH, 5 PASS" in text
    assert "again: " in text
    assert "no record" in kit("report", "/dev/null").stderr
    assert "name a folder that run --report wrote" in kit("report", "nowhere").stderr


def test_two_reports_are_compared(settings: World, kit) -> None:
    settings("wrong", "plain", count=6)
    kit("run", "--report", "old")
    settings("plain", "wrong", count=5)
    kit("run", "--report", "new")
    done = kit("report", "new", "--diff", "old")
    assert done.returncode == 1
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert any(line.startswith("MISMATCH ADD[float32-wrong-0]") for line in lines), done.stdout
    assert lines[-1].startswith("0 newly failing, 0 fixed, 3 vanished, 2 new"), done.stdout


def test_a_reader_that_leaves_is_no_traceback(settings: World, environment, tmp_path) -> None:
    settings(*["wrong"] * 300, count=300)
    process = subprocess.Popen(
        _command("run", "--show", "300"),
        env=environment(), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait(30) == 2
    assert errors == b""


def test_an_interrupted_run_leaves_whole_lines_and_says_so(
    settings: World, environment, tmp_path: Path
) -> None:
    settings(count=60_000)
    process = subprocess.Popen(
        _command("run", "--report", "out", "--jobs", "2"),
        env=environment(), cwd=tmp_path, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    results = tmp_path / "out" / "results.jsonl"
    until = time.monotonic() + 30
    while time.monotonic() < until and not (
        results.exists() and results.read_text().count("\n") > 1
    ):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2, output
    assert "the run was interrupted" in output
    assert "Traceback" not in output
    assert results.read_text().endswith("}\n")
    assert sum(1 for _ in read_records(tmp_path / "out")) > 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["outcome"] == "error"


def test_a_full_disk_is_one_line_and_leaves_whole_lines(
    settings: World, environment, tmp_path: Path
) -> None:
    settings(count=3000)
    limit = 100_000

    def full() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run(
        _command("run", "--report", "out"),
        env=environment(), cwd=tmp_path, preexec_fn=full, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "results.jsonl cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    out = tmp_path / "out"
    assert 0 < (out / "results.jsonl").stat().st_size <= limit
    assert (out / "results.jsonl").read_text().endswith("}\n")
    assert [path.name for path in out.iterdir()] == ["results.jsonl"]


def test_a_terminal_gets_a_progress_bar(settings: World, environment, tmp_path: Path) -> None:
    settings("wrong", count=2000)
    parent, child = pty.openpty()
    process = subprocess.Popen(
        _command("run"), env={**environment(), "TERM": "xterm"}, cwd=tmp_path, stdout=child,
        stderr=child,
    )  # fmt: skip
    os.close(child)
    seen = b""
    while True:
        try:
            chunk = os.read(parent, 65536)
        except OSError:
            break
        if not chunk:
            break
        seen += chunk
    os.close(parent)
    assert process.wait(30) == 1
    text = seen.decode()
    assert "/2000" in text
    assert "MISMATCH  ADD[float32-wrong-0]" in text
    assert "\x1b[1;31mFAIL: 1 MISMATCH" in text


def test_a_folder_for_each_device_and_inside() -> None:
    names = [
        "..", ".", "", "...", "a/b", "a?b", "a_b", "a%2Fb", "a\\b", "/etc", "../x", "npu", "NPU",
        "n u", "n\nu", "\udc80", "\u00e9", "-x", "x" * 300, "x" * 301, "%2E%2E", "a" * 119 + "/",
        "a" * 121,
    ]  # fmt: skip
    folders = [folder_name(name) for name in names]
    assert len(set(folders)) == len(names)
    for name in folders:
        assert name and "/" not in name and name.strip(".") == name, name
        assert len(name.encode()) < 255
    assert folder_name("vendor-npu_1.0") == "vendor-npu_1.0"


def test_a_keyword_says_how_far_it_went(settings: World, kit) -> None:
    settings(count=30)
    done = kit("run", "-k", "ADD")
    assert "note: -k 'ADD' took 10 cases of 1 operation\n" in done.stdout
    assert "PARTIAL: 10 of 30 cases were selected (33 %): -k ADD" in done.stdout
    done = kit("run", "-k", "plain")
    assert "took 30 cases of 3 operations (-o NAME takes one operation)" in done.stdout
    assert "PARTIAL" not in done.stdout, "all of them"
    assert "of 1 selected cells" in kit("run", "-o", "ADD").stdout
    assert "PARTIAL: 15 of 30" in kit("run", "--shard", "1/2").stdout
    assert "PARTIAL" not in kit("run").stdout


def test_another_report_is_replaced_only_if_that_is_asked(settings: World, kit) -> None:
    settings(count=30)
    assert kit("run", "--report", "out").returncode == 0
    assert kit("run", "--report", "out", "--profile", "strict").returncode == 0
    done = kit("run", "--report", "out", "-o", "ADD")
    assert done.returncode == 2
    assert "holds another report (every case, target host): choose another folder" in done.stderr
    assert "30 PASS" in kit("report", "out").stdout
    assert kit("run", "--report", "out", "-o", "ADD", "--overwrite").returncode == 0
    assert "10 PASS" in kit("report", "out").stdout


def test_help_and_version(kit) -> None:
    assert "exit codes: 0 every promise was kept" in kit("--help").stdout
    assert kit("--version").stdout.startswith("nnapi-testkit ")
    assert "--services" not in kit("run", "--help").stdout.replace("--services session", "")
    assert kit("fly").returncode == 2
