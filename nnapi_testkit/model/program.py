"""A whole model as its users know it: operations and operands that bear names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.errors import KitError
from nnapi_testkit.model.types import Model, Operand
from nnapi_testkit.spec.codes import OperandCode, OperationCode
from nnapi_testkit.spec.operands import DTYPE

__all__ = ["InputSet", "Left", "Program", "operation_name"]

InputSet = tuple[NDArray[np.generic] | None, ...]


@dataclass(frozen=True)
class Left:
    """A node of the source that NNAPI cannot express: it stays on the CPU.

    What it gives is an input of the model, and what it reads an output, so that the rest is one
    model still; the input sets hold what the source computes there.

    Args:
        at: the operation of the main graph that it comes before.
        name: kind and name of the node. reason: why it stays.
        macs: its multiply-accumulates.
    """

    at: int
    name: str
    reason: str
    macs: int = 0


@dataclass(frozen=True)
class Program:
    """A model with the names of where its parts came from, and data to run it with.

    Args:
        model: what a driver is handed.
        name: what the user calls it: a file's name, a module's class.
        operations: for each operation of the main graph where it came from, as
            `features.3.conv (aten::conv2d)`; empty where nothing is known.
        operands: names of operands of the main graph, by index.
        inputs: input sets that came with the model; arrays in the operands' own types and in
            the layout that the model takes.
        expected: what the source gives for each input set, by output, as real values in the
            model's layout; empty if the source cannot be asked. A converter is checked by it, and
            a driver never.
        inner: what the source gives for operands that operations write, by operand, as `expected`:
            one array for each input set. It names the operation that was converted wrongly.
        notes: what a reader of a report has to know about the conversion.
        left: nodes of the source that stay on the CPU, in their order.
        stepwise: whether the source rounds where the model does, so that each operation can be
            compared with it on the source's own values.
    """

    model: Model
    name: str = "model"
    operations: tuple[str, ...] = ()
    operands: Mapping[int, str] = field(default_factory=dict)
    inputs: tuple[InputSet, ...] = ()
    expected: tuple[tuple[NDArray[np.float64], ...], ...] = ()
    inner: Mapping[int, tuple[NDArray[np.float64], ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    left: tuple[Left, ...] = ()
    stepwise: bool = False

    def label(self, index: int) -> str:
        """What operation `index` of the main graph is called: its number, kind and origin."""
        origin = self.operations[index] if index < len(self.operations) else ""
        kind = operation_name(self.model.main.operations[index].code)
        return f"#{index} {kind}" + (f" {origin}" if origin else "")

    def operand(self, index: int) -> str:
        """What operand `index` of the main graph is called."""
        return self.operands.get(index) or f"operand {index}"

    def accept(self, arrays: Sequence[object]) -> InputSet:
        """Return arrays as an input set of this model.

        Raises KitError, in one line, if number, types or shapes do not fit.
        """
        operands = [self.model.main.operands[at] for at in self.model.main.inputs]
        if len(arrays) != len(operands):
            raise KitError(f"the model has {len(operands)} inputs, {len(arrays)} were given")
        return tuple(
            None if given is None else _fitting(at, operand, given)
            for at, (operand, given) in enumerate(zip(operands, arrays, strict=True))
        )


def operation_name(code: int) -> str:
    """The operation's name in the NNAPI reference, or its number."""
    known = code in {known.value for known in OperationCode}
    return OperationCode(code).name if known else str(code)


def _fitting(at: int, operand: Operand, given: object) -> NDArray[np.generic]:
    kind = np.dtype(DTYPE[OperandCode(operand.type)])
    array = np.asarray(given)
    if array.dtype != kind and not np.can_cast(array.dtype, kind, "same_kind"):
        raise KitError(f"input {at} is {array.dtype}, the operand needs {kind}: convert it")
    fits = len(array.shape) == len(operand.dims) and all(
        want in (0, have) for want, have in zip(operand.dims, array.shape, strict=True)
    )
    if operand.dims and not fits:
        raise KitError(
            f"input {at} has shape {list(array.shape)}, the operand {list(operand.dims)}"
        )
    return np.ascontiguousarray(array, kind)
