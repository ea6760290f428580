"""A condition: IF, with a graph for each branch."""

from __future__ import annotations

import torch
from torch import nn

from examples.common import Example, main


class Condition(nn.Module):
    """One of two layers, by the sum of the input."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 4) to (N, 4)."""
        y = self.layer(x)
        found: torch.Tensor = torch.cond(
            y.sum() > 0, lambda y: torch.tanh(y), lambda y: y * 2 - 1, (y,)
        )
        return found


EXAMPLE = Example(
    "cond",
    lambda: (Condition(), [torch.randn(2, 4)]),
    onnx="its exporter of traces does not know torch.cond",
)


if __name__ == "__main__":
    raise SystemExit(main(EXAMPLE))
