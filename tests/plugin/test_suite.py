from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.report.accounts import read_accounts
from nnapi_testkit.report.store import read_records

from .conftest import Pytest, outcome

WORDS = "wrong,crash,leak,stale,gone,unsupported,refuse"


def test_the_suite_judges_and_reports(run_pytest: Pytest, tmp_path: Path) -> None:
    done = run_pytest(
        "--nnapi-suite", "--nnapi-report", "out", "--junitxml", "j.xml", special=WORDS
    )
    assert done.returncode == 2
    assert outcome(done) == {"failed": 3, "passed": 24, "skipped": 1, "error": 2}
    assert "FAILED nnapi::ADD[float32-wrong-0]" in done.stdout
    assert "ERROR nnapi::ADD[float32-gone-4]" in done.stdout
    assert "ORDER-DEPENDENT (alone: PASS)" in done.stdout
    assert "again: nnapi-testkit run 'ADD[float32-wrong-0]' --target host" in done.stdout
    assert "2 MISMATCH, 1 CRASH_RUNNER, 1 ORACLE_DISPUTE, 1 INFRA, 24 PASS" in done.stdout
    assert len(list(read_records(tmp_path / "out"))) == 30
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["exit_code"] == 2
    cases = ElementTree.parse(tmp_path / "j.xml").getroot().findall(".//testcase")
    assert len(cases) == 30
    assert {case.get("name") for case in cases} >= {
        "ADD[float32-wrong-0]",
        "RELU[float32-plain-29]",
    }
    assert sum(len(case.findall("failure")) for case in cases) == 3


def test_a_report_that_cannot_be_finished_hides_nothing(run_pytest: Pytest, tmp_path: Path) -> None:
    """Something takes the place of the page while the suite runs."""
    (tmp_path / "test_mine.py").write_text(
        "from pathlib import Path\n"
        "def test_mine():\n"
        "    Path('out/index.html').mkdir(parents=True)\n"
    )
    done = run_pytest(
        "--nnapi-suite", "test_mine.py", "--nnapi-report", "out", special="wrong,plain"
    )
    assert done.returncode == 2
    assert "1 MISMATCH, 29 PASS" in done.stdout
    assert "again: nnapi-testkit run 'ADD[float32-wrong-0]'" in done.stdout
    assert "problem: out/index.html cannot be written" in done.stdout


def test_a_clean_suite_passes(run_pytest: Pytest) -> None:
    done = run_pytest("--nnapi-suite", "--nnapi-matrix")
    assert done.returncode == 0
    assert outcome(done) == {"passed": 30}
    assert "collected 30 items" in done.stdout
    assert "PASS: 30 PASS" in done.stdout
    assert "worst margin" in done.stdout


def test_keyword_id_operation_and_shard_select(run_pytest: Pytest) -> None:
    assert outcome(run_pytest("--nnapi-suite", "-k", "ADD and not plain-3")) == {
        "passed": 9, "deselected": 21
    }  # fmt: skip
    assert outcome(run_pytest("nnapi::ADD[float32-plain-3]")) == {"passed": 1}
    assert outcome(run_pytest("nnapi::RELU", "nnapi::MUL")) == {"passed": 20}
    assert outcome(run_pytest("--nnapi-suite", "--nnapi-operation", "MUL")) == {"passed": 10}
    assert outcome(run_pytest("--nnapi-suite", "--nnapi-shard", "1/4")) == {"passed": 8}
    assert outcome(run_pytest("--nnapi-suite", "--nnapi-level", "1")) == {"passed": 10}


def test_a_refusal_that_is_chosen_brings_its_neighbour(run_pytest: Pytest) -> None:
    done = run_pytest("--nnapi-suite", "-v", "-k", "beside", special="plain,refuse_beside")
    assert "nnapi::ADD[float32-refuse_beside-1] PASSED" in done.stdout
    assert "nnapi::RELU[float32-plain-29] PASSED" in done.stdout
    assert outcome(done)["passed"] == 2
    # What is left out otherwise stays left out.
    done = run_pytest("nnapi::ADD[float32-plain-0]", "-k", "ADD", special="plain,refuse_beside")
    assert outcome(done) == {"passed": 1}


def test_last_failed(run_pytest: Pytest) -> None:
    run_pytest("--nnapi-suite", "--cache", special="wrong,plain,crash")
    done = run_pytest("--nnapi-suite", "--lf", special="wrong,plain,crash")
    assert outcome(done) == {"failed": 2, "deselected": 28}


def test_other_tests_run_beside_it_only_if_they_are_named(
    run_pytest: Pytest, tmp_path: Path
) -> None:
    (tmp_path / "test_mine.py").write_text(
        "import pytest\n@pytest.fixture(scope='module')\ndef f():\n    yield 1\n"
        "def test_mine(f):\n    assert f\n"
    )
    assert outcome(run_pytest()) == {"passed": 1}
    assert outcome(run_pytest("--nnapi-suite")) == {"passed": 30}
    assert outcome(run_pytest("--nnapi-suite", "test_mine.py")) == {"passed": 31}


