"""Quantized graphs of PT2E lowered: kinds, whole models, files, faults of the conversion."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

pytest.importorskip("torchao", reason="quantizes the models: pip install 'nnapi-testkit[pt2e]'")

from nnapi_testkit.frontends.draft import undocumented
from nnapi_testkit.frontends.export import ExportError, from_exported
from nnapi_testkit.frontends.export.partition import partition
from nnapi_testkit.model.program import Program, operation_name
from nnapi_testkit.model.types import Lifetime
from nnapi_testkit.models.check import check
from nnapi_testkit.models.work import needed_level
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.targets.base import Runner
from tests.frontends.quantizer import Small, quantized
from tests.frontends.test_export import Fn, _driver, _x
from tests.frontends.zoo import make
from tests.models.faulty import Faulty, other_constant

U8, I8 = torch.uint8, torch.int8
IMAGE = _x(1, 4, 6, 5)
Given = tuple[torch.Tensor, ...]

pytestmark = pytest.mark.usefixtures("quiet")


def lowered(model: nn.Module, inputs: Given, how: Small | None = None, **more: Any) -> Program:
    converted = quantized(model.eval(), inputs, how)
    return from_exported(torch.export.export(converted, inputs), **more)


def names(program: Program) -> list[str]:
    return [operation_name(o.code) for o in program.model.main.operations]


def right(program: Program, runner: Runner) -> None:
    report = check(program, runner)
    assert report.passed and not report.conversion, report.text()
    assert program.stepwise and program.inner


class Two(nn.Module):
    """A function of a convolution's result and its input."""

    def __init__(self, function: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.layer, self.function = nn.Conv2d(4, 4, 3, padding=1), function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(self.layer(x), x)


def _linear(*shape: int) -> tuple[nn.Module, Given]:
    return nn.Linear(4, 5), (_x(*shape),)


def _image(module: nn.Module) -> tuple[nn.Module, Given]:
    return module, (IMAGE,)


# What is made, and the operations between QUANTIZE of the inputs and DEQUANTIZE of the end.
KINDS: dict[str, tuple[Callable[[], tuple[nn.Module, Given]], list[str]]] = {
    "conv": (lambda: _image(nn.Conv2d(4, 6, 3, 2, 1)), ["CONV_2D"]),
    "conv and relu": (lambda: _image(nn.Sequential(nn.Conv2d(4, 6, 3), nn.ReLU())), ["CONV_2D"]),
    "conv and relu6": (lambda: _image(nn.Sequential(nn.Conv2d(4, 6, 3), nn.ReLU6())), ["CONV_2D"]),
    "conv, norm and relu1": (
        lambda: _image(nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.Hardtanh())),
        ["CONV_2D"],
    ),
    "no bias": (lambda: _image(nn.Conv2d(4, 6, 1, bias=False)), ["CONV_2D"]),
    "dilated": (lambda: _image(nn.Conv2d(4, 6, 2, dilation=2)), ["CONV_2D"]),
    "depthwise": (lambda: _image(nn.Conv2d(4, 8, 3, groups=4)), ["DEPTHWISE_CONV_2D"]),
    "grouped": (lambda: _image(nn.Conv2d(4, 6, 3, groups=2)), ["GROUPED_CONV_2D"]),
    "add": (lambda: _image(Two(lambda y, x: y + x)), ["CONV_2D", "ADD"]),
    "add and relu": (lambda: _image(Two(lambda y, x: F.relu(y + x))), ["CONV_2D", "ADD"]),
    "sub": (lambda: _image(Two(lambda y, x: y - x)), ["CONV_2D", "SUB"]),
    "mul": (lambda: _image(Two(lambda y, x: y * x)), ["CONV_2D", "MUL"]),
    "max pool": (lambda: _image(nn.MaxPool2d(2)), ["MAX_POOL_2D"]),
    "average pool": (lambda: _image(nn.AvgPool2d(2)), ["AVERAGE_POOL_2D"]),
    "adaptive": (lambda: _image(nn.AdaptiveAvgPool2d(1)), ["AVERAGE_POOL_2D"]),
    "mean": (lambda: _image(Fn(lambda x: x.mean((2, 3)))), ["MEAN", "RESHAPE"]),
    "cat": (lambda: _image(Two(lambda y, x: torch.cat([x, x], 1))), ["CONCATENATION"]),
    "sigmoid": (lambda: _image(nn.Sigmoid()), ["LOGISTIC"]),
    "tanh": (lambda: _image(nn.Tanh()), ["TANH"]),
    "hardswish": (lambda: _image(nn.Hardswish()), ["HARD_SWISH"]),
    "softmax": (lambda: (nn.Softmax(-1), (_x(3, 4),)), ["SOFTMAX"]),
    "bilinear": (
        lambda: _image(Fn(lambda x: F.interpolate(x, (7, 9), mode="bilinear"))),
        ["RESIZE_BILINEAR"],
    ),
}


