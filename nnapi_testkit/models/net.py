"""Models by hand: `Net` infers the shape and type of every result.

    net = Net()
    x = net.input((1, 8))
    y = net.add("FULLY_CONNECTED", x, net.constant(weights), net.constant(bias), "RELU")
    program = net.program([y])

What an operation gives is asked of its reference, on zeros, so that there is no second table of
shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnapi_testkit.errors import KitError
from nnapi_testkit.model.builder import Builder
from nnapi_testkit.model.program import InputSet, Program
from nnapi_testkit.model.types import Graph, Lifetime, Model, Operand, Operation
from nnapi_testkit.oracle import OracleError, follow
from nnapi_testkit.oracle.bind import outputs_of
from nnapi_testkit.spec.codes import FuseCode, OperandCode, OperationCode
from nnapi_testkit.spec.operands import DTYPE, is_quantized

__all__ = ["Net", "Tensor"]


@dataclass(frozen=True)
class Tensor:
    """A value of a net: the operand that holds it."""

    index: int
    type: OperandCode
    shape: tuple[int, ...]


class Net:
    """A model under construction; its results get the shapes that the reference gives."""

    def __init__(self) -> None:
        self._builder = Builder()
        self._names: list[str] = []

    def input(
        self,
        shape: Sequence[int],
        type: OperandCode | str = OperandCode.TENSOR_FLOAT32,
        scale: float = 0.0,
        zero_point: int = 0,
    ) -> Tensor:
        """An input; inputs are fed in the order of these calls."""
        at = self._builder.input(type, shape, scale, zero_point)
        return self._tensor(at)

    def constant(
        self,
        values: Any,
        type: OperandCode | str | None = None,
        scale: float = 0.0,
        zero_point: int = 0,
    ) -> Tensor:
        """A constant tensor; float32 or int32 by the values unless a type is named."""
        array = np.asarray(values)
        if type is None:
            whole = array.dtype.kind in "iu"
            type = OperandCode.TENSOR_INT32 if whole else OperandCode.TENSOR_FLOAT32
        return self._tensor(self._builder.constant(type, array, scale, zero_point))

    def add(
        self,
        operation: str,
        *inputs: Tensor | int | float | bool | str | None,
        scale: float = 0.0,
        zero_point: int = 0,
        name: str = "",
        type: OperandCode | str | None = None,
    ) -> Any:
        """An operation; returns its result, or a tuple of them.

        Args:
            inputs: tensors, and Python numbers for scalars: `int` is INT32, `float` FLOAT32 (or
                FLOAT16 beside such tensors), `bool` BOOL; the name of an activation is its code.
                None omits an optional operand at the end.
            scale, zero_point: of quantized results; by default those of the first tensor.
            type: of the results, where several are possible.

        Raises KitError in one line: no such operation, or no signature that takes these operands.
        """
        operands = [self._operand(given, inputs) for given in inputs if given is not None]
        graph = self._builder.graph()
        code = int(OperationCode[operation]) if operation in OperationCode.__members__ else -1
        if code < 0:
            self._builder.operation(operation, (), ())  # says which name was meant
        first = next((t for t in inputs if isinstance(t, Tensor)), None)
        if first is None:
            raise KitError(f"{operation} reads no tensor: its result has no shape")
        wanted = OperandCode[type] if isinstance(type, str) else type
        kinds = outputs_of(code, tuple(int(graph.operands[at].type) for at in operands), wanted)
        like = graph.operands[first.index]
        results = [
            Operand(
                kind,
                (),
                (scale or like.scale) if is_quantized(kind) else 0.0,
                (zero_point if scale else like.zero_point) if is_quantized(kind) else 0,
                Lifetime.OUTPUT,
            )
            for kind in kinds
        ]
        shapes = self._shapes(operation, code, operands, results)
        made = []
        for result, shape in zip(results, shapes, strict=True):
            at = self._builder.tensor(result.type, shape, result.scale, result.zero_point)  # type: ignore[arg-type]
            made.append(self._tensor(at))
        self._builder.operation(operation, operands, [tensor.index for tensor in made])
        self._names.append(name)
        return made[0] if len(made) == 1 else tuple(made)

    def program(
        self,
        outputs: Sequence[Tensor],
        inputs: Sequence[InputSet] = (),
        *,
        name: str = "net",
        relaxed: bool = False,
    ) -> Program:
        """The finished model; any result can be an output. `inputs` are its input sets."""
        self._builder.identify([tensor.index for tensor in outputs])
        model = self._builder.build(relaxed)
        program = Program(model, name, tuple(self._names))
        sets = tuple(program.accept(row) for row in inputs)
        return Program(model, name, tuple(self._names), inputs=sets)

    def _tensor(self, at: int) -> Tensor:
        operand = self._builder.graph().operands[at]
        return Tensor(at, OperandCode(operand.type), operand.dims)

    def _operand(self, given: object, inputs: Sequence[object]) -> int:
        if isinstance(given, Tensor):
            return given.index
        builder = self._builder
        if isinstance(given, str):
            if f"FUSED_{given}" not in FuseCode.__members__:
                known = ", ".join(name.removeprefix("FUSED_") for name in FuseCode.__members__)
                raise KitError(f"there is no activation {given!r}: one of {known}")
            return builder.constant("INT32", int(FuseCode[f"FUSED_{given}"]))
        if isinstance(given, bool):
            return builder.constant("BOOL", given)
        if isinstance(given, int):
            return builder.constant("INT32", given)
        half = any(isinstance(t, Tensor) and t.type == OperandCode.TENSOR_FLOAT16 for t in inputs)
        return builder.constant("FLOAT16" if half else "FLOAT32", given)

    def _shapes(
        self, name: str, code: int, operands: Sequence[int], results: Sequence[Operand]
    ) -> list[tuple[int, ...]]:
        """What the reference gives for zeros."""
        graph = self._builder.graph()
        used = tuple(dict.fromkeys(operands))
        place = {at: position for position, at in enumerate(used)}
        chosen = []
        for at in used:
            operand = graph.operands[at]
            if operand.lifetime == Lifetime.CONSTANT:
                chosen.append(operand)
                continue
            fed = Operand(
                operand.type, operand.dims, operand.scale, operand.zero_point, Lifetime.INPUT
            )
            chosen.append(fed)
        fed_at = tuple(i for i, operand in enumerate(chosen) if operand.lifetime == Lifetime.INPUT)
        last = tuple(range(len(chosen), len(chosen) + len(results)))
        alone = Graph(
            (*chosen, *results),
            (Operation(code, tuple(place[at] for at in operands), last),),
            fed_at,
            last,
        )
        zeros = tuple(
            np.full(chosen[at].dims, chosen[at].zero_point, DTYPE[OperandCode(chosen[at].type)])
            for at in fed_at
        )
        try:
            chain = follow(Model(alone), [0], zeros, 0)
        except OracleError as error:
            if error.__cause__ is None:
                raise
            # The reference met shapes that do not go together.
            line = (str(error.__cause__).strip().splitlines() or [""])[0]
            shapes = [list(operand.dims) for operand in chosen if operand.dims]
            raise KitError(f"{name} does not take shapes {shapes}: {line}") from error
        return [output.shape for output in chain.outputs]