def test_first_failure_stops(run_pytest: Pytest) -> None:
    done = run_pytest("--nnapi-suite", "-x", special=",,wrong", count=2000)
    assert outcome(done)["failed"] == 1
    assert done.returncode == 1


@pytest.mark.parametrize("words", [["--nnapi-jobs", "2"], ["-n", "2"]])
def test_several_processes_give_the_same_verdicts(
    run_pytest: Pytest, tmp_path: Path, words: list[str]
) -> None:
    special = WORDS + ",badmake,badoracle"
    run_pytest("--nnapi-suite", "--nnapi-report", "one", special=special, count=90)
    done = run_pytest("--nnapi-suite", "--nnapi-report", "many", *words, special=special, count=90)
    assert done.returncode == 2, "errors weigh more than failures"
    one, many = ({r.id: r for r in read_records(tmp_path / name)} for name in ("one", "many"))
    assert many == one
    assert len(one) == 90


def test_workers_get_whole_blocks(run_pytest: Pytest, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "import pytest\n"
        "def pytest_runtest_logreport(report):\n"
        "    node = getattr(report, 'node', None)\n"
        "    if node is not None:\n"
        "        with open('who.txt', 'a') as f:\n"
        "            print(node.gateway.id, report.nodeid, file=f)\n"
    )
    done = run_pytest("--nnapi-suite", "-n", "2", count=200)
    assert outcome(done) == {"passed": 200}
    who = dict(reversed(line.split()) for line in (tmp_path / "who.txt").read_text().splitlines())
    ids = sorted(who, key=lambda name: int(name.rstrip("]").rpartition("-")[2]))
    # Blocks are 25 for each worker and then at least 25 (see `block_sizes`).
    assert len({who[name] for name in ids[:25]}) == 1
    assert len({who[name] for name in ids[25:50]}) == 1
    assert len(set(who.values())) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--nnapi-target", "moon"], "target 'moon' is unknown"),
        (["--nnapi-operation", "ADDD"], "operation 'ADDD' is unknown"),
        (["--nnapi-shard", "0/2"], "not of the form i/n"),
        (["--nnapi-waivers", "none.toml"], "cannot be read"),
        (["-n", "2", "--nnapi-jobs", "2"], "not both"),
    ],
)
def test_trouble_is_one_line(run_pytest: Pytest, words: list[str], message: str) -> None:
    done = run_pytest("--nnapi-suite", *words)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_waivers_and_floors(run_pytest: Pytest, tmp_path: Path) -> None:
    (tmp_path / "waivers.toml").write_text(
        '[[waiver]]\npattern = "ADD[float32-wrong-0]"\nreason = "bug 7"\nowner = "me"\n'
        "expires = 2999-01-01\n"
    )
    done = run_pytest("--nnapi-suite", "--nnapi-waivers", "waivers.toml", special="wrong")
    assert done.returncode == 0
    assert outcome(done) == {"passed": 29, "xfailed": 1}
    done = run_pytest("--nnapi-suite", "--nnapi-waivers", "waivers.toml")
    assert done.returncode == 2
    assert "is unused" in done.stdout
    floor = {"executed": 31, "compared": 2, "operations": {}}
    (tmp_path / "floor.json").write_text(json.dumps({"devices": {"fake": floor}}))
    done = run_pytest("--nnapi-suite", "--nnapi-floor", "floor.json")
    assert done.returncode == 2
    assert "floor: 30 cases executed on fake, floor.json expects 31" in done.stdout


def test_nothing_judged_is_a_failure(run_pytest: Pytest) -> None:
    done = run_pytest("--nnapi-suite", special="unsupported", count=1)
    assert done.returncode == 2
    assert "nothing was judged" in done.stdout
    assert run_pytest("--nnapi-suite", "-k", "nothing_like_it").returncode != 0


def test_collecting_only_starts_no_driver(run_pytest: Pytest) -> None:
    done = run_pytest("--nnapi-suite", "--collect-only", "-q", "--nnapi-target", "moon")
    assert done.returncode == 0
    assert "nnapi::ADD[float32-plain-0]" in done.stdout