@pytest.mark.parametrize("dtype", [U8, I8], ids=["uint8", "int8"])
@pytest.mark.parametrize("name", KINDS)
def test_each_kind_is_one_operation_on_codes(name: str, dtype: torch.dtype, runner: Runner) -> None:
    torch.manual_seed(0)
    make_, expected = KINDS[name]
    program = lowered(*make_(), Small(dtype))
    found = names(program)
    count = len(program.model.main.inputs)
    assert found == ["QUANTIZE"] * count + expected + ["DEQUANTIZE"]
    right(program, runner)


@pytest.mark.parametrize("dtype", [U8, I8], ids=["uint8", "int8"])
@pytest.mark.parametrize("derived", [False, True], ids=["float bias", "int32 bias"])
@pytest.mark.parametrize("channels", [False, True], ids=["one scale", "channels"])
def test_weights_and_biases(
    dtype: torch.dtype, derived: bool, channels: bool, runner: Runner
) -> None:
    torch.manual_seed(0)
    how = Small(dtype, channels=channels, derived=derived)
    net = nn.Sequential(nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 5))
    program = lowered(net, (IMAGE,), how)
    assert names(program).count("FULLY_CONNECTED") == (not channels)
    assert names(program).count("CONV_2D") == 1 + channels
    filters = [
        program.model.main.operands[o.inputs[1]]
        for o in program.model.main.operations
        if operation_name(o.code) in ("CONV_2D", "FULLY_CONNECTED")
    ]
    one = (
        OperandCode.TENSOR_QUANT8_ASYMM if dtype == U8 else (OperandCode.TENSOR_QUANT8_ASYMM_SIGNED)
    )
    wanted = OperandCode.TENSOR_QUANT8_SYMM_PER_CHANNEL if channels else one
    assert {filter_.type for filter_ in filters} == {wanted}
    right(program, runner)


@pytest.mark.parametrize("layout", [True, False], ids=["nhwc", "nchw"])
@pytest.mark.parametrize("name", ["convnet", "MobileNetV2", "person segmentation", "SSD"])
def test_whole_models(name: str, layout: bool, runner: Runner) -> None:
    model, inputs = make(name)
    program = lowered(model, tuple(inputs), last=layout, name=name)
    found = names(program)
    assert found.count("QUANTIZE") == 1 and found.count("DEQUANTIZE") <= 4
    right(program, runner)


@pytest.mark.parametrize("name", ["vision transformer", "MobileNetV3"])
def test_what_has_no_codes_stays_float_between(name: str, runner: Runner) -> None:
    model, inputs = make(name)
    program = lowered(model, tuple(inputs), name=name)
    found = names(program)
    assert found.count("QUANTIZE") > 1 and found.count("DEQUANTIZE") > 1
    right(program, runner)


