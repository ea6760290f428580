"""`Fault`: one known kind of driver bug, as data."""

from __future__ import annotations

from dataclasses import dataclass

from nnapi_testkit.power.edit import CaseEdit, ResultEdit

__all__ = ["CHOICE", "Fault"]

# Stands for `*`: of each kind of arithmetic one, so that a fault of any operation costs seconds.
CHOICE = (
    "ADD",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "FULLY_CONNECTED",
    "RESHAPE",
    "SOFTMAX",
    "MUL",
    "CONCATENATION",
    "MEAN",
    "TRANSPOSE",
    "GATHER",
    "CAST",
    "LSTM",
    "RNN",
    "SPLIT",
    "TOPK_V2",
    "AVERAGE_POOL_2D",
    "ARGMAX",
    "WHILE",
    "IF",
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One known kind of driver bug.

    Args:
        id: its name.
        what: what goes wrong, in a few words.
        seen: where it was seen: a public report, or the paper or header that warns of it.
        operations: whose cases may notice; `*` for any.
        layer: `in` rewrites models and inputs, `out` rewrites results, `planted` is in the driver.
        case, result: the rewriting; None leaves as it is, as does a result of None.
        number: of the switch in the test build.
        waived: why no case can notice it.
    """

    id: str
    what: str
    seen: str
    operations: tuple[str, ...]
    layer: str
    case: CaseEdit | None = None
    result: ResultEdit | None = None
    number: int = 0
    waived: str = ""

    @property
    def concerns(self) -> tuple[str, ...]:
        """The operations whose cases are run."""
        return CHOICE if self.operations == ("*",) else self.operations
