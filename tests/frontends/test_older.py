"""Models for older devices: the same values from the operations of levels 1 and 2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from examples import efficientnet_lite, fbnet, mobilenet_v2, mobilenet_v3, perceptron, segmentation
from examples.common import lowered, quantized
from nnapi_testkit.cli import main
from nnapi_testkit.errors import KitError
from nnapi_testkit.frontends.export import from_module
from nnapi_testkit.frontends.older import older
from nnapi_testkit.model.builder import Builder
from nnapi_testkit.model.program import Program, operation_name
from nnapi_testkit.models.check import check
from nnapi_testkit.models.coverage import cover
from nnapi_testkit.models.work import needed_level
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.targets import parse_target
from nnapi_testkit.targets.base import Runner
from tests.frontends.zoo import EXAMPLES
from tests.mobile.aten import Fn

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture(scope="module")
def devices() -> Iterator[dict[int, Runner]]:
    """Devices of levels 1 and 2, which the bundled driver plays."""
    with (
        parse_target("host#nnapi-level-1").open() as first,
        parse_target("host#nnapi-level-2").open() as second,
    ):
        yield {1: first, 2: second}


def highest(program: Program) -> int:
    return max(
        needed_level(program.model, index) for index in range(len(program.model.main.operations))
    )


def names(program: Program) -> set[str]:
    return {operation_name(o.code) for o in program.model.main.operations}


def right(program: Program, device: Runner, level: int) -> None:
    assert highest(program) <= level
    report = check(program, device)
    assert program.expected and report.passed and not report.conversion, report.text()


NETS = [
    (perceptron.EXAMPLE, 1),
    (mobilenet_v2.EXAMPLE, 1),
    (mobilenet_v3.EXAMPLE, 1),
    (fbnet.EXAMPLE, 1),
    (efficientnet_lite.EXAMPLE, 1),
    (fbnet.EXAMPLE, 2),
    (segmentation.EXAMPLE, 2),
]


@pytest.mark.parametrize(
    ("example", "level"), NETS, ids=[f"{example.name}-{level}" for example, level in NETS]
)
def test_whole_nets(example: Any, level: int, devices: dict[int, Runner]) -> None:
    before = lowered(example)
    program = older(before, level)
    right(program, devices[level], level)
    found = cover(program, devices[level], "old")
    assert found.whole and not found.wrong
    if highest(before) > level:
        assert not cover(before, devices[level], "old").whole


def _x(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


IMAGE, ROWS = _x(1, 4, 6, 5), _x(3, 4)
# Name: module, inputs, the oldest level that has it, an operation that must be gone.
KINDS: dict[str, tuple[Any, tuple[torch.Tensor, ...], int, str]] = {
    "hard swish": (F.hardswish, (IMAGE,), 1, "HARD_SWISH"),
    "difference": (lambda x, y: F.relu(x - y), (IMAGE, _x(4, 1, 1)), 1, "SUB"),
    "quotient": (lambda x: x / 3.5, (ROWS,), 1, "DIV"),
    "negative": (lambda x: -x, (ROWS,), 1, "NEG"),
    "absolute": (torch.abs, (ROWS,), 1, "ABS"),
    "clamp": (lambda x: x.clamp(-0.5, 0.7), (ROWS,), 1, "MAXIMUM"),
    "minimum": (torch.minimum, (ROWS, _x(4)), 1, "MINIMUM"),
    "slopes": (nn.PReLU(4), (IMAGE,), 1, "PRELU"),
    "leaky": (F.leaky_relu, (ROWS,), 1, "PRELU"),
    "softmax of cubes": (lambda x: x.softmax(-1), (_x(2, 3, 4),), 1, ""),
    "softmax inside": (lambda x: x.softmax(1), (_x(2, 3, 4),), 2, ""),
    "means": (lambda x: (x.mean((2, 3)), x.mean(1, True)), (IMAGE,), 1, "MEAN"),
    "sums": (lambda x: (x.sum(1, keepdim=True), x.sum()), (ROWS,), 1, "REDUCE_SUM"),
    "extremes": (lambda x: (x.amax(-1), x.amin(0)), (ROWS,), 1, "REDUCE_MIN"),
    "pad": (lambda x: F.pad(x, (1, 2, 0, 1), value=3.0), (IMAGE,), 1, "PAD_V2"),
    "pad with zeros": (lambda x: F.pad(x, (1, 0, 2, 1)), (IMAGE,), 1, "PAD"),
    "tile": (lambda x: x.repeat(2, 3), (ROWS,), 1, "TILE"),
    "slice": (lambda x: x[:, 1:3], (ROWS,), 2, "SLICE"),
    "dilation": (nn.Conv2d(4, 8, 3, padding=2, dilation=2), (IMAGE,), 1, ""),
    "dilated, each channel": (nn.Conv2d(4, 4, 3, dilation=(1, 2), groups=4), (IMAGE,), 1, ""),
    "groups": (nn.Conv2d(4, 6, 3, padding=1, groups=2), (IMAGE,), 1, "GROUPED_CONV_2D"),
    "shuffle": (lambda x: F.channel_shuffle(x, 2), (_x(1, 6, 3, 2),), 1, "CHANNEL_SHUFFLE"),
    "nearest": (lambda x: F.interpolate(x, scale_factor=2), (IMAGE,), 1, "RESIZE_NEAREST_NEIGHBOR"),
    "bilinear": (
        lambda x: F.interpolate(x, size=(7, 9), mode="bilinear"),
        (IMAGE,),
        2,
        "RESIZE_BILINEAR",
    ),
    "smaller": (
        lambda x: F.interpolate(x, size=(3, 2), mode="bilinear"),
        (IMAGE,),
        2,
        "RESIZE_BILINEAR",
    ),
    "corners": (
        lambda x: F.interpolate(x, size=(7, 9), mode="bilinear", align_corners=True),
        (IMAGE,),
        2,
        "RESIZE_BILINEAR",
    ),
}


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("name", KINDS)
def test_each_older_form(name: str, level: int, devices: dict[int, Runner]) -> None:
    torch.manual_seed(0)
    made, inputs, oldest, gone = KINDS[name]
    module = made if isinstance(made, nn.Module) else Fn(made)
    before = from_module(module.eval(), [inputs], name=name)
    assert not gone or gone in names(before)
    assert highest(before) > oldest, "there is nothing to be done for it"
    if level < oldest:
        with pytest.raises(KitError, match="needs feature level"):
            older(before, level)
        return
    program = older(before, level)
    right(program, devices[level], level)
    assert all(program.operations)  # where each comes from is known still
    if level == oldest:
        assert gone not in names(program)


def test_quantized_nets_are_fed_codes(devices: dict[int, Runner]) -> None:
    pytest.importorskip("onnxruntime")
    program = older(quantized(mobilenet_v2.EXAMPLE), 1)
    assert "QUANTIZE" not in names(program) and "fed as codes" in program.notes[0]
    assert program.inputs[0][0] is not None and program.inputs[0][0].dtype == np.uint8
    right(program, devices[1], 1)
    with pytest.raises(KitError, match="only what is fed can be quantized before the model"):
        older(quantized(perceptron.EXAMPLE), 1)


def test_parts_of_a_tensor_are_slices(devices: dict[int, Runner]) -> None:
    builder = Builder()
    x = builder.input("TENSOR_FLOAT32", (2, 6))
    parts = [builder.output("TENSOR_FLOAT32", (2, 2)) for _ in range(3)]
    numbers = [builder.constant("INT32", value) for value in (1, 3)]
    builder.operation("SPLIT", (x, *numbers), parts)
    before = Program(builder.build(), "parts", inputs=((_x(2, 6).numpy(),),))
    program = older(before, 2)
    assert names(program) == {"STRIDED_SLICE"}
    assert check(program, devices[2]).passed
    with pytest.raises(KitError, match="level 1 has no operation that takes a part"):
        older(before, 1)


def test_a_wrong_older_form_is_the_converters_fault(devices: dict[int, Runner]) -> None:
    """A number of it changed: the model is not what its source computes; no driver is to blame."""
    program = older(from_module(Fn(F.hardswish).eval(), [(IMAGE,)]), 1)
    graph = program.model.main
    at = next(
        at for at, operand in enumerate(graph.operands) if operand.value == np.float32(3).tobytes()
    )
    operands = list(graph.operands)
    operands[at] = replace(operands[at], value=np.float32(3.1).tobytes())
    wrong = replace(program.model, main=replace(graph, operands=tuple(operands)))
    report = check(replace(program, model=wrong), devices[1])
    assert report.verdict.name == "ORACLE_DISPUTE", report.text()


@pytest.mark.parametrize(
    ("name", "level", "words"),
    [
        ("vision transformer", 2, ("RSQRT", "no older operation has a root", "BATCH_MATMUL")),
        ("LSTM tagger", 1, ("the steps are a loop", "LOG_SOFTMAX", "in lstm")),
        ("SSD", 2, ("DETECTION_POSTPROCESSING", "nothing older")),
        ("while", 3, ("WHILE", "partition the model")),
    ],
)
def test_reasons_are_told_all_at_once(name: str, level: int, words: tuple[str, ...]) -> None:
    example = next(example for example in EXAMPLES if example.name == name)
    with pytest.raises(KitError) as error:
        older(lowered(example), level)
    told = str(error.value)
    assert f"at level {level}: NNAPI cannot express" in told and "\n" not in told
    assert all(word in told for word in words)


def test_layouts_scales_and_types_have_reasons() -> None:
    first = from_module(nn.Conv2d(4, 3, 1).eval(), [(IMAGE,)], last=False)
    with pytest.raises(KitError, match="convert with the layout nhwc"):
        older(first, 2)
    assert older(first, 3) is first
    half = from_module(Fn(F.relu).eval(), [(IMAGE.half(),)])
    with pytest.raises(KitError, match="float16 is a type since level 3"):
        older(half, 2)
    relaxed = from_module(Fn(F.relu).eval(), [(IMAGE,)], relaxed=True)
    assert older(relaxed, 2).model.relaxed
    full = older(relaxed, 1)
    assert not full.model.relaxed and "level 1 knows no relaxed float32" in full.notes[0]


def test_filters_with_scales_by_channel_and_signed_codes(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    from nnapi_testkit.frontends import load
    from tests.frontends.tflite_nets import build

    path = tmp_path / "mobilenet.tflite"
    path.write_bytes(build("mobilenet", "int8"))
    before = load(path)
    assert highest(before) == 4
    program = older(before, 3)
    signed = OperandCode.TENSOR_QUANT8_ASYMM_SIGNED
    assert highest(program) == 3
    assert all(operand.type != signed for operand in program.model.main.operands)
    with pytest.raises(KitError, match="quantize each with one scale"):
        older(before, 2)


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "net.pt2"
    module = nn.Sequential(nn.Conv2d(3, 4, 3, dilation=2), nn.Hardswish()).eval()
    torch.export.save(torch.export.export(module, (_x(1, 3, 8, 8),)), path)
    target = ["--target", "host#nnapi-level-1"]
    assert main(["model", "check", str(path), *target]) == 2
    assert "does not claim" in capsys.readouterr().out
    assert main(["model", "check", str(path), *target, "--level", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "PASS"
    assert main(["model", "check", str(path), "--level", "9"]) == 2
    assert "there are 1, 2" in capsys.readouterr().err
