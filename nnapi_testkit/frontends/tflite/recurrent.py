"""Cells and sequences: LSTM, RNN, SVDF. What the source keeps between runs is fed and given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnapi_testkit.frontends.draft import Quant, Refusal
from nnapi_testkit.frontends.tflite.convolution import weights
from nnapi_testkit.frontends.tflite.file import Node, Tensor
from nnapi_testkit.frontends.tflite.lower import RELU_CODES, Lowering, State, lowers, needed
from nnapi_testkit.spec.codes import OperandCode

_C = OperandCode
# What NNAPI's LSTM applies to cells; the numbers are LiteRT's: none, RELU, RELU6, TANH.
CELL_CODES = (0, 1, 3, 4)
BASIC = 1  # the kernel of LSTM with five inputs
# Vectors among the first 18 operands of a cell: peepholes, biases, the projection's bias.
_VECTORS = {*range(9, 16), 17}


def _cell_code(lowering: Lowering, node: Node) -> int:
    code = int(node.option("fusedActivationFunction"))
    if code not in CELL_CODES:
        raise Refusal(f"its activation {code}: NNAPI has none, RELU, RELU6 and TANH")
    return lowering.draft.int32(code)


def _relu_code(lowering: Lowering, node: Node) -> int:
    code = int(node.option("fusedActivationFunction"))
    if code not in RELU_CODES:
        raise Refusal(f"{node.kind} with activation {code}: NNAPI's has ReLUs alone")
    return lowering.draft.int32(code)


def _operands(lowering: Lowering, node: Node, first: int, count: int, data: int) -> list[int]:
    """Weights and biases in LiteRT's order, which is NNAPI's; None becomes an omitted operand."""
    found = []
    for position in range(first, first + count):
        tensor = node.input(position)
        if tensor is None:
            vector = (position - 1) % 17 + 1 in _VECTORS if count == 17 else count < 5
            found.append(lowering.draft.omitted(_C.TENSOR_FLOAT32, (0,) if vector else (0, 0)))
        else:
            found.append(weights(lowering, tensor, data))
    return found


def _float_data(lowering: Lowering, node: Node) -> int:
    tensor = needed(node, 0)
    data = lowering.read(tensor)
    if lowering.operand(data).type != _C.TENSOR_FLOAT32:
        raise Refusal(
            f"of {tensor.type.lower()}: NNAPI's has float data (in QUANTIZED_LSTM documentation and"
            " devices differ about the biases)"
            if "LSTM" in node.kind
            else f"of {tensor.type.lower()}: NNAPI's has float data"
        )
    return data


def _kept(lowering: Lowering, node: Node, positions: Sequence[int]) -> list[State]:
    return [lowering.state(needed(node, position, "a state")) for position in positions]


def _given(lowering: Lowering, states: Sequence[State]) -> list[int]:
    """Operands of the states behind the operation."""
    for state in states:
        if state.given >= 0:
            raise Refusal(f"{state.tensor.name} is the state of two operators")
        dims = lowering.operand(state.taken).dims
        state.given = lowering.temporary(state.taken, dims)
    return [state.given for state in states]


@lowers("LSTM")
def _lstm(lowering: Lowering, node: Node) -> None:
    if int(node.option("kernelType")) == BASIC:
        _basic_lstm(lowering, node)
        return
    data = _float_data(lowering, node)
    cell = _operands(lowering, node, 1, 17, data)
    states = _kept(lowering, node, (18, 19))
    inputs = [data, *cell, *(state.taken for state in states), _cell_code(lowering, node)]
    inputs += [lowering.real(float(node.option(name)), data) for name in ("cellClip", "projClip")]
    if len(node.inputs) > 20:
        inputs += _operands(lowering, node, 20, 4, data)
    batch, units = needed(node, 0).shape[0], needed(node, 2).shape[0]
    gates = 4 if node.input(1) is not None else 3
    scratch = lowering.temporary(data, (batch, units * gates))
    out = lowering.write(node.outputs[0])
    lowering.emit("LSTM", inputs, [scratch, *_given(lowering, states), out])


@lowers("UNIDIRECTIONAL_SEQUENCE_LSTM")
def _sequence_lstm(lowering: Lowering, node: Node) -> None:
    if node.option("diagonalRecurrentTensors"):
        raise Refusal("with diagonal recurrent weights: NNAPI's are matrices")
    data = _float_data(lowering, node)
    cell = _operands(lowering, node, 1, 17, data)
    states = _kept(lowering, node, (18, 19))
    inputs = [data, *cell, *(state.taken for state in states), _cell_code(lowering, node)]
    inputs += [lowering.real(float(node.option(name)), data) for name in ("cellClip", "projClip")]
    inputs.append(lowering.draft.flag(bool(node.option("timeMajor"))))
    # Always there: shipping devices refuse the list without them.
    inputs += _operands(lowering, node, 20, 4, data)
    out = lowering.write(node.outputs[0])
    outputs = [out, *_given(lowering, states)]
    lowering.emit("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, outputs)


@lowers("BIDIRECTIONAL_SEQUENCE_LSTM")
def _both_ways_lstm(lowering: Lowering, node: Node) -> None:
    data = _float_data(lowering, node)
    cells = _operands(lowering, node, 1, 17, data) + _operands(lowering, node, 18, 17, data)
    states = _kept(lowering, node, (35, 36, 37, 38))
    if node.option("mergeOutputs") and not node.option("timeMajor"):
        lowering.unlike.append(
            "BIDIRECTIONAL_SEQUENCE_LSTM: where results are merged and batches come first, LiteRT"
            " writes states beside their place"
        )
    extra = []
    for position in range(39, 48):
        tensor = node.input(position)
        if tensor is not None:
            extra.append(weights(lowering, tensor, data))
        else:
            dims = (0, 0, 0) if position == 39 else (0, 0)
            extra.append(lowering.draft.omitted(_C.TENSOR_FLOAT32, dims))
    inputs = [data, *cells, *(state.taken for state in states), *extra]
    inputs.append(_cell_code(lowering, node))
    inputs += [lowering.real(float(node.option(name)), data) for name in ("cellClip", "projClip")]
    for name in ("mergeOutputs", "timeMajor"):
        inputs.append(lowering.draft.flag(bool(node.option(name))))
    inputs += [lowering.draft.omitted(_C.TENSOR_FLOAT32, (0,)) for _ in range(8)]
    outputs = [lowering.write(tensor) for tensor in _directions(node)]
    outputs += _given(lowering, states)
    lowering.emit("BIDIRECTIONAL_SEQUENCE_LSTM", inputs, outputs)


def _directions(node: Node) -> Sequence[Tensor]:
    """Results: one where both directions are joined, else two."""
    return node.outputs[:1] if node.option("mergeOutputs") else node.outputs[:2]


def _cell(lowering: Lowering, node: Node, first: int, data: int) -> list[int]:
    return [weights(lowering, needed(node, first + i), data) for i in range(3)]


@lowers("RNN")
def _rnn(lowering: Lowering, node: Node) -> None:
    data = _float_data(lowering, node)
    states = _kept(lowering, node, (4,))
    inputs = [data, *_cell(lowering, node, 1, data), states[0].taken, _relu_code(lowering, node)]
    out = lowering.write(node.outputs[0])
    lowering.emit("RNN", inputs, [*_given(lowering, states), out])


@lowers("UNIDIRECTIONAL_SEQUENCE_RNN")
def _sequence_rnn(lowering: Lowering, node: Node) -> None:
    data = _float_data(lowering, node)
    states = _kept(lowering, node, (4,))
    inputs = [data, *_cell(lowering, node, 1, data), states[0].taken, _relu_code(lowering, node)]
    inputs.append(lowering.draft.int32(int(bool(node.option("timeMajor")))))
    out = lowering.write(node.outputs[0])
    lowering.emit("UNIDIRECTIONAL_SEQUENCE_RNN", inputs, [out, *_given(lowering, states)])


@lowers("BIDIRECTIONAL_SEQUENCE_RNN")
def _both_ways_rnn(lowering: Lowering, node: Node) -> None:
    data = _float_data(lowering, node)
    states = _kept(lowering, node, (4, 8))
    inputs = [data]
    for state, first in zip(states, (1, 5), strict=True):
        inputs += [*_cell(lowering, node, first, data), state.taken]
    for position, rank in ((9, 3), (10, 2), (11, 2)):
        tensor = node.input(position)
        if tensor is None:
            inputs.append(lowering.draft.omitted(_C.TENSOR_FLOAT32, (0,) * rank))
        else:
            inputs.append(weights(lowering, tensor, data))
    inputs.append(_relu_code(lowering, node))
    for name in ("timeMajor", "mergeOutputs"):
        inputs.append(lowering.draft.flag(bool(node.option(name))))
    outputs = [lowering.write(tensor) for tensor in _directions(node)]
    outputs += _given(lowering, states)
    lowering.emit("BIDIRECTIONAL_SEQUENCE_RNN", inputs, outputs)


@lowers("SVDF")
def _svdf(lowering: Lowering, node: Node) -> None:
    data = _float_data(lowering, node)
    features, times = (weights(lowering, needed(node, i), data) for i in (1, 2))
    bias = node.input(3)
    biases = (
        lowering.draft.omitted(_C.TENSOR_FLOAT32, (0,)) if bias is None else lowering.read(bias)
    )
    states = _kept(lowering, node, (4,))
    rank = lowering.draft.int32(int(node.option("rank")))
    inputs = [data, features, times, biases, states[0].taken, rank, _relu_code(lowering, node)]
    states[0].memory = lowering.operand(times).dims[1]
    out = lowering.write(node.outputs[0])
    lowering.emit("SVDF", inputs, [*_given(lowering, states), out])


def _basic_lstm(lowering: Lowering, node: Node) -> None:
    """A cell of one matrix: [input, cell, forget, output] by [data, previous activation]."""
    data, before, matrix, bias, state = (needed(node, position) for position in range(5))
    if data.type != "UINT8":
        raise Refusal(f"the basic kernel of {data.type.lower()}: NNAPI has it with uint8")
    codes = lowering.constant(matrix, "its weights")
    biases = lowering.constant(bias, "its bias")
    units = codes.shape[0] // 4
    quant = Quant(_C.TENSOR_QUANT8_ASYMM, matrix.scale, matrix.zero_point)
    scale = float(np.float32(data.scale) * np.float32(matrix.scale))
    order = (0, 2, 1, 3)  # NNAPI: input, forget, cell, output
    rows = [slice(gate * units, (gate + 1) * units) for gate in order]
    draft = lowering.draft
    inputs = [lowering.read(data)]
    # Devices multiply [recurrent weights, input weights] by [data, previous activation]: the
    # matrix is cut where those two meet, and not where the data end.
    inputs += [draft.array(codes[row, units:], quant.type, quant) for row in rows]
    inputs += [draft.array(codes[row, :units], quant.type, quant) for row in rows]
    whole = Quant(_C.TENSOR_INT32, scale)
    inputs += [draft.array(biases[row], _C.TENSOR_INT32, whole) for row in rows]
    inputs += [lowering.read(state), lowering.read(before)]
    out, kept = lowering.write(node.outputs[0]), lowering.write(node.outputs[1])
    lowering.emit("QUANTIZED_16BIT_LSTM", inputs, [kept, out])
    for tensor in node.outputs[2:]:  # scratch of LiteRT's kernel: nobody reads it
        lowering.draft.names.pop(lowering.held.get(tensor.index, -1), None)
