"""`aten.lstm` as one operation for each layer and direction."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import Node

from nnapi_testkit.frontends.export.lower import Lowering, lowers
from nnapi_testkit.frontends.sketch import Refusal, Value
from nnapi_testkit.frontends.values import joined, permuted, sliced
from nnapi_testkit.spec.codes import OperandCode

TANH = 4
_F = OperandCode.TENSOR_FLOAT32


@lowers("aten.lstm.input")
def _lstm(lowering: Lowering, node: Node) -> Any:
    """UNIDIRECTIONAL_SEQUENCE_LSTM without peepholes, projection and layer normalization.

    PyTorch's gates stand in the order input, forget, cell, output; its two biases are added.
    """
    given, hidden, params, biased, layers, dropout, train, both_ways, batch_first = node.args
    if train and dropout:
        raise Refusal("an LSTM in training mode; call model.eval() before the export")
    _, unused_hidden, unused_cell = (_reader(node, at) for at in range(3))
    if unused_cell:
        raise Refusal("an LSTM whose last cell state is read: NNAPI's sequence keeps it")
    value = lowering.value(given)
    if value.rank != 3:
        raise Refusal("an LSTM without a batch: add a dimension")
    if value.type != _F:
        raise Refusal("an LSTM of other than float32")
    listed: Any = params
    states: Any = hidden
    first, second = (lowering.constant(state) for state in states)
    directions = 2 if both_ways else 1
    each = 4 if biased else 2
    count: Any = layers
    batch_axis = 0 if batch_first else 1
    ends: list[Value] = []
    for layer in range(count):
        outputs = []
        for way in range(directions):
            at = layer * directions + way
            weights = [lowering.constant(item) for item in listed[at * each : at * each + each]]
            source = _reversed(lowering, value, batch_first) if way else value
            made = _layer(lowering, source, weights, first[at], second[at], bool(batch_first))
            ends.append(_end(lowering, made, batch_axis))
            outputs.append(_reversed(lowering, made, batch_first) if way else made)
        shape = (*outputs[0].shape[:2], sum(part.shape[2] for part in outputs))
        value = outputs[0] if directions == 1 else joined(lowering, outputs, 2, shape, _F)
    last = None
    if unused_hidden:
        shape = (len(ends), *ends[0].shape[1:])
        last = ends[0] if len(ends) == 1 else joined(lowering, ends, 0, shape, _F)
    return value, last, None


def _reader(node: Node, at: int) -> bool:
    """Whether anybody reads result `at` of a node."""
    return any(
        user.args[1] == at and user.users
        for user in node.users
        if str(user.target) == "<built-in function getitem>"
    )


def _reversed(lowering: Lowering, value: Value, batch_first: Any) -> Value:
    """The sequence backwards; NNAPI has REVERSE since level 8, a gather does it since level 3."""
    time = 1 if batch_first else 0
    order = torch.arange(value.shape[time] - 1, -1, -1, dtype=torch.int32)
    sketch = lowering.sketch
    inputs = [
        sketch.read(value),
        sketch.int32(time),
        sketch.read(sketch.constant(order)),
    ]
    return sketch.make("GATHER", inputs, value.shape, value.type)


def _end(lowering: Lowering, value: Value, batch_axis: int) -> Value:
    """The last step of a sequence as [1, batch, units]."""
    time = 1 - batch_axis
    size = value.shape[time]
    thin = tuple(1 if at == time else s for at, s in enumerate(value.shape))
    part = sliced(lowering, value, time, size - 1, size, 1, thin)
    return permuted(lowering, part, (1, 0, 2)) if time else part


def _layer(
    lowering: Lowering,
    value: Value,
    weights: list[torch.Tensor],
    hidden: torch.Tensor,
    cell: torch.Tensor,
    batch_first: bool,
) -> Value:
    sketch = lowering.sketch
    units = int(hidden.shape[-1])
    inputs, recurrent = (weight.chunk(4) for weight in weights[:2])
    biases = (
        (weights[2] + weights[3]).chunk(4) if len(weights) == 4 else torch.zeros(4 * units).chunk(4)
    )

    def constant(tensor: torch.Tensor) -> int:
        return sketch.read(sketch.constant(tensor.contiguous()))

    def omitted(*dims: int) -> int:
        return sketch.omitted(_F, dims)

    operands = [
        sketch.read(value),
        *map(constant, inputs),
        *map(constant, recurrent),
        *(omitted(units) for _ in range(3)),
        *map(constant, biases),
        omitted(units, units),
        omitted(units),
        constant(hidden),
        constant(cell),
        sketch.int32(TANH),
        sketch.scalar(OperandCode.FLOAT32, 0.0),
        sketch.scalar(OperandCode.FLOAT32, 0.0),
        sketch.flag(not batch_first),
        *(omitted(units) for _ in range(4)),
    ]
    shape = (*value.shape[:2], units)
    return sketch.make("UNIDIRECTIONAL_SEQUENCE_LSTM", operands, shape, value.type)
