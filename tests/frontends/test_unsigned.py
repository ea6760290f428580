"""Signed models as unsigned ones, for devices below feature level 4."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert")

from nnapi_testkit.cli import main
from nnapi_testkit.errors import KitError
from nnapi_testkit.frontends import load
from nnapi_testkit.frontends.unsigned import unsigned
from nnapi_testkit.models.check import check
from nnapi_testkit.models.work import needed_level
from nnapi_testkit.targets.base import Runner
from tests.frontends import tflite_cases_moved  # noqa: F401 (registers its cases)
from tests.frontends.flat import Flat
from tests.frontends.tflite_cases import CASES, I8
from tests.frontends.tflite_nets import build

# NNAPI has these with signed data alone.
SIGNED_ALONE = {"BATCH_MATMUL/int8"}
SIGNED = [name for name in CASES if "int8" in name.split("/")[-1] and "uint8" not in name]


def written(tmp_path: Path, name: str) -> Path:
    flat = Flat()
    return flat.write(tmp_path / "model.tflite", CASES[name](flat, np.random.default_rng(3)))


@pytest.mark.parametrize("name", sorted(set(SIGNED) - SIGNED_ALONE))
def test_the_source_computes_the_same(name: str, runner: Runner, tmp_path: Path) -> None:
    program = unsigned(load(written(tmp_path, name)))
    report = check(program, runner)
    assert program.expected and not report.conversion
    assert report.passed, report.text()
    assert all("SIGNED" not in operand.type.name for operand in program.model.main.operands)


def test_a_whole_net_needs_level_3(runner: Runner, tmp_path: Path) -> None:
    path = tmp_path / "mobilenet.tflite"
    path.write_bytes(build("mobilenet", "int8"))
    before = load(path)
    program = unsigned(before)
    count = len(program.model.main.operations)
    assert max(needed_level(before.model, index) for index in range(count)) == 4
    assert max(needed_level(program.model, index) for index in range(count)) == 3
    report = check(program, runner)
    assert not report.conversion and report.passed, report.text()


def test_a_padding_value_is_a_code(runner: Runner, tmp_path: Path) -> None:
    flat = Flat()
    x, y = flat.input((2, 3), *I8), flat.tensor((2, 6), *I8)
    given = [x, flat.constant(np.array([[0, 0], [1, 2]])), flat.constant(np.int8(5), *I8[1:])]
    flat.op("PADV2", given, [y], "PadV2", version=2)
    report = check(unsigned(load(flat.write(tmp_path / "pad.tflite", [y]))), runner)
    assert not report.conversion and report.passed, report.text()


def test_what_has_no_unsigned_form_is_named(tmp_path: Path) -> None:
    with pytest.raises(KitError, match=r"BATCH_MATMUL BATCH_MATMUL .* not possible with unsigned"):
        unsigned(load(written(tmp_path, "BATCH_MATMUL/int8")))


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(written(tmp_path, "CONV_2D/int8"))
    assert main(["model", "coverage", path]) == 0
    assert "needs feature level 4" in capsys.readouterr().out
    assert main(["model", "coverage", path, "--unsigned"]) == 0
    assert "needs feature level 1" in capsys.readouterr().out
