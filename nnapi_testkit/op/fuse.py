"""The fused activation: its reference and its effect on an interval."""

from __future__ import annotations

from typing import Any

NONE, RELU, RELU1, RELU6 = 0, 1, 2, 3
LIMITS: dict[int, tuple[float | None, float | None]] = {
    NONE: (None, None),
    RELU: (0.0, None),
    RELU1: (-1.0, 1.0),
    RELU6: (0.0, 6.0),
}


def fused(torch: Any, value: Any, activation: int) -> Any:
    """`FuseCode` applied to a float64 tensor; NaN stays NaN."""
    low, high = LIMITS[activation]
    if low is None and high is None:
        return value
    return torch.clamp(value, min=low, max=high)
