"""One small module, at least, for every node that PyTorch's NNAPI converter maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from nnapi_testkit.mobile.convert import Layout

QUINT8 = torch.quint8
Build = Callable[[], tuple[nn.Module, list[torch.Tensor]]]


@dataclass(frozen=True)
class Small:
    """A model of one operator or two.

    Args:
        name: unique. kind: the node it covers. build: makes module and example inputs.
        nnapi: the NNAPI operation that must be in the converted model; empty for none.
        layouts: in which it can be converted. scripted: scripted instead of traced.
        frozen: False for nodes that freezing removes: PyTorch's converter freezes every model,
            but its serializer also serves callers that do not.
    """

    name: str
    kind: str
    build: Build
    nnapi: str = ""
    layouts: tuple[Layout, ...] = ("nchw", "nhwc")
    scripted: bool = False
    frozen: bool = True


class Fn(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: torch.Tensor) -> Any:
        return self.function(*args)


class SizeOfInput(nn.Module):
    """Reshapes by a size that it asks for; scripted, because a trace would freeze the size."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape([x.size(0), -1])


class Weighted(nn.Module):
    """Holds a constant and hands it to a function; traces keep the constant as an attribute."""

    def __init__(self, weight: torch.Tensor, function: Callable[..., Any]) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.function = function

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(x, self.weight)


