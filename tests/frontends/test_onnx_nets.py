"""Whole nets as ONNX: by hand, as PyTorch exports them, and as ONNX Runtime quantizes them."""

from __future__ import annotations

import inspect
import io
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
from onnx import TensorProto
from onnxruntime import quantization

from nnapi_testkit.frontends.onnx import from_model
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.model.program import Program, operation_name
from nnapi_testkit.models.check import check
from nnapi_testkit.models.coverage import cover
from nnapi_testkit.targets.base import Runner
from tests.frontends.graphs import Net
from tests.frontends.zoo import make


def counted(program: Program) -> Counter[str]:
    return Counter(operation_name(o.code) for o in program.model.main.operations)


def right(program: Program, runner: Runner) -> None:
    report = check(program, runner)
    assert len(program.expected) == len(program.inputs) == 1
    assert report.passed and not report.conversion, report.text()


def perceptron() -> Any:
    net = Net()
    x = net.input("x", ("batch", 16))
    for size in (32, 24):
        last = 16 if size == 32 else 32
        x = net.node(
            "Relu", net.node("Gemm", x, net.real(size, last, scale=0.3), net.real(size), transB=1)
        )
    x = net.node("Gemm", x, net.real(24, 5, scale=0.3), net.real(5))
    return net.model(net.node("Softmax", x))


def test_a_perceptron_with_an_open_batch(runner: Runner) -> None:
    for texts in ([], ["7,16"]):
        program = from_model(perceptron(), texts)
        assert counted(program) == {"FULLY_CONNECTED": 3, "SOFTMAX": 1}
        assert not program.left and not program.notes
        assert program.model.main.operands[program.model.main.inputs[0]].dims == (0, 16)
        right(program, runner)


def exported(name: str) -> tuple[Any, tuple[int, ...]]:
    """A model of the zoo as PyTorch's exporter writes it, and the shape of its input."""
    module, inputs = make(name)
    how = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, tuple(inputs), stream, opset_version=17, **how)
    return onnx.load_from_string(stream.getvalue()), tuple(inputs[0].shape)


WHOLE = [
    "MobileNetV2",
    "MobileNetV3",
    "EfficientNet-lite",
    "person segmentation",
    "SSD",
    "vision transformer",
    "convnet",
]


@pytest.mark.parametrize("name", WHOLE)
def test_what_pytorch_exports_is_lowered_whole(name: str, runner: Runner) -> None:
    model, _ = exported(name)
    for last in (True, False):
        program = from_model(model, last=last, name=name)
        assert not program.left and not program.notes
        if name.startswith(("Mobile", "Efficient", "person")):
            assert "TRANSPOSE" not in counted(program)
        right(program, runner)


def test_a_recurrent_layer_stays_on_the_cpu_and_the_rest_is_judged(runner: Runner) -> None:
    program = from_model(exported("LSTM tagger")[0])
    assert {left.name.split()[0] for left in program.left} == {"LSTM"}
    right(program, runner)


class Data(quantization.CalibrationDataReader):  # type: ignore[misc]
    """Four sets of random inputs to calibrate with."""

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        random = np.random.default_rng(0)
        rows = [random.uniform(-1, 1, shape).astype(np.float32) for _ in range(4)]
        self.rows = iter([{name: row} for row in rows])

    def get_next(self) -> Any:
        return next(self.rows, None)


U8, I8 = quantization.QuantType.QUInt8, quantization.QuantType.QInt8
QDQ, QLINEAR = quantization.QuantFormat.QDQ, quantization.QuantFormat.QOperator
FORMS = {
    "QDQ, uint8": (QDQ, U8, U8, False),
    "QDQ, int8 by channel": (QDQ, I8, I8, True),
    "QDQ, uint8 with int8 by channel": (QDQ, U8, I8, True),
    "QLinear, uint8 with int8 by channel": (QLINEAR, U8, I8, True),
}


def quantized(name: str, form: str, folder: Path) -> Any:
    """A model of the zoo as ONNX Runtime's static quantization writes it."""
    model, shape = exported(name)
    kind, activations, weights, by_channel = FORMS[form]
    path = folder / "quantized.onnx"
    quantization.quantize_static(
        model,
        str(path),
        Data(model.graph.input[0].name, shape),
        quant_format=kind,
        activation_type=activations,
        weight_type=weights,
        per_channel=by_channel,
    )
    return onnx.load(path)


