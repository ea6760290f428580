"""The model as plain frozen data: operands, operations, models.

Names and meanings are those of the NNAPI reference; values are little-endian bytes in the
operand's own element type.
"""

from __future__ import annotations

from dataclasses import dataclass

from nnapi_testkit.model.quick import quick
from nnapi_testkit.model.wire_codes import Lifetime as Lifetime
from nnapi_testkit.spec.codes import OperandCode


@dataclass(frozen=True, slots=True)
class ChannelQuant:
    """Per-channel scales along `dim`; `len(scales)` equals the operand's size there."""

    dim: int
    scales: tuple[float, ...]


@quick
@dataclass(frozen=True, slots=True)
class Operand:
    """One operand of a model.

    Args:
        type: its operand code (an `int` outside `OperandCode` is possible in refusal cases).
        dims: dimensions, 0 for an unknown one; `()` for scalars and for unspecified rank.
        scale, zero_point: quantization parameters, 0 where the type has none.
        lifetime: where the value comes from.
        value: the bytes of a CONSTANT.
        subgraph: index into `Model.subgraphs` of the outermost model, for SUBGRAPH.
        channel_quant: for TENSOR_QUANT8_SYMM_PER_CHANNEL.
    """

    type: OperandCode | int
    dims: tuple[int, ...] = ()
    scale: float = 0.0
    zero_point: int = 0
    lifetime: Lifetime = Lifetime.TEMPORARY
    value: bytes = b""
    subgraph: int = -1
    channel_quant: ChannelQuant | None = None


@quick
@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: its code and the indexes of its operands."""

    code: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@quick
@dataclass(frozen=True, slots=True)
class Graph:
    """Operands and operations with identified inputs and outputs."""

    operands: tuple[Operand, ...]
    operations: tuple[Operation, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@quick
@dataclass(frozen=True, slots=True)
class Model:
    """A main graph and the graphs it refers to; a subgraph may refer only to earlier ones."""

    main: Graph
    subgraphs: tuple[Graph, ...] = ()
    relaxed: bool = False
