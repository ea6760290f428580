"""Blocks that several of the examples are made of."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["Block", "head", "stem"]


class Squeeze(nn.Module):
    """Squeeze and excitation of MobileNetV3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, 8, 1), nn.Conv2d(8, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = F.adaptive_avg_pool2d(x, 1)
        return x * F.hardsigmoid(self.up(F.relu(self.down(weight))))


class Block(nn.Module):
    """Expand, filter each channel, squeeze, project; add the input where shapes allow."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        stride: int = 1,
        kernel: int = 3,
        expand: int = 4,
        act: Callable[[], nn.Module] = nn.Hardswish,
        squeeze: bool = True,
    ) -> None:
        super().__init__()
        wide = inputs * expand
        layers: list[nn.Module] = [
            nn.Conv2d(inputs, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            act(),
            nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            act(),
        ]
        layers += [Squeeze(wide)] if squeeze else []
        layers += [nn.Conv2d(wide, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
        self.layers = nn.Sequential(*layers)
        self.add = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Image (N, C, H, W) to (N, C', H / stride, W / stride)."""
        y: torch.Tensor = self.layers(x)
        return x + y if self.add else y


def stem(outputs: int, act: nn.Module) -> list[nn.Module]:
    """The first layers of a net: half the size of the picture."""
    return [nn.Conv2d(3, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs), act]


def head(inputs: int, classes: int = 10) -> list[nn.Module]:
    """The last layers: the mean of each channel, and scores of classes."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(inputs, classes)]