@pytest.mark.parametrize("form", FORMS)
def test_a_quantized_mobilenet_is_codes_from_end_to_end(
    form: str, tmp_path: Path, runner: Runner
) -> None:
    program = from_model(quantized("MobileNetV2", form, tmp_path), last=True)
    found = counted(program)
    assert not program.left
    assert found["QUANTIZE"] == found["DEQUANTIZE"] == 1 and "TRANSPOSE" not in found
    assert found["CONV_2D"] >= 35 and found["DEPTHWISE_CONV_2D"] == 17 and found["ADD"] >= 10
    right(program, runner)


@pytest.mark.parametrize("form", [form for form in FORMS if form.startswith("QDQ")])
@pytest.mark.parametrize(
    "name", ["MobileNetV3", "SSD", "vision transformer", "person segmentation"]
)
def test_quantized_nets_are_right(name: str, form: str, tmp_path: Path, runner: Runner) -> None:
    program = from_model(quantized(name, form, tmp_path), last=True)
    assert not program.left
    right(program, runner)


def detector() -> Any:
    """An SSD-like head: two scales, boxes and scores joined, and the suppression behind them."""
    net = Net()
    x = net.input("image", (1, 3, 32, 32))
    boxes, scores = [], []
    depth = 3
    for size in (8, 12):
        x = net.node(
            "Conv",
            x,
            net.real(size, depth, 3, 3, scale=0.2),
            net.real(size),
            strides=[2, 2],
            pads=[1, 1, 1, 1],
        )
        x, depth = (
            net.node("Clip", x, net.constant(np.float32(0)), net.constant(np.float32(6))),
            size,
        )
        for rows, width in ((boxes, 4), (scores, 3)):
            head = net.node("Conv", x, net.real(2 * width, depth, 1, 1, scale=0.2))
            head = net.node("Transpose", head, perm=[0, 2, 3, 1])
            rows.append(net.node("Reshape", head, net.constant(np.array([1, -1, width]))))
    place = net.node("Sigmoid", net.node("Concat", *boxes, axis=1))
    score = net.node("Softmax", net.node("Concat", *scores, axis=1))
    by_class = net.node("Transpose", score, perm=[0, 2, 1])
    limits = [net.constant(np.array([value])) for value in (10,)]
    limits += [net.constant(np.array([value], np.float32)) for value in (0.5, 0.2)]
    kept = net.node("NonMaxSuppression", place, by_class, *limits)
    return net.model(place, score, kept, types=(1, 1, TensorProto.INT64))


def test_a_detector_keeps_its_suppression_on_the_cpu(runner: Runner) -> None:
    program = from_model(detector(), last=True)
    (left,) = program.left
    assert left.name.startswith("NonMaxSuppression") and "positions" in left.reason
    found = counted(program)
    assert found["CONV_2D"] == 6 and found["TRANSPOSE"] == 1
    right(program, runner)
    rows = cover(program, runner, "host").rows
    assert [row.index for row in rows if not row.claimed] == [-1] and rows[-1].partition == 2


@pytest.mark.parametrize("form", list(FORMS)[:2])
def test_one_weight_that_the_converter_changes_is_found_where_it_is(
    form: str, tmp_path: Path, runner: Runner
) -> None:
    """The end of a deep quantized net has a tolerance as wide as its data, its steps have not."""
    program = from_model(quantized("MobileNetV2", form, tmp_path), last=True)
    graph = program.model.main
    convolutions = [
        at for at, o in enumerate(graph.operations) if operation_name(o.code) == "CONV_2D"
    ]
    index = convolutions[17]
    position = graph.operations[index].inputs[1]
    weights = graph.operands[position]
    codes = np.frombuffer(weights.value, np.int8).copy()
    codes[codes.size // 2] ^= 0x40
    operands = list(graph.operands)
    operands[position] = replace(weights, value=codes.tobytes())
    changed = replace(program.model, main=replace(graph, operands=tuple(operands)))
    report = check(replace(program, model=changed), runner)
    assert report.verdict is Verdict.ORACLE_DISPUTE, report.text()
    assert report.conversion[0].startswith(f"#{index} CONV_2D Conv")
