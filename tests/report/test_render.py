from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from report_samples import NASTY, mismatch, record, run

from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.model.case import Stage
from nnapi_testkit.report.accounts import read_accounts
from nnapi_testkit.report.apart import apart_facts, observed_facts
from nnapi_testkit.report.broken import broken, headline, picture, states
from nnapi_testkit.report.claim_audit import claim_audit, claim_audit_line
from nnapi_testkit.report.clusters import clusters_of, members
from nnapi_testkit.report.html import html, page_data
from nnapi_testkit.report.junit import junit
from nnapi_testkit.report.markdown import markdown
from nnapi_testkit.report.store import Store, read_summary
from nnapi_testkit.report.text import count_line, details, matrix_lines
from nnapi_testkit.report.words import badge, run_notes
from nnapi_testkit.session.ledger import Ledger
from nnapi_testkit.session.record import Beginning, End, How


def test_a_mismatch_shows_its_evidence() -> None:
    text = "\n".join(details(mismatch()))
    assert (
        text
        == """\
MISMATCH  MUL[quant8-b]  (on nnapi-fake, feature level 1)
  2 of 12 elements are outside their bounds; first:
    set 0 output 0[0, 1]: 1.25 (code 130), expected 1 (codes 128 to 129), error 0.25, bound 0.001
    set 0 output 0[1, 1]: nan, expected 1, error inf, bound 0.001
  minimum tolerance that would pass: 0.25 absolute (error / bound: 250)
  alone in a fresh worker: MISMATCH
  again: nnapi-testkit run 'MUL[quant8-b]' --target host"""
    )


def test_counts_begin_with_what_is_bad() -> None:
    counts = [(Verdict.PASS, 5), (Verdict.INFRA, 1), (Verdict.MISMATCH, 2), (Verdict.REFUSED, 0)]
    assert count_line(counts) == "2 MISMATCH, 1 INFRA, 5 PASS"
    assert count_line([]) == "no case"


def test_the_matrix_has_a_line_for_each_cell_and_level() -> None:
    ledger = Ledger()
    for item in run():
        ledger.add(item)
    lines = list(matrix_lines(ledger.cells.values()))
    assert len(lines) == 1 + 6
    tanh = [line.split() for line in lines if "float16" in line]
    assert tanh == [
        ["TANH", "float16", "1", "1", ".", ".", "1", ".", ".", "0.25"],
        ["float16", "3", "1", "1", ".", ".", ".", ".", "0.25"],
    ]
    assert not list(matrix_lines([]))


def test_junit_counts_and_survives_any_text() -> None:
    root = ElementTree.fromstring(junit(run(), ["floor: too few"]).encode())
    suites = {suite.get("name"): suite for suite in root}
    assert list(suites) == ["ADD", "MUL", "RELU", "TANH", "run"]
    counts = {
        name: tuple(int(suite.get(word, "")) for word in ("tests", "failures", "errors", "skipped"))
        for name, suite in suites.items()
    }
    assert counts == {
        "ADD": (1, 0, 0, 0), "MUL": (2, 1, 0, 1), "RELU": (3, 1, 1, 0), "TANH": (2, 0, 0, 1),
        "run": (1, 0, 1, 0),
    }  # fmt: skip
    failure = root.find(".//testcase[@name='MUL[quant8-b]']/failure")
    assert failure is not None and failure.get("type") == "MISMATCH"
    evidence = root.find(".//testcase[@name='MUL[quant8-b]']/system-out")
    assert evidence is not None and "minimum tolerance" in (evidence.text or "")
    crash = root.find(".//testcase[@name='RELU[float32-d]']/failure")
    assert crash is not None and "</script><b>" in crash.get("message", "")
    assert root.find(".//testcase[@name='ADD[float32-a]']") is not None


def _data(page: str) -> dict[str, object]:
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert found
    loaded = json.loads(found.group(1))
    assert isinstance(loaded, dict)
    return loaded


def test_the_page_needs_nothing_else() -> None:
    page = html(run(), {})
    assert not re.search(r"""src\s*=|@import|url\(|fetch\(|https?://""", page)
    assert set(re.findall(r"""href\s*=\s*["'](.)""", page)) == {"#"}, "links stay on the page"


