"""Signed 8-bit data as unsigned: the same real values, for devices below feature level 4.

LiteRT's delegate does so for such devices. Every code is 128 more, and every zero point too;
filters with scales by channel are symmetric and stay.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nnapi_testkit.errors import KitError
from nnapi_testkit.frontends.draft import undocumented
from nnapi_testkit.model.program import InputSet, Program
from nnapi_testkit.model.types import Graph, Lifetime, Operand
from nnapi_testkit.spec.codes import OperandCode, OperationCode

__all__ = ["unsigned"]

_SIGNED, _UNSIGNED = OperandCode.TENSOR_QUANT8_ASYMM_SIGNED, OperandCode.TENSOR_QUANT8_ASYMM


def unsigned(program: Program) -> Program:
    """The program with TENSOR_QUANT8_ASYMM in the place of TENSOR_QUANT8_ASYMM_SIGNED.

    Raises KitError, naming the operation, if NNAPI has it with signed data alone.
    """
    graphs = tuple(_graph(graph) for graph in program.model.subgraphs)
    main = _graph(program.model.main)
    for index, operation in enumerate(main.operations):
        problem = undocumented(operation, main.operands)
        if problem is not None and not undocumented(operation, program.model.main.operands):
            raise KitError(f"{program.label(index)} is not possible with unsigned data: {problem}")
    signed = [program.model.main.operands[at].type == _SIGNED for at in program.model.main.inputs]
    return replace(
        program,
        model=replace(program.model, main=main, subgraphs=graphs),
        inputs=tuple(_fed(row, signed) for row in program.inputs),
    )


def _graph(graph: Graph) -> Graph:
    operands = [_operand(operand) for operand in graph.operands]
    operations = list(graph.operations)
    for index, operation in enumerate(operations):
        if operation.code != OperationCode.PAD_V2:
            continue
        # Its value is a code of the input's, as an INT32 scalar.
        data, _, value = operation.inputs
        if graph.operands[data].type == _SIGNED:
            code = np.frombuffer(graph.operands[value].value, "<i4") + 128
            operands.append(replace(graph.operands[value], value=code.astype("<i4").tobytes()))
            inputs = (*operation.inputs[:2], len(operands) - 1)
            operations[index] = replace(operation, inputs=inputs)
    return replace(graph, operands=tuple(operands), operations=tuple(operations))


def _operand(operand: Operand) -> Operand:
    if operand.type != _SIGNED:
        return operand
    value = operand.value
    if operand.lifetime == Lifetime.CONSTANT:
        value = (np.frombuffer(value, np.uint8) ^ 0x80).tobytes()
    return replace(operand, type=_UNSIGNED, zero_point=operand.zero_point + 128, value=value)


def _fed(row: InputSet, signed: list[bool]) -> InputSet:
    return tuple(
        np.ascontiguousarray(array).view(np.uint8) ^ np.uint8(0x80)
        if change and array is not None
        else array
        for array, change in zip(row, signed, strict=True)
    )
