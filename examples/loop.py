"""A loop: WHILE, with a graph for the condition and one for the body."""

from __future__ import annotations

import torch
from torch import nn

from examples.common import Example, main


class Loop(nn.Module):
    """Doubled until the counter says enough."""

    def forward(self, count: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Counter (1,) and data of any shape to both, after the last turn."""
        from torch._higher_order_ops.while_loop import while_loop

        found: tuple[torch.Tensor, ...] = while_loop(  # type: ignore[no-untyped-call]
            lambda i, x: (i < 4).all(), lambda i, x: (i + 1, torch.tanh(x * 2)), (count, x)
        )
        return found


EXAMPLE = Example(
    "while",
    lambda: (Loop(), [torch.zeros(1, dtype=torch.int32), torch.randn(3) * 0.1]),
    onnx="its exporter of traces does not know while_loop",
)


if __name__ == "__main__":
    raise SystemExit(main(EXAMPLE))
