"""The CI files that users copy: their shape, and their scripts against the bundled driver."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from nnapi_testkit.targets.docker import read_profiles

ROOT = Path(__file__).resolve().parents[2]
GITHUB = ROOT / "ci" / "github" / "nnapi-conformance.yml"
GITLAB = ROOT / "ci" / "gitlab" / "nnapi-conformance.yml"
Judge = Callable[..., subprocess.CompletedProcess[str]]


def github_job() -> dict[str, Any]:
    job: dict[str, Any] = yaml.safe_load(GITHUB.read_text())["jobs"]["judge"]
    return job


def gitlab_job() -> dict[str, Any]:
    job: dict[str, Any] = yaml.safe_load(GITLAB.read_text())["nnapi-conformance"]
    return job


def github_step(name: str) -> str:
    (step,) = (s for s in github_job()["steps"] if s.get("name") == name)
    return str(step["run"])


def test_every_api_level_once() -> None:
    ours = [p.name for p in read_profiles().values() if p.kind == "ours"]
    assert github_job()["strategy"]["matrix"]["profile"] == ours
    assert gitlab_job()["parallel"]["matrix"] == [{"PROFILE": ours}]


def test_the_report_is_kept() -> None:
    upload = github_job()["steps"][-1]
    assert upload["if"] == "always()" and upload["with"]["path"] == "report/"
    artifacts = gitlab_job()["artifacts"]
    assert artifacts["when"] == "always" and artifacts["paths"] == ["report/"]
    assert artifacts["reports"]["junit"] == "report/junit.xml"


def test_the_kvm_rule_is_the_doctors() -> None:
    from nnapi_testkit.targets.docker.doctor import KVM_RULE

    rule = KVM_RULE.split("'")[1]
    assert rule in github_step("Let everyone use KVM")


@pytest.fixture(params=["github", "gitlab"])
def judge(request: pytest.FixtureRequest, tmp_path: Path) -> Judge:
    """Runs the step that judges, as the service's shell would (bash -eo pipefail)."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "nnapi-testkit"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m nnapi_testkit.cli "$@"\n')
    command.chmod(0o755)
    if request.param == "github":
        script = github_step("Judge the driver")
    else:
        script = "\n".join(gitlab_job()["script"])

    def run(**variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script],
            capture_output=True, text=True, check=False, cwd=tmp_path,
            env={
                **os.environ,
                "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
                "PYTHONPATH": str(ROOT),
                "TARGET": "host",
                "BASELINE": "baseline",
                "ARGUMENTS": "FLOOR",
                **variables,
            },
        )  # fmt: skip

    return run


def test_a_good_driver(judge: Judge, tmp_path: Path) -> None:
    done = judge()
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.copytree(tmp_path / "report", tmp_path / "baseline")
    done = judge()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 newly failing" in done.stdout


def test_less_than_the_baseline_fails(judge: Judge, tmp_path: Path) -> None:
    assert judge().returncode == 0
    (tmp_path / "report").rename(tmp_path / "baseline")
    records = (tmp_path / "baseline" / "results.jsonl").read_text().splitlines()
    extra = next(json.loads(line) for line in records if '"verdict"' in line)
    extra["id"] = "FLOOR[no-longer-asked]"
    with (tmp_path / "baseline" / "results.jsonl").open("a") as file:
        file.write(json.dumps(extra) + "\n")
    done = judge()
    assert done.returncode == 1
    assert "1 vanished" in done.stdout


def test_nothing_judged_is_an_error(judge: Judge) -> None:
    done = judge(TARGET="lib:/nowhere/libneuralnetworks.so")
    assert done.returncode == 2
    assert "there is no library" in done.stderr


def test_the_summary(judge: Judge, tmp_path: Path) -> None:
    judge()
    script = github_step("Summary").replace("${{ matrix.profile }}", "emu34")
    summary = tmp_path / "summary.md"
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script], check=False, cwd=tmp_path,
        env={**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
             "PYTHONPATH": str(ROOT), "GITHUB_STEP_SUMMARY": str(summary)},
    )  # fmt: skip
    assert done.returncode == 0
    assert "### emu34" in summary.read_text() and "PASS" in summary.read_text()
