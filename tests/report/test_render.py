from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from report_samples import NASTY, mismatch, record, run

from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Evidence, Verdict
from nnapi_testkit.report.diff import compare
from nnapi_testkit.report.html import html, page_data
from nnapi_testkit.report.junit import junit
from nnapi_testkit.report.store import Store, read_records, read_summary
from nnapi_testkit.report.text import count_line, details, matrix_lines
from nnapi_testkit.session.ledger import Ledger


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
        ["TANH", "float16", "1", "1", "·", "·", "·", "1", "0.25"],
        ["float16", "3", "1", "1", "·", "·", "·", "0.25"],
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
    assert "minimum tolerance" in (failure.text or "")
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
    assert not re.search(r"""(?:src|href)\s*=|@import|url\(|fetch\(|https?://""", page)


def test_the_page_holds_every_record_and_no_text_ends_its_script() -> None:
    records = run()
    page = html(records, {"problems": [NASTY], "outcome": "error", "devices": ["<i>"]})
    data = _data(page)
    assert data == json.loads(json.dumps({**page_data(records), "target": "host"}))
    assert [row[0] for row in data["rows"]] == [item.id for item in records]  # type: ignore[attr-defined]
    assert "</script><b>" in data["details"]["3"]  # type: ignore[index]
    assert page.count("</script>") == 2
    assert "<i>" not in page and "<b>&" not in page


def test_the_page_of_nothing_is_a_page() -> None:
    assert _data(html([], {}))["rows"] == []


def test_a_store_is_complete_or_obviously_not(tmp_path: Path) -> None:
    store = Store(tmp_path / "a" / "b")
    for item in run():
        store.add(item)
    store.close()
    assert [path.name for path in store.folder.iterdir()] == ["results.jsonl"]
    assert read_summary(store.folder) == {}
    store.finish(run(), {"outcome": "fail"})
    # NaN is not equal to itself: texts are compared.
    assert repr(list(read_records(store.folder))) == repr(run())
    assert read_summary(store.folder) == {"outcome": "fail"}
    Store(store.folder).close()
    assert [path.name for path in store.folder.iterdir()] == ["results.jsonl"]


def test_a_torn_last_line_is_left_out_and_a_damaged_one_is_an_error(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add(record())
    store.add(record("ADD[float32-z]"))
    store.close()
    file = tmp_path / "results.jsonl"
    whole = file.read_text()
    file.write_text(whole[:-5])
    assert [item.id for item in read_records(tmp_path)] == ["ADD[float32-a]"]
    file.write_text("{}\n" + whole)
    with pytest.raises(KitError, match=r"results.jsonl line 1: not a record"):
        list(read_records(tmp_path))
    file.write_bytes(b"\xff\xfe\n")
    with pytest.raises(KitError, match=r"is not a results\.jsonl"):
        list(read_records(tmp_path))


def _drift(case_id: str, margin: float) -> object:
    return record(case_id, evidence=Evidence(compared=12, margin=margin, oracle="live"))


def test_two_runs_are_told_apart() -> None:
    old = [
        record("A[1]"), record("A[2]", Verdict.MISMATCH), record("A[3]"), record("A[4]"),
        _drift("A[5]", 0.1), _drift("A[6]", 0.001), record("A[8]"),
    ]  # fmt: skip
    new = [
        record("A[1]", Verdict.CRASH_RUNNER, device=""), record("A[2]"),
        record("A[3]", Verdict.UNSUPPORTED), _drift("A[5]", 0.4), _drift("A[6]", 0.002),
        record("A[7]"), record("A[8]"),
    ]  # fmt: skip
    changes = compare(old, new)  # type: ignore[arg-type]
    assert [after.id for _, after in changes.failing] == ["A[1]"]
    assert [after.id for _, after in changes.fixed] == ["A[2]"]
    assert [after.id for _, after in changes.verdict] == ["A[3]"]
    assert [item.id for item in changes.vanished] == ["A[4]"]
    assert [after.id for _, after in changes.drifted] == ["A[5]"]
    assert [item.id for item in changes.new] == ["A[7]"]
    assert changes.unchanged == 2
    assert changes.worse
    assert "drifted: A[5]: margin 0.1 -> 0.4" in list(changes.lines())
    assert not compare(new, new).worse  # type: ignore[arg-type]


def test_what_is_no_longer_compared_is_worse() -> None:
    assert compare([record("A[3]")], [record("A[3]", Verdict.UNSUPPORTED)]).worse
    assert not compare([record("A[3]", Verdict.UNSUPPORTED)], [record("A[3]")]).worse
    assert compare([record("A[3]")], []).worse
    assert compare([], [record("A[3]", Verdict.MISMATCH)]).worse


def test_several_devices_are_compared_each_with_itself() -> None:
    old = [record("A[1]", device="a"), record("A[1]", device="b")]
    new = [record("A[1]", device="a"), record("A[1]", Verdict.MISMATCH, device="b")]
    changes = compare(old, new)
    assert [after.device for _, after in changes.failing] == ["b"]
    assert changes.unchanged == 1
