"""Results beyond the largest number: infinite, or the largest finite number.

The documentation does not say which. Drivers that clamp for every fused activation, NONE among
them, give the largest finite number. It is open for the operations that clamp so.
"""

from __future__ import annotations

from nnapi_testkit.model.case import Case
from nnapi_testkit.spec.codes import OperationCode

_CLAMPING = frozenset(
    int(OperationCode[name])
    for name in (
        "ADD",
        "AVERAGE_POOL_2D",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "DIV",
        "FULLY_CONNECTED",
        "GROUPED_CONV_2D",
        "L2_POOL_2D",
        "MAX_POOL_2D",
        "MUL",
        "RELU",
        "SUB",
        "TRANSPOSE_CONV_2D",
    )
)


def may_clamp(case: Case) -> bool:
    """Whether an operation of the case's main graph may clamp to the finite numbers."""
    return any(int(operation.code) in _CLAMPING for operation in case.model.main.operations)


def told(count: int) -> str:
    """What a record says of so many clamped results."""
    results = "result" if count == 1 else "results"
    return f"left open: for {count} {results} beyond it the largest finite number was given"
