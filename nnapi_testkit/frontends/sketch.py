"""The graph under construction: values of the source's and the operands that hold them.

A value has the shape that its source gives it. Its operand may hold 4-dimensional data channels
last; a scalar tensor has one dimension of 1 there. Constants become operands when they are needed,
in the order that the reader wants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nnapi_testkit.frontends.draft import Draft, Quant, Refusal, quantized
from nnapi_testkit.model.types import Lifetime, Operand
from nnapi_testkit.spec.codes import OperandCode
from nnapi_testkit.spec.operands import DTYPE

__all__ = [
    "LAST_FIRST",
    "NHWC",
    "Quant",
    "Refusal",
    "Sketch",
    "Value",
    "operand_array",
    "operand_type",
    "same_bytes",
]

NHWC = (0, 2, 3, 1)  # from channels first to channels last
LAST_FIRST = (0, 3, 1, 2)  # and back
TYPES = {
    torch.float32: OperandCode.TENSOR_FLOAT32,
    torch.float16: OperandCode.TENSOR_FLOAT16,
    torch.int32: OperandCode.TENSOR_INT32,
    torch.int64: OperandCode.TENSOR_INT32,
    torch.bool: OperandCode.TENSOR_BOOL8,
    torch.uint8: OperandCode.TENSOR_QUANT8_ASYMM,
    torch.int8: OperandCode.TENSOR_QUANT8_ASYMM_SIGNED,
}


@dataclass(frozen=True)
class Value:
    """One tensor.

    Args:
        shape: in the source's order; 0 stands for a dimension that is open.
        type: of its operand. operand: -1 while it is a constant that nobody needed yet.
        last: whether the operand holds it channels last.
        constant: its data in the source's order, for constants.
        quant: how its codes are to be read.
        fused: where the activation of the operation that made it can still be set: operation,
            position.
        flat: the operand holds the elements in order, but not in these dimensions: NNAPI's RESHAPE
            makes four at most, so more exist only between two operations that join some.
    """

    shape: tuple[int, ...]
    type: OperandCode
    operand: int = -1
    last: bool = False
    constant: torch.Tensor | None = None
    quant: Quant | None = None
    fused: tuple[int, int] | None = None
    flat: bool = False

    @property
    def rank(self) -> int:
        """Number of dimensions, as PyTorch counts them."""
        return len(self.shape)


class Sketch(Draft):
    """Operands and operations of one graph, by values of PyTorch's."""

    def __init__(self) -> None:
        super().__init__()
        self._turned: dict[tuple[int, bool], int] = {}
        self._constants: dict[tuple[int, bool], int] = {}
        self._kept: list[torch.Tensor] = []  # the ids above stay those of living tensors

    def input(
        self,
        shape: Sequence[int],
        type: OperandCode,
        last: bool,
        name: str,
        quant: Quant | None = None,
    ) -> Value:
        """An input of the graph; channels last if `last`."""
        dims = _physical(tuple(shape), last)
        at = self.add(quantized(Operand(type, dims, lifetime=Lifetime.INPUT), quant), name)
        return Value(tuple(shape), type, at, last, quant=quant)

    def constant(self, tensor: torch.Tensor, quant: Quant | None = None) -> Value:
        """A constant, not an operand yet."""
        type = quant.type if quant else operand_type(tensor.dtype)
        return Value(tuple(tensor.shape), type, constant=tensor.detach(), quant=quant)

    def real(self, value: float, like: Value) -> int:
        """A float scalar of the precision that goes with a value."""
        half = like.type == OperandCode.TENSOR_FLOAT16
        return self.scalar(OperandCode.FLOAT16 if half else OperandCode.FLOAT32, value)

    def read(self, value: Value, last: bool = False) -> int:
        """The operand of a value, channels last or not; a TRANSPOSE where it is held otherwise."""
        last = last and value.rank == 4
        if value.flat:
            raise Refusal(f"a tensor of {value.rank} dimensions: NNAPI has at most 4 here")
        if value.constant is not None:
            key = (id(value.constant), last)
            if key not in self._constants:
                self._kept.append(value.constant)
                data = value.constant
                if last:
                    data = data.permute(NHWC)
                array = operand_array(data, value.type)
                shaped = array.reshape(array.shape or (1,))
                self._constants[key] = self.array(shaped, value.type, value.quant)
            return self._constants[key]
        if value.last == last:
            return value.operand
        turned = (value.operand, last)
        if turned not in self._turned:
            made = self.temporary(value.shape, value.type, last, value.quant)
            if same_bytes(value.shape):
                dims = _physical(value.shape, last)
                self.emit("RESHAPE", [value.operand, self.ints(dims)], [made])
            else:
                order = NHWC if last else LAST_FIRST
                self.emit("TRANSPOSE", [value.operand, self.ints(order)], [made])
            self._turned[turned] = made.operand
        return self._turned[turned]

    def temporary(
        self,
        shape: Sequence[int],
        type: OperandCode,
        last: bool = False,
        quant: Quant | None = None,
    ) -> Value:
        """A value that an operation will write."""
        shape = tuple(shape)
        operand = Operand(type, _physical(shape, last and len(shape) == 4))
        at = self.add(quantized(operand, quant))
        return Value(shape, type, at, last and len(shape) == 4, quant=quant)

    def emit(self, code: str, inputs: Sequence[int], outputs: Sequence[Value]) -> None:
        """One operation."""
        self.operation(code, inputs, [value.operand for value in outputs])

    def make(
        self,
        code: str,
        inputs: Sequence[int],
        shape: Sequence[int],
        type: OperandCode,
        *,
        last: bool = False,
        quant: Quant | None = None,
        fused: int | None = None,
    ) -> Value:
        """One operation with one output.

        Args:
            fused: the position of the activation among the inputs, if it has one.
        """
        value = self.temporary(shape, type, last, quant)
        self.emit(code, inputs, [value])
        if fused is None:
            return value
        return replace(value, fused=(len(self.operations) - 1, fused))

    def fuse(self, value: Value, activation: int) -> Value:
        """Set the activation of the operation that made a value."""
        assert value.fused is not None
        index, position = value.fused
        operation = self.operations[index]
        inputs = list(operation.inputs)
        inputs[position] = self.int32(activation)
        self.operations[index] = replace(operation, inputs=tuple(inputs))
        return replace(value, fused=None)


def same_bytes(shape: Sequence[int]) -> bool:
    """Whether 4-dimensional data lie in the same order channels first and channels last."""
    return shape[1] == 1 or shape[2] * shape[3] == 1


def _physical(shape: tuple[int, ...], last: bool) -> tuple[int, ...]:
    if last and len(shape) == 4:
        return tuple(shape[i] for i in NHWC)
    return shape or (1,)


def operand_type(dtype: torch.dtype) -> OperandCode:
    """The operand type that holds a tensor; Refusal if none does."""
    if dtype not in TYPES:
        raise Refusal(f"a tensor of {dtype}: NNAPI has float32, float16, int32, bool and 8-bit")
    return TYPES[dtype]


def operand_array(tensor: torch.Tensor, type: OperandCode) -> NDArray[Any]:
    """A tensor's elements in an operand's own type; int64 is clipped to int32."""
    array: NDArray[Any] = tensor.contiguous().numpy()
    if array.dtype == np.int64:
        info = np.iinfo(np.int32)
        array = array.clip(info.min, info.max)
    return array.astype(DTYPE[type])
