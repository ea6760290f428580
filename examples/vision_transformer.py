"""A vision transformer of one layer: attention and layer norm in NNAPI's operations."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from examples.common import Example, image, main


class VisionTransformer(nn.Module):
    """Patches, one encoder layer of two heads, the mean of the tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, 8)
        self.place = nn.Parameter(torch.randn(1, 16, 16) * 0.1)
        self.norms = nn.ModuleList(nn.LayerNorm(16) for _ in range(3))
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.wide, self.back = nn.Linear(16, 32), nn.Linear(32, 16)
        self.head = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Image (N, 3, 32, 32) to scores (N, 10)."""
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.place
        y = self.norms[0](tokens)
        tokens = tokens + self.attention(y, y, y, need_weights=False)[0]
        y = F.gelu(self.wide(self.norms[1](tokens)), approximate="tanh")
        tokens = tokens + self.back(y)
        scores: torch.Tensor = self.head(self.norms[2](tokens).mean(1))
        return scores


EXAMPLE = Example("vision transformer", lambda: (VisionTransformer(), [image(32)]), quantized=True)


if __name__ == "__main__":
    raise SystemExit(main(EXAMPLE))
