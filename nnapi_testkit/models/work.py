"""How much an operation computes: its multiply-accumulates, and the feature level it needs."""

from __future__ import annotations

import math
from collections.abc import Mapping

from nnapi_testkit.model.types import Model
from nnapi_testkit.oracle.since import needed_level
from nnapi_testkit.spec.codes import OperationCode

__all__ = ["multiply_accumulates", "needed_level"]

_C = OperationCode
Shapes = Mapping[int, tuple[int, ...]]

# Where each product of the operation has one weight: the operand that holds the filter, and the
# dimension of it that counts output channels.
_FILTERED = {
    _C.CONV_2D: (1, 0),
    _C.GROUPED_CONV_2D: (1, 0),
    _C.DEPTHWISE_CONV_2D: (1, 3),
    _C.FULLY_CONNECTED: (1, 0),
}
_RECURRENT = {
    _C.LSTM,
    _C.UNIDIRECTIONAL_SEQUENCE_LSTM,
    _C.BIDIRECTIONAL_SEQUENCE_LSTM,
    _C.QUANTIZED_LSTM,
    _C.QUANTIZED_16BIT_LSTM,
    _C.RNN,
    _C.UNIDIRECTIONAL_SEQUENCE_RNN,
    _C.BIDIRECTIONAL_SEQUENCE_RNN,
    _C.SVDF,
}


def multiply_accumulates(model: Model, index: int, shapes: Shapes) -> int:
    """Return the multiply-accumulates of an operation of the main graph; 0 if it has none.

    Args:
        shapes: dimensions of every operand that is fed or computed; constants know their own.
            Recurrent cells count each weight once for each batch and step.
    """
    operation = model.main.operations[index]

    def shape(at: int) -> tuple[int, ...]:
        return shapes.get(at) or model.main.operands[at].dims

    inputs = [shape(at) for at in operation.inputs]
    out = math.prod(shape(operation.outputs[0])) if operation.outputs else 0
    if operation.code in _FILTERED:
        position, channels = _FILTERED[OperationCode(operation.code)]
        weights = inputs[position]
        return out * math.prod(weights) // max(1, weights[channels])
    if operation.code == _C.TRANSPOSE_CONV_2D:
        weights = inputs[1]
        return math.prod(inputs[0]) * math.prod(weights) // max(1, weights[3])
    if operation.code == _C.BATCH_MATMUL:
        # [.., M, K] times [.., K, N]; adjoints exchange the last two.
        rows, columns = shape(operation.outputs[0])[-2:]
        left = inputs[0]
        inner = left[-1] if left[-2] == rows else left[-2]
        return math.prod(shape(operation.outputs[0])[:-2]) * rows * columns * inner
    if operation.code in _RECURRENT:
        steps = math.prod(inputs[0][:-1])
        batch = inputs[0][-2] if len(inputs[0]) > 1 else 1
        # States are [batch, units]: what has the batch in front and is fed is not a weight.
        matrices = [
            shape(at)
            for at in operation.inputs[1:]
            if not (at in shapes and shape(at)[:1] == (batch,))
        ]
        return steps * sum(math.prod(dims) for dims in matrices if len(dims) == 2)
    return 0