def test_the_page_holds_every_record_and_no_text_ends_its_script() -> None:
    records = run()
    page = html(records, {"problems": [NASTY], "outcome": "error", "devices": ["<i>"]})
    data = _data(page)
    picture = data.pop("picture")
    numbers = members(clusters_of(records, {}))
    assert set(numbers) == {"MUL[quant8-b]", "RELU[float32-d]"}
    assert data == json.loads(json.dumps(page_data(records, numbers)))
    assert picture == {
        "operations": ["MUL", "RELU", "TANH", "ADD"],
        "rows": ["float32", "float16", "quant8"],
    }
    assert _read_back(data) == [
        (r.id, r.operation, r.cell, r.level, r.kind, r.verdict.value, r.device, r.evidence.compared)
        for r in records
    ]
    assert any("</script><b>" in text for text in data["tables"]["text"])  # type: ignore[index]
    assert page.count("</script>") == 2
    assert "<i>" not in page and "<b>&" not in page


def _column(pairs: list[int]) -> list[int]:
    return [v for v, n in zip(pairs[::2], pairs[1::2], strict=True) for _ in range(n)]


def _read_back(data: Any) -> list[tuple[object, ...]]:
    """Return what `page.js` makes of the data."""
    ids: list[str] = []
    for line in data["ids"].split("\n"):
        ids.append((ids[-1] if ids else "")[: int(line[:2], 36)] + line[2:])
    runs = {name: _column(pairs) for name, pairs in data["runs"].items()}
    words = {
        name: [data["tables"][name][at] for at in runs[name]]
        for name in ("operation", "cell", "kind", "device")
    }
    verdicts = [data["verdicts"][at][0] for at in runs["verdict"]]
    return list(
        zip(
            ids, words["operation"], words["cell"], runs["level"], words["kind"], verdicts,
            words["device"], data["compared"], strict=True,
        )
    )  # fmt: skip


def test_long_shared_beginnings_and_other_commands_are_kept() -> None:
    long = "ADD[float32-" + "x" * 2000
    records = [mismatch(f"{long}{end}]") for end in ("a", "b", "b-c", "")] + [
        replace(mismatch("MUL[quant8-z]"), repro="nnapi-testkit run 'MUL[quant8-z]' --target lib:x")
    ]
    data = page_data(records)
    assert [row[0] for row in _read_back(data)] == [r.id for r in records]
    assert data["again"] == " --target host"
    assert data["repros"] == {4: records[4].repro}


def test_the_page_of_nothing_is_a_page() -> None:
    page = html([], {})
    assert _data(page)["margins"] == [] and "Nothing was run." in page


def test_the_first_screen_tells_every_state() -> None:
    words = [(state.word, state.text) for state in states(run(), {"outcome": "unfinished"})]
    assert words == [
        ("FAIL", "2 cases broke a promise of the driver"),
        ("UNFINISHED", "the run has no end: what is missing is unknown"),
        ("ERROR", "1 INFRA: nothing can be said of the driver"),
        ("WAIVED", "1 case, failing as a waiver expects: not charged, and not correct either"),
    ]
    assert [row.operation for row in broken(run())] == ["MUL", "RELU"]
    assert "2 of 4 operations break a promise, in 2 of 6 cases." in headline(
        run(), {}, broken(run())
    )
    good = [record(), record("MUL[quant8-b]")]
    assert headline(good, {}, []) == "Every promise that was asked for was kept."
    part = {"selected": 2, "suite": 9}
    assert headline(good, part, []).endswith("kept in the part that was run.")
    open_ = [record("MUL[float32-c]", Verdict.UNSUPPORTED)]
    assert headline(open_, {}, []).startswith("Nothing was judged")
    assert "crashed 2 times outside" in headline(good, {"faults": ["a", "b"]}, [])


def test_the_picture_has_a_square_for_each_cell() -> None:
    drawn = picture(run())
    squares = {colour: path.count("M") for colour, path in drawn.paths}
    assert squares == {"fail": 2, "waived": 1, "pass": 1, "other": 1}
    assert (drawn.width, drawn.height) == (31, 23)
    assert dict(drawn.paths)["waived"] == "M16 8h7v7h-7z", "TANH, third; float16, second"


def _stored(folder: Path, *, planned: int = 8, how: How = How.FINISHED) -> Store:
    store = Store(folder)
    store.begin(Beginning(planned=planned, target="host"))
    for item in run():
        store.add(item)
    counts = Counter(item.verdict.value for item in run())
    store.finish(run(), {"outcome": "fail"}, End(how, 8, 1, counts))
    return store


