"""The same model for devices of an older feature level, whatever front end it came through.

Operations that are newer than the level become older ones that compute the same: hard swish by
ADD and MUL, dilation by zeros in the filter, a channel shuffle by a convolution. Where there is no
such form the operation is refused with the reason, all of them at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nnapi_testkit.errors import KitError
from nnapi_testkit.frontends.draft import Refusal, refused
from nnapi_testkit.frontends.older import (  # noqa: F401 - their rules register
    arithmetic,
    images,
    shapes,
)
from nnapi_testkit.frontends.older.write import RULES, Writer
from nnapi_testkit.frontends.unsigned import unsigned
from nnapi_testkit.model.program import Program, operation_name
from nnapi_testkit.model.types import Lifetime, Model, Operand, Operation
from nnapi_testkit.oracle.since import needed_level
from nnapi_testkit.spec.codes import OperandCode, OperationCode

__all__ = ["older"]

_SIGNED = OperandCode.TENSOR_QUANT8_ASYMM_SIGNED
_SIGNED_SINCE, _SCALES_SINCE, _RELAXED_SINCE = 4, 3, 2
# Why nothing older computes the same.
_REASONS = {
    "IF": "conditions and loops need feature level 4: partition the model",
    "WHILE": "conditions and loops need feature level 4: partition the model",
    "QUANTIZE": "only what is fed can be quantized before the model",
    "ELU": "no older operation has an exponential",
    "EXP": "no older operation has an exponential",
    "LOG": "no older operation has a logarithm",
    "LOG_SOFTMAX": "no older operation has a logarithm: end the model with softmax",
    "SQRT": "no older operation has a root",
    "RSQRT": "no older operation has a root, and so layer norm has none",
    "INSTANCE_NORMALIZATION": "no older operation has a root",
    "POW": "no older operation has a power",
    "BATCH_MATMUL": "no older operation multiplies two computed matrices",
    "TRANSPOSE_CONV_2D": "use resizing and a convolution in its place",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "older levels have one step (LSTM), and the steps are a loop",
    "BIDIRECTIONAL_SEQUENCE_LSTM": "older levels have one step (LSTM), and the steps are a loop",
}


def older(program: Program, level: int) -> Program:
    """Return the program with operations and types of a feature level.

    Inputs, outputs and what the source gives for them stay; a float input that is only quantized
    is fed as codes (a note says so).

    Args:
        level: 1 to 8.

    Raises KitError naming every operation that has no older form, and why.
    """
    before = program
    if level < _SIGNED_SINCE and any(o.type == _SIGNED for o in program.model.main.operands):
        program = unsigned(program)
    model, notes = program.model, list(program.notes)
    writer = Writer(model.main, level)
    fed = _quantized_before(program, level)
    refusals, places = [], []
    for index in range(len(model.main.operations)):
        places.append(len(writer.operations))
        writer.origin = program.operations[index] if index < len(program.operations) else ""
        if index in fed:
            continue
        try:
            _rewritten(writer, model, index)
        except Refusal as refusal:
            needed = needed_level(model, index)
            refusals.append(f"{program.label(index)} needs feature level {needed}: {refusal}")
    if refusals:
        raise KitError(refused(f"{program.name} at level {level}", "operation", refusals))
    if program is before and tuple(writer.operations) == model.main.operations:
        return _relaxed(program, level)  # it is old enough as it is
    rows = program.inputs
    for position, codes in fed.values():
        name = program.operand(model.main.inputs[position])
        notes.append(f"{name} is fed as codes: level {level} has no QUANTIZE")
        rows = tuple(_fed(row, position, writer.operands[codes]) for row in rows)
        writer.operands[codes] = replace(writer.operands[codes], lifetime=Lifetime.INPUT)
        writer.inputs[position] = codes
    writer.names = dict(program.operands)
    graph = writer.graph(model.main.outputs)
    _sure(replace(model, main=graph), program.name, level)
    places.append(len(writer.operations))
    changed = replace(
        program,
        model=replace(model, main=graph),
        operations=tuple(writer.origins),
        operands=dict(writer.names),
        inputs=rows,
        inner={writer.new[at]: v for at, v in program.inner.items() if at in writer.new},
        notes=tuple(notes),
        left=tuple(replace(left, at=places[left.at]) for left in program.left),
    )
    return _relaxed(changed, level)


def _rewritten(writer: Writer, model: Model, index: int) -> None:
    operation = model.main.operations[index]
    name = operation_name(operation.code)
    if needed_level(model, index) <= writer.level:
        _coarse_enough(writer, operation)
        writer.operation(name, operation.inputs, operation.outputs)
        return
    types = {model.main.operands[at].type for at in (*operation.inputs, *operation.outputs)}
    if types & {OperandCode.TENSOR_FLOAT16, OperandCode.FLOAT16}:
        raise Refusal("float16 is a type since level 3: convert in float32, or with --relaxed")
    rule = RULES.get(operation.code)
    if rule is None:
        raise Refusal(_REASONS.get(name, "nothing older computes the same"))
    start = len(writer.operations)
    rule(writer, operation)
    for made in writer.operations[start:]:
        _coarse_enough(writer, made)


def _coarse_enough(writer: Writer, operation: Operation) -> None:
    """Before level 3 the output's scale of a product with weights is above that of the product."""
    products = (OperationCode.CONV_2D, OperationCode.DEPTHWISE_CONV_2D)
    if operation.code not in (*products, OperationCode.FULLY_CONNECTED):
        return
    x, weights, out = (writer.operands[at] for at in (*operation.inputs[:2], operation.outputs[0]))
    if writer.level >= _SCALES_SINCE or not x.scale:
        return
    if not np.float32(out.scale) > np.float32(x.scale) * np.float32(weights.scale):
        raise Refusal(
            "its scale is not above those of input and filter multiplied, which level 3 brought"
        )


