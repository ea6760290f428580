"""A graph on its way to an older feature level: its operands, and operations written anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.frontends.draft import Draft, Refusal
from nnapi_testkit.model.types import Graph, Lifetime, Operand, Operation
from nnapi_testkit.spec.codes import OperandCode, OperationCode
from nnapi_testkit.spec.operands import DTYPE, is_quantized

__all__ = ["RULES", "Rule", "Writer", "older_form"]

_REAL = OperandCode.TENSOR_FLOAT32


class Writer(Draft):
    """A draft that begins with the operands of a graph and none of its operations.

    Args:
        level: the feature level that the graph has to do with.
    """

    def __init__(self, graph: Graph, level: int) -> None:
        super().__init__()
        self.operands = list(graph.operands)
        self.inputs = list(graph.inputs)
        self.level = level

    def dims(self, at: int) -> tuple[int, ...]:
        """The dimensions of an operand; Refusal where one is open."""
        found = self.operands[at].dims
        if 0 in found:
            raise Refusal("a size is open, and the older form needs it as a number")
        return found

    def quantized(self, at: int) -> bool:
        """Whether an operand holds codes."""
        return is_quantized(OperandCode(self.operands[at].type))

    def real(self, operation: Operation) -> None:
        """Refusal unless the operation computes in float32."""
        if any(self.operands[at].type != _REAL for at in operation.outputs):
            raise Refusal("its older form is one of float32 alone")

    def known(self, at: int) -> NDArray[Any]:
        """The elements of a constant; Refusal if it is none."""
        operand = self.operands[at]
        if operand.lifetime != Lifetime.CONSTANT:
            raise Refusal("an operand has to be constant, and is computed or an input")
        data = np.frombuffer(operand.value, DTYPE[OperandCode(operand.type)])
        return data.reshape(operand.dims)

    def number(self, value: float) -> int:
        """A TENSOR_FLOAT32 of one element."""
        return self.array(np.array([value], np.float32), _REAL)

    def like(self, at: int, dims: Sequence[int] | None = None) -> int:
        """A temporary of an operand's type and quantization."""
        operand = self.operands[at]
        shape = operand.dims if dims is None else tuple(dims)
        return self.add(
            Operand(OperandCode(operand.type), shape, operand.scale, operand.zero_point)
        )

    def alike(self, at: int, array: NDArray[Any]) -> int:
        """A constant of an operand's type and quantization."""
        operand = self.operands[at]
        data = np.ascontiguousarray(array, DTYPE[OperandCode(operand.type)])
        return self.add(
            replace(operand, dims=data.shape, lifetime=Lifetime.CONSTANT, value=data.tobytes())
        )

    def make(
        self, code: str, inputs: Sequence[int], like: int, dims: Sequence[int] | None = None
    ) -> int:
        """One operation whose result is a temporary like `like`."""
        made = self.like(like, dims)
        self.operation(code, inputs, [made])
        return made

    def reshape(self, at: int, dims: Sequence[int]) -> int:
        """The same elements in other dimensions."""
        if tuple(dims) == self.operands[at].dims:
            return at
        return self.make("RESHAPE", [at, self.ints(dims)], at, dims)

    def into(self, at: int, out: int) -> None:
        """Make an existing operand hold what `at` has, in its own dimensions."""
        self.operation("RESHAPE", [at, self.ints(self.dims(out))], [out])


Rule = Callable[[Writer, Operation], None]
RULES: dict[int, Rule] = {}


def older_form(*names: str) -> Callable[[Rule], Rule]:
    """Register how operations are written for older levels."""

    def register(rule: Rule) -> Rule:
        for name in names:
            RULES[OperationCode[name]] = rule
        return rule

    return register
