"""Files that are damaged: each is one line and exit code 2, or UNFINISHED; none is a pass."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from report_samples import record, run

from nnapi_testkit.cli import main
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.models import coverage_text
from nnapi_testkit.models.coverage import Coverage, Row
from nnapi_testkit.report.store import Store
from nnapi_testkit.session.record import Beginning, End, How

Lines = list[bytes]


def _edit(change: Callable[[dict[str, object]], object], at: int = 1) -> Callable[[Lines], Lines]:
    def edited(lines: Lines) -> Lines:
        value = json.loads(lines[at])
        change(value)
        return [*lines[:at], json.dumps(value).encode() + b"\n", *lines[at + 1 :]]

    return edited


def _put(**fields: object) -> Callable[[Lines], Lines]:
    return _edit(lambda value: value.update(fields))


def _evidence(**fields: object) -> Callable[[Lines], Lines]:
    return _edit(lambda value: value["evidence"].update(fields))  # type: ignore[attr-defined]


def _drop(name: str) -> Callable[[Lines], Lines]:
    return _edit(lambda value: value.pop(name))


def _first(**fields: object) -> Callable[[Lines], Lines]:
    return _edit(lambda value: value["run"].update(fields), 0)  # type: ignore[attr-defined]


def _raw(text: bytes, at: int = 1) -> Callable[[Lines], Lines]:
    return lambda lines: [*lines[:at], text + b"\n", *lines[at + 1 :]]


DEEP = b'{"id":' + b"[" * 100_000 + b"]" * 100_000 + b"}"

# What was done to the file, and what is said of it. Everything is exit code 2.
DAMAGED: dict[str, tuple[Callable[[Lines], Lines], str]] = {
    "empty": (lambda lines: [], "holds no record"),
    "only the first line": (lambda lines: lines[:1], "UNFINISHED: 0 of 9 planned"),
    "no first line": (lambda lines: lines[1:], "no first line that says"),
    "no last line": (lambda lines: lines[:-1], "9 of 9 planned cases have a record"),
    "killed in the middle": (lambda lines: lines[:4], "3 of 9 planned cases have a record"),
    "a line cut off": (lambda lines: [*lines[:4], lines[4][:30]], "3 of 9 planned cases"),
    "the last line cut off": (lambda lines: [*lines[:-1], lines[-1][:-1]], "9 of 9 planned"),
    "a record is gone": (lambda lines: lines[:2] + lines[3:], "where its last line counts 9"),
    "a record twice": (lambda lines: [*lines[:2], lines[1], *lines[2:]], "has a record already"),
    "a blank line": (lambda lines: [*lines[:2], b"\n", *lines[2:]], "line 3: not a record"),
    "two runs in one file": (lambda lines: lines + lines, "behind the end of the run"),
    "a second first line": (lambda lines: lines[:1] + lines, "another run begins"),
    "behind the end": (lambda lines: [*lines, lines[1]], "behind the end of the run"),
    "mixed lines of two runs": (lambda lines: [lines[0][:40] + lines[1], *lines[2:]], "line 1"),
    "binary": (lambda lines: [bytes(range(128, 256)) + b"\n"], "is not a results.jsonl"),
    "NUL bytes": (lambda lines: [*lines[:3], b"\0" * 512 + b"\n"], "line 4: not a record"),
    "gzip": (lambda lines: [b"\x1f\x8b\x08\x00abc\n"], "is not a results.jsonl"),
    "UTF-16": (lambda lines: [b"".join(lines).decode().encode("utf-16")], "is not a results"),
    "HTML": (lambda lines: [b"<html>404</html>\n"], "line 1: not a record"),
    "a list": (_raw(b"[]"), "Record is no object"),
    "a number": (_raw(b"3"), "Record is no object"),
    "no object at all": (_raw(b"null"), "Record is no object"),
    "deep nesting": (_raw(DEEP), "nested too deeply"),
    "an older schema": (_first(schema=1), "schema 1 where this"),
    "a newer schema": (_first(schema=99), "schema 99 where this"),
    "a schema of words": (_first(schema={}), "where this version"),
    "planned is a word": (_first(planned="9"), "planned: str"),
    "planned is negative": (_first(planned=-9), "negative count"),
    "fewer planned": (_first(planned=3), "9 of 3 planned"),
    "more planned": (_first(planned=99), "9 of 99 planned"),
    "an end without counts": (_raw(b'{"end": {"how": "finished"}}', -1), "cases is missing"),
    "an end by no known way": (_raw(b'{"end": {"how": "well", "cases": 9}}', -1), "'well' is none"),
    "an id that is missing": (_drop("id"), "id is missing"),
    "a device that is missing": (_drop("device"), "device is missing"),
    "evidence that is missing": (_drop("evidence"), "evidence is missing"),
    "evidence that is a list": (_put(evidence=[]), "evidence: Evidence is no object"),
    "an id that is a number": (_put(id=7), "id: int instead of str"),
    "a level that is a word": (_put(level="1"), "level: str instead of int"),
    "a level that is true": (_put(level=True), "level: bool instead of int"),
    "a level that is none": (_put(level=None), "level: NoneType instead of int"),
    "a level below zero": (_put(level=-1), "a negative count"),
    "a verdict that is none": (_put(verdict="FINE"), "'FINE' is none of its words"),
    "a verdict that is a list": (_put(verdict=["PASS"]), "is none of its words"),
    "an unknown field": (_put(verdikt="PASS"), "'verdikt' is unknown"),
    "a count below zero": (_evidence(compared=-5), "a negative count"),
    "a count that is a fraction": (_evidence(compared=1.5), "compared: float instead of int"),
    "a huge number": (_evidence(compared=10**30), "beyond 64 bits"),
    "a number of 5,000 digits": (_raw(b'{"id":' + b"9" * 5000 + b"}"), "not a record"),
    "a margin beyond floats": (_evidence(margin=10**400), "margin: a number that no float holds"),
    "a margin that is a word": (_evidence(margin="small"), "margin: str instead of a number"),
    "NaN as a word of JSON": (_raw(b'{"id": NaN}'), "NaN is no JSON"),
    "infinity as a word of JSON": (_raw(b'{"id": -Infinity}'), "-Infinity is no JSON"),
    "a float too large to read": (_evidence(margin=None), "margin: NoneType"),
    "differences that are none": (_put(differences=[{"set": 0}]), "differences: output is missing"),
    "differences of words": (_put(differences="none"), "differences: str instead of list"),
    "codes that are one": (
        _put(differences=[{
            "set": 0, "output": 0, "index": [0], "actual": 1, "expected": 2, "error": 1,
            "bound": 0, "legal_codes": [1],
        }]),
        "legal_codes: 1 items, not 2",
    ),
}  # fmt: skip


@pytest.fixture
def report(tmp_path: Path) -> Path:
    folder = tmp_path / "report"
    store = Store(folder)
    records = [record(), *run()[1:], record("TANH[float16-z]")]
    store.begin(Beginning(planned=9, target="host"))
    for item in records:
        store.add(item)
    counts: dict[str, int] = {}
    for item in records:
        counts[item.verdict.value] = counts.get(item.verdict.value, 0) + 1
    summary = {"outcome": "fail", "target": "host", "devices": ["d"], "operations": 4, "cells": 5}
    store.finish(records, summary, End(How.FINISHED, 9, 1, counts))
    return folder


def _lines(text: str) -> list[str]:
    return text.splitlines()


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_results(report: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    change, words = DAMAGED[kind]
    file = report / "results.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(change(lines)))
    other = report.parent / "other"
    for command in (
        ["report", str(report)],
        ["report", str(report), "--format", "junit", "-o", str(report.parent / "j.xml")],
        ["report", str(report), "--diff", str(report)],
        ["merge", str(report), "-o", str(other)],
    ):
        code = main(command)
        said = capsys.readouterr()
        assert code == 2, (command, said)
        assert "Traceback" not in said.err and "internal error" not in said.err
        if said.err:
            assert len(_lines(said.err)) == 1 and said.err.startswith("nnapi-testkit: ")
            assert len(said.err) < 1000
        elif "-o" not in command or command[0] == "merge":
            assert "UNFINISHED: " in said.out
            assert not any(line.startswith("PASS:") for line in _lines(said.out))
        if command[0] != "merge" or said.err:
            assert words in said.err + said.out or kind == "empty", said


def test_a_whole_report_is_none_of_these(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(report)]) == 0
    assert "FAIL: 1 MISMATCH" not in capsys.readouterr().err
    assert main(["report", str(report), "--diff", str(report)]) == 0
    assert "UNFINISHED" not in capsys.readouterr().out


SUMMARIES: dict[str, str] = {
    "cut off": '{"outcome": "pa',
    "a list": "[]",
    "binary": "\x00\x01",
    "a device of words": '{"device": "npu"}',
    "devices of words": '{"devices": "npu"}',
    "seconds of words": '{"seconds": "3"}',
    "problems as a count": '{"problems": 3}',
    "versions as a list": '{"versions": [1]}',
    "verdicts as a list": '{"verdicts": [1]}',
    "true operations": '{"operations": true}',
    "deep nesting": "[" * 100_000,
}


@pytest.mark.parametrize("kind", SUMMARIES)
def test_damaged_summaries(report: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    (report / "summary.json").write_text(SUMMARIES[kind])
    for command in (
        ["report", str(report)],
        ["report", str(report), "--format", "html"],
        ["merge", str(report), "-o", str(report.parent / "other")],
    ):
        assert main(command) == 2
        said = capsys.readouterr().err
        assert "summary.json is damaged" in said and len(_lines(said)) == 1


def test_what_is_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder" / "results.jsonl").mkdir(parents=True)
    (tmp_path / "loop").symlink_to("loop")
    for name in ("pipe", "folder", "loop", "nowhere", "folder/results.jsonl"):
        assert main(["report", str(tmp_path / name)]) == 2, name
        assert len(_lines(capsys.readouterr().err)) == 1


NASTY = {
    "newline": "npu\nPASS: 30763 PASS in 1.0 s",
    "carriage return": "npu\rPASS: 30763 PASS in 1.0 s",
    "escape sequence": "npu\x1b[2J\x1b[1;32mPASS: 30763 PASS\x1b[0m",
    "C1 control": "npu\x9b2J\x85PASS: 30763 PASS",
    "line separator": "npu\u2028PASS: 30763 PASS\u2029x",
    "backspace": "npu\b\b\bPASS: 30763 PASS",
    "right to left": "npu\u202eSSAP\u202c \u2066x\u2069",
    "lone surrogate": "npu\udc80\ud800",
    "vertical tab and form feed": "npu\x0bPASS: 1 PASS\x0cPASS: 1 PASS",
    "title of a terminal": "npu\x1b]0;PASS\x07",
    "end of a script": "npu</script><script>alert(1)</script>",
    "NUL": "npu\x00",
    "no character": "npu\ufffe\uffff\ufeff",
}
ACTING = set(map(chr, [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, 0x202E, 0x2066])) - {"\n"}


@pytest.mark.parametrize("kind", NASTY)
def test_what_drivers_say_cannot_act(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    text = NASTY[kind]
    bad = record(
        "ADD[float32-a]", Verdict.MISMATCH, device=text, message=text, text=text, repro=text,
        target=text,
    )  # fmt: skip
    store = Store(tmp_path)
    store.begin(Beginning(planned=1, target=text, selection=text))
    store.add(bad)
    summary = {
        "outcome": "fail", "devices": [text], "target": text, "problems": [text],
        "device": {"device": text, "build": text}, "versions": {text: text},
    }  # fmt: skip
    end = End(How.FINISHED, 1, 1, {"MISMATCH": 1}, problems=(text,))
    store.finish([bad], summary, end)
    assert main(["report", str(tmp_path)]) == 0
    assert main(["report", str(tmp_path), "--diff", str(tmp_path)]) == 0
    said = capsys.readouterr()
    shown = said.out + said.err
    assert not ACTING & set(shown)
    assert not any(line.lstrip().startswith("PASS") for line in _lines(shown))
    for name in ("junit.xml", "index.html"):
        written = (tmp_path / name).read_text("utf-8")
        assert not ACTING & set(written), name
        assert "\nPASS: 30763" not in written
        assert "<script>alert" not in written


@pytest.mark.parametrize("kind", NASTY)
def test_nor_in_tables_of_models(kind: str) -> None:
    text = NASTY[kind] + "| [PASS](http://x) `PASS` <b>PASS</b>"
    row = Row(0, "ADD", "ADD", 1, 0, True, True, Verdict.PASS)
    found = [Coverage("model\n# PASS", text, text, (row,), True, True)]
    assert not ACTING & set(coverage_text.text(found)), "a column may fold a long name"
    shown = coverage_text.markdown(found)
    assert not ACTING & set(shown)
    assert not any(line.lstrip("#|- ").startswith("PASS") for line in _lines(shown))
    assert "[PASS]" not in shown.replace("\\[PASS\\]", "") and "<b>" not in shown
