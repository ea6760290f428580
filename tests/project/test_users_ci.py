"""The CI files that users copy: their shape, and their scripts against the bundled driver."""

from __future__ import annotations

import json
import os
import re
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
GITHUB = ROOT / "examples" / "ci" / "github" / "nnapi-conformance.yml"
GITLAB = ROOT / "examples" / "ci" / "gitlab" / "nnapi-conformance.yml"
Judge = Callable[..., subprocess.CompletedProcess[str]]


def github_job(name: str = "judge") -> dict[str, Any]:
    job: dict[str, Any] = yaml.safe_load(GITHUB.read_text())["jobs"][name]
    return job


def gitlab_job() -> dict[str, Any]:
    job: dict[str, Any] = yaml.safe_load(GITLAB.read_text())["nnapi-conformance"]
    return job


def github_step(name: str, job: str = "judge") -> str:
    (step,) = (s for s in github_job(job)["steps"] if s.get("name") == name)
    return str(step["run"])


def github_script() -> str:
    """Both jobs one after the other, as the artifacts between them would join them."""
    judge = github_step("Judge the driver")
    parts = [
        f"(SHARD={shard}; {judge}) || exit $?\nmkdir -p shards; rm -rf shards/{shard};"
        f" mv report shards/{shard}"
        for shard in github_job()["strategy"]["matrix"]["shard"]
    ]
    fresh = "rm -rf report shards"  # each job has a machine of its own
    return "\n".join([fresh, *parts, github_step("Join the parts and decide", "decide")])


def test_every_api_level_once() -> None:
    ours = [p.name for p in read_profiles().values() if p.kind == "ours"]
    assert github_job()["strategy"]["matrix"]["profile"] == ours
    assert github_job("decide")["strategy"]["matrix"]["profile"] == ours
    shards = yaml.safe_load(GITHUB.read_text())["env"]["SHARDS"]
    assert github_job()["strategy"]["matrix"]["shard"] == list(range(1, shards + 1))
    assert gitlab_job()["parallel"]["matrix"] == [{"PROFILE": ours}]


def test_the_report_is_kept() -> None:
    upload = github_job("decide")["steps"][-1]
    assert upload["if"] == "always()" and upload["with"]["path"] == "report/"
    artifacts = gitlab_job()["artifacts"]
    assert artifacts["when"] == "always" and artifacts["paths"] == ["report/"]
    assert artifacts["reports"]["junit"] == "report/junit.xml"


@pytest.mark.parametrize("file", [GITHUB, ROOT / ".github" / "workflows" / "ci.yml"])
def test_actions_are_pinned_and_may_little(file: Path) -> None:
    whole = yaml.safe_load(file.read_text())
    assert whole["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in whole["jobs"].values())
    used = re.findall(r"uses: (.*)", file.read_text())
    assert len(used) >= 2
    for one in used:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one), one


def test_no_script_takes_text_of_an_expression() -> None:
    """Names of branches and matrices reach scripts as variables, which nobody can break out of."""
    for name in ("judge", "decide"):
        for step in github_job(name)["steps"]:
            assert "${{" not in step.get("run", "")


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
    ours = {"github": github_script, "gitlab": lambda: "\n".join(gitlab_job()["script"])}
    script = ours[request.param]()

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
                "SHARDS": "2",
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
    # The baseline had a case under another name.
    results = tmp_path / "baseline" / "results.jsonl"
    records = results.read_text().splitlines(keepends=True)
    first = json.loads(records[1])["id"]
    records[1] = records[1].replace(first, "FLOOR[no-longer-asked]")
    results.write_text("".join(records))
    done = judge()
    assert done.returncode == 1
    assert "1 vanished" in done.stdout


def test_nothing_judged_is_an_error(judge: Judge) -> None:
    done = judge(TARGET="lib:/nowhere/libneuralnetworks.so")
    assert done.returncode == 2
    assert "there is no library" in done.stderr


def test_the_summary(judge: Judge, tmp_path: Path) -> None:
    judge()
    script = github_step("Annotations and summary", "decide")
    summary = tmp_path / "summary.md"
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script], check=False, cwd=tmp_path,
        env={**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
             "PYTHONPATH": str(ROOT), "GITHUB_STEP_SUMMARY": str(summary)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0
    assert "## NNAPI conformance" in summary.read_text() and "PASS" in summary.read_text()
    assert "::notice title=NNAPI conformance::" in done.stdout
