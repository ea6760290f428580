"""Dimensions that stay open: a graph lowered for several choices of sizes, and what differs.

A rule needs sizes: the padding of a window, the shape of a RESHAPE. So it lowers for sizes that are
known, more than once; a dimension of an operand that changed is open, and a constant that changed
must have a form that leaves the size to the driver.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.errors import KitError
from nnapi_testkit.model.program import operation_name
from nnapi_testkit.model.types import Graph, Lifetime, Operand, Operation
from nnapi_testkit.spec.codes import OperandCode, OperationCode
from nnapi_testkit.spec.operands import DTYPE

__all__ = ["fixed", "opened"]

# Where an operation reads sizes of which -1 means: as many as there are.
_SIZES = {OperationCode.RESHAPE: 1, OperationCode.SLICE: 2}


def opened(first: Graph, *others: Graph) -> Graph:
    """The graph with 0 for each dimension in which the others differ.

    Raises KitError, in words, where they differ in more: sizes that become numbers of another
    operation, or other operations.
    """
    merged = first
    for other in others:
        merged = _both(merged, first, other)
    return merged


def fixed(sizes: Sequence[str], why: str) -> str:
    """The note about dimensions that stay closed, as `name = size`."""
    return f"symbolic dimensions are fixed at {', '.join(sizes)}: {why}"


def _both(merged: Graph, first: Graph, second: Graph) -> Graph:
    forms = [[(o.code, o.inputs, o.outputs) for o in g.operations] for g in (first, second)]
    if forms[0] != forms[1] or first.outputs != second.outputs:
        raise KitError("other operations are needed for other sizes")
    readers: dict[int, list[tuple[Operation, int]]] = {}
    for operation in first.operations:
        for position, at in enumerate(operation.inputs):
            readers.setdefault(at, []).append((operation, position))
    operands = []
    for at, (one, two) in enumerate(zip(first.operands, second.operands, strict=True)):
        found = _merged(one, two, readers.get(at, []), (first, second))
        operands.append(_joined(merged.operands[at], found))
    return replace(merged, operands=tuple(operands))


def _joined(known: Operand, found: Operand) -> Operand:
    """What is open in either."""
    dims = tuple(a if a == b else 0 for a, b in zip(known.dims, found.dims, strict=True))
    value = known.value
    if known.value != found.value:
        kind = DTYPE[OperandCode(known.type)]
        sizes, others = (np.frombuffer(v, kind) for v in (known.value, found.value))
        made = np.where(others == -1, others, sizes)
        value = made.tobytes()
    return replace(known, dims=dims, value=value)


def _merged(
    one: Operand, two: Operand, readers: list[tuple[Operation, int]], graphs: tuple[Graph, Graph]
) -> Operand:
    if one == two:
        return one
    if len(one.dims) != len(two.dims) or replace(one, dims=(), value=b"") != replace(
        two, dims=(), value=b""
    ):
        raise KitError("an operand is of another type or rank for other sizes")
    if one.lifetime == Lifetime.CONSTANT:
        return _constant(one, two, readers, graphs)
    dims = tuple(a if a == b else 0 for a, b in zip(one.dims, two.dims, strict=True))
    return replace(one, dims=dims)


def _constant(
    one: Operand, two: Operand, readers: list[tuple[Operation, int]], graphs: tuple[Graph, Graph]
) -> Operand:
    """Sizes that an operation reads: -1 for the one that differs, if it takes that."""
    names = " and ".join(sorted({operation_name(o.code) for o, _ in readers}))
    if one.dims != two.dims or not all(_SIZES.get(o.code) == at for o, at in readers):  # type: ignore[call-overload]
        raise KitError(f"{names} needs the size as a number")
    kind = DTYPE[OperandCode(one.type)]
    sizes, others = (np.frombuffer(operand.value, kind) for operand in (one, two))
    changed = sizes != others
    for operation, _ in readers:
        if operation.code == OperationCode.RESHAPE and changed.sum() > 1:
            raise KitError("RESHAPE leaves one size open, and not several")
        if operation.code == OperationCode.SLICE:
            for graph in graphs:
                _to_the_end(graph, operation, changed)
    return replace(one, value=np.where(changed, -1, sizes).astype(kind).tobytes())


def _to_the_end(graph: Graph, operation: Operation, changed: NDArray[np.bool_]) -> None:
    """Raise KitError unless a SLICE takes all that is left in the dimensions that changed."""
    given, begins, sizes = (graph.operands[at] for at in operation.inputs)
    ends = sum(np.frombuffer(item.value, np.int32) for item in (begins, sizes))
    if np.any((ends != np.array(given.dims)) & changed):
        raise KitError("SLICE leaves a size open up to the end alone")
