"""Contested cases: a device follows a reading, none, or one here and another there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from meta_mutants import perfect, result_of, zeros

from nnapi_testkit.cases.index import case_index
from nnapi_testkit.cases.ref import CaseRef
from nnapi_testkit.judge.judge import judge
from nnapi_testkit.judge.verdict import Record, Verdict
from nnapi_testkit.model.case import Answer, Case, Ending, Result, Stage
from nnapi_testkit.oracle import answer
from nnapi_testkit.report.readings import readings, readings_json, readings_line, readings_lines
from nnapi_testkit.spec.codes import ResultCode

PLAIN, SHORT = "SVDF[float32-plain]", "SVDF[float32-short-state]"


def asked(case_id: str) -> tuple[CaseRef, Case, Answer]:
    ref = next(r for r in case_index([case_id.partition("[")[0]]) if r.id == case_id)
    case = ref.make()
    return ref, case, answer(ref, case)


def follow(case_id: str, name: str) -> Record:
    """The record of a device that reads so."""
    ref, case, told = asked(case_id)
    sets = dict(told.readings)[name]
    if sets is None:
        # No answer is asked for where nothing was computed.
        result = Result(0, Ending.STOPPED, Stage.EXECUTION, ResultCode.OP_FAILED, "mutant")
        return judge(ref, case, None, result, profile="strict")
    else:
        result = result_of(case, perfect(case, replace(told, sets=sets)))
    return judge(ref, case, told, result, profile="strict")


@pytest.mark.parametrize("name", ["documented", "field"])
@pytest.mark.parametrize(
    "case_id",
    [
        PLAIN,
        SHORT,
        "QUANTIZED_16BIT_LSTM[quant8-plain]",
        "QUANTIZED_LSTM[quant8_signed-biases]",
        "QUANTIZED_LSTM[quant8_signed-norm-biases]",
        "QUANTIZED_LSTM[quant8_signed-hidden]",
        "QUANTIZED_LSTM[quant8_signed-unscaled]",
        "HASHTABLE_LOOKUP[quant8-missed-bytes]",
        "RESIZE_NEAREST_NEIGHBOR[float32-many-rows]",
        "STRIDED_SLICE[float32-shrink-backwards]",
        "BATCH_MATMUL[float32-two-inputs]",
        "LSH_PROJECTION[float32-sparse-weighted]",
        "CONV_2D[float32-padding-beyond]",
        "ABS[float32-empty]",
        "GENERATE_PROPOSALS[float32-limit-first]",
        "GENERATE_PROPOSALS[float32-just-least]",
        "GENERATE_PROPOSALS[quant8-symmetric-image-plain]",
        "ROI_POOLING[float16-float32-scalars-SAMPLE]",
    ],
)
def test_either_reading_is_recognized(case_id: str, name: str) -> None:
    if case_id.endswith("SAMPLE]"):
        head = case_id.removesuffix("SAMPLE]")
        case_id = next(r.id for r in case_index(["ROI_POOLING"]) if r.id.startswith(head))
    record = follow(case_id, name)
    assert record.verdict is Verdict.OBSERVED
    assert record.reading == name
    assert record.topic


def test_neither_is_a_mismatch() -> None:
    ref, case, told = asked(PLAIN)
    wrong = zeros(case, perfect(case, told))
    record = judge(ref, case, told, result_of(case, wrong))
    assert record.verdict is Verdict.MISMATCH
    assert record.reading == "neither"
    assert "follows no reading of state-width" in record.message


def test_a_crash_is_a_crash() -> None:
    ref, case, told = asked(PLAIN)
    result = Result(0, Ending.CRASHED, Stage.EXECUTION, 11, "mutant")
    assert judge(ref, case, told, result).verdict is Verdict.CRASH_RUNNER


def test_mixed_readings_are_a_finding() -> None:
    same = [follow(PLAIN, "field"), follow(SHORT, "field")]
    assert [row.word for row in readings(same)] == ["field"]
    assert not list(readings_lines(readings(same)))
    mixed = readings([follow(PLAIN, "field"), follow(SHORT, "documented")])
    assert [row.word for row in mixed] == ["mixed"]
    assert "inconsistent" in next(readings_lines(mixed))
    assert readings_json(mixed)[0]["first"] == {"field": PLAIN, "documented": SHORT}
    assert readings_line(mixed) == "readings: of 1 contested question 1 mixed"


def test_what_a_refusing_field_computes_is_documented() -> None:
    """A device that computes a form which others refuse follows the documentation."""
    record = follow("BATCH_MATMUL[float32-two-inputs]", "documented")
    assert record.evidence.compared > 0


def test_saturation_is_told_from_silence() -> None:
    ref, case, told = asked("CAST[int32>quant8-saturated]")
    saturated = [np.array([0, 0, 0, 0, 1, 254, 255, 255, 255, 255, 255], np.uint8)]
    wrapped = [np.array([0, 212, 255, 0, 1, 254, 255, 0, 1, 232, 255], np.uint8)]
    wrong = [np.array([0, 0, 0, 0, 2, 254, 255, 255, 255, 255, 255], np.uint8)]
    for arrays, verdict, reading in (
        (saturated, Verdict.OBSERVED, "field"),
        (wrapped, Verdict.OBSERVED, "documented"),
        (wrong, Verdict.MISMATCH, "neither"),
    ):
        record = judge(ref, case, told, result_of(case, [arrays]))
        assert (record.verdict, record.reading) == (verdict, reading)


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        (np.inf, Verdict.PASS),
        (np.finfo(np.float32).max, Verdict.OBSERVED),
        (-np.finfo(np.float32).max, Verdict.MISMATCH),
        (1.0, Verdict.MISMATCH),
    ],
)
def test_beyond_the_largest_number(given: float, verdict: Verdict) -> None:
    """Infinity, or the largest finite number, in an operation with a fused activation."""
    ref, case, told = asked("ADD[float32-special-same]")
    arrays = perfect(case, told)
    (place, *_) = np.argwhere(told.sets[0][0].value == np.inf)
    arrays[0][0][tuple(place)] = given
    assert judge(ref, case, told, result_of(case, arrays)).verdict is verdict
