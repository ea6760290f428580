"""`Cell`: one row of the types that the reference documents for an operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import SHORT_NAME

# `T` stands for the cell's main type; `real` for FLOAT16 in float16 cells, else FLOAT32.
TypeName = str
# A reference gets torch and its operands by name: float64 tensors of real values (NCHW where
# spatial), int64 tensors for TENSOR_INT32 attributes, bool tensors, Python scalars, None for
# omitted ones, lists for `many`. It returns a tensor or a tuple of them.
Reference = Callable[..., Any]
_CODES = dict(OperandCode.__members__)


@dataclass(frozen=True, slots=True)
class Cell:
    """One row of documented types.

    Args:
        main: the type `T` stands for.
        since: NNAPI feature level.
        types: type of each operand whose type is not `T` or fixed in the signature.
    """

    main: OperandCode
    since: int
    types: Mapping[str, OperandCode] = field(default_factory=dict)
    label: str = ""

    def type_of(self, name: str, declared: TypeName) -> OperandCode:
        """The operand code of the operand called `name`, declared with type `declared`."""
        if name in self.types:
            return self.types[name]
        if declared == "T":
            return self.main
        if declared == "real":
            half = OperandCode.TENSOR_FLOAT16
            return OperandCode.FLOAT16 if self.main == half else OperandCode.FLOAT32
        if declared in self.types:
            return self.types[declared]
        return _CODES[declared]

    @property
    def name(self) -> str:
        """What case ids call the cell: `quant8`, `quant8/per_channel`, `float32>quant8`."""
        return self.label or SHORT_NAME[self.main]


def first_type(name: str) -> str:
    """The type of the first tensor in the name of a cell, all that a record keeps of the cell."""
    return name.partition(">")[0].partition("/")[0]
