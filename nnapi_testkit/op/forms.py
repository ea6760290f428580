"""Forms of an operation that only some devices take, declared or following from its operands."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nnapi_testkit.op.readings import Form, refused_by_field
from nnapi_testkit.spec.codes import OperandCode

if TYPE_CHECKING:
    from nnapi_testkit.op.declare import Cell, Op

_SINGLE_SCALARS = refused_by_field(
    "scalars-beside-float16",
    "Scalars beside FLOAT16 tensors: FLOAT32 by the header, or it names no type; deployed devices"
    " take FLOAT16 alone.",
)


def forms_of(op: Op) -> tuple[Form, ...]:
    """The forms an operation declares, and FLOAT32 scalars beside FLOAT16 tensors where both are
    in use (`Scalar.any_real`)."""
    return (*op.forms, *_single_scalars(op.cells, _any_real(op)))


def _any_real(op: Op) -> tuple[str, ...]:
    signature = (spec for signature in op.signatures for spec in signature)
    return tuple(dict.fromkeys(s.name for s in signature if getattr(s, "any_real", False)))


def _single_scalars(cells: tuple[Cell, ...], scalars: tuple[str, ...]) -> list[Form]:
    if not scalars:
        return []
    return [
        Form(
            "float32-scalars",
            replace(cell, types={**cell.types, **dict.fromkeys(scalars, OperandCode.FLOAT32)}),
            _SINGLE_SCALARS,
        )
        for cell in cells
        if cell.main == OperandCode.TENSOR_FLOAT16
    ]
