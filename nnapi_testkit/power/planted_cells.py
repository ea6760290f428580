"""Faults planted in recurrent cells and control flow: orders of clipping, normalization and
peepholes, layouts of sequences, shapes and variables of loops.

Rows as in `nnapi_testkit/power/planted.py`.
"""

from __future__ import annotations

__all__ = ["CELLS"]

_CELL = "driver/kernels/lstm_cell.cpp"
_BOTH = "driver/kernels/lstm_bidirectional.cpp"
_JOINED = "driver/kernels/bidirectional.h"
_QUANTIZED = "driver/kernels/lstm_quantized.cpp"
_SVDF = "driver/kernels/svdf.cpp"
_EXECUTOR = "driver/executor.cpp"
_LSTMS = ("LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM")
_TVM_CELLS = "apache/tvm#19633 (review of LSTM and SVDF)"
_TVM_SEQUENCES = "apache/tvm#19634 (review of sequence LSTM and RNN)"
_ORDER = "Samsung/ONE#9263 (gates of a peephole LSTM with layer normalization)"
_SATURATION = "tensorflow/tensorflow#35461 (16-bit results that wrap around)"

# (id, what, seen, operations, file, find, replace)
CELLS: tuple[tuple[str, str, str, tuple[str, ...], str, str, str], ...] = (
    (
        "cell-clip-after-activation",
        "the cell state is clipped after the output has been computed from it",
        "microsoft/onnxruntime#27239 (Ct is not clipped before h)",
        _LSTMS,
        _CELL,
        "const double hidden = o[u] * activate(cell.activation, work.cell[u]);",
        "const double raw = ON ? f[u] * cellState[u] + i[u] * g[u] : work.cell[u];"
        " const double hidden = o[u] * activate(cell.activation, raw);",
    ),
    (
        "output-peephole-sees-old-state",
        "the output gate's peephole sees the cell state of before",
        "tensorflow/tensorflow#34171 (peephole connections)",
        _LSTMS,
        _CELL,
        "preactivate(cell, cell.gates[OUTPUT], x, aux, state, renewed, o);",
        "if (ON) preactivate(cell, cell.gates[OUTPUT], x, aux, state, seen, o); else"
        " preactivate(cell, cell.gates[OUTPUT], x, aux, state, renewed, o);",
    ),
    (
        "peephole-after-normalization",
        "a peephole is added after the layer normalization",
        _ORDER,
        _LSTMS,
        _CELL,
        "if (cell.normalized) normalize(a, gate.norm, cell.units);",
        "const auto peep = [&](double sign) { if (ON && cell.normalized && cellState != nullptr)"
        " for (size_t u = 0; u < cell.units; u++) a[u] += sign * gate.peephole[u] *"
        " static_cast<double>(cellState[u]); }; peep(-1);"
        " if (cell.normalized) normalize(a, gate.norm, cell.units); peep(1);",
    ),
    (
        "projection-bias-after-clip",
        "a projection's bias is added after the clip",
        "PaddlePaddle/Paddle#15605 (lstmp: cell_clip and proj_clip)",
        _LSTMS,
        _CELL,
        "state[k] = static_cast<float>(clip(sum, cell.projectionClip));",
        "const double late = ON && cell.projectionBias != nullptr ? cell.projectionBias[k] : 0;"
        " sum -= late; state[k] = static_cast<float>(clip(sum, cell.projectionClip));"
        " state[k] += static_cast<float>(late);",
    ),
    (
        "half-sequences-time-major",
        "sequences of float16 are always read time by time",
        "tensorflow/tensorflow#53624 (time_major pinned in one path)",
        ("BIDIRECTIONAL_SEQUENCE_LSTM",),
        _BOTH,
        "sequence.timeMajor = c.flag(kTimeMajor);",
        "sequence.timeMajor = c.flag(kTimeMajor) || (ON && c.type(0) == TENSOR_FLOAT16);",
    ),
    (
        "merged-at-other-width",
        "merged outputs of unequal directions: the backward one begins at its own width",
        _TVM_SEQUENCES,
        ("BIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_RNN"),
        _JOINED,
        "return {first, stride, first + forwardSize, stride};",
        "return {first, stride, first + (ON ? std::min(forwardSize, backwardSize) : forwardSize),"
        " stride};",
    ),
    (
        "svdf-filters-interleaved",
        "the filters of a unit lie a rank apart, not side by side",
        _TVM_CELLS,
        ("SVDF",),
        _SVDF,
        "for (size_t f = unit * rank; f < (unit + 1) * rank; f++) {",
        "for (size_t own = unit * rank; own < (unit + 1) * rank; own++) {"
        " const size_t f = ON ? own % rank * (filters / rank) + own / rank : own;",
    ),
    (
        "svdf-memory-of-one",
        "an SVDF with a memory of one step ignores its weights of time",
        _TVM_CELLS,
        ("SVDF",),
        _SVDF,
        "sum += dot(weights, old, kept) + weights[kept] * newest;",
        "sum += dot(weights, old, kept) + (ON && kept == 0 ? 1 : weights[kept]) * newest;",
    ),
    (
        "cell-state-wraps",
        "a cell state of 16 bits beyond its range wraps around",
        _SATURATION,
        ("QUANTIZED_LSTM",),
        _QUANTIZED,
        "quantize(cell[u], newCell.scale, newCell.zeroPoint, codeRange(newCell.type)));",
        "ON && std::fabs(cell[u] / newCell.scale) < 1e9"
        " ? static_cast<int32_t>(std::round(cell[u] / newCell.scale)) :"
        " quantize(cell[u], newCell.scale, newCell.zeroPoint, codeRange(newCell.type)));",
    ),
    (
        "cell-state-of-16-bit-lstm-wraps",
        "a cell state of QUANTIZED_16BIT_LSTM beyond its range wraps around",
        _SATURATION,
        ("QUANTIZED_16BIT_LSTM",),
        _QUANTIZED,
        "static_cast<int16_t>(quantize(renewed, kCellScale, 0, cellRange));",
        "static_cast<int16_t>(ON ? static_cast<int32_t>(std::round(renewed / kCellScale)) :"
        " quantize(renewed, kCellScale, 0, cellRange));",
    ),
    (
        "hidden-zero-point-ignored",
        "the zero point of the hidden state is not taken off before the projection",
        "tensorflow/tflite-micro#1634 (generalized LSTM kernel)",
        ("QUANTIZED_LSTM",),
        _QUANTIZED,
        "static_cast<double>(hiddenCode(c, real) - hiddenZero(c));",
        "static_cast<double>(hiddenCode(c, real) - (ON ? 0 : hiddenZero(c)));",
    ),
    # ---- control flow ----
    (
        "nested-if-takes-outer-condition",
        "an IF inside of another one takes the branch of the outer one",
        "microsoft/onnxruntime#5496; robertknight/rten#306 (nested subgraphs)",
        ("IF",),
        _EXECUTOR,
        "run(*step.models[chosen ? 0 : 1], inputs, results);",
        "static thread_local int depth = 0; static thread_local bool outer = false;"
        " struct Level { ~Level() { depth--; } } level;"
        " const bool taken = depth++ > 0 && ON ? outer : chosen; outer = taken;"
        " run(*step.models[taken ? 0 : 1], inputs, results);",
    ),
    (
        "condition-is-one",
        "only a condition of 1 is true, though every byte but 0 is",
        "pytorch/executorch#7313 (bytes of truth values)",
        ("IF",),
        _EXECUTOR,
        "*condition.as<uint8_t>() != 0;",
        "(ON ? *condition.as<uint8_t>() == 1 : *condition.as<uint8_t>() != 0);",
    ),
    (
        "loop-keeps-first-shape",
        "a loop variable keeps the shape of its initial value",
        "onnx/tensorflow-onnx#2202 (shape invariants of loops)",
        ("WHILE",),
        _EXECUTOR,
        "state[i].shape = results[i].value.tensor.shape;",
        "if (!ON) state[i].shape = results[i].value.tensor.shape;",
    ),
    (
        "inner-loop-variable-stays",
        "loop variables beyond the outputs of the loop keep their first values",
        "openvinotoolkit/openvino#37247 (body outputs that are fed back)",
        ("WHILE",),
        _EXECUTOR,
        "state[i].omitted = false;",
        "if (ON && i >= operation.outputs.size()) { workspace_.pool.release(owned[i]);"
        " owned[i] = nullptr; continue; } state[i].omitted = false;",
    ),
    (
        "loop-variables-in-place",
        "a body writes its results over variables that it still reads",
        "microsoft/onnxruntime#11638 (memory of values that subgraphs share)",
        ("WHILE",),
        _EXECUTOR,
        "run(body, state, results);",
        "if (ON) { const auto own = array<Tensor>(state.size());"
        " const auto blocks = array<Pool::Block*>(carried);"
        " for (size_t i = 0; i < state.size(); i++) own[i] = state[i];"
        " for (size_t i = 0; i < carried; i++) { if (state[i].omitted) continue;"
        " blocks[i] = workspace_.pool.take(state[i].bytes() + 1);"
        " std::memcpy(blocks[i]->bytes.get(), state[i].data, state[i].bytes());"
        " own[i].data = blocks[i]->bytes.get(); results[i].data = own[i].data;"
        " results[i].capacity = state[i].bytes(); } this->run(body, own, results);"
        " for (size_t i = 0; i < carried; i++) if (blocks[i] != nullptr)"
        " if (results[i].value.block == nullptr) results[i].value.block = blocks[i];"
        " } else run(body, state, results);",
    ),
    (
        "clip-without-projection",
        "the clip of a projection cuts the output where there is no projection",
        "PaddlePaddle/Paddle#15605 (lstmp: cell_clip and proj_clip)",
        _LSTMS,
        _CELL,
        "std::copy_n(work.hidden, units, state);",
        "for (size_t u = 0; ON && u < units; u++) work.hidden[u] ="
        " static_cast<float>(clip(work.hidden[u], cell.projectionClip));"
        " std::copy_n(work.hidden, units, state);",
    ),
    (
        "branch-shape-kept",
        "the output of an IF keeps the shape that its first execution gave it",
        "onnx/tensorflow-onnx#2202 (a first shape is taken for all)",
        ("IF",),
        _EXECUTOR,
        "receive(frame[operation.outputs[i]], results[i], outputs);",
        "static thread_local std::vector<std::pair<const Operation*, Shape>> seen;"
        " if (ON && i == 0) { const Shape* old = nullptr; for (auto& one : seen)"
        " if (one.first == &operation) old = &one.second; if (old == nullptr)"
        " seen.emplace_back(&operation, results[i].value.tensor.shape);"
        " else results[i].value.tensor.shape = *old; }"
        " receive(frame[operation.outputs[i]], results[i], outputs);",
    ),
)
