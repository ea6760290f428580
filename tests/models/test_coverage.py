"""Which operations of a model a device runs, against devices that the bundled driver plays."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from nnapi_testkit.cli import main
from nnapi_testkit.mobile import samples
from nnapi_testkit.mobile.convert import as_torchscript
from nnapi_testkit.mobile.files import save
from nnapi_testkit.model.builder import Builder
from nnapi_testkit.model.program import Program
from nnapi_testkit.models import coverage_text
from nnapi_testkit.models.coverage import Coverage, cover, regressions
from nnapi_testkit.models.work import multiply_accumulates, needed_level
from nnapi_testkit.spec.codes import OperationCode
from nnapi_testkit.targets import parse_target
from nnapi_testkit.targets.base import Runner
from tests.models.faulty import Faulty, other_code


def mixed() -> Program:
    """ADD, ELU, ADD, FULLY_CONNECTED: a device of level 3 has no ELU."""
    builder = Builder()
    x = builder.input("TENSOR_FLOAT32", (2, 8))
    none = builder.constant("INT32", 0)
    one = builder.constant("TENSOR_FLOAT32", np.ones((2, 8), np.float32))
    a, b, c = (builder.tensor("TENSOR_FLOAT32", (2, 8)) for _ in range(3))
    builder.operation("ADD", (x, one, none), (a,))
    builder.operation("ELU", (a, builder.constant("FLOAT32", 1.0)), (b,))
    builder.operation("ADD", (b, one, none), (c,))
    weights = builder.constant("TENSOR_FLOAT32", np.eye(8, dtype=np.float32)[:4])
    bias = builder.constant("TENSOR_FLOAT32", np.zeros(4, np.float32))
    out = builder.output("TENSOR_FLOAT32", (2, 4))
    builder.operation("FULLY_CONNECTED", (c, weights, bias, none), (out,))
    data = np.linspace(-2, 2, 16, dtype=np.float32).reshape(2, 8)
    names = ("first", "second", "third", "last")
    return Program(builder.build(), "mixed", names, inputs=((data,),))


def on(target: str) -> Coverage:
    with parse_target(target).open() as opened:
        return cover(mixed(), opened, target)


def test_a_device_that_claims_all() -> None:
    found = on("host")
    assert (found.claimed, found.right, found.partitions, found.transitions) == (4, 4, 1, 0)
    assert found.whole and found.told and found.share == 1.0 and found.level == 4
    assert [row.level for row in found.rows] == [1, 4, 1, 1]
    assert found.rows[3].macs == 2 * 4 * 8 and found.rows[0].macs == 0
    assert all(row.nanoseconds > 0 and row.compiled for row in found.rows)


def test_a_device_without_one_operation() -> None:
    found = on("host#nnapi-level-3")
    assert not found.whole and found.told
    assert [row.claimed for row in found.rows] == [True, False, True, True]
    assert [row.partition for row in found.rows] == [1, 2, 3, 3]
    assert (found.partitions, found.transitions) == (2, 2)
    assert found.share == 1.0  # ELU has no multiply-accumulates
    text = coverage_text.text([on("host"), found])
    assert "claims 3 of 4 operations, 3 right; 2 parts, 2 transitions" in text
    assert "not claimed" in text and "2 (CPU)" in text


def test_the_share_of_multiply_accumulates_counts_what_the_device_claims(tmp_path: Path) -> None:
    """A device that a file describes: ADD alone."""
    file = tmp_path / "devices"
    file.write_text("[small]\noperations = ADD\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NNAPI_REFERENCE_DEVICES", str(file))
        found = on("host#small")
    assert [row.claimed for row in found.rows] == [True, False, True, False]
    assert found.share == 0.0


def test_a_wrong_operation_is_shown(runner: Runner) -> None:
    """Alone and in the model: the wrong operation is wrong, its neighbours are right."""

    def edit(model):  # type: ignore[no-untyped-def]
        for index, operation in enumerate(model.main.operations):
            if operation.code == OperationCode.FULLY_CONNECTED:
                continue
            if operation.code == OperationCode.ADD:
                model = other_code(index, OperationCode.SUB)(model)
        return model

    found = cover(mixed(), Faulty(runner, edit), "host")  # type: ignore[arg-type]
    assert [row.verdict for row in found.rows] == ["MISMATCH", "PASS", "MISMATCH", "PASS"]
    assert len(found.wrong) == 2
    page = coverage_text.html([found])
    assert 'class="wrong">MISMATCH' in page and "#0 ADD first" in page
    assert "| #0 ADD first |" in coverage_text.markdown([found])


def test_regressions() -> None:
    before = on("host").json()
    assert list(regressions(on("host"), before)) == []
    worse = list(regressions(on("host#nnapi-level-3"), before))
    assert worse == ["#1 ELU second is not claimed any more", "2 parts on the device, 1 before"]
    assert "another model" in next(iter(regressions(on("host"), {"rows": [], "model": "x"})))


def test_what_the_model_has_no_more_is_a_regression() -> None:
    """An operation that a front end leaves to the CPU now, say; one that was on the CPU is not."""
    now = on("host")
    before = now.json()
    row = {"label": "#9 RELU last", "claimed": True, "verdict": "PASS"}
    before["rows"] = [*(asdict(item) for item in now.rows), row]
    assert list(regressions(now, before)) == ["#9 RELU last is no operation of the model any more"]
    row["claimed"] = False
    assert list(regressions(now, before)) == []


@pytest.mark.parametrize("rows", [None, {}, [1], [{}], [{"label": "#0 ADD"}], [{"claimed": True}]])
def test_rows_that_say_nothing_are_no_baseline(rows: object) -> None:
    told = list(regressions(on("host"), {"rows": rows}))
    assert told == ["the baseline holds no rows: write it with --format json"]


def test_two_devices_of_one_name_are_told_apart() -> None:
    found = [replace(on("host"), target=f"adb:{serial}") for serial in ("A", "B")]
    for shown in (coverage_text.markdown(found), coverage_text.html(found)):
        assert "(adb:A) time" in shown and "(adb:B) time" in shown
    assert "(host) time" not in coverage_text.html([on("host")])


@pytest.mark.parametrize(
    ("operation", "shapes", "macs"),
    [
        # filter [out, h, w, in]: 4 * 4 outputs of 8 channels, each 3 * 3 * 5
        ("CONV_2D", ((1, 6, 6, 5), (8, 3, 3, 5), (1, 4, 4, 8)), 4 * 4 * 8 * 45),
        ("DEPTHWISE_CONV_2D", ((1, 6, 6, 5), (1, 3, 3, 10), (1, 4, 4, 10)), 4 * 4 * 10 * 9),
        ("GROUPED_CONV_2D", ((1, 6, 6, 8), (4, 3, 3, 2), (1, 4, 4, 4)), 4 * 4 * 4 * 18),
        ("TRANSPOSE_CONV_2D", ((1, 3, 3, 5), (8, 2, 2, 5), (1, 6, 6, 8)), 9 * 5 * 8 * 4),
        ("FULLY_CONNECTED", ((2, 8), (4, 8), (2, 4)), 2 * 4 * 8),
        ("BATCH_MATMUL", ((3, 2, 5), (3, 5, 7), (3, 2, 7)), 3 * 2 * 7 * 5),
    ],
)
def test_multiply_accumulates(
    operation: str, shapes: tuple[tuple[int, ...], ...], macs: int
) -> None:
    builder = Builder()
    first = builder.input("TENSOR_FLOAT32", shapes[0])
    second = builder.input("TENSOR_FLOAT32", shapes[1])
    out = builder.output("TENSOR_FLOAT32", shapes[2])
    builder.operation(operation, (first, second), (out,))
    assert multiply_accumulates(builder.build(), 0, dict(enumerate(shapes))) == macs


def test_the_level_of_types() -> None:
    builder = Builder()
    x = builder.input("TENSOR_QUANT8_ASYMM_SIGNED", (2,), 0.5, 0)
    out = builder.output("TENSOR_QUANT8_ASYMM_SIGNED", (2,), 0.5, 0)
    builder.operation("RELU", (x,), (out,))
    assert needed_level(builder.build(), 0) == 4


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    model, inputs = samples.sample("mlp")
    path = tmp_path / "mlp.pt"
    save(as_torchscript(model, inputs), path, inputs=[inputs])
    return path


def test_commands(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "check", str(saved)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "PASS"
    assert main(["model", "check", str(saved), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "PASS"

    base = tmp_path / "base.json"
    assert main(["model", "coverage", str(saved), "--format", "json", "-o", str(base)]) == 0
    again = ["model", "coverage", str(saved), "--baseline", str(base)]
    assert main(again) == 0
    rows = json.loads(base.read_text())
    rows[0]["rows"][0]["label"], rows[0]["partitions"] = "gone", 0
    base.write_text(json.dumps(rows))
    assert main(again) == 1
    assert "1 parts on the device, 0 before" in capsys.readouterr().err
    assert main([*again, "-t", "host#nnapi-level-3"]) == 1
    assert "is not in the baseline" in capsys.readouterr().err
    base.write_text("{")
    assert main(again) == 2
    assert "cannot be read" in capsys.readouterr().err

    page = tmp_path / "page.html"
    both = ["-t", "host", "-t", "host#nnapi-level-4", "--format", "html", "-o", str(page)]
    assert main(["model", "coverage", str(saved), *both]) == 0
    assert "nnapi-level-4 time" in page.read_text()


def test_bench(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "bench", str(saved), "--runs", "5", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    ways = {timing["way"]: timing for timing in found["timings"]}
    assert {"compute", "burst", "fenced", "reusable", "device memory", "priority high"} <= set(ways)
    # Linux has no hardware buffers.
    assert "AHardwareBuffer" in ways.pop("ahardware buffer memory")["failed"]
    for timing in ways.values():
        assert not timing["failed"]
        assert 0 < timing["p50_ns"] <= timing["p90_ns"] <= timing["p99_ns"]
        assert timing["driver_ns"] >= timing["hardware_ns"] > 0
        assert timing["peak_kib"] > 0
    assert [count for count, _ in found["at_once"]] == [2, 4]
    assert main(["model", "bench", str(saved), "--runs", "3"]) == 0
    assert "copies at once" in capsys.readouterr().out
    assert main(["model", "bench", str(saved), "--runs", "1"]) == 2
