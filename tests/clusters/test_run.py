"""A driver with a planted bug, run by the command line: what terminal and report lead with."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from nnapi_testkit import paths
from nnapi_testkit.cli import main
from nnapi_testkit.clusters.cluster import from_json

HERE = str(Path(__file__).parent)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The report folder of a run of two operations, and what the terminal showed."""
    import contextlib
    import io

    folder = tmp_path_factory.mktemp("run") / "report"
    shown = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(shown):
        patch.syspath_prepend(HERE)
        line = ["run", "-o", "SUB", "-o", "MUL", "--kind", "positive", "--report", str(folder)]
        assert main([*line, "--services", "wrong_world:services"]) == 1
    return folder, shown.getvalue()


def test_the_summary_leads_with_the_planted_kind(report: tuple[Path, str]) -> None:
    folder, shown = report
    summary = json.loads((folder / "summary.json").read_text())
    first, *_ = from_json(summary["clusters"])
    assert "activation RELU6" in first.title
    assert set(first.operations) == {"SUB", "MUL"}
    assert first.cases == summary["verdicts"]["MISMATCH"]
    lines = shown.splitlines()
    lead = next(at for at, line in enumerate(lines) if "worst first" in line)
    assert "activation RELU6" in lines[lead + 1]
    assert lead < next(at for at, line in enumerate(lines) if line.startswith("nnapi-reference"))


def test_an_operation_does_not_fill_the_terminal(report: tuple[Path, str]) -> None:
    _, shown = report
    full = [line for line in shown.splitlines() if line.startswith("MISMATCH  ")]
    assert len(full) == 6
    assert {line.split()[1].partition("[")[0] for line in full} == {"SUB", "MUL"}


def test_junit_page_and_markdown_tell_the_cluster(report: tuple[Path, str]) -> None:
    folder, _ = report
    root = ElementTree.parse(folder / "junit.xml").getroot()
    properties = {p.get("name"): p.get("value") for p in root[0].iter("property")}
    assert "activation RELU6" in str(properties["cluster 1"])
    failure = next(root.iter("failure"))
    assert str(failure.text).startswith("cluster 1: ")
    assert "activation RELU6" in (folder / "index.html").read_text()
    assert main(["report", str(folder), "--format", "markdown"]) == 0
    text = (folder / "report.md").read_text()
    assert text.index("activation RELU6") < text.index("| target |")


def test_a_report_without_its_summary_tells_the_same(
    report: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = report
    (tmp_path / "results.jsonl").write_bytes((folder / "results.jsonl").read_bytes())
    main(["report", str(tmp_path)])
    assert "activation RELU6" in capsys.readouterr().out


def test_each_cluster_is_kept_as_a_folder_that_builds(report: tuple[Path, str]) -> None:
    folder, _ = report
    summary = json.loads((folder / "summary.json").read_text())
    for cluster in from_json(summary["clusters"]):
        place = folder / cluster.repro
        assert json.loads((place / "record.json").read_text())["record"]["id"] == cluster.smallest
        library = paths.driver_library()
        (place / library.name).symlink_to(library)
        build = ["cc", "-std=c11", "repro.c", "-o", "repro", library.name, "-lm"]
        subprocess.run([*build, "-Wl,-rpath,$ORIGIN"], cwd=place, check=True)
        # The bundled driver has no such bug.
        assert subprocess.run(["./repro"], cwd=place, check=False).returncode == 0


def test_reports_that_are_joined_keep_their_clusters_too(
    report: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = report
    assert main(["merge", str(folder), "-o", str(tmp_path / "joined")]) == 1
    assert "no reproduction" not in capsys.readouterr().out
    before = from_json(json.loads((folder / "summary.json").read_text())["clusters"])
    joined = from_json(json.loads((tmp_path / "joined/summary.json").read_text())["clusters"])
    assert [cluster.repro for cluster in joined] == [cluster.repro for cluster in before]
    for cluster in joined:
        for name in ("case.nntk", "repro.c", "record.json"):
            here = (tmp_path / "joined" / cluster.repro / name).read_bytes()
            assert here == (folder / cluster.repro / name).read_bytes(), name


def test_folders_of_an_older_report_go(report: tuple[Path, str], tmp_path: Path) -> None:
    from nnapi_testkit.commands.repro import save_clusters
    from nnapi_testkit.session.settings import Settings

    old, mine = tmp_path / "repro" / "01-old", tmp_path / "repro" / "notes"
    for place in (old, mine):
        place.mkdir(parents=True)
    (old / "case.nntk").write_bytes(b"")
    assert save_clusters(tmp_path, {"clusters": []}, [], [], Settings()) == []
    assert not old.exists()
    assert mine.exists()
