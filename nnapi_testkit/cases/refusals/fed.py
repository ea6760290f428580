"""Inputs for broken models: a refusal that is due at the execution needs something to execute."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.model.case import Case, Execution
from nnapi_testkit.model.types import Model, Operand
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import DTYPE, is_tensor

__all__ = ["fed"]

ROOM = 4096  # bytes for an output whose dimensions nobody knows


def fed(base: Case, model: Model) -> tuple[Execution, ...]:
    """Return one input set for `model`, an edit of the base's.

    Inputs keep their data, repeated or cut where the edit gave them other dimensions. Outputs that
    lost theirs are offered four times what the unbroken model writes, and no less than `ROOM`.
    """
    first = base.sets[0]
    given = dict(zip(base.model.main.inputs, first.inputs, strict=True))
    operands = model.main.operands
    inputs = tuple(_fit(given.get(at), operands[at]) for at in model.main.inputs)
    sizes = dict(zip(base.model.main.outputs, first.output_dims, strict=True))
    pairs = [_room(operands[at], sizes.get(at, ())) for at in model.main.outputs]
    return (Execution(inputs, tuple(dims for dims, _ in pairs), tuple(size for _, size in pairs)),)


def _fit(data: NDArray[np.generic] | None, operand: Operand) -> NDArray[np.generic] | None:
    dtype = DTYPE[OperandCode(operand.type)]
    known = all(operand.dims) and (operand.dims or not is_tensor(OperandCode(operand.type)))
    if data is None:
        return np.zeros(tuple(n or 1 for n in operand.dims), dtype) if known else None
    if data.dtype == dtype and (not known or data.shape == operand.dims):
        return data
    flat = data.astype(dtype, copy=False).reshape(-1)
    shape = operand.dims if known else data.shape
    return np.ascontiguousarray(np.resize(flat, shape))


def _room(operand: Operand, before: tuple[int, ...]) -> tuple[tuple[int, ...], int | None]:
    if operand.dims and all(operand.dims):
        return operand.dims, None
    size = math.prod(before) * DTYPE[OperandCode(operand.type)].itemsize
    return before or (1,), max(ROOM, 4 * size)
