"""The history of devices as static pages: what is kept, what is compared, where pages lead."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest
from report_samples import NASTY, record
from report_samples import run as sample_run

from nnapi_testkit.cli import main
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Evidence, Record, Verdict
from nnapi_testkit.report import site_pages
from nnapi_testkit.report.glance import glance, glance_of
from nnapi_testkit.report.history import load, outcomes_of, run_id
from nnapi_testkit.report.outcomes import Tally, outcome_of
from nnapi_testkit.report.site import make_site
from nnapi_testkit.report.site_pages import slug
from nnapi_testkit.report.store import Store
from nnapi_testkit.report.timeline import Point, spark, timeline
from nnapi_testkit.session.record import Beginning, End, How, decode_line, encode


def case(name: str, verdict: Verdict = Verdict.PASS, bits: str = "1", **more: object) -> Record:
    return record(f"A[float32-{name}]", verdict, bits=bits, **more)


RELEASES: dict[str, list[Record]] = {
    "r1": [case("a"), case("b"), case("c")],
    "r2": [case("a"), case("b", Verdict.MISMATCH, message="2 of 3"), case("c", bits="2")],
    "r3": [case("a"), case("b"), case("c", bits="2")],
}


def report(
    folder: Path, records: Sequence[Record], release: str, day: int = 1, *, device: str = "npu",
    end: bool = True, **conditions: object,
) -> Path:  # fmt: skip
    """A report as a run would leave it."""
    usual: dict[str, object] = {
        "target": "adb:1", "profile": "standard", "oracle": "golden", "version": "1.0",
        "started": f"2026-01-{day:02d}T03:04:05Z",
    }  # fmt: skip
    store = Store(folder)
    store.begin(Beginning(len(records), **(usual | conditions)))  # type: ignore[arg-type]
    records = [replace(one, device=device, target="adb:1") for one in records]
    for one in records:
        store.add(one)
    if end:
        verdicts = {v.value: n for v in Verdict if (n := sum(r.verdict is v for r in records))}
        facts = {"device": device, "device_version": release, "feature_level": 1000007}
        summary = {"device": facts, "devices": [device], "outcome": "pass"}
        store.finish(records, summary, End(How.FINISHED, len(records), 0, verdicts))
    store.close()
    return folder


@pytest.fixture
def reports(tmp_path: Path) -> list[str]:
    return [
        str(report(tmp_path / name, records, name, day))
        for day, (name, records) in enumerate(RELEASES.items(), 1)
    ]


def index(site: Path) -> dict[str, list[dict[str, object]]]:
    found = json.loads((site / "index.json").read_text())
    return {device["device"]: device["runs"] for device in found["devices"]}


def counts(run: dict[str, object]) -> dict[str, int]:
    changes: dict[str, dict[str, int]] = run["changes"]  # type: ignore[assignment]
    return {name: count for name, count in changes["counts"].items() if count}


def test_a_history(tmp_path: Path, reports: list[str]) -> None:
    site = tmp_path / "site"
    # The order in which reports are named is not that of time.
    made = make_site([reports[1], reports[2], reports[0]], site, 1)
    assert (made.devices, made.runs, len(made.taken), made.partial) == (1, 3, 3, [])
    runs = index(site)["npu"]
    assert [run["release"] for run in runs] == ["r1", "r2", "r3"]
    assert [run["outcome"] for run in runs] == ["PASS", "FAIL", "PASS"]
    assert "changes" not in runs[0]
    drifted = {"newly failing": 1, "drifted inside the bound": 1, "identical bits": 1}
    assert counts(runs[1]) == drifted
    assert counts(runs[2]) == {"fixed": 1, "identical bits": 2}
    page = (site / "devices" / "npu.html").read_text()
    assert '<b class="down">▼1</b>' in page and '<b class="up">▲1</b>' in page
    table = page[page.index("Runs, newest first") :]
    assert table.index(">r3<") < table.index(">r2<") < table.index(">r1<")
    changed = (site / str(runs[1]["changes"]["page"])).read_text()  # type: ignore[index]
    assert "MISMATCH A[float32-b]: 2 of 3 (was PASS)" in changed and "WORSE" in changed


def test_every_link_leads_somewhere(tmp_path: Path, reports: list[str]) -> None:
    site = tmp_path / "site"
    make_site(reports, site, 1)
    seen = 0
    for page in [
        *site.glob("*.html"),
        *site.glob("devices/*"),
        *site.glob("runs/*/changes-*.html"),
    ]:
        for address in re.findall(r'href="([^"]+)"', page.read_text()):
            path, fragment = urldefrag(address)
            assert (page.parent / unquote(path)).is_file(), (page, address)
            opened = unquote(fragment).partition("open=")[2]
            if opened:
                assert opened in ("A[float32-b]", "A[float32-c]")
            seen += 1
    assert seen > 20


def test_addresses_stay_when_a_site_grows(tmp_path: Path, reports: list[str]) -> None:
    site = tmp_path / "site"
    make_site([reports[0], reports[2]], site, 1)
    first = {path.relative_to(site) for path in site.rglob("*.html")}
    kept = (site / "runs").stat().st_ino
    shutil.rmtree(reports[0])  # what was taken is not needed again
    made = make_site([reports[1], reports[2]], site, 1)
    assert len(made.taken) == 1 and made.runs == 3 and (site / "runs").stat().st_ino == kept
    assert first <= {path.relative_to(site) for path in site.rglob("*.html")}
    # The third is compared with the second now, which came between.
    assert counts(index(site)["npu"][2]) == {"fixed": 1, "identical bits": 2}
    pages = {
        path: path.read_text()
        for path in site.rglob("*")
        if path.is_file() and path.suffix != ".gz"
    }
    assert make_site([], site, 1).taken == []
    assert pages == {path: path.read_text() for path in pages}
    shutil.rmtree(site / "runs" / str(index(site)["npu"][1]["id"]))
    assert make_site([], site, 1).runs == 2
    assert counts(index(site)["npu"][1]) == {"drifted inside the bound": 1, "identical bits": 2}


def test_processes_make_the_same_site(tmp_path: Path, reports: list[str]) -> None:
    make_site(reports, tmp_path / "one", 1)
    make_site(reports, tmp_path / "many", 3)
    names = {
        path.relative_to(tmp_path / "one")
        for path in (tmp_path / "one").rglob("*")
        if path.is_file()
    }
    assert len(names) > 12
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "many" / name).read_bytes()


def test_what_is_not_comparable_is_not_compared(tmp_path: Path) -> None:
    good, bad = RELEASES["r1"], RELEASES["r2"]
    report(tmp_path / "1", good, "r1", 1)
    report(tmp_path / "2", bad[:2], "r2", 2, end=False)
    report(tmp_path / "3", bad, "r3", 3, selection="-k conv")
    report(tmp_path / "4", bad, "r4", 4, profile="cts")
    report(tmp_path / "5", bad, "r5", 5, oracle="live", version="2.0")
    site = tmp_path / "site"
    made = make_site([str(tmp_path / str(at)) for at in range(1, 6)], site, 1)
    assert len(made.partial) == 1 and "2 of 2 planned cases" in made.partial[0]
    runs = index(site)["npu"]
    assert ["changes" in run for run in runs] == [False, False, False, False, True]
    assert runs[4]["changes"]["since"] == runs[0]["id"]  # type: ignore[index]
    assert [run["outcome"] for run in runs][1] == "UNFINISHED"
    page = (site / "devices" / "npu.html").read_text()
    assert ">UNFINISHED</b>" in page and "-k conv" in page and "profile cts" in page
    changed = (site / str(runs[4]["changes"]["page"])).read_text()  # type: ignore[index]
    assert "CONDITIONS DIFFER: oracle: golden, then live" in changed
    # A passing part of the suite is not shown as a pass.
    assert "PASS" not in {str(run["outcome"]) for run in runs[1:]}


def test_a_newer_run_that_is_not_whole_is_told(tmp_path: Path) -> None:
    whole = report(tmp_path / "1", RELEASES["r1"], "r1", 1)
    cut = report(tmp_path / "2", RELEASES["r2"], "r2", 2, end=False)
    make_site([str(whole), str(cut)], tmp_path / "site", 1)
    for name in ("index.html", "devices/npu.html"):
        page = (tmp_path / "site" / name).read_text()
        assert "a newer run is UNFINISHED: 2026-01-02 03:04" in page, name
    make_site([str(report(tmp_path / "3", RELEASES["r3"], "r3", 3))], tmp_path / "site", 1)
    for name in ("index.html", "devices/npu.html"):
        assert "a newer run" not in (tmp_path / "site" / name).read_text(), name


def test_a_run_that_goes_on_keeps_its_address(tmp_path: Path) -> None:
    cut = report(tmp_path / "cut", RELEASES["r1"][:2], "r1", end=False)
    lines = (cut / "results.jsonl").read_text().splitlines(keepends=True)
    site = tmp_path / "site"
    make_site([str(cut)], site, 1)
    (before,) = index(site)["npu"]
    whole = report(tmp_path / "whole", RELEASES["r1"], "r1")
    text = (whole / "results.jsonl").read_text().splitlines(keepends=True)
    (whole / "results.jsonl").write_text(
        "".join([*lines, *text[3:]]).replace('"planned":2', '"planned":3')
    )
    (cut / "results.jsonl").write_text("".join([*lines, *text[3:]]))
    make_site([str(cut)], site, 1)
    (after,) = index(site)["npu"]
    assert after["id"] == before["id"] and sum(after["verdicts"].values()) == 3  # type: ignore[attr-defined]


def test_devices_beside_each_other(tmp_path: Path) -> None:
    names = ["npu", "Vendor NPU/2", NASTY]
    for at, name in enumerate(names):
        report(tmp_path / str(at), RELEASES["r1"], "r1", at + 1, device=name)
    both = [replace(one, device=name, target=name) for name in ("x", "y") for one in RELEASES["r1"]]
    fleet = report(tmp_path / "fleet", [], "r9", 9)
    (fleet / "results.jsonl").write_text("\n".join([
        encode(Beginning(6, started="2026-01-09T00:00:00Z")), *map(encode, both),
        encode(End(How.FINISHED, 6, 0, {"PASS": 6})),
    ]) + "\n")  # fmt: skip
    (fleet / "summary.json").unlink()
    site = tmp_path / "site"
    made = make_site([str(tmp_path / name) for name in ("0", "1", "2", "fleet")], site, 1)
    assert made.devices == 5 and made.runs == 4
    page = (site / "index.html").read_text()
    assert page.count('<th scope="row"><a href="devices/') == 5
    assert "</script><b>" not in page and "\x1b" not in page
    assert "runs/" in page and "#device=%3Dx" in page and "device=%3Dy" in page
    assert len({slug(name) for name in ["a b", "a-b", "A b", "a  b", "ä b", NASTY]}) == 6
    assert slug("npu") == "npu" and re.fullmatch(r"[a-z0-9-]+", slug(NASTY))


def test_a_release_may_be_named(tmp_path: Path, reports: list[str]) -> None:
    site = tmp_path / "site"
    make_site([f"beta 7={reports[0]}"], site, 1)
    assert index(site)["npu"][0]["release"] == "beta 7"
    assert make_site([reports[0]], site, 1).taken == [], "the name is kept"
    make_site([f"final={reports[0]}"], site, 1)
    assert [run["release"] for run in index(site)["npu"]] == ["final"]


def test_what_a_page_links_to_goes_with_it(tmp_path: Path, reports: list[str]) -> None:
    kept = Path(reports[1]) / "repro" / "mul"
    kept.mkdir(parents=True)
    (kept / "README.md").write_text("again")
    make_site([reports[1]], tmp_path / "site", 1)
    (run,) = (tmp_path / "site" / "runs").iterdir()
    assert (run / "repro" / "mul" / "README.md").read_text() == "again"
    assert (run / "summary.json").read_bytes() == (kept.parents[1] / "summary.json").read_bytes()


def test_results_without_a_page_get_one(tmp_path: Path, reports: list[str]) -> None:
    alone = tmp_path / "alone.jsonl"
    alone.write_bytes((Path(reports[1]) / "results.jsonl").read_bytes())
    make_site([str(alone)], tmp_path / "site", 1)
    (run,) = index(tmp_path / "site")["npu"]
    assert "A[float32-b]" in (tmp_path / "site" / str(run["page"]).partition("#")[0]).read_text()


Change = Callable[[Path], object]
DAMAGES: dict[str, Change] = {
    "run.json": lambda run: (run / "run.json").write_text('{"schema": 1, "id": 3}'),
    "run.json, binary": lambda run: (run / "run.json").write_bytes(b"\xff\x00"),
    "run.json, a list": lambda run: (run / "run.json").write_text("[]"),
    "cases, cut off": lambda run: (run / "cases.json.gz").write_bytes(
        (run / "cases.json.gz").read_bytes()[:-20]
    ),
    "cases, no gzip": lambda run: (run / "cases.json.gz").write_text("{}"),
    "cases, other columns": lambda run: (run / "cases.json.gz").write_bytes(
        gzip.compress(b'[{"id": []}]')
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_site(
    tmp_path: Path, reports: list[str], capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    site = tmp_path / "site"
    make_site(reports[:1], site, 1)
    (run,) = (site / "runs").iterdir()
    DAMAGES[damage](run)
    capsys.readouterr()
    assert main(["site", reports[1], "-o", str(site), "-j", "1"]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1 and "is damaged" in said and "delete its folder" in said


def test_a_folder_that_is_no_site_is_left_alone(
    tmp_path: Path, reports: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "index.html").write_text("mine")
    assert main(["site", reports[0], "-o", str(tmp_path / "mine")]) == 2
    assert "is no site" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["index.html"]
    for words in (["site", str(tmp_path / "nowhere")], ["site"]):
        assert main([*words, "-o", str(tmp_path / "empty")]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert main(["site", *reports, "-o", str(tmp_path / "site")]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "3 runs taken, 3 in all, 1 device"


def test_a_glance_sees_what_the_whole_record_says() -> None:
    records = [
        *sample_run(), case("x", text=NASTY, topic="order", reading="field"),
        replace(case("y"), evidence=Evidence(5, margin=float("inf"))),
        replace(case("z"), evidence=Evidence(5, margin=1.0), message="not kept of a pass"),
    ]  # fmt: skip
    for one in records:
        assert glance(encode(one)) == glance_of(one)
    nan = glance(encode(replace(case("n"), evidence=Evidence(5, margin=float("nan")))))
    assert nan.outcome.margin != nan.outcome.margin  # type: ignore[union-attr]
    for line in (Beginning(3, started="now"), End(How.STOPPED, 1, 1, {"PASS": 1})):
        assert glance(encode(line)) == line


@pytest.mark.parametrize(
    "change",
    [
        {"id": 3}, {"verdict": "GOOD"}, {"device": None}, {"bits": 7}, {"evidence": []},
        {"evidence": {"compared": -1}}, {"evidence": {"compared": True}}, {"topic": []},
        {"evidence": {"compared": 1, "margin": []}}, {"message": 5}, {"evidence": {}},
        {"evidence": {"compared": 2**64}},
    ],
)  # fmt: skip
def test_a_glance_complains_as_the_whole_does(change: dict[str, object]) -> None:
    line = json.dumps(json.loads(encode(case("a", message="m"))) | change)
    with pytest.raises(KitError) as whole:
        decode_line(line)
    with pytest.raises(KitError, match=re.escape(str(whole.value))):
        glance(line)


def test_outcomes_are_kept_as_they_are(tmp_path: Path) -> None:
    records = [
        *RELEASES["r2"], replace(case("inf"), evidence=Evidence(5, margin=float("inf"))),
        case("odd", Verdict.OBSERVED, message=NASTY), case("no", Verdict.UNSUPPORTED, bits=""),
    ]  # fmt: skip
    folder = report(tmp_path / "report", records, "r1")
    make_site([str(folder)], tmp_path / "site", 1)
    run = tmp_path / "site" / "runs" / run_id(folder)[0]
    told = outcomes_of(run, 0)
    assert told == [outcome_of(replace(one, device="npu")) for one in records]
    loaded = load(run)
    assert loaded is not None
    (part,) = loaded.parts
    tally = part.tallies["A"]["float32"]
    assert (tally.cases, tally.failed, tally.margin) == (6, 1, float("inf"))
    assert part.margins == (0.25, float("inf"), float("inf"))


def test_kept_runs_compare_as_their_reports_do(
    tmp_path: Path, reports: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    site = tmp_path / "site"
    make_site(reports, site, 1)
    kept = [str(site / "runs" / str(run["id"])) for run in index(site)["npu"]]
    said = []
    for old, new in (reports[:2], kept[:2], [reports[0], kept[1]]):
        capsys.readouterr()
        assert main(["diff", f"old={old}", f"new={new}"]) == 1
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] == said[2] and "1 newly failing" in said[0]
    page = tmp_path / "page.html"
    assert main(["diff", *kept[:2], "--format", "html", "-o", str(page)]) == 1
    assert f"site/runs/{Path(kept[1]).name}/index.html#operation=%3DA" in page.read_text()
    assert main(["diff", kept[0]]) == 2 and "holds one device" in capsys.readouterr().err


def test_a_long_history_shows_its_newest_releases(
    tmp_path: Path, reports: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site_pages, "MOST_COLUMNS", 2)
    make_site(reports, tmp_path / "site", 1)
    page = (tmp_path / "site" / "devices" / "npu.html").read_text()
    assert "1 older run not shown here" in page
    matrix = page[page.index("Operations by release") :]
    assert ">r3</a>" in matrix and ">r2</a>" in matrix and ">r1</a>" not in matrix
    assert ">r1</a>" in page, "the table has it"


def test_the_timeline_and_its_lines() -> None:
    points = [Point(f"r{at}", "", "", at % 3, 0, (0.1, 0.2, 0.5)) for at in range(50)]
    points[20] = Point("cut", "", "", 0, 5)
    drawn = timeline(points)
    assert len(drawn["bands"]) == 50 and drawn["most"] == 5
    assert all(len(curve["points"]) == 2 for curve in drawn["curves"]), "a gap is no line"
    labels = [band["label"] for band in drawn["bands"] if band["label"]]
    assert labels[0] == "r0" and len(labels) < 25
    assert float(drawn["width"]) < 1000
    small = spark(
        [Tally(1, 1, margin=0.5, passing=0.5), None, Tally(2, 1, 1, margin=9, passing=0.1)]
    )
    assert len(small["pieces"]) == 2 and [kind for _, kind in small["dots"]] == ["fail"]
    assert timeline(points[:1])["bands"][0]["label"] == "r0"
