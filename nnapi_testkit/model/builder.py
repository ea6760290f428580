"""Building models: the one place that turns numbers into operands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from enum import IntEnum
from typing import Any, TypeVar

import numpy as np

from nnapi_testkit.errors import KitError
from nnapi_testkit.model.types import (
    ChannelQuant,
    Graph,
    Lifetime,
    Model,
    Operand,
    Operation,
)
from nnapi_testkit.spec.codes import OperandCode, OperationCode
from nnapi_testkit.spec.operands import DTYPE, is_tensor

_Code = TypeVar("_Code", bound=IntEnum)


class Builder:
    """Collects the operands and operations of one graph.

    Methods return operand indexes. `subgraph` starts the builder of a graph that this model
    refers to; complete it before `refer` takes it as it is then.
    """

    def __init__(self, parent: Builder | None = None) -> None:
        self._operands: list[Operand] = []
        self._operations: list[Operation] = []
        self._inputs: list[int] = []
        self._outputs: list[int] = []
        self._graphs: list[Graph] = parent._graphs if parent else []

    def add(self, operand: Operand) -> int:
        """Any operand as it is."""
        self._operands.append(operand)
        return len(self._operands) - 1

    def input(
        self,
        type: OperandCode | str,
        dims: Sequence[int] = (),
        scale: float = 0.0,
        zero_point: int = 0,
        channel_quant: ChannelQuant | None = None,
    ) -> int:
        """An input of the graph; inputs are identified in the order of these calls."""
        operand = Operand(
            _code(type), tuple(dims), scale, zero_point, Lifetime.INPUT, channel_quant=channel_quant
        )
        self._inputs.append(self.add(operand))
        return self._inputs[-1]

    def tensor(
        self,
        type: OperandCode | str,
        dims: Sequence[int] = (),
        scale: float = 0.0,
        zero_point: int = 0,
    ) -> int:
        """A temporary: the result of an operation that another one reads."""
        return self.add(Operand(_code(type), tuple(dims), scale, zero_point))

    def output(
        self,
        type: OperandCode | str,
        dims: Sequence[int] = (),
        scale: float = 0.0,
        zero_point: int = 0,
    ) -> int:
        """An output of the graph, in the order of these calls."""
        operand = Operand(_code(type), tuple(dims), scale, zero_point, Lifetime.OUTPUT)
        self._outputs.append(self.add(operand))
        return self._outputs[-1]

    def constant(
        self,
        type: OperandCode | str,
        values: Any,
        scale: float = 0.0,
        zero_point: int = 0,
        channel_quant: ChannelQuant | None = None,
    ) -> int:
        """A constant: a scalar, or a tensor in the operand's own element type."""
        code = _code(type)
        array = np.ascontiguousarray(values, dtype=DTYPE[code])
        dims = array.shape if is_tensor(code) else ()
        return self.add(
            Operand(
                code,
                dims,
                scale,
                zero_point,
                Lifetime.CONSTANT,
                array.tobytes(),
                channel_quant=channel_quant,
            )
        )

    def omitted(
        self,
        type: OperandCode | str,
        dims: Sequence[int] = (),
        scale: float = 0.0,
        zero_point: int = 0,
    ) -> int:
        """An optional operand without a value."""
        return self.add(Operand(_code(type), tuple(dims), scale, zero_point, Lifetime.OMITTED))

    def operation(
        self, code: OperationCode | str, inputs: Sequence[int], outputs: Sequence[int]
    ) -> None:
        """One operation over operands that exist already."""
        number = _named(OperationCode, "operation", code) if isinstance(code, str) else code
        unknown = [at for at in (*inputs, *outputs) if not 0 <= at < len(self._operands)]
        if unknown:
            raise KitError(
                f"{getattr(number, 'name', number)} uses operand {unknown[0]}, the graph has"
                f" {len(self._operands)}: make it first"
            )
        self._operations.append(Operation(int(number), tuple(inputs), tuple(outputs)))

    def subgraph(self) -> Builder:
        """A builder for a graph this one may refer to."""
        return Builder(self)

    def refer(self, graph: Builder) -> int:
        """An operand that stands for a finished subgraph."""
        self._graphs.append(graph.graph())
        operand = Operand(
            OperandCode.MODEL, lifetime=Lifetime.SUBGRAPH, subgraph=len(self._graphs) - 1
        )
        return self.add(operand)

    def identify(self, outputs: Sequence[int]) -> None:
        """Make existing operands the outputs, in this order; temporaries become outputs."""
        for at in outputs:
            if self._operands[at].lifetime == Lifetime.TEMPORARY:
                self._operands[at] = replace(self._operands[at], lifetime=Lifetime.OUTPUT)
        self._outputs = list(outputs)

    def graph(self) -> Graph:
        """The graph collected so far."""
        return Graph(
            tuple(self._operands),
            tuple(self._operations),
            tuple(self._inputs),
            tuple(self._outputs),
        )

    def build(self, relaxed: bool = False) -> Model:
        """The finished model."""
        return Model(self.graph(), tuple(self._graphs), relaxed)


def _code(type: OperandCode | str) -> OperandCode:
    return _named(OperandCode, "operand type", type) if isinstance(type, str) else type


def _named(codes: type[_Code], what: str, name: str) -> _Code:
    """The code of a name; KitError suggests the nearest ones."""
    known = codes.__members__
    if name in known:
        return known[name]
    near = get_close_matches(name.upper(), known, 3, 0.6)
    hint = f": did you mean {' or '.join(near)}?" if near else ": see nnapi-testkit ops"
    raise KitError(f"there is no {what} {name!r}{hint}")
