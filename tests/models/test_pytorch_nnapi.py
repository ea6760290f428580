"""PyTorch's serialized models, decoded: every module of the converter's, here and over adb."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from nnapi_testkit.errors import KitError
from nnapi_testkit.frontends.pytorch_nnapi import decode, outputs_of
from nnapi_testkit.frontends.torchscript import from_module
from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.loopback import LoopbackDevice
from nnapi_testkit.mobile import files
from nnapi_testkit.mobile.convert import Layout, convert
from nnapi_testkit.models.check import check
from nnapi_testkit.targets import parse_target
from nnapi_testkit.targets.base import Runner
from tests.mobile.aten import SMALL, Small

CASES = [(small, layout) for small in SMALL if small.frozen for layout in small.layouts]


@pytest.fixture(scope="module")
def phone() -> Iterator[Runner]:
    """A loopback device: the same runner behind adb."""
    with LoopbackDevice() as device, parse_target(f"adb:{device.serial}").open() as opened:
        yield opened


@pytest.mark.parametrize(
    ("small", "layout"), CASES, ids=[f"{small.name}-{layout}" for small, layout in CASES]
)
def test_each_module_is_decoded_and_judged_over_adb(
    small: Small, layout: Layout, phone: Runner
) -> None:
    files.use_qnnpack()
    torch.manual_seed(1)
    model, inputs = small.build()
    model.eval()
    if small.scripted:
        model = torch.jit.script(model)
    program = from_module(model, [inputs], layout=layout, name=small.name)
    assert all(program.operations) and len(program.operations) == len(program.model.main.operations)
    report = check(program, phone)
    assert report.passed, report.text()
    assert not report.conversion


def test_open_dimensions_are_completed_by_an_input() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU()).eval()
    inputs = [torch.rand(2, 3, 8, 9)]
    converted = convert(model, inputs, flexible=[(0, 2, 3)])
    with pytest.raises(KitError, match="open dimensions"):
        decode(converted.module)
    program = decode(converted.module, [inputs])
    dims = program.model.main.operands[program.model.main.inputs[0]].dims
    assert dims == tuple(inputs[0].shape)


def test_outputs_come_back_in_pytorchs_layout(runner: Runner) -> None:
    torch.manual_seed(0)
    model = torch.nn.Conv2d(3, 5, 3).eval()
    inputs = [torch.rand(1, 3, 6, 7)]
    converted = convert(model, inputs, layout="nhwc")
    program = decode(converted.module, [inputs])
    from nnapi_testkit.model.case import Case, Execution

    dims = program.model.main.operands[program.model.main.outputs[0]].dims
    case = Case("conv", program.model, (Execution(program.inputs[0], (dims,)),))
    result = next(iter(runner.run([case])))
    array = np.frombuffer(result.executions[0].outputs[0].data, np.float32).reshape(dims)
    (back,) = outputs_of(converted.module, [array])
    torch.testing.assert_close(back, model(inputs[0]).detach())


def test_a_converter_that_changes_the_model_is_not_the_drivers_fault(runner: Runner) -> None:
    """PyTorch's converter normalizes another axis of 4-dimensional NHWC data."""
    torch.manual_seed(0)
    model = torch.nn.Softmax(dim=1).eval()
    program = from_module(model, [[torch.rand(1, 5, 4, 3)]], layout="nhwc")
    report = check(program, runner)
    assert report.verdict is Verdict.ORACLE_DISPUTE
    assert all(step.verdict is Verdict.PASS for step in report.steps)
    assert "the converter made another model of the source" in report.text()


def test_a_module_that_is_not_converted_is_said() -> None:
    with pytest.raises(KitError, match="convert it first"):
        decode(torch.nn.Linear(2, 2))


def test_a_single_tensor_is_an_input_set() -> None:
    program = from_module(torch.nn.Linear(3, 2).eval(), [torch.rand(4, 3)])
    assert program.inputs[0][0] is not None and program.inputs[0][0].shape == (4, 3)