def test_a_quantizer_of_torchao(runner: Runner) -> None:
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    model, inputs = make("EfficientNet-lite")
    quantizer = x86.X86InductorQuantizer()
    quantizer.set_global(x86.get_default_x86_inductor_quantization_config())
    converted = quantized(model, inputs, quantizer)
    program = from_exported(torch.export.export(converted, tuple(inputs)))
    codes = [
        operation_name(o.code)
        for o in program.model.main.operations
        if program.model.main.operands[o.inputs[0]].type == OperandCode.TENSOR_QUANT8_ASYMM
    ]
    assert codes.count("CONV_2D") + codes.count("DEPTHWISE_CONV_2D") >= 9
    right(program, runner)


def test_every_operation_is_one_that_nnapi_documents() -> None:
    model, inputs = make("MobileNetV2")
    graph = lowered(model, tuple(inputs), Small(I8)).model.main
    assert [undocumented(o, graph.operands) for o in graph.operations] == [None] * len(
        graph.operations
    )


def test_fewer_codes_are_cut_off(runner: Runner) -> None:
    program = lowered(nn.Conv2d(4, 6, 3), (IMAGE,), Small(U8, codes=(0, 127)))
    x = (IMAGE.permute(0, 2, 3, 1) * 3).numpy()  # beyond what it was calibrated with
    assert names(program)[:3] == ["MAXIMUM", "MINIMUM", "QUANTIZE"]
    right(program, runner)
    assert check(program, runner, [program.accept([x])]).passed


def test_weights_that_are_not_folded(runner: Runner) -> None:
    converted = quantized(nn.Conv2d(4, 6, 3).eval(), (IMAGE,), fold_quantize=False)
    program = from_exported(torch.export.export(converted, (IMAGE,)))
    assert names(program) == ["QUANTIZE", "CONV_2D", "DEQUANTIZE"]
    right(program, runner)


