"""The plugin with the real rooms: reference driver, runner, oracle, judge."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nnapi_testkit import paths
from nnapi_testkit.report.store import read_records

from .conftest import Pytest, outcome

MINE = """
import numpy as np
import pytest
from nnapi_testkit.errors import KitError
from nnapi_testkit.model.builder import Builder


def add(dims=(2, 3), out=(2, 3), relu=1):
    builder = Builder()
    left = builder.input("TENSOR_FLOAT32", dims)
    right = builder.constant("TENSOR_FLOAT32", [[1.0, -2.0, 3.0]])
    activation = builder.constant("INT32", relu)
    middle = builder.tensor("TENSOR_FLOAT32", dims)
    result = builder.output("TENSOR_FLOAT32", out)
    builder.operation("ADD", [left, right, activation], [middle])
    builder.operation("MUL", [middle, left, builder.constant("INT32", 0)], [result])
    return builder.build()


X = np.arange(6, dtype=np.float32).reshape(2, 3) - 2


def test_check(nnapi):
    record = nnapi.check(add(), X)
    assert record.verdict == "PASS"
    assert record.evidence.compared == 6
    assert record.device == "nnapi-reference"


def test_run(nnapi):
    (result,) = nnapi.run(add(), X)
    assert np.array_equal(result, np.maximum(X + [[1.0, -2.0, 3.0]], 0).astype(np.float32) * X)


def test_unknown_output_dimensions(nnapi):
    assert nnapi.check(add(out=(0, 0)), X).evidence.compared == 6


def test_a_wrong_driver_is_an_assertion(nnapi, monkeypatch):
    from dataclasses import replace
    from nnapi_testkit.oracle import answer

    def off(ref, case):
        found = answer(ref, case)
        one = found.sets[0][0]
        return replace(found, sets=((replace(one, value=one.value + 1),),))

    monkeypatch.setattr("nnapi_testkit.oracle.answer", off)
    with pytest.raises(AssertionError, match="minimum tolerance that would pass: 1"):
        nnapi.check(add(), X)


@pytest.mark.parametrize("given, message", [
    ((), "the model has 1 inputs, 0 were given"),
    ((X[:, :2],), "input 0 has shape"),
    ((np.array([["a"]]),), "the operand needs float32"),
])
def test_wrong_inputs_are_errors(nnapi, given, message):
    with pytest.raises(KitError, match=message):
        nnapi.check(add(), *given)


def test_a_refused_model_is_an_assertion(nnapi):
    with pytest.raises(AssertionError, match="REFUSED|UNSUPPORTED|EXEC_ERROR"):
        nnapi.check(add(relu=17), X)
"""


@pytest.fixture(autouse=True)
def built() -> None:
    paths.driver_library()
    paths.runner()


def test_users_check_their_own_models(run_pytest: Pytest, tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(MINE)
    done = run_pytest(world=False)
    assert outcome(done).keys() == {"passed"}, done.stdout


def test_the_suite_on_the_reference_driver(run_pytest: Pytest, tmp_path: Path) -> None:
    words = ["--nnapi-suite", "--nnapi-operation", "ADD", "--nnapi-profile", "strict"]
    done = run_pytest(*words, "--nnapi-report", "one", world=False)
    assert done.returncode == 0, done.stdout
    done = run_pytest(*words, "-n", "2", "--nnapi-report", "two", world=False)
    assert done.returncode == 0, done.stdout
    one, two = (
        {r.id: (r.verdict, r.evidence.margin) for r in read_records(tmp_path / name)}
        for name in ("one", "two")
    )
    assert one == two
    assert len(one) > 50


@pytest.mark.parametrize("words", [[], ["-n", "2"], ["--nnapi-jobs", "2"]])
def test_what_the_target_has_not_is_skipped_and_not_counted(
    run_pytest: Pytest, tmp_path: Path, words: list[str]
) -> None:
    asked = ["--nnapi-suite", "--nnapi-operation", "ABS", "--nnapi-oracle", "golden"]
    done = run_pytest(*asked, "--nnapi-report", "out", *words, world=False)
    assert done.returncode == 0, done.stdout
    assert "need hardware buffers, which the target has not" in done.stdout
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    counts = outcome(done)
    assert counts.pop("skipped") == 3
    assert sum(counts.values()) == summary["cases"] and set(counts) <= {"passed", "observed"}
    told = {verdict for verdict, count in summary["verdicts"].items() if count}
    assert told <= {"PASS", "OBSERVED"}