def _begun(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    lines = (folder / "results.jsonl").read_text().splitlines()
    return json.loads(lines[0])["run"], json.loads(lines[-1])["end"]


@pytest.mark.parametrize("words", [[], ["-n", "2"]])
def test_the_books_say_what_was_planned(
    run_pytest: Pytest, tmp_path: Path, words: list[str]
) -> None:
    done = run_pytest("--nnapi-suite", "--nnapi-report", "out", "-k", "ADD", *words)
    assert done.returncode == 0
    begun, end = _begun(tmp_path / "out")
    assert (begun["planned"], begun["selection"]) == (10, "-k ADD")
    assert (end["how"], end["cases"], end["exit_code"], end["suite"]) == ("finished", 10, 0, 30)
    assert "PARTIAL: 10 of 30 cases were selected (33 %): -k ADD" in done.stdout
    assert "note: -k 'ADD' took 10 cases of 1 operation" in done.stdout
    other = run_pytest("--nnapi-suite", "--nnapi-report", "out", *words)
    assert other.returncode == pytest.ExitCode.USAGE_ERROR
    said = other.stdout + other.stderr
    assert "holds another report (-k ADD, target host)" in said and "Traceback" not in said
    assert _begun(tmp_path / "out")[1] == end
    again = run_pytest("--nnapi-suite", "--nnapi-report", "out", "--nnapi-overwrite", *words)
    assert again.returncode == 0
    assert _begun(tmp_path / "out")[0]["planned"] == 30


def test_a_suite_that_stops_says_so(run_pytest: Pytest, tmp_path: Path) -> None:
    done = run_pytest("--nnapi-suite", "-x", "--nnapi-report", "out", special=",,wrong", count=900)
    assert done.returncode == 1
    assert "stopped after 1 failure: 899 of 900 cases were not run" in done.stdout
    assert _begun(tmp_path / "out")[1]["how"] == "stopped"


def test_waivers_are_drafted(run_pytest: Pytest, tmp_path: Path) -> None:
    run_pytest("--nnapi-suite", "--nnapi-write-waivers", "w.toml", special="wrong,crash")
    assert (tmp_path / "w.toml").read_text().count("[[waiver]]") == 2
    done = run_pytest("--nnapi-suite", "--nnapi-waivers", "w.toml", special="wrong,crash")
    assert done.returncode == 0
    assert "PASS: 28 PASS, 2 WAIVED" in done.stdout


def test_what_a_keyword_leaves_out_is_no_item(run_pytest: Pytest, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "def pytest_itemcollected(item):\n"
        "    with open('made.txt', 'a') as f:\n"
        "        print(item.nodeid, file=f)\n"
    )
    done = run_pytest("--nnapi-suite", "-k", "MUL and not plain-11")
    assert outcome(done) == {"passed": 9, "deselected": 21}
    assert len((tmp_path / "made.txt").read_text().splitlines()) == 9
    assert outcome(run_pytest("--nnapi-suite", "-k", "nnapi and MUL"))["passed"] == 10
    assert run_pytest("--nnapi-suite", "-k", "MUL and (").returncode != 0


def test_a_run_is_continued_and_retried(run_pytest: Pytest, tmp_path: Path) -> None:
    """Every case is reported, and no case that has a record runs again."""
    suite = ["-q", "--nnapi-suite"]
    first = run_pytest(*suite, "--nnapi-report", "out", special="wrong,sick")
    assert first.returncode == 1 and outcome(first) == {"failed": 2, "passed": 28}, first.stdout
    results = tmp_path / "out" / "results.jsonl"
    lines = results.read_text().splitlines(keepends=True)
    results.write_text("".join(lines[:9]))
    mended = {"FAKE_MENDED": "1"}
    done = run_pytest(*suite, "--nnapi-resume", "out", special="wrong,sick", **mended)
    assert done.returncode == 1, done.stdout
    assert "note: 8 of 30 cases have a record in out, 22 run" in done.stdout
    assert outcome(done) == {"failed": 2, "passed": 28}, "a word is a word"
    accounts = read_accounts(tmp_path / "out")
    assert len(accounts.records) == 30 and not accounts.partial
    done = run_pytest(*suite, "--nnapi-retry", "out", special="wrong,sick", **mended)
    assert done.returncode == 1 and outcome(done) == {"failed": 1, "passed": 29}, done.stdout
    accounts = read_accounts(tmp_path / "out")
    assert len(accounts.records) == 30 and not accounts.partial
    again = {record.id: record.verdict for record in accounts.records if record.earlier}
    assert again == {
        "ADD[float32-wrong-0]": Verdict.MISMATCH,
        "ADD[float32-sick-1]": Verdict.PASS,
    }
    assert "RETRIED: 2 cases that had failed, 1 of them did not fail again" in done.stdout
    # A run with -n deals cases out to processes that know nothing of the report.
    done = run_pytest(*suite, "--nnapi-resume", "out", "-n", "2", special="wrong,sick", **mended)
    assert done.returncode == 4 and "use --nnapi-jobs N" in done.stdout + done.stderr
    done = run_pytest(*suite, "--nnapi-resume", "none", special="wrong,sick")
    assert done.returncode == 4 and "none holds no results.jsonl" in done.stdout + done.stderr
