"""Models to try the runtime with: `nnapi-testkit model sample NAME FILE`, tests, benchmarks.

Written out, so that they need neither torchvision nor a download. The weights are random but
scaled (Kaiming), so that outputs have the size of their inputs and every layer shows in them.
"""

from __future__ import annotations

import copy
import importlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

from nnapi_testkit.errors import KitError
from nnapi_testkit.mobile.files import use_qnnpack

__all__ = ["SAMPLES", "MobileNetV2", "linear", "mlp", "quantize", "sample", "scaled"]

# (expansion, channels, blocks, first stride): Sandler et al., MobileNetV2 (2018), table 2.
_MOBILENET_V2 = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def _block(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outputs)]


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; add the input where shapes allow.

    Args:
        relu: the activation. adder: how the input is added; quantized models count its range.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        expansion: int,
        relu: Callable[[], nn.Module],
        adder: Any,
    ) -> None:
        super().__init__()
        wide = inputs * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += [*_block(inputs, wide, 1), relu()]
        layers += [*_block(wide, wide, 3, stride, wide), relu(), *_block(wide, outputs, 1)]
        self.layers = nn.Sequential(*layers)
        self.adder = adder if stride == 1 and inputs == outputs else None

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Image (N, C, H, W) to (N, C', H / stride, W / stride)."""
        result: torch.Tensor = self.layers(image)
        return result if self.adder is None else self.adder.add(image, result)


class MobileNetV2(nn.Module):
    """MobileNetV2 (Sandler et al., 2018): 3.5 million weights at width 1.

    Args:
        classes: size of the output. width: factor on the number of channels.
        quantizable: ReLU instead of ReLU6, and additions that quantization can observe, as
            usual for models that are quantized after training.
    """

    def __init__(
        self, classes: int = 1000, width: float = 1.0, *, quantizable: bool = False
    ) -> None:
        super().__init__()
        relu: Callable[[], nn.Module] = nn.ReLU if quantizable else nn.ReLU6
        channels = _channels(32, width)
        layers: list[nn.Module] = [*_block(3, channels, 3, 2), relu()]
        for expansion, wanted, count, stride in _MOBILENET_V2:
            outputs = _channels(wanted, width)
            for index in range(count):
                step = stride if index == 0 else 1
                adder = _float_functional() if quantizable else torch
                layers.append(InvertedResidual(channels, outputs, step, expansion, relu, adder))
                channels = outputs
        last = _channels(1280, max(width, 1.0))
        layers += [*_block(channels, last, 1), relu()]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(last, classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Image (N, 3, H, W) to scores (N, classes)."""
        pooled = nn.functional.adaptive_avg_pool2d(self.features(image), (1, 1))
        scores: torch.Tensor = self.classifier(pooled.flatten(1))
        return scores


def _float_functional() -> Any:
    from torch.ao.nn import quantized

    layers: Any = quantized
    return layers.FloatFunctional()


def _channels(count: int, width: float) -> int:
    """A multiple of 8 close to count * width, at least 8."""
    return max(8, int(count * width + 4) // 8 * 8)


class SmallConvNet(nn.Module):
    """Three convolutions, one of them depthwise, both kinds of pooling, a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
        self.second = nn.Sequential(
            nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8), nn.ReLU(), nn.Conv2d(8, 16, 1)
        )
        self.classifier = nn.Linear(16, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Image (N, 3, H, W) to scores (N, 10)."""
        x = nn.functional.max_pool2d(self.first(image), 2, 2)
        x = nn.functional.adaptive_avg_pool2d(self.second(x), (1, 1)).flatten(1)
        scores: torch.Tensor = self.classifier(x)
        return scores


def linear() -> nn.Module:
    """One linear layer, (N, 64) to (N, 10)."""
    return nn.Linear(64, 10)


def mlp() -> nn.Module:
    """A multilayer perceptron with a softmax, (N, 64) to (N, 10)."""
    return nn.Sequential(
        nn.Linear(64, 128),
        nn.ReLU(),
        nn.Linear(128, 32),
        nn.Sigmoid(),
        nn.Linear(32, 10),
        nn.Softmax(1),
    )


class _Quantized(nn.Module):
    """A model between a quantizing and a dequantizing node, as eager quantization wants it."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        tools: Any = importlib.import_module("torch.ao.quantization")
        self.quant = tools.QuantStub()
        self.inner = inner
        self.dequant = tools.DeQuantStub()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.dequant(self.inner(self.quant(image)))
        return result


def quantize(model: nn.Module, calibration: Sequence[torch.Tensor]) -> nn.Module:
    """Quantize a model after training, for QNNPACK: quint8 activations, qint8 weights per tensor.

    Convolution, normalization and ReLU that follow each other in a Sequential are fused.

    Args:
        model: float, in evaluation mode; left as it is. calibration: inputs to learn ranges from.

    Returns:
        A model of float tensors that quantizes its input and dequantizes its output.
    """
    tools: Any = importlib.import_module("torch.ao.quantization")
    use_qnnpack()
    wrapped = _Quantized(copy.deepcopy(model)).eval()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # PyTorch announces the end of this very module.
        tools.fuse_modules(wrapped, list(_fusable(wrapped)), inplace=True)
        wrapped.qconfig = tools.QConfig(
            activation=tools.MinMaxObserver.with_args(dtype=torch.quint8),
            weight=tools.default_weight_observer,
        )
        tools.prepare(wrapped, inplace=True)
        for tensor in calibration:
            wrapped(tensor)
        tools.convert(wrapped, inplace=True)
    return wrapped


def _fusable(model: nn.Module) -> Iterator[list[str]]:
    """Names of layers to fuse: a convolution with what follows it directly."""
    for name, module in model.named_modules():
        if not isinstance(module, nn.Sequential):
            continue
        layers = list(module)
        for index, first in enumerate(layers):
            if not isinstance(first, nn.Conv2d):
                continue
            count = index + 1
            for kind in (nn.BatchNorm2d, nn.ReLU):
                if count < len(layers) and type(layers[count]) is kind:
                    count += 1
            if count > index + 1:
                yield [f"{name}.{place}" for place in range(index, count)]


def scaled(model: nn.Module) -> nn.Module:
    """Give convolutions Kaiming's weights and normalizations something to do."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.uniform_(module.bias, -0.1, 0.1)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.8, 1.2)
            nn.init.uniform_(module.bias, -0.1, 0.1)
    return model.eval()


def _mobilenet() -> tuple[nn.Module, list[torch.Tensor]]:
    return scaled(MobileNetV2()), [torch.rand(1, 3, 224, 224)]


def _convnet() -> tuple[nn.Module, list[torch.Tensor]]:
    return scaled(SmallConvNet()), [torch.rand(2, 3, 32, 32)]


def _convnet_quantized() -> tuple[nn.Module, list[torch.Tensor]]:
    images = [torch.rand(2, 3, 32, 32) for _ in range(4)]
    return quantize(scaled(SmallConvNet()), images), images[:1]


def _mobilenet_quantized() -> tuple[nn.Module, list[torch.Tensor]]:
    images = [torch.rand(1, 3, 224, 224) for _ in range(2)]
    return quantize(scaled(MobileNetV2(quantizable=True)), images), images[:1]


class QuantizedMlp(nn.Module):
    """Two linear layers of quantized tensors: the converter cannot quantize matrices itself."""

    def __init__(self) -> None:
        super().__init__()
        layers: Any = importlib.import_module("torch.ao.nn.quantized")
        self.first, self.second = layers.Linear(64, 32), layers.Linear(32, 10)
        for layer, scale, zero_point in ((self.first, 0.05, 110), (self.second, 0.05, 128)):
            weight = torch.randn(layer.out_features, layer.in_features) * 0.15
            codes = torch.quantize_per_tensor(weight, 0.004, 0, torch.qint8)
            layer.set_weight_bias(codes, torch.rand(layer.out_features) - 0.5)
            layer.scale, layer.zero_point = scale, zero_point

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Quint8 (N, 64) to quint8 (N, 10)."""
        result: torch.Tensor = self.second(torch.relu(self.first(x)))
        return result


def _mlp_quantized() -> tuple[nn.Module, list[torch.Tensor]]:
    use_qnnpack()
    given = torch.quantize_per_tensor(torch.rand(4, 64) * 4 - 2, 1 / 64, 128, torch.quint8)
    return QuantizedMlp().eval(), [given]


def _linear() -> tuple[nn.Module, list[torch.Tensor]]:
    return scaled(linear()), [torch.rand(4, 64)]


def _mlp() -> tuple[nn.Module, list[torch.Tensor]]:
    return scaled(mlp()), [torch.rand(4, 64)]


_Sample = Callable[[], tuple[nn.Module, list[torch.Tensor]]]
SAMPLES: dict[str, _Sample] = {
    "convnet": _convnet,
    "convnet_quantized": _convnet_quantized,
    "linear": _linear,
    "mlp": _mlp,
    "mlp_quantized": _mlp_quantized,
    "mobilenet_v2": _mobilenet,
    "mobilenet_v2_quantized": _mobilenet_quantized,
}


def sample(name: str) -> tuple[nn.Module, list[torch.Tensor]]:
    """Return a model in evaluation mode and an input set for it; the same at every call.

    Raises:
        KitError: no such sample.
    """
    if name not in SAMPLES:
        raise KitError(f"there is no sample model {name!r}: choose one of {', '.join(SAMPLES)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return SAMPLES[name]()
