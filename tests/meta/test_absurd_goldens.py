"""Goldens whose checksums are right and whose content is absurd: an error, never the driver's."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnapi_testkit.answers import open_goldens
from nnapi_testkit.answers.container import MAGIC, CorruptGolden, pack, write
from nnapi_testkit.answers.stale import case_hash
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.errors import KitError
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.model.case import (
    Answer,
    Case,
    Ending,
    Expected,
    OutputResult,
    Result,
    SetResult,
    Stage,
)
from nnapi_testkit.model.kinds import Kind
from nnapi_testkit.session.lane import Lane
from nnapi_testkit.session.services import Services, standard
from nnapi_testkit.session.settings import OracleMode, Settings

from .test_judge import CASE

REF = CaseRef("ADD[test]", "ADD", "float32", 1, Kind.POSITIVE, lambda: CASE)
RIGHT = Answer(((Expected(np.full(2, 2.0), np.full(2, 1e-6)),),))


def _write(folder: Path, index: object, payload: bytes) -> None:
    text = zlib.compress(index if isinstance(index, bytes) else json.dumps(index).encode())
    head = MAGIC + struct.pack("<II", len(text), zlib.crc32(text))
    (folder / "ADD.golden").write_bytes(head + text + payload)


def _layout(change: Callable[[list[Any]], object]) -> Callable[[Path], None]:
    """Change the layout of the one output: [dims, value type, flags, ...]."""

    def edited(folder: Path) -> None:
        layout, content = pack(RIGHT)
        change(layout)
        data = zlib.compress(content)
        _write(folder, {REF.id: [case_hash(CASE), 0, len(data), zlib.crc32(data), layout]}, data)

    return edited


def _answer(answer: Answer) -> Callable[[Path], None]:
    def written(folder: Path) -> None:
        write(folder / "ADD.golden", {REF.id: (case_hash(CASE), *pack(answer))})

    return written


def _index(index: object) -> Callable[[Path], None]:
    return lambda folder: _write(folder, index, b"")


def _entry(*entry: object) -> Callable[[Path], None]:
    return _index({REF.id: [case_hash(CASE), *entry]})


def _of(*shape: int) -> Expected:
    return Expected(np.full(shape, 2.0), np.full(shape, 1e-6))


ABSURD: dict[str, Callable[[Path], None]] = {
    "an index that is no JSON": _index(b"{"),
    "an index in another encoding": _index(b"\xff\xfe{\x00}\x00"),
    "an index that is a list": _index([1, 2]),
    "an index nested too deeply": _index(b"[" * 100_000),
    "an entry that is a word": _index({REF.id: "x"}),
    "an entry of two": _entry(0),
    "a place of words": _entry("a", 0, 0, []),
    "a place below zero": _entry(-8, 0, 0, []),
    "a place behind the end": _entry(10**12, 8, 0, []),
    "no input set": _entry(0, 0, 0, []),
    "no output": _entry(0, 0, 0, [[]]),
    "dimensions of words": _layout(lambda sets: sets[0][0].__setitem__(0, ["a"])),
    "dimensions below zero": _layout(lambda sets: sets[0][0].__setitem__(0, [-2])),
    "dimensions beyond memory": _layout(lambda sets: sets[0][0].__setitem__(0, [2**40, 2**20])),
    "more elements than bytes": _layout(lambda sets: sets[0][0].__setitem__(0, [500])),
    "fewer elements than bytes": _layout(lambda sets: sets[0][0].__setitem__(0, [1])),
    "objects as values": _layout(lambda sets: sets[0][0].__setitem__(1, "|O8")),
    "words as values": _layout(lambda sets: sets[0][0].__setitem__(1, "S4")),
    "flags of words": _layout(lambda sets: sets[0][0].__setitem__(2, "x")),
    "a law without classes": _layout(lambda sets: sets[0][0].__setitem__(2, 4)),
    "an output of one word": _layout(lambda sets: sets[0].__setitem__(0, ["x"])),
    "other dimensions than the case": _answer(Answer(((_of(1, 2),),))),
    "fewer rows than the case": _answer(Answer(((_of(1),),))),
    "two outputs": _answer(Answer(((_of(2), _of(2)),))),
    "two input sets": _answer(Answer(((_of(2),), (_of(2),)))),
}


@pytest.mark.parametrize("kind", ABSURD)
def test_absurd_goldens(tmp_path: Path, kind: str) -> None:
    ABSURD[kind](tmp_path)
    with pytest.raises(CorruptGolden) as caught:
        open_goldens(tmp_path).get(REF, CASE)
    assert "\n" not in str(caught.value)
    assert "golden update" in str(caught.value)


class _Right:
    """A runner of a driver that computes the case correctly."""

    def run(self, cases: list[Case]) -> object:
        for at, _ in enumerate(cases):
            output = OutputResult((2,), np.full(2, 2.0, "<f4").tobytes(), 0)
            run = SetResult(0, (output,))
            yield Result(at, Ending.COMPLETED, Stage.DONE, device="d", executions=(run,))

    def close(self) -> None:
        pass


@pytest.mark.parametrize("kind", [*ABSURD, ""])
def test_no_driver_is_blamed_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    ABSURD.get(kind, _answer(RIGHT))(tmp_path)
    monkeypatch.setattr("nnapi_testkit.paths.golden_dir", lambda: tmp_path)

    def services() -> Services:
        from dataclasses import replace

        return replace(standard(), open_runner=lambda *words, **more: _Right())  # type: ignore

    with Lane(Settings(oracle=OracleMode.GOLDEN), services()) as lane:
        (record,) = lane.run([REF])
    assert record.verdict is (Verdict.ORACLE_DISPUTE if kind else Verdict.PASS), record


def test_what_is_right_is_none_of_these(tmp_path: Path) -> None:
    _answer(RIGHT)(tmp_path)
    assert open_goldens(tmp_path).get(REF, CASE).sets[0][0].value.tolist() == [2.0, 2.0]
    _layout(lambda sets: None)(tmp_path)
    assert open_goldens(tmp_path).get(REF, CASE).sets[0][0].value.tolist() == [2.0, 2.0]
    (tmp_path / "ADD.golden").unlink()
    with pytest.raises(KitError, match="no golden answers"):
        open_goldens(tmp_path).get(REF, CASE)
