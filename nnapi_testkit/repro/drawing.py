"""A model drawn in text: each operation with what flows in and out of it, by name."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nnapi_testkit.model.case import Case
from nnapi_testkit.model.types import Graph, Lifetime, Operand, Operation
from nnapi_testkit.oracle.bind import OracleError, bind
from nnapi_testkit.spec.codes import FuseCode, OperandCode, OperationCode, PaddingCode
from nnapi_testkit.spec.operands import DTYPE, is_tensor

__all__ = ["drawing"]

MOST_VALUES = 3
_WORDS = {
    "activation": {code.value: code.name for code in FuseCode},
    "padding": {code.value: code.name for code in PaddingCode},
}
_KNOWN = {code.value: code for code in OperandCode}
_NAMES = {code.value: code.name for code in OperationCode}
_FROM = {
    Lifetime.INPUT: "input",
    Lifetime.CONSTANT: "constant",
    Lifetime.OMITTED: "omitted",
    Lifetime.SUBGRAPH: "graph",
    Lifetime.OUTPUT: "output",
}


def drawing(case: Case) -> list[str]:
    """The model of a case as lines, in the order in which its operations are listed."""
    lines: list[str] = []
    for number, graph in enumerate(case.model.subgraphs):
        lines += [f"graph {number}:", *_graph(graph)]
    if case.model.subgraphs:
        lines.append("model:")
    return [*lines, *_graph(case.model.main)]


def _graph(graph: Graph) -> Iterator[str]:
    made = {
        at: _NAMES.get(operation.code, str(operation.code))
        for operation in graph.operations
        for at in operation.outputs
    }
    for operation in graph.operations:
        yield from _operation(graph, operation, made)
    unread = set(graph.inputs) - {at for one in graph.operations for at in one.inputs}
    for at in sorted(unread):
        yield f"  input %{at}: {_type(graph.operands[at])}, read by nothing"


def _operation(graph: Graph, operation: Operation, made: dict[int, str]) -> Iterator[str]:
    names = _names(graph, operation)
    rows = []
    for name, at in zip(names, operation.inputs, strict=True):
        operand = graph.operands[at]
        source = f"from {made[at]}" if at in made else _FROM.get(operand.lifetime, "")
        label = f"%{at} {name}" if name else f"%{at}"
        word = _WORDS.get(name, {}).get(_number(operand), "")
        value = _value(operand) + (f" ({word})" if word else "")
        rows.append(f"{source:>10} {label}: {_type(operand)}{value}")
    wide = max((len(row) for row in rows), default=0) + 1
    for number, row in enumerate(rows):
        corner = "┐" if not number else "┤"
        yield f"  {row} {'─' * (wide - len(row))}{corner}"
    title = _NAMES.get(operation.code, f"operation {operation.code}")
    yield f"  {' ' * max(0, wide - len(title) // 2)} {title}"
    for number, at in enumerate(operation.outputs):
        operand = graph.operands[at]
        what = "output of the model" if at in graph.outputs else "value inside"
        corner = "└" if number == len(operation.outputs) - 1 else "├"
        yield f"  {' ' * (wide + 1)}{corner}─► %{at}: {_type(operand)}, {what}"


def _number(operand: Operand) -> int:
    """The value of a constant int32 scalar; -1 for anything else."""
    if operand.type != OperandCode.INT32 or len(operand.value) != 4:
        return -1
    return int(np.frombuffer(operand.value, "<i4")[0])


def _names(graph: Graph, operation: Operation) -> list[str]:
    types = [
        tuple(int(graph.operands[at].type) for at in row)
        for row in (operation.inputs, operation.outputs)
    ]
    try:
        return [spec.name for spec in bind(operation.code, *types).specs]
    except OracleError:
        return [""] * len(operation.inputs)


def _type(operand: Operand) -> str:
    code = _KNOWN.get(int(operand.type))
    text = code.name if code is not None else f"type {int(operand.type)}"
    if operand.dims:
        text += "[" + ", ".join("?" if size == 0 else str(size) for size in operand.dims) + "]"
    elif code is not None and is_tensor(code):
        text += "[rank unknown]"
    if operand.channel_quant is not None:
        text += f", {len(operand.channel_quant.scales)} scales along {operand.channel_quant.dim}"
    elif operand.scale:
        text += f", scale {operand.scale:.6g}, zero point {operand.zero_point}"
    return text


def _value(operand: Operand) -> str:
    code = _KNOWN.get(int(operand.type))
    if operand.lifetime == Lifetime.SUBGRAPH:
        return f" {operand.subgraph}"
    if operand.lifetime != Lifetime.CONSTANT or code not in DTYPE or not operand.value:
        return ""
    assert code is not None
    values = np.frombuffer(operand.value, DTYPE[code])
    told = ", ".join(f"{value:.6g}" for value in values[:MOST_VALUES].tolist())
    more = ", ..." if values.size > MOST_VALUES else ""
    return f" = {told}{more}" if values.size == 1 else f" = [{told}{more}]"
