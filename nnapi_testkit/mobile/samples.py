"""Models to try the runtime with: `nnapi-testkit model sample NAME FILE`, tests, benchmarks.

Written out, so that they need neither torchvision nor a download. The weights are random but
scaled (Kaiming), so that outputs have the size of their inputs and every layer shows in them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from nnapi_testkit.errors import KitError
from nnapi_testkit.mobile.files import use_qnnpack

__all__ = ["SAMPLES", "MobileNetV2", "linear", "mlp", "quantize", "sample"]

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
    """Expand, filter each channel, project; add the input where shapes allow."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += [*_block(inputs, wide, 1), nn.ReLU6()]
        layers += [*_block(wide, wide, 3, stride, wide), nn.ReLU6(), *_block(wide, outputs, 1)]
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Image (N, C, H, W) to (N, C', H / stride, W / stride)."""
        result: torch.Tensor = self.layers(image)
        return image + result if self.residual else result


class MobileNetV2(nn.Module):
    """MobileNetV2 (Sandler et al., 2018): 3.5 million weights at width 1.

    Args:
        classes: size of the output. width: factor on the number of channels.
    """

    def __init__(self, classes: int = 1000, width: float = 1.0) -> None:
        super().__init__()
        channels = _channels(32, width)
        layers: list[nn.Module] = [*_block(3, channels, 3, 2), nn.ReLU6()]
        for expansion, wanted, count, stride in _MOBILENET_V2:
            outputs = _channels(wanted, width)
            for index in range(count):
                step = stride if index == 0 else 1
                layers.append(InvertedResidual(channels, outputs, step, expansion))
                channels = outputs
        last = max(1280, _channels(1280, width)) if width >= 1 else _channels(1280, width)
        layers += [*_block(channels, last, 1), nn.ReLU6()]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(last, classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Image (N, 3, H, W) to scores (N, classes)."""
        pooled = nn.functional.adaptive_avg_pool2d(self.features(image), (1, 1))
        scores: torch.Tensor = self.classifier(pooled.flatten(1))
        return scores


def _channels(count: int, width: float) -> int:
    """A multiple of 8 close to count * width, at least 8."""
    return max(8, int(count * width + 4) // 8 * 8)


class SmallConvNet(nn.Module):
    """Two convolutions with ReLU, both kinds of pooling, a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.relu = nn.ReLU()
        self.second = nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8)
        self.relu2 = nn.ReLU()
        self.third = nn.Conv2d(8, 16, 1)
        self.classifier = nn.Linear(16, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Image (N, 3, H, W) to scores (N, 10)."""
        x = self.relu(self.first(image))
        x = nn.functional.max_pool2d(x, 2, 2)
        x = self.third(self.relu2(self.second(x)))
        x = nn.functional.adaptive_avg_pool2d(x, (1, 1)).flatten(1)
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
        from torch.ao.quantization import DeQuantStub, QuantStub

        self.quant: Any = QuantStub()
        self.inner = inner
        self.dequant: Any = DeQuantStub()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.dequant(self.inner(self.quant(image)))
        return result


def quantize(
    model: nn.Module, calibration: Sequence[torch.Tensor], fuse: Sequence[Sequence[str]] = ()
) -> nn.Module:
    """Quantize a model after training, for QNNPACK: quint8 activations, qint8 weights per tensor.

    Args:
        model: float, in evaluation mode; left as it is. calibration: inputs to learn ranges from.
        fuse: names of modules to fuse, as in `torch.ao.quantization.fuse_modules`.

    Returns:
        A model of float tensors that quantizes its input and dequantizes its output.
    """
    import copy

    from torch.ao import quantization as q

    tools: Any = q
    use_qnnpack()
    if fuse:
        model = tools.fuse_modules(copy.deepcopy(model), [list(names) for names in fuse])
    wrapped = _Quantized(copy.deepcopy(model)).eval()
    wrapped.qconfig = tools.get_default_qconfig("qnnpack")
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # PyTorch announces the end of this very module.
        tools.prepare(wrapped, inplace=True)
        for tensor in calibration:
            wrapped(tensor)
        tools.convert(wrapped, inplace=True)
    return wrapped


def _scaled(model: nn.Module) -> nn.Module:
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
    return _scaled(MobileNetV2()), [torch.rand(1, 3, 224, 224)]


def _convnet() -> tuple[nn.Module, list[torch.Tensor]]:
    return _scaled(SmallConvNet()), [torch.rand(2, 3, 32, 32)]


def _convnet_quantized() -> tuple[nn.Module, list[torch.Tensor]]:
    images = [torch.rand(2, 3, 32, 32) for _ in range(4)]
    fuse = [["first", "relu"], ["second", "relu2"]]
    return quantize(_scaled(SmallConvNet()), images, fuse), images[:1]


def _linear() -> tuple[nn.Module, list[torch.Tensor]]:
    return _scaled(linear()), [torch.rand(4, 64)]


def _mlp() -> tuple[nn.Module, list[torch.Tensor]]:
    return _scaled(mlp()), [torch.rand(4, 64)]


_Sample = Callable[[], tuple[nn.Module, list[torch.Tensor]]]
SAMPLES: dict[str, _Sample] = {
    "convnet": _convnet,
    "convnet_quantized": _convnet_quantized,
    "linear": _linear,
    "mlp": _mlp,
    "mobilenet_v2": _mobilenet,
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
