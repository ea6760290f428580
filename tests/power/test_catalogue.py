"""The catalogue of faults: complete, in its place, and wrappers that are noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnapi_testkit.catalog import catalog
from nnapi_testkit.errors import KitError
from nnapi_testkit.power.bench import Bench
from nnapi_testkit.power.catalogue import catalogue, pick
from nnapi_testkit.power.edit import every_output
from nnapi_testkit.power.fault import Fault
from nnapi_testkit.power.planted import PLANTED

ROOT = Path(__file__).resolve().parent.parent.parent
# Public reports that name a wrong result, a refusal or a crash of a driver.
REPORTS = (
    "onnxruntime#19507",
    "onnxruntime#4993",
    "onnxruntime#9039",
    "tensorflow#39923",
    "tensorflow#29639",
    "tensorflow#45394",
    "tensorflow#57475",
    "tensorflow#57555",
    "tensorflow#28963",
    "webml-polyfill#393",
    "tensorflow#35847",
    "onnxruntime#6155",
    "onnxruntime#27805",
    "b/138756912",
    "tensorflow#48884",
    "tensorflow#19620",
    "tensorflow#35421",
    "ndk#1762",
    "armnn#769",
    "onnxruntime#21230",
    "LiteRT#9249",
    "ncnn#5799",
    "onnxruntime#15949",
    "MNN#3299",
    "tensorflow#27807",
    "webml-polyfill#469",
    "tensorflow#28140",
    "onnxruntime#12793",
    "onnxruntime#7859",
    "mediapipe#1962",
    "tensorflow#58990",
    "armnn#674",
    "nn-hal#1",
    "tflite-support#543",
    "nurl#336",
)
# Of any layer that needs no test build: one of each way to be wrong.
SHORT = (
    "relu6-ignored",
    "bias-dropped",
    "all-zero",
    "input-echoed",
    "last-byte-unwritten",
    "scale-one-percent",
    "float16-precision",
    "one-code-high",
    "tail-of-8",
    "stale-result",
    "dimensions-short",
    "invalid-accepted",
)


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench(most=240)


def test_at_least_120_kinds_each_with_its_source() -> None:
    faults = catalogue()
    assert len(faults) >= 120
    assert all(fault.seen and fault.what for fault in faults.values())
    assert {fault.layer for fault in faults.values()} == {"in", "out", "planted"}
    for fault in faults.values():
        assert set(fault.concerns) <= set(catalog()), fault.id


@pytest.mark.parametrize("report", REPORTS)
def test_each_public_report_has_a_fault(report: str) -> None:
    seen = " ".join(fault.seen for fault in catalogue().values())
    seen = seen.replace("tensorflow/tensorflow", "tensorflow").replace(", #", ", tensorflow#")
    assert report in seen


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.id)
def test_planted_faults_have_their_place_in_the_driver(planted: object) -> None:
    one = planted
    text = (ROOT / "emulator" / one.file).read_text()  # type: ignore[attr-defined]
    assert text.count(one.find) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", SHORT)
def test_a_wrapper_is_noticed(bench: Bench, name: str) -> None:
    assert bench.kills(catalogue()[name], ["FULLY_CONNECTED"])


def test_what_changes_nothing_is_not_noticed(bench: Bench) -> None:
    same = Fault("same", "", "", ("*",), "out", result=every_output(lambda left: left.data))
    assert not bench.kills(same, ["FULLY_CONNECTED"])


def test_picking() -> None:
    assert [fault.id for fault in pick(("all-zero",), ())] == ["all-zero"]
    assert {"relu-ignored", "all-zero"} <= {fault.id for fault in pick((), ("ADD",))}
    with pytest.raises(KitError, match="did you mean all-zero"):
        pick(("all-zeros",), ())
