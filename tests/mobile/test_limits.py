"""What PyTorch 2.13's converter cannot do, and what it does wrongly.

The second list holds defects of the converter, not of the driver: the converted model says
something else than the source, and the check must notice. When a newer PyTorch mends one, its
test fails, and the entry moves to tests/mobile/aten.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nnapi_testkit.judge.verdict import Verdict
from nnapi_testkit.mobile import files
from nnapi_testkit.mobile.check import CheckSettings, check
from nnapi_testkit.mobile.convert import ConversionError, Layout, convert
from nnapi_testkit.mobile.runtime import Runtime
from tests.mobile.aten import (
    QUINT8,
    Build,
    Fn,
    QuantizedLayer,
    _layers,
    codes,
    fn,
    image,
    module,
    weighted,
)


@dataclass(frozen=True)
class Refused:
    name: str
    build: Build
    words: str
    layout: Layout = "nchw"


@dataclass(frozen=True)
class Wrong:
    name: str
    build: Build
    verdict: Verdict
    why: str
    layout: Layout = "nchw"


def _steep() -> tuple[nn.Module, list[torch.Tensor]]:
    model = QuantizedLayer(_layers().Conv2d(4, 5, 3), 5, 4, 3, 3)
    model.layer.scale = 1e-4
    return model, [codes()]


REFUSED = (
    Refused("unmapped", fn(F.gelu), r"^aten::gelu cannot be converted.*does not know it"),
    Refused("batch_norm_alone", module(lambda: nn.BatchNorm2d(4)), "^aten::batch_norm cannot"),
    Refused("dilation", module(lambda: nn.Conv2d(4, 5, 3, dilation=2)), "_convolution.*Dilation"),
    Refused("groups", module(lambda: nn.Conv2d(4, 4, 3, groups=2)), "Group convolution"),
    Refused("multiplier", module(lambda: nn.Conv2d(4, 8, 3, groups=4)), "channel_multiplier"),
    Refused("no_bias", module(lambda: nn.Linear(8, 5, bias=False), 3, 8), "aten::linear.*no bias"),
    Refused("linear_of_cubes", module(lambda: nn.Linear(8, 5), 2, 3, 8), "aten::linear.*got 3"),
    Refused("ranks_differ", fn(lambda x, y: x + y, (), (8,)), "aten::add.*Non-equal-rank"),
    Refused("number", fn(lambda x: x + 1.0), "aten::add.*make it a tensor"),
    Refused("alpha", fn(lambda x, y: torch.add(x, y, alpha=2), (), ()), "aten::add.*alpha"),
    Refused("pool_stride", fn(lambda x: F.max_pool2d(x, 2)), "max_pool2d.*say stride=kernel_size"),
    Refused("prelu_nchw", weighted(F.prelu, 4), "aten::prelu.*channels_last"),
    Refused("pooled_to_2x2", fn(lambda x: F.adaptive_avg_pool2d(x, (2, 2))), "output size"),
    Refused("quantize_nchw", fn(lambda x: torch.quantize_per_tensor(x, 0.1, 9, QUINT8)), "NHWC"),
    Refused("steep_layer", _steep, "quantized::conv2d.*greater than 1"),
    Refused("flatten_nhwc", fn(lambda x: x.flatten(1)), "aten::flatten.*NHWC", "nhwc"),
    Refused("unsqueeze_nhwc", fn(lambda x: x.unsqueeze(0)), "aten::unsqueeze", "nhwc"),
    Refused("list_returned", fn(lambda x: [F.relu(x)]), "return type"),
    Refused("float64", lambda: (Fn(F.relu), [image().double()]), "float64"),
)

WRONG = (
    Wrong(
        "softmax_nhwc",
        fn(lambda x: F.softmax(x, 1)),
        Verdict.MISMATCH,
        "the axis is passed on as it is, though NHWC data have their channels last",
        "nhwc",
    ),
    Wrong(
        "log_softmax_nhwc",
        fn(lambda x: F.log_softmax(x, 1)),
        Verdict.MISMATCH,
        "as softmax",
        "nhwc",
    ),
    Wrong(
        "slice_nhwc",
        fn(lambda x: x[:, 1:3]),
        Verdict.EXEC_ERROR,
        "begin, end and strides stand in NCHW order, output dimensions in NHWC order",
        "nhwc",
    ),
    Wrong(
        "slice_uneven_step",
        fn(lambda x: x[:, :, :, 0:7:2]),
        Verdict.EXEC_ERROR,
        "the output's length is rounded down; STRIDED_SLICE rounds up",
    ),
    Wrong(
        "slice_past_the_end",
        fn(lambda x: x[:, 1:100]),
        Verdict.EXEC_ERROR,
        "the end is not clamped to the dimension",
    ),
    Wrong(
        "avg_pool_padding",
        fn(lambda x: F.avg_pool2d(x, 3, 1, 1)),
        Verdict.MISMATCH,
        "count_include_pad=True is accepted; AVERAGE_POOL_2D divides by the elements inside",
    ),
    Wrong(
        "max_pool_ceil_mode",
        fn(lambda x: F.max_pool2d(x, (4, 3), (4, 3), ceil_mode=True)),
        Verdict.DIMENSIONS,
        "ceil_mode is ignored",
    ),
    Wrong(
        "to_int32",
        fn(lambda x: F.relu(x).to(torch.int32)),
        Verdict.DIMENSIONS,
        "`to` is taken for a change of device",
    ),
    Wrong(
        "depthwise_transposed",
        module(lambda: nn.ConvTranspose2d(4, 4, 3, padding=1, groups=4)),
        Verdict.MISMATCH,
        "becomes a DEPTHWISE_CONV_2D that is not transposed",
    ),
    Wrong(
        "output_padding",
        module(lambda: nn.ConvTranspose2d(4, 5, 3, 2, 1, output_padding=1)),
        Verdict.DIMENSIONS,
        "output_padding is ignored",
    ),
    Wrong(
        "mean_of_everything",
        fn(lambda x: x.mean((0, 1, 2, 3))),
        Verdict.DIMENSIONS,
        "NNAPI has no tensors of rank 0: MEAN returns [1]",
    ),
)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_refused_with_one_line(case: Refused) -> None:
    files.use_qnnpack()
    model, inputs = case.build()
    with pytest.raises(ConversionError, match=case.words) as caught:
        convert(model.eval(), inputs, layout=case.layout)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.name)
def test_converter_defect_is_noticed(case: Wrong, runtime: Runtime) -> None:
    torch.manual_seed(1)
    model, inputs = case.build()
    report = check(model.eval(), [inputs], CheckSettings(layout=case.layout), runtime)
    assert report.verdict is case.verdict, f"expected, because {case.why}:\n{report.text()}"


def test_error_names_the_line_and_the_module() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh()).eval()
    with pytest.raises(ConversionError, match=r"aten::tanh cannot be converted \(in module 1"):
        convert(model, [torch.rand(2, 4)])
    with pytest.raises(ConversionError, match=r"aten::tanh .*\(aten.py:\d+\)"):
        convert(Fn(torch.tanh).eval(), [torch.rand(2, 4)])


def test_training_mode_and_bad_arguments() -> None:
    with pytest.raises(ConversionError, match=r"training mode: call model.eval"):
        convert(nn.Linear(4, 4), [torch.rand(2, 4)])
    model = nn.Linear(4, 4).eval()
    with pytest.raises(ConversionError, match="has no inputs"):
        convert(model, [])
    with pytest.raises(ConversionError, match="dimension 2 cannot be flexible"):
        convert(model, [torch.rand(2, 4)], flexible=[[2]])
    with pytest.raises(ConversionError, match="for 2 inputs, the model has 1"):
        convert(model, [torch.rand(2, 4)], flexible=[[0], [0]])
    with pytest.raises(ConversionError, match="cannot be traced"):
        convert(model, [torch.rand(2, 5)])
