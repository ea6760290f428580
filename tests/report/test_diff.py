"""Runs side by side: what each kind of change is, what is said first, and the exit code."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from report_samples import NASTY, record

from nnapi_testkit.cli import main
from nnapi_testkit.judge.verdict import Evidence, Record, Verdict
from nnapi_testkit.model.kinds import Source
from nnapi_testkit.report.diff import Change, Comparison, compare
from nnapi_testkit.report.outcomes import Tally, outcome_of, tallies
from nnapi_testkit.report.sides import split
from nnapi_testkit.report.sources import read_sides
from nnapi_testkit.report.store import Store
from nnapi_testkit.report.summary import older_devices
from nnapi_testkit.report.versus import MOST_CHARACTERS, markdown, versus
from nnapi_testkit.session.record import Beginning, End, How


def case(name: str, verdict: Verdict = Verdict.PASS, **more: object) -> Record:
    return record(f"A[float32-{name}]", verdict, **more)


def margin(name: str, value: float, bits: str = "") -> Record:
    evidence = Evidence(compared=12, margin=value, oracle=Source.LIVE)
    return case(name, evidence=evidence, bits=bits)


def found(old: Iterable[Record], new: Iterable[Record]) -> Comparison:
    return compare(map(outcome_of, old), map(outcome_of, new))


def ids(comparison: Comparison, change: Change) -> list[str]:
    return [pair.case.id[10:-1] for pair in comparison.pairs(change)]


def test_each_kind_of_change() -> None:
    old = [
        case("fails"), case("mends", Verdict.MISMATCH), case("other"), case("goes"),
        margin("grows", 0.1), margin("noise", 0.001), margin("moves", 0.2, "00aa"),
        margin("stays", 0.2, "00bb"), case("still", Verdict.MISMATCH, bits="1"),
        case("crashes", Verdict.MISMATCH),
    ]  # fmt: skip
    new = [
        case("fails", Verdict.CRASH_RUNNER, device=""), case("mends"),
        case("other", Verdict.UNSUPPORTED), case("comes"), margin("grows", 0.4),
        margin("noise", 0.002), margin("moves", 0.2, "00ab"), margin("stays", 0.2, "00bb"),
        case("still", Verdict.MISMATCH, bits="2"), case("crashes", Verdict.CRASH_RUNNER),
    ]  # fmt: skip
    changes = found(old, new)
    assert ids(changes, Change.FAILING) == ["fails"]
    assert ids(changes, Change.FIXED) == ["mends"]
    assert ids(changes, Change.VERDICT) == ["crashes", "other"]
    assert ids(changes, Change.VANISHED) == ["goes"]
    assert ids(changes, Change.NEW) == ["comes"]
    # Other bits are a drift however small; without bits only a margin that grew is one.
    assert ids(changes, Change.DRIFTED) == ["grows", "moves"]
    counts = [changes.counts[c] for c in (Change.STILL, Change.IDENTICAL, Change.SAME)]
    assert counts == [1, 1, 1]
    assert changes.worse and changes.counts.total() == 11
    assert not found(new, new).worse and not found(new, new).groups


@pytest.mark.parametrize(
    ("old", "new", "worse"),
    [
        ([case("a")], [case("a", Verdict.UNSUPPORTED)], True),
        ([case("a", Verdict.UNSUPPORTED)], [case("a")], False),
        ([case("a")], [], True),
        ([], [case("a")], False),
        ([], [case("a", Verdict.MISMATCH)], True),
        ([case("a", Verdict.MISMATCH)], [case("a")], False),
        ([case("a", Verdict.MISMATCH)], [case("a", Verdict.MISMATCH)], False),
        ([margin("a", 0.1, "1")], [margin("a", 0.9, "2")], False),
        ([case("a")], [case("a", Verdict.INFRA)], True),
    ],
)
def test_what_is_worse(old: Sequence[Record], new: Sequence[Record], worse: bool) -> None:
    assert found(old, new).worse is worse


def test_bits_of_several_devices_are_compared_each_with_its_own() -> None:
    old = [margin("a", 0.1, "1"), replace(margin("a", 0.1, "2"), device="b")]
    ends = (Verdict.PASS, Verdict.MISMATCH)
    new = [replace(one, verdict=v) for one, v in zip(old, ends, strict=True)]
    changes = found(old, new)
    assert [pair.case.device for pair in changes.pairs(Change.FAILING)] == ["b"]
    assert changes.counts[Change.IDENTICAL] == 1
    # Another name of the one device is no other case.
    renamed = [replace(one, device="renamed") for one in old[:1]]
    assert found(old[:1], renamed).counts[Change.IDENTICAL] == 1


def test_groups_are_of_one_operation_and_type() -> None:
    old = [record(f"{op}[{cell}-{at}]") for op in "BA" for cell in ("quant8", "float32")
           for at in range(3)]  # fmt: skip
    new = [replace(one, verdict=Verdict.MISMATCH) if "-0" in one.id else one for one in old]
    groups = found(old, new).groups
    assert [(g.operation, g.cell, len(g.pairs), g.total) for g in groups] == [
        (op, cell, 1, 3) for op in "AB" for cell in ("float32", "quant8")
    ]  # fmt: skip


def test_tallies() -> None:
    records = [margin("a", 0.2), margin("b", float("nan")), case("c", Verdict.MISMATCH)]
    others = (Verdict.WAIVED, Verdict.INFRA, Verdict.OBSERVED)
    records += [case(verdict.value, verdict) for verdict in others]
    tally = tallies(map(outcome_of, records))["A"]["float32"]
    counts = [tally.cases, tally.passed, tally.failed, tally.errors, tally.apart, tally.others]
    assert counts == [6, 2, 1, 1, 1, 1] and tally.colour == "fail"
    assert tally.margin != tally.margin, "a margin that is no number is the worst"
    assert Tally().colour == "other"


def write(folder: Path, records: Sequence[Record], **conditions: object) -> Path:
    """A report as a run would leave it."""
    end = conditions.pop("end", True)
    usual: dict[str, object] = {
        "target": "host", "profile": "standard", "oracle": "golden", "version": "1.0",
        "started": "2026-01-02T03:04:05Z",
    }  # fmt: skip
    store = Store(folder)
    store.begin(Beginning(len(records), **(usual | conditions)))  # type: ignore[arg-type]
    for one in records:
        store.add(one)
    verdicts = {v.value: n for v in Verdict if (n := sum(r.verdict is v for r in records))}
    device = {"device": "npu", "device_version": "r1",
              "feature_level": 1000007}  # fmt: skip
    if end:
        store.finish(records, {"device": device, "devices": ["npu"]},
                     End(How.FINISHED, len(records), 0, verdicts))  # fmt: skip
    store.close()
    return folder


Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def kit(capsys: pytest.CaptureFixture[str]) -> Said:
    def call(*words: object) -> tuple[int, str, str]:
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


OLD = [case("a"), case("b"), margin("c", 0.2, "1"), case("d", Verdict.MISMATCH)]
NEW = [case("a", Verdict.MISMATCH, message=NASTY), case("b"), margin("c", 0.6, "2"), case("d")]


def test_two_reports(tmp_path: Path, kit: Said) -> None:
    old, new = write(tmp_path / "old", OLD), write(tmp_path / "new", NEW)
    code, said, err = kit("diff", old, new)
    assert (code, err) == (1, "")
    lines = said.splitlines()
    assert lines[0] == "old: npu, r1, feature level 7, 2026-01-02 03:04:05 UTC"
    assert lines[2] == "newly failing: 1 case of 1 type"
    assert lines[3] == "  A float32: 1 of 4 cases, 1 MISMATCH"
    assert lines[4].startswith("    MISMATCH A[float32-a]: ") and lines[4].endswith("(was PASS)")
    assert "\x1b" not in said and "\u2028" not in said
    assert "  A float32: 1 of 4 cases, margin 0.2 -> 0.6" in lines
    assert lines[-1] == (
        "1 newly failing, 1 fixed, 0 vanished, 0 new, 1 drifted inside the bound, 1 same verdict"
    )
    assert kit("diff", new, new)[0] == 0 and kit("diff", new, old)[0] == 1
    assert kit("report", new, "--diff", old) == (1, said, "")


@pytest.mark.parametrize(
    "other",
    [
        {"profile": "cts"}, {"oracle": "live"}, {"selection": "-k conv"}, {"target": "lib:x.so"},
        {"version": "2.0"}, {"seed": 7}, {"shard": "1/2"},
    ],
    ids=lambda other: next(iter(other)),
)  # fmt: skip
def test_conditions_come_first(tmp_path: Path, kit: Said, other: dict[str, object]) -> None:
    old, new = write(tmp_path / "old", OLD), write(tmp_path / "new", OLD, **other)
    (name, value), = other.items()  # fmt: skip
    code, said, err = kit("diff", old, new)
    first = said.splitlines()[0]
    assert code == 2 and first.startswith("CONDITIONS DIFFER: ")
    assert name in first and f"{value} in new" in first
    assert "--anyway" in err and len(err.splitlines()) == 1
    assert kit("diff", old, new, "--anyway") == (0, said, "")
    assert kit("report", new, "--diff", old)[0] == 2
    assert kit("report", new, "--diff", old, "--anyway")[0] == 0
    failing = write(tmp_path / "failing", NEW, **other)
    assert kit("diff", old, failing, "--anyway")[0] == 1


def test_a_run_that_did_not_end_decides_nothing(tmp_path: Path, kit: Said) -> None:
    old, cut = write(tmp_path / "old", OLD), write(tmp_path / "cut", OLD[:2], end=False)
    for words in ((), ("--anyway",)):
        code, said, _ = kit("diff", old, cut, *words)
        assert code == 2 and said.startswith("UNFINISHED: cut: ")


def test_the_options_of_a_report_hold_for_its_diff(tmp_path: Path, kit: Said) -> None:
    old, new = write(tmp_path / "old", OLD), write(tmp_path / "new", NEW)
    page = tmp_path / "page.html"
    code, said, _ = kit("report", new, "--diff", old, "--format", "html", "-o", page)
    assert code == 1 and len(said.splitlines()) == 2 and str(page) in said
    assert page.read_text().startswith("<!doctype html>")
    for words in (("--format", "junit"), ("--format", "html")):
        code, said, err = kit("report", new, "--diff", old, *words)
        assert code == 2 and not said and len(err.splitlines()) == 1
    assert "--diff" in kit("report", new, "--anyway")[2]
    assert kit("diff", old, new, "--format", "html")[2].endswith("name it with -o FILE\n")


def test_many_that_vanished_are_a_few_lines(tmp_path: Path, kit: Said) -> None:
    many = [record(f"{op}[{cell}-{at}]") for op in map("OP{}".format, range(40))
            for cell in ("float32", "quant8") for at in range(20)]  # fmt: skip
    old, new = write(tmp_path / "old", many), write(tmp_path / "new", many[:20])
    _, said, _ = kit("diff", old, new)
    assert len(said.splitlines()) < 40 and "vanished: 1580 cases of 79 types" in said
    assert "and 1340 cases of 67 types more: --all lists them" in said
    assert len(kit("diff", old, new, "--all")[1].splitlines()) > 1580


def test_three_runs_and_names(tmp_path: Path, kit: Said) -> None:
    old, new = write(tmp_path / "old", OLD), write(tmp_path / "new", NEW)
    code, said, _ = kit("diff", f"one={old}", f"two={new}", f"three={old}")
    assert code == 1
    assert "passed / cases  one  two  three" in said and "A               3/4  3/4    3/4" in said
    assert "one -> two" in said and "one -> three" in said
    value = json.loads(kit("diff", old, new, old, "--format", "json")[1])
    assert [side["label"] for side in value["sides"]] == [str(old), str(new), f"{old} (2)"]


def test_json_names_every_case_that_changed(tmp_path: Path, kit: Said) -> None:
    old, new = write(tmp_path / "old", OLD), write(tmp_path / "new", NEW)
    value = json.loads(kit("diff", old, new, "--format", "json")[1])
    (comparison,) = value["comparisons"]
    assert value["worse"] and comparison["counts"]["newly failing"] == 1
    changes = {g["change"]: [c["id"] for c in g["cases"]] for g in comparison["groups"]}
    assert changes == {
        "newly failing": ["A[float32-a]"], "fixed": ["A[float32-d]"],
        "drifted inside the bound": ["A[float32-c]"],
    }  # fmt: skip


def test_markdown_stays_under_the_limit_of_a_comment(tmp_path: Path) -> None:
    many = [record(f"{'OPERATION' * 40}{op}[float32-{'long' * 60}{at}]")
            for op in range(120) for at in range(2)]  # fmt: skip
    broken = [replace(one, verdict=Verdict.MISMATCH, message=NASTY) for one in many]
    paths = [write(tmp_path / "0", many)]
    paths += [write(tmp_path / str(at), broken) for at in range(1, 9)]
    text = markdown(versus(read_sides(list(map(str, paths)))))
    assert len(text) <= MOST_CHARACTERS + 200 and "Cut off here" in text
    assert text.count("<details") == text.count("</details>")
    small = markdown(versus(read_sides(list(map(str, paths[:2])))))
    assert "Cut off" not in small and "**0 → 1**: 240 newly failing" in small
    assert "</script>" not in text and not re.search(r"(?<!\\)\[float32", text)


def test_the_devices_of_one_report(tmp_path: Path, kit: Said) -> None:
    fleet = [replace(one, target=f"adb:{name}", device=name) for name in ("npu", "dsp")
             for one in OLD]  # fmt: skip
    fleet[1] = replace(fleet[1], verdict=Verdict.MISMATCH)
    code, said, _ = kit("diff", write(tmp_path / "fleet", fleet, target="adb:*"))
    lines = said.splitlines()
    assert code == 1 and lines[0].startswith("dsp: dsp") and lines[1].startswith("npu: npu")
    assert lines[-1].startswith("1 newly failing, 0 fixed, 0 vanished, 0 new")
    assert kit("diff", write(tmp_path / "alone", OLD))[0] == 2


def test_older_devices_belong_to_the_one_that_is_judged() -> None:
    judged = record(target="host", device="npu")
    older = record(
        "ADD[float32-old]", target="host#nnapi-level-3", device="nnapi-level-3", newer=True
    )
    lost = record("ADD[float32-lost]", Verdict.INFRA, device="", target="host")
    assert split([judged, older, lost]) == {("host", "npu"): [judged, older, lost]}
    chosen = record(target="host#npu", device="npu")
    assert list(split([chosen])) == [("host#npu", "npu")]


def test_a_device_that_the_target_names_is_no_older_one() -> None:
    beside = record(target="host#level-3", device="level-3", newer=True)
    named = record(target="host#npu", device="npu", newer=True)
    lost = record(verdict=Verdict.INFRA, target="host", device="", newer=True)
    assert older_devices([record(device="npu"), beside, lost], "host") == {"level-3"}
    assert older_devices([record(target="host#npu", device="npu"), named], "host#npu") == set()


def test_readings_that_differ(tmp_path: Path, kit: Said) -> None:
    def answers(reading: str) -> list[Record]:
        return [case("q", Verdict.OBSERVED, topic="order", reading=reading), case("a")]

    one, two = write(tmp_path / "one", answers("field")), write(tmp_path / "two", answers("text"))
    silent = write(tmp_path / "silent", [case("a"), case("q", Verdict.OBSERVED)])
    said = kit("diff", one, two)[1]
    assert "other reading: A order: field -> text" in said.splitlines()
    assert "other reading" not in kit("diff", one, silent)[1] + kit("diff", one, one)[1]
    page = tmp_path / "page.html"
    kit("diff", one, two, "--format", "html", "-o", page)
    assert re.search(r"<td>order</td>\s*<td>field</td>\s*<td>text</td>", page.read_text())


def test_cells_of_the_page_lead_into_the_runs(tmp_path: Path, kit: Said) -> None:
    old, new = write(tmp_path / "old", OLD), write(tmp_path / "new", NEW)
    (tmp_path / "pages").mkdir()
    page = tmp_path / "pages" / "page.html"
    kit("diff", old, new, "--format", "html", "-o", page)
    text = page.read_text()
    links = re.findall(r'<td class="v-fail"[^>]*><a href="([^"#]*)#([^"]*)">3/4</a>', text)
    assert links == [
        ("../old/index.html", "operation=%3DA"),
        ("../new/index.html", "operation=%3DA"),
    ]
    assert all((page.parent / path).is_file() for path, _ in links)
    assert '<b class="down">▼1</b><b class="up">▲1</b>' in text
    assert "../new/index.html#open=A%5Bfloat32-a%5D" in text
    assert "<b>\"'" not in text and "</script><b>" not in text
    # Of results without a page there is nothing to lead to.
    alone = tmp_path / "alone.jsonl"
    alone.write_bytes((new / "results.jsonl").read_bytes())
    kit("diff", old, alone, "--format", "html", "-o", page)
    assert '<td class="v-fail" title="4 cases, 3 passed, 1 failed' in page.read_text()