def _quantized_before(program: Program, level: int) -> dict[int, tuple[int, int]]:
    """QUANTIZE operations that alone read an input: position of the input, operand of codes."""
    graph, found = program.model.main, {}
    for index, operation in enumerate(graph.operations):
        if operation.code != OperationCode.QUANTIZE or needed_level(program.model, index) <= level:
            continue
        (at,) = operation.inputs
        readers = [o for o in graph.operations if at in o.inputs]
        free = operation.outputs[0] not in graph.outputs and at not in graph.outputs
        if at in graph.inputs and len(readers) == 1 and free:
            found[index] = (graph.inputs.index(at), operation.outputs[0])
    return found


def _fed(
    row: Sequence[NDArray[np.generic] | None], position: int, operand: Operand
) -> tuple[NDArray[np.generic] | None, ...]:
    """The input set with one input in codes, rounded half away from zero as QUANTIZE does."""
    real = row[position]
    assert real is not None
    exact = np.asarray(real, np.float64) / operand.scale
    codes = np.sign(exact) * np.floor(np.abs(exact) + 0.5) + operand.zero_point
    made = np.clip(codes, 0, 255).astype(np.uint8)
    return (*row[:position], made, *row[position + 1 :])


def _sure(model: Model, name: str, level: int) -> None:
    """Raises KitError if something newer is left: a rule of this room is wrong then."""
    for index, operation in enumerate(model.main.operations):
        if needed_level(model, index) > level:
            kind = operation_name(operation.code)
            raise KitError(f"{name}: {kind} is still above level {level}: please report it")


def _relaxed(program: Program, level: int) -> Program:
    if level >= _RELAXED_SINCE or not program.model.relaxed:
        return program
    note = "level 1 knows no relaxed float32: computed in full"
    return replace(
        program,
        model=replace(program.model, relaxed=False),
        notes=(*program.notes, note),
    )
