"""A model as text that a person reads: operands, operations, inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nnapi_testkit.model.case import Case
from nnapi_testkit.model.types import Graph, Lifetime, Operand
from nnapi_testkit.spec.codes import OperandCode, OperationCode
from nnapi_testkit.spec.operands import DTYPE

__all__ = ["model_text"]

MOST_VALUES = 16


def model_text(case: Case) -> str:
    """The model of a case, its subgraphs first, and how it is run."""
    lines = [f"case: {case.id}"]
    lines.append(
        f"path: {case.path.name}, memory: {case.memory.name}, repetitions: {case.repetitions},"
        f" input sets: {len(case.sets)}"
    )
    if case.model.relaxed:
        lines.append("relaxed: float32 may be computed as float16")
    for number, graph in enumerate(case.model.subgraphs):
        lines += ["", f"subgraph {number}", *_graph(graph)]
    lines += ["", "model", *_graph(case.model.main)]
    return "\n".join(lines) + "\n"


def _graph(graph: Graph) -> Iterator[str]:
    for at, operand in enumerate(graph.operands):
        yield f"  %{at}: {_operand(operand)}"
    for operation in graph.operations:
        known = operation.code in {code.value for code in OperationCode}
        name = OperationCode(operation.code).name if known else str(operation.code)
        yield f"  {_list(operation.outputs)} = {name}({_list(operation.inputs)})"
    yield f"  inputs: {_list(graph.inputs)}"
    yield f"  outputs: {_list(graph.outputs)}"


def _list(indexes: tuple[int, ...]) -> str:
    return ", ".join(f"%{at}" for at in indexes)


def _operand(operand: Operand) -> str:
    known = operand.type in {code.value for code in OperandCode}
    name = OperandCode(operand.type).name if known else str(operand.type)
    text = f"{name}{list(operand.dims) if operand.dims else ''}"
    if operand.scale:
        text += f" scale {operand.scale!r} zero point {operand.zero_point}"
    if operand.channel_quant is not None:
        quant = operand.channel_quant
        text += f" scales along {quant.dim}: {list(quant.scales)}"
    text += f" {operand.lifetime.name.lower()}"
    if operand.lifetime == Lifetime.SUBGRAPH:
        text += f" {operand.subgraph}"
    if operand.lifetime == Lifetime.CONSTANT and known and operand.value:
        array = np.frombuffer(operand.value, DTYPE[OperandCode(operand.type)])
        shown = ", ".join(str(value) for value in array[:MOST_VALUES].tolist())
        text += f" = [{shown}{', ...' if array.size > MOST_VALUES else ''}]"
    return text
