"""The second of two ways to compute one thing, under construction beside the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nnapi_testkit.cases.edits import Base
from nnapi_testkit.model.case import Case, Execution
from nnapi_testkit.model.types import Lifetime, Operand, Operation
from nnapi_testkit.spec.codes import OperandCode, OperationCode
from nnapi_testkit.spec.operands import DTYPE, Array


class Second:
    """The second way, under construction beside the first one's operands."""

    def __init__(self, base: Base) -> None:
        self.base = base
        main = base.model.main
        self.operands = list(main.operands)
        self.operations = list(main.operations)
        self.inputs = list(main.inputs)
        self.outputs = list(main.outputs)
        self.extra: list[Array] = []

    def add(self, operand: Operand) -> int:
        """One more operand."""
        self.operands.append(operand)
        return len(self.operands) - 1

    def ints(self, values: Sequence[int]) -> int:
        """A constant TENSOR_INT32."""
        return self.constant(OperandCode.TENSOR_INT32, np.asarray(values, dtype="<i4"))

    def constant(self, type: OperandCode, array: Array) -> int:
        """A constant tensor."""
        array = np.ascontiguousarray(array, dtype=DTYPE[type])
        return self.add(
            Operand(type, array.shape, lifetime=Lifetime.CONSTANT, value=array.tobytes())
        )

    def int32(self, value: int) -> int:
        """A constant INT32."""
        data = np.asarray(value, dtype="<i4").tobytes()
        return self.add(Operand(OperandCode.INT32, lifetime=Lifetime.CONSTANT, value=data))

    def input(self, operand: Operand, data: Array) -> int:
        """One more input of the model with the same data in every set."""
        self.inputs.append(self.add(replace(operand, lifetime=Lifetime.INPUT, value=b"")))
        self.extra.append(data)
        return self.inputs[-1]

    def operation(self, code: int | str, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        """One more operation."""
        number = OperationCode[code] if isinstance(code, str) else code
        self.operations.append(Operation(int(number), tuple(inputs), tuple(outputs)))

    def like(self, index: int, dims: Sequence[int], lifetime: Lifetime) -> int:
        """An operand of the type of another one."""
        operand = self.operands[index]
        return self.add(replace(operand, dims=tuple(dims), lifetime=lifetime, value=b""))

    def twin(self, position: int) -> int:
        """The second way's output for the first one's."""
        index = self.base.output(position)
        self.outputs.append(self.like(index, self.operands[index].dims, Lifetime.OUTPUT))
        return self.outputs[-1]

    def twins(self) -> list[int]:
        """The second way's outputs for all of the first one's."""
        return [self.twin(position) for position in range(len(self.base.operation.outputs))]

    def case(self, case_id: str) -> Case:
        """The finished pair."""
        main = replace(
            self.base.model.main,
            operands=tuple(self.operands),
            operations=tuple(self.operations),
            inputs=tuple(self.inputs),
            outputs=tuple(self.outputs),
        )
        sets = tuple(
            Execution((*s.inputs, *self.extra), (*s.output_dims, *s.output_dims))
            for s in self.base.case.sets
        )
        return replace(
            self.base.case, id=case_id, model=replace(self.base.model, main=main), sets=sets
        )