@pytest.mark.parametrize("channels", [False, True], ids=["one scale", "channels"])
def test_blocks_of_a_whole_tensor_or_of_a_channel(channels: bool, runner: Runner) -> None:
    """The other spelling: torchao's affine operators, whose blocks are named."""

    class Affine(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            codes = torch.randint(-127, 128, (6, 4, 3, 3), dtype=torch.int8)
            self.register_buffer("codes", codes)
            count = 6 if channels else 1
            self.register_buffer("scale", torch.rand(count) * 0.01 + 0.01)
            self.register_buffer("zero", torch.zeros(count, dtype=torch.int32))
            self.register_buffer("one", torch.tensor([0.05]))
            self.register_buffer("middle", torch.tensor([120], dtype=torch.int32))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            ops = torch.ops.torchao
            block = [1, 4, 3, 3] if channels else [6, 4, 3, 3]
            weight = ops.dequantize_affine(
                self.codes, block, self.scale, self.zero, torch.int8, -127, 127
            )

            def rounded(y: torch.Tensor) -> torch.Tensor:
                size = list(y.shape)
                q = ops.quantize_affine(y, size, self.one, self.middle, torch.uint8, 0, 255)
                return ops.dequantize_affine(q, size, self.one, self.middle, torch.uint8, 0, 255)

            return rounded(F.relu(F.conv2d(rounded(x), weight)))

    torch.manual_seed(0)
    program = from_exported(torch.export.export(Affine().eval(), (IMAGE,)))
    assert names(program) == ["QUANTIZE", "CONV_2D", "DEQUANTIZE"]
    right(program, runner)


def test_inputs_and_outputs_of_codes(runner: Runner) -> None:
    class Codes(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            ops = torch.ops.quantized_decomposed
            y = ops.dequantize_per_tensor(x.flatten(1), 0.1, 3, 0, 255, torch.uint8)
            return ops.quantize_per_tensor(y + y, 0.2, 3, 0, 255, torch.uint8)

    x = torch.randint(0, 256, (2, 3, 4), dtype=torch.uint8)
    program = from_exported(torch.export.export(Codes(), (x,)))
    assert names(program) == ["RESHAPE", "ADD"]
    right(program, runner)


def test_scales_of_run_time_are_refused_by_name() -> None:
    class Dynamic(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            ops = torch.ops.quantized_decomposed
            scale, zero = ops.choose_qparams(x, -128, 127, 1e-6, torch.int8)
            q = ops.quantize_per_tensor(x, scale, zero, -128, 127, torch.int8)
            return ops.dequantize_per_tensor(q, scale, zero, -128, 127, torch.int8)

    with pytest.raises(ExportError) as error:
        from_exported(torch.export.export(Dynamic(), (IMAGE,)))
    assert "quantize statically" in str(error.value) and "\n" not in str(error.value)


def test_a_wrong_conversion_is_told_and_no_driver_is_blamed(runner: Runner) -> None:
    """One weight of the converted model changed, deep in the net."""
    model, inputs = make("MobileNetV2")
    program = lowered(model, tuple(inputs))
    main = program.model.main
    index = [i for i, o in enumerate(main.operations) if operation_name(o.code) == "CONV_2D"][12]
    at = main.operations[index].inputs[1]
    filter_ = main.operands[at]
    assert filter_.lifetime == Lifetime.CONSTANT
    codes = np.frombuffer(filter_.value, np.int8).copy()
    codes[: len(codes) // 4] = -codes[: len(codes) // 4]
    operands = list(main.operands)
    operands[at] = replace(filter_, value=codes.tobytes())
    changed = replace(program.model, main=replace(main, operands=tuple(operands)))
    report = check(replace(program, model=changed), runner)
    assert report.conversion and f"#{index} CONV_2D" in report.conversion[0]
    assert not report.passed and report.text().splitlines()[-1].startswith("ORACLE_DISPUTE")
    assert all(not step.record.verdict.is_failure for step in report.steps)


def test_a_wrong_driver_is_told_from_a_wrong_conversion(runner: Runner) -> None:
    """A driver that leaves out the bias of one convolution is blamed at that operation."""
    model, inputs = make("convnet")
    program = lowered(model, tuple(inputs))
    index = names(program).index("DEPTHWISE_CONV_2D")
    report = check(program, Faulty(runner, other_constant(index, 2, lambda a: a * 0 + 5000)))  # type: ignore[arg-type]
    assert not report.conversion
    wrong = [step.index for step in report.steps if step.record.verdict.is_failure]
    assert wrong == [index]


@pytest.mark.parametrize(
    ("dtype", "channels", "level"), [(U8, False, 1), (U8, True, 3), (I8, False, 4)]
)
def test_the_feature_level_that_codes_need(
    dtype: torch.dtype, channels: bool, level: int, runner: Runner
) -> None:
    net = nn.Sequential(nn.Conv2d(4, 6, 3), nn.ReLU(), nn.MaxPool2d(2))
    model = lowered(net, (IMAGE,), Small(dtype, channels=channels)).model
    needed = [needed_level(model, at) for at in range(len(model.main.operations))]
    # QUANTIZE, of floats to codes, is there since level 3.
    assert max(needed[1:-1]) == level


def test_a_file_needs_no_word_about_torchao(tmp_path: Path) -> None:
    model, inputs = make("convnet")
    converted = quantized(model, inputs)
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(converted, tuple(inputs)), path)
    command = [sys.executable, "-m", "nnapi_testkit", "model", "check", str(path)]
    made = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines()[-1] == "PASS"


def test_parts_of_a_quantized_model(runner: Runner) -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(4, 8), nn.Linear(8, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.second(torch.erf(self.first(x)))

    torch.manual_seed(0)
    x = _x(5, 4)
    converted = quantized(Mixed().eval(), (x,), Small(channels=False))
    parts = partition(torch.export.export(converted, (x,)))
    assert parts.left == ("aten.erf.default",) and len(parts.parts) == 2
    for part in parts.parts:
        assert "FULLY_CONNECTED" in names(part.program)
        assert check(part.program, runner).passed
    (found,) = parts.run([x], _driver(runner))
    torch.testing.assert_close(found, converted(x), atol=2e-2, rtol=0)