def test_a_store_is_complete_or_obviously_not(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    store = Store(folder)
    store.begin(Beginning(planned=8, target="host"))
    for item in run():
        store.add(item)
    store.close()
    assert [path.name for path in folder.iterdir()] == ["results.jsonl"]
    assert read_summary(folder) == {}
    assert (
        "8 of 8 planned cases have a record, and the run did not end"
        in read_accounts(folder).unfinished
    )
    _stored(folder)
    accounts = read_accounts(folder)
    # NaN is not equal to itself: texts are compared.
    assert repr(list(accounts.records)) == repr(run())
    assert accounts.unfinished == accounts.partial == ""
    assert read_summary(folder) == {"outcome": "fail"}
    store = Store(folder)
    assert read_summary(folder) == {"outcome": "fail"}, "nothing is lost before the run begins"
    store.begin(Beginning(planned=8, target="host"))
    store.close()
    assert [path.name for path in folder.iterdir()] == ["results.jsonl"]
    Store(tmp_path / "c").close()
    assert not list((tmp_path / "c").iterdir())


def test_fewer_records_than_planned_are_unfinished(tmp_path: Path) -> None:
    _stored(tmp_path / "a", planned=9)
    assert read_accounts(tmp_path / "a").unfinished == "8 of 9 planned cases have a record"
    _stored(tmp_path / "b", planned=9, how=How.STOPPED)
    assert read_accounts(tmp_path / "b").unfinished == ""
    assert read_accounts(tmp_path / "b").partial == "stopped after 8 of 9 planned cases"


def test_a_record_that_is_gone_is_noticed(tmp_path: Path) -> None:
    _stored(tmp_path)
    file = tmp_path / "results.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:3] + lines[4:]))
    assert read_accounts(tmp_path).unfinished == "7 records, where its last line counts 8"


@pytest.mark.parametrize(
    "other",
    [
        Beginning(planned=8, target="host", selection="-k X"),
        Beginning(planned=8, target="host", shard="1/2"),
        Beginning(planned=8, target="lib:x"),
    ],
)
def test_another_report_is_not_replaced(tmp_path: Path, other: Beginning) -> None:
    _stored(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    store = Store(tmp_path)
    with pytest.raises(KitError, match=r"holds another report \(every case, target host\)"):
        store.begin(other)
    store.close()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    store = Store(tmp_path, overwrite=True)
    store.begin(other)
    store.close()
    assert [path.name for path in tmp_path.iterdir()] == ["results.jsonl"]


@pytest.mark.parametrize("name", ["index.html", "results.jsonl", "junit.xml"])
def test_what_is_no_report_is_not_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("<p>my page</p>\n")
    store = Store(tmp_path)
    with pytest.raises(KitError, match="replace it with --overwrite"):
        store.begin(Beginning(planned=8))
    store.close()
    assert (tmp_path / name).read_text() == "<p>my page</p>\n"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(KitError, match="being written by another run: wait"):
        Store(tmp_path, overwrite=True)
    store.begin(Beginning(planned=1))
    with pytest.raises(KitError, match="being written by another run: wait"):
        Store(tmp_path)
    store.close()
    Store(tmp_path).close()


def test_waived_is_never_a_pass() -> None:
    records = [record("MUL[quant8-a]"), record("MUL[quant8-b]", Verdict.WAIVED, waiver="MUL*")]
    table = claim_audit(records)
    assert (table[0].correct, table[0].waived, table[0].findings) == (1, 1, ())
    line = claim_audit_line(table)
    assert "0 compute correctly in every case; 0 findings, 1 with waived failures" in line
    data = page_data(records)
    assert dict(map(tuple, data["verdicts"]))["WAIVED"] == "waived"
    summary = {"outcome": "pass", "verdicts": {"WAIVED": 1}}
    assert badge(summary) == ("PASS, 1 WAIVED", "waived")
    assert badge({"outcome": "pass", "verdicts": {"WAIVED": 0}}) == ("PASS", "pass")
    assert '<span class="pill waived" id="outcome">PASS, 1 WAIVED</span>' in html(records, summary)


def test_a_part_of_many_names_shows_a_few_of_them() -> None:
    names = [f"ADD[float32-size{size}]" for size in range(300)]
    summary = {"outcome": "pass", "selected": 300, "suite": 48000, "selection": " ".join(names)}
    (line,) = run_notes(summary)
    assert line.endswith(f"(1 %): {' '.join(names[:4])} and 296 more words")
    summary["selection"] = " ".join(names[:12])
    assert run_notes(summary)[0].endswith(": " + " ".join(names[:12])), "a dozen is no crowd"


def test_a_part_of_the_suite_says_so() -> None:
    summary = {"outcome": "pass", "selected": 6, "suite": 100, "selection": "-k x"}
    assert run_notes(summary) == ["PARTIAL: 6 of 100 cases were selected (6 %): -k x"]
    assert badge(summary) == ("PASS, PARTIAL", "partial")
    page = html([record()], summary)
    assert (
        ">PARTIAL<" in page
        and "6 of 100 cases were selected" in page
        and "of 1 selected cells" in page
    )
    assert run_notes({"selected": 100, "suite": 100}) == []


def test_tables_of_what_is_not_charged_and_of_what_is_open() -> None:
    """Each kind is a row in Markdown and a property of its suite in JUnit, beside the verdicts."""
    records = [
        record("ADD[float32-a]"),
        record("ADD[float32-b]", Verdict.PLATFORM, stage=Stage.MODEL, code=4, message="BAD_DATA"),
        record("ADD[float32-c]", Verdict.PLATFORM, stage=Stage.MODEL, code=4, message="BAD_DATA"),
        record("RNN[float32-d]", Verdict.KNOWN, known="rnn-relu1", message="killed"),
        record("RNN[float32-e]", Verdict.CONTESTED, stage=Stage.EXECUTION, code=5),
        record("RNN[float32-f]", Verdict.WAIVED, waiver="RNN[*|x]"),
        record("RNN[float32-g]", Verdict.OBSERVED, message="open for 4 results of 1.5e+10"),
        record("RNN[float32-h]", Verdict.OBSERVED, message="open for 32 results of 2.5e+10"),
        record("SVDF[float32-i]", Verdict.OBSERVED, topic="state", reading="field", message="x"),
    ]
    summary = {
        "target": "host", "verdicts": {}, "outcome": "pass",
        "apart": apart_facts(records), "observed": observed_facts(records),
    }  # fmt: skip
    lines = markdown(records, summary).splitlines()
    at = lines.index("### Not charged to the driver")
    assert lines[at + 1 : at + 8] == [
        "",
        "| verdict | operation | what | cases | for example |",
        "|---|---|---|---:|---|",
        "| CONTESTED | RNN | execution, code 5 | 1 | `RNN[float32-e]` |",
        "| KNOWN | RNN | rnn-relu1 | 1 | `RNN[float32-d]` |",
        "| PLATFORM | ADD | model, code 4 | 2 | `ADD[float32-b]` |",
        r"| WAIVED | RNN | RNN\[*\|x\] | 1 | `RNN[float32-f]` |",
    ]
    at = lines.index("### Left open by the documentation")
    assert lines[at + 4 : at + 6] == [
        "| OBSERVED | RNN | open for N results of N | 2 | `RNN[float32-g]` |",
        "| OBSERVED | SVDF | state: field | 1 | `SVDF[float32-i]` |",
    ]
    root = ElementTree.fromstring(junit(records))
    told = {
        suite.get("name"): [(p.get("name"), p.get("value")) for p in suite.iter("property")]
        for suite in root
    }
    assert told["ADD"] == [("PLATFORM", "model, code 4: 2 cases, first ADD[float32-b]")]
    assert [name for name, _ in told["RNN"]] == ["CONTESTED", "KNOWN", "WAIVED", "OBSERVED"]
    assert told["SVDF"] == [("OBSERVED", "state: field: 1 case, first SVDF[float32-i]")]
    # A long table is cut, and says how much of it.
    many = [record(f"A{at}[x]", Verdict.PLATFORM, stage=Stage.MODEL, code=4) for at in range(40)]
    text = markdown(many, {**summary, "apart": apart_facts(many), "observed": []})
    assert "and 15 more cases of 15 kinds" in text and "Left open" not in text
    assert "### Not charged" not in markdown(records[:1], {**summary, "apart": [], "observed": []})
