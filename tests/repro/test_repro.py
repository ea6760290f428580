"""A failure as a folder: its C file, built against the bundled driver, gives the same verdict."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nnapi_testkit import paths
from nnapi_testkit.answers import open_goldens
from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.catalog import catalog
from nnapi_testkit.cli import main
from nnapi_testkit.judge.verdict import Evidence, Record, Verdict
from nnapi_testkit.model.case import Answer, Case, Expected
from nnapi_testkit.model.case import ExecutionPath as ExecutionPath
from nnapi_testkit.oracle import answer
from nnapi_testkit.repro.c_file import c_file
from nnapi_testkit.repro.model_text import model_text
from nnapi_testkit.repro.read import read_answer, read_case
from nnapi_testkit.repro.save import save
from nnapi_testkit.spec.kinds import OutputKind


def first_case(operation: str) -> tuple[CaseRef, Case, Answer]:
    ref = next(r for r in case_index([operation]) if r.kind in ("positive", "graph", "reading"))
    case = ref.make()
    return ref, case, answer(ref, case)


def shifted(told: Answer) -> Answer:
    """What a driver would have to give that is wrong everywhere: a fault, seen from the answer."""

    def other(expected: Expected) -> Expected:
        size = float(np.abs(np.nan_to_num(expected.value)).max(initial=1.0)) + 1.0
        return replace(expected, value=expected.value + 3 * size + 3 * expected.bound, exempt=None)

    return replace(told, sets=tuple(tuple(map(other, row)) for row in told.sets))


def built(folder: Path, name: str, source: str) -> subprocess.CompletedProcess[str]:
    (folder / f"{name}.c").write_text(source)
    library = paths.driver_library()
    include = paths.runner_sources()[1]
    words = ["cc", "-std=c11", "-O0", "-Wall", "-Werror", f"-I{include}", f"{name}.c", "-o", name]
    words += [str(library), "-lm", f"-Wl,-rpath,{library.parent}"]
    made = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return subprocess.run([f"./{name}"], cwd=folder, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("operation", catalog())
def test_the_c_file_gives_the_same_verdict(operation: str, tmp_path: Path) -> None:
    _, case, told = first_case(operation)
    kinds = {expected.kind for row in told.sets for expected in row}
    healthy = built(tmp_path, "healthy", c_file(case, told, profile="standard", build="", run=""))
    if kinds - {OutputKind.EACH, OutputKind.TRUTH}:
        assert healthy.returncode == 3 and "need nnapi-testkit replay" in healthy.stdout
        return
    assert healthy.returncode == 0, healthy.stdout
    if kinds == {OutputKind.TRUTH}:
        return  # a truth value has no other side to shift to
    wrong = built(
        tmp_path, "wrong", c_file(case, shifted(told), profile="strict", build="", run="")
    )
    assert wrong.returncode == 1, wrong.stdout


def record(ref: CaseRef, verdict: Verdict = Verdict.PASS) -> Record:
    return Record(ref.id, ref.operation, ref.cell, ref.level, verdict, Evidence())


@pytest.mark.parametrize("operation", ["CONV_2D", "IF", "WHILE", "RANDOM_MULTINOMIAL", "TOPK_V2"])
def test_a_case_is_read_back_as_it_was(operation: str, tmp_path: Path) -> None:
    ref, case, told = first_case(operation)
    case = replace(case, path=ExecutionPath.REUSABLE, repetitions=2, cache_token=bytes(range(32)))
    save(tmp_path / "x", case, told, record(ref), profile="standard")
    again = read_case(tmp_path / "x" / "case.nntk", case.id)
    assert again.model == case.model
    assert (again.path, again.repetitions, again.cache_token) == (
        case.path,
        case.repetitions,
        case.cache_token,
    )
    for mine, theirs in zip(case.sets, again.sets, strict=True):
        for one, other in zip(mine.inputs, theirs.inputs, strict=True):
            np.testing.assert_array_equal(one, other)
    back = read_answer(tmp_path / "x", again)
    assert back is not None
    for mine_, theirs_ in zip(told.sets, back.sets, strict=True):
        for want, have in zip(mine_, theirs_, strict=True):
            np.testing.assert_array_equal(want.value, have.value)
            np.testing.assert_array_equal(want.bound, have.bound)
            assert want.kind == have.kind


def test_the_model_as_text() -> None:
    _, case, _ = first_case("CONV_2D")
    text = model_text(case)
    assert " = CONV_2D(%0, %1, %2" in text and "inputs: %0" in text


def test_save_and_replay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "add"
    name = next(r.id for r in case_index(["ADD"]) if r.kind == "positive")
    assert main(["run", name, "--save", str(folder), "--oracle", "live"]) in (0, 2)
    assert {p.name for p in folder.iterdir()} == {
        "README.md",
        "case.nntk",
        "expected",
        "inputs",
        "model.txt",
        "nnapi.h",
        "record.json",
        "repro.c",
    }
    capsys.readouterr()
    assert main(["replay", str(folder)]) == 0
    assert capsys.readouterr().out.startswith("PASS")
    value = folder / "expected" / "set0" / "output0.npy"
    np.save(value, np.load(value) + 5)
    assert main(["replay", str(folder)]) == 1
    assert "MISMATCH" in capsys.readouterr().out
    assert main(["run", name, "--save", str(folder)]) == 2
    assert "is not empty" in capsys.readouterr().err


def test_a_refusal_replays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = next(r.id for r in case_index(["ADD"]) if r.kind == "refusal")
    folder = tmp_path / "refused"
    assert main(["run", name, "--save", str(folder), "--oracle", "live"]) in (0, 2)
    assert not (folder / "expected").exists()
    saved = json.loads((folder / "record.json").read_text())["record"]
    assert saved["neighbour"] and saved["rule"] and "control" not in saved
    capsys.readouterr()
    assert main(["replay", str(folder)]) == 0


def test_a_model_that_is_newer_than_its_device_replays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An older device may say that it does not support it, which is no word on other refusals."""
    found = (r for r in case_index(["RESIZE_BILINEAR"]) if r.broken and r.broken.newer)
    ref = next(r for r in found if r.level > 1)
    folder = tmp_path / "newer"
    older = f"host#nnapi-level-{ref.level - 1}"
    assert main(["run", ref.id, "-t", older, "--save", str(folder), "--oracle", "live"]) in (0, 2)
    saved = json.loads((folder / "record.json").read_text())["record"]
    assert saved["newer"] is True and saved["verdict"] == "PASS"
    capsys.readouterr()
    assert main(["replay", str(folder), "-t", older]) == 0
    told = capsys.readouterr().out
    assert told.startswith("PASS") and "older device" in told


def test_what_cannot_be_saved_or_replayed_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "-o", "ADD", "--save", str(tmp_path / "x")]) == 2
    assert "--save writes one case" in capsys.readouterr().err
    assert main(["replay", str(tmp_path)]) == 2
    (tmp_path / "record.json").write_text(json.dumps({"record": {"id": "A"}}))
    (tmp_path / "case.nntk").write_bytes(b"NNTK" + bytes(40))
    assert main(["replay", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "holds no case" in error.splitlines()[-1]


def test_goldens_serve_as_answers_too() -> None:
    """The C file of a golden: nothing here needs torch."""
    ref = next(r for r in case_index(["RELU"]) if r.kind == "positive")
    case = ref.make()
    told = open_goldens(paths.golden_dir()).get(ref, case)
    assert "judge(" in c_file(case, told, profile="standard", build="", run="")
