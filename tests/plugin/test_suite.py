from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from nnapi_testkit.report.store import read_records

from .conftest import Pytest, outcome

WORDS = "wrong,crash,leak,stale,gone,unsupported,refuse"


def test_the_suite_judges_and_reports(run_pytest: Pytest, tmp_path: Path) -> None:
    done = run_pytest(
        "--nnapi-suite", "--nnapi-report", "out", "--junitxml", "j.xml", special=WORDS
    )
    assert done.returncode == 1
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
    assert done.returncode == 1
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
    assert done.returncode == 1
    assert "is unused" in done.stdout
    floor = {"executed": 31, "compared": 2, "operations": {}}
    (tmp_path / "floor.json").write_text(json.dumps({"devices": {"fake": floor}}))
    done = run_pytest("--nnapi-suite", "--nnapi-floor", "floor.json")
    assert done.returncode == 1
    assert "floor: 30 cases executed on fake, floor.json expects 31" in done.stdout


def test_nothing_judged_is_a_failure(run_pytest: Pytest) -> None:
    done = run_pytest("--nnapi-suite", special="unsupported", count=1)
    assert done.returncode == 1
    assert "nothing was judged" in done.stdout
    assert run_pytest("--nnapi-suite", "-k", "nothing_like_it").returncode != 0


def test_collecting_only_starts_no_driver(run_pytest: Pytest) -> None:
    done = run_pytest("--nnapi-suite", "--collect-only", "-q", "--nnapi-target", "moon")
    assert done.returncode == 0
    assert "nnapi::ADD[float32-plain-0]" in done.stdout