class Addmm(nn.Module):
    """A linear layer as older exporters wrote it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(7, 5) - 0.5)
        self.bias = nn.Parameter(torch.rand(5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.addmm(self.bias, x, self.weight)


def image(*shape: int) -> torch.Tensor:
    return torch.rand(shape or (2, 4, 6, 8)) * 4 - 2


def codes(*shape: int, scale: float = 0.05, zero_point: int = 120) -> torch.Tensor:
    return torch.quantize_per_tensor(image(*shape) * 2, scale, zero_point, QUINT8)


def fn(function: Callable[..., Any], *shapes: tuple[int, ...]) -> Build:
    return lambda: (Fn(function), [image(*shape) for shape in shapes or ((),)])


def quantized_fn(function: Callable[..., Any], *shapes: tuple[int, ...]) -> Build:
    return lambda: (Fn(function), [codes(*shape) for shape in shapes or ((),)])


def module(make: Callable[[], nn.Module], *shape: int) -> Build:
    return lambda: (make(), [image(*shape)])


def weighted(function: Callable[..., Any], *weight: int, shape: tuple[int, ...] = ()) -> Build:
    return lambda: (Weighted(image(*weight), function), [image(*shape)])


def _weights(*shape: int) -> torch.Tensor:
    return torch.quantize_per_tensor(torch.rand(shape) - 0.5, 0.004, 0, torch.qint8)


class QuantizedLayer(nn.Module):
    """One layer of torch.ao.nn.quantized with random weights, on quint8 inputs."""

    def __init__(self, layer: Any, *weight: int) -> None:
        super().__init__()
        bias = weight[1] if "Transpose" in type(layer).__name__ else weight[0]
        layer.set_weight_bias(_weights(*weight), torch.rand(bias) - 0.5)
        layer.scale, layer.zero_point = 0.06, 118
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.layer(x)
        return result


def _layers() -> Any:
    from torch.ao.nn import quantized

    return quantized


def _layers_relu() -> Any:
    from torch.ao.nn.intrinsic import quantized

    return quantized


def layer(make: Callable[[], Any], weight: tuple[int, ...], shape: tuple[int, ...] = ()) -> Build:
    return lambda: (QuantizedLayer(make(), *weight), [codes(*shape)])


ops = torch.ops.quantized
NCHW: tuple[Layout, ...] = ("nchw",)
NHWC: tuple[Layout, ...] = ("nhwc",)

SMALL: tuple[Small, ...] = (
    # Nodes that hold models together.
    Small(
        "attribute", "prim::GetAttr", weighted(lambda x, w: x * w, 1, 4, 1, 1), "MUL", frozen=False
    ),
    Small("constant", "prim::Constant", fn(lambda x: F.softmax(x, 1)), "SOFTMAX", NCHW),
    Small(
        "list",
        "prim::ListConstruct",
        fn(lambda x, y: torch.cat([x, y], 1), (), ()),
        "CONCATENATION",
    ),
    Small("tuple", "prim::TupleConstruct", fn(lambda x: (F.relu(x), torch.sigmoid(x))), "RELU"),
    Small("detach", "aten::detach", fn(lambda x: F.relu(x.detach())), "RELU", frozen=False),
    Small("to", "aten::to", fn(lambda x: F.relu(x.to(torch.float32))), "RELU"),
    Small("size", "aten::size", lambda: (SizeOfInput(), [image()]), "RESHAPE", NCHW, scripted=True),
    # Data that move.
    Small("unsqueeze", "aten::unsqueeze", fn(lambda x: x.unsqueeze(1), (3, 5)), "EXPAND_DIMS"),
    Small(
        "unsqueeze_last", "aten::unsqueeze", fn(lambda x: x.unsqueeze(-1), (3, 5)), "EXPAND_DIMS"
    ),
    Small("reshape", "aten::reshape", fn(lambda x: x.reshape(2, 8, -1)), "RESHAPE", NCHW),
    Small("reshape_rows", "aten::reshape", fn(lambda x: x.reshape(2, -1), (2, 4, 1, 1)), "RESHAPE"),
    Small("flatten", "aten::flatten", fn(lambda x: x.flatten(1)), "RESHAPE", NCHW),
    Small("flatten_pixels", "aten::flatten", fn(lambda x: x.flatten(1), (3, 1, 4, 5)), "RESHAPE"),
    Small("flatten_middle", "aten::flatten", fn(lambda x: x.flatten(1, 2)), "RESHAPE", NCHW),
    Small("slice", "aten::slice", fn(lambda x: x[:, 1:3]), "STRIDED_SLICE", NCHW),
    Small("slice_step", "aten::slice", fn(lambda x: x[:, :, :, 1:7:2]), "STRIDED_SLICE", NCHW),
    Small("slice_end", "aten::slice", fn(lambda x: x[-1:, :, :-2]), "STRIDED_SLICE", NCHW),
    Small(
        "cat_batch",
        "aten::cat",
        fn(lambda x, y: torch.cat([x, y]), (), (3, 4, 6, 8)),
        "CONCATENATION",
    ),
    Small("cat_width", "aten::cat", fn(lambda x: torch.cat([x, F.relu(x)], 3)), "CONCATENATION"),
    Small(
        "cat_codes",
        "aten::cat",
        quantized_fn(lambda x, y: torch.cat([x, y], 1), (), ()),
        "CONCATENATION",
    ),
    Small(
        "upsample_size",
        "aten::upsample_nearest2d",
        fn(lambda x: F.interpolate(x, size=(9, 20))),
        "RESIZE_NEAREST_NEIGHBOR",
    ),
    Small(
        "upsample_scale",
        "aten::upsample_nearest2d",
        fn(lambda x: F.interpolate(x, scale_factor=2.0)),
        "RESIZE_NEAREST_NEIGHBOR",
    ),
    # Element by element.
    Small("add", "aten::add", fn(lambda x, y: x + y, (), ()), "ADD"),
    Small("add_broadcast", "aten::add", fn(lambda x, y: x + y, (), (1, 4, 1, 1)), "ADD"),
    Small("add_constant", "aten::add", weighted(lambda x, w: x + w, 1, 4, 1, 1), "ADD"),
    Small("sub", "aten::sub", fn(lambda x, y: x - y, (), ()), "SUB"),
    Small("mul", "aten::mul", fn(lambda x, y: x * y, (), (2, 1, 1, 8)), "MUL"),
    Small("div", "aten::div", weighted(lambda x, w: x / w, 1, 4, 6, 8), "DIV"),
    Small("relu", "aten::relu", fn(F.relu), "RELU"),
    Small("relu_codes", "aten::relu", quantized_fn(F.relu), "RELU"),
    Small("sigmoid", "aten::sigmoid", fn(torch.sigmoid), "LOGISTIC"),
    Small("sigmoid_codes", "aten::sigmoid", quantized_fn(torch.sigmoid), "LOGISTIC"),
    Small("relu6", "aten::hardtanh", fn(lambda x: F.hardtanh(x * x, 0.0, 6.0)), "RELU6"),
    Small("relu1", "aten::hardtanh", fn(lambda x: F.hardtanh(x, -1.0, 1.0)), "RELU1"),
    Small("prelu", "aten::prelu", module(lambda: nn.PReLU(1)), "PRELU"),
    Small("prelu_channels", "aten::prelu", weighted(F.prelu, 4), "PRELU", NHWC),
    # Reductions and windows.
    Small("softmax", "aten::softmax", fn(lambda x: F.softmax(x, 1), (3, 7)), "SOFTMAX"),
    Small(
        "log_softmax",
        "aten::log_softmax",
        fn(lambda x: F.log_softmax(x, -1), (3, 7)),
        "LOG_SOFTMAX",
    ),
    Small("mean_pixels", "aten::mean", fn(lambda x: x.mean((2, 3))), "MEAN"),
    Small("mean_keep", "aten::mean", fn(lambda x: x.mean((2, 3), keepdim=True)), "MEAN"),
    Small("mean_last", "aten::mean", fn(lambda x: x.mean((-1,), keepdim=True)), "MEAN"),
    Small("mean_codes", "aten::mean", quantized_fn(lambda x: x.mean((2, 3), keepdim=True)), "MEAN"),
    Small(
        "max_pool",
        "aten::max_pool2d",
        fn(lambda x: F.max_pool2d(x, (2, 3), (2, 1), (1, 1))),
        "MAX_POOL_2D",
    ),
    Small(
        "max_pool_codes",
        "aten::max_pool2d",
        quantized_fn(lambda x: F.max_pool2d(x, 2, 2)),
        "MAX_POOL_2D",
    ),
    Small(
        "avg_pool",
        "aten::avg_pool2d",
        fn(lambda x: F.avg_pool2d(x, (2, 3), (2, 1))),
        "AVERAGE_POOL_2D",
    ),
    Small(
        "avg_pool_codes",
        "aten::avg_pool2d",
        quantized_fn(lambda x: F.avg_pool2d(x, 2, 2)),
        "AVERAGE_POOL_2D",
    ),
    Small(
        "adaptive_avg_pool",
        "aten::adaptive_avg_pool2d",
        fn(lambda x: F.adaptive_avg_pool2d(x, (1, 1))),
        "AVERAGE_POOL_2D",
    ),
    # Layers.
    Small("linear", "aten::linear", module(lambda: nn.Linear(7, 5), 3, 7), "FULLY_CONNECTED"),
    Small("addmm", "aten::addmm", lambda: (Addmm(), [image(3, 7)]), "FULLY_CONNECTED"),
    Small(
        "conv2d",
        "aten::conv2d",
        module(lambda: nn.Conv2d(4, 5, 3, (2, 1), (1, 0))),
        "CONV_2D",
        scripted=True,
    ),
    Small(
        "conv2d_depthwise",
        "aten::conv2d",
        module(lambda: nn.Conv2d(4, 4, 3, groups=4)),
        "DEPTHWISE_CONV_2D",
        scripted=True,
    ),
    Small(
        "conv2d_no_bias",
        "aten::conv2d",
        module(lambda: nn.Conv2d(4, 5, 1, bias=False)),
        "CONV_2D",
        scripted=True,
    ),
    Small(
        "convolution",
        "aten::_convolution",
        module(lambda: nn.Conv2d(4, 5, (3, 2), padding=1)),
        "CONV_2D",
    ),
    Small(
        "convolution_transposed",
        "aten::_convolution",
        module(lambda: nn.ConvTranspose2d(4, 5, 3, 2, 1)),
        "TRANSPOSE_CONV_2D",
    ),
    Small(
        "convolution_transposed_no_bias",
        "aten::_convolution",
        module(lambda: nn.ConvTranspose2d(4, 5, 2, (1, 2), bias=False)),
        "TRANSPOSE_CONV_2D",
    ),
    # Quantized layers.
    Small(
        "quantize",
        "aten::quantize_per_tensor",
        fn(lambda x: torch.quantize_per_tensor(x, 0.02, 128, QUINT8)),
        "QUANTIZE",
        NHWC,
    ),
    Small("dequantize", "aten::dequantize", quantized_fn(lambda x: x.dequantize()), "DEQUANTIZE"),
    Small(
        "qadd", "quantized::add", quantized_fn(lambda x, y: ops.add(x, y, 0.08, 100), (), ()), "ADD"
    ),
    Small(
        "qadd_relu",
        "quantized::add_relu",
        quantized_fn(lambda x, y: ops.add_relu(x, y, 0.06, 10), (), ()),
        "ADD",
    ),
    Small(
        "qmul", "quantized::mul", quantized_fn(lambda x, y: ops.mul(x, y, 0.1, 128), (), ()), "MUL"
    ),
    Small(
        "qlinear",
        "quantized::linear",
        layer(lambda: _layers().Linear(7, 5), (5, 7), (3, 7)),
        "FULLY_CONNECTED",
    ),
    Small(
        "qconv2d",
        "quantized::conv2d",
        layer(lambda: _layers().Conv2d(4, 5, 3, padding=1), (5, 4, 3, 3)),
        "CONV_2D",
    ),
    Small(
        "qconv2d_depthwise",
        "quantized::conv2d",
        layer(lambda: _layers().Conv2d(4, 4, 3, groups=4), (4, 1, 3, 3)),
        "DEPTHWISE_CONV_2D",
    ),
    Small(
        "qconv2d_relu",
        "quantized::conv2d_relu",
        layer(lambda: _layers_relu().ConvReLU2d(4, 5, 3, 2), (5, 4, 3, 3)),
        "CONV_2D",
    ),
    Small(
        "qconv_transpose2d",
        "quantized::conv_transpose2d",
        layer(lambda: _layers().ConvTranspose2d(4, 5, 3, 2), (4, 5, 3, 3)),
        "TRANSPOSE_CONV_2D",
    ),
)
