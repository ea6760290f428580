// RNN, UNIDIRECTIONAL_SEQUENCE_RNN, BIDIRECTIONAL_SEQUENCE_RNN.

#include <algorithm>

#include "bidirectional.h"
#include "kernel.h"
#include "quantize.h"
#include "recurrent_math.h"

namespace nnapi {
namespace {

enum Name { BATCH, TIME, INPUTS, AUX, UNITS, BW_INPUTS, BW_UNITS };

/// One cell: its weights are inputs `first` to `first + 2`, its state `first + 3`.
struct Cell {
    const float* weights;    // [units, inputSize]
    const float* recurrent;  // [units, units]
    const float* bias;       // [units]
    const float* aux;        // [units, auxSize], null without
    size_t inputSize, auxSize, units;
    FloatRange range;
};

Cell makeCell(Context& c, FloatIo& io, size_t first, size_t auxWeights, int32_t activation) {
    Cell cell{};
    cell.weights = io.in(first);
    cell.recurrent = io.in(first + 1);
    cell.bias = io.in(first + 2);
    cell.units = c.shape(first)[0];
    cell.inputSize = c.shape(first)[1];
    if (auxWeights != 0 && c.has(auxWeights)) {
        cell.aux = io.in(auxWeights);
        cell.auxSize = c.shape(auxWeights)[1];
    }
    cell.range = openActivationRange(activation);
    return cell;
}

/// `state` [units] is updated in place; `next` is scratch of the same size.
void step(const Cell& cell, const float* x, const float* aux, float* state, float* next) {
    for (size_t u = 0; u < cell.units; u++) {
        double sum = dot(cell.weights + u * cell.inputSize, x, cell.inputSize) +
                     dot(cell.recurrent + u * cell.units, state, cell.units) + cell.bias[u];
        if (aux != nullptr) sum += dot(cell.aux + u * cell.auxSize, aux, cell.auxSize);
        next[u] = clampFloat(static_cast<float>(sum), cell.range);
    }
    std::copy_n(next, cell.units, state);
}

struct Sequence {
    const float* x;
    const float* aux;  // null without
    float* output;
    size_t outputStride;
    size_t time, batch;
    bool timeMajor;
    bool reverse;
    float* state;  // [batch, units], in: first, out: last
};

void run(Context& c, const Cell& cell, const Sequence& s) {
    float* next = c.scratch<float>(cell.units);
    for (size_t b = 0; b < s.batch; b++) {
        float* state = s.state + b * cell.units;
        for (size_t k = 0; k < s.time; k++) {
            c.checkDeadline();
            const size_t t = s.reverse ? s.time - 1 - k : k;
            const size_t row = s.timeMajor ? t * s.batch + b : b * s.time + t;
            const float* aux = s.aux == nullptr ? nullptr : s.aux + row * cell.auxSize;
            step(cell, s.x + row * cell.inputSize, aux, state, next);
            std::copy_n(state, cell.units, s.output + row * s.outputStride);
        }
    }
}

/// Weights, recurrent weights, bias and state from input `first` on.
template <class View>
void checkCell(const View& view, size_t first, int inputs, int units, Dims& dims) {
    dims.input(view, first, {units, inputs});
    dims.input(view, first + 1, {units, units});
    dims.input(view, first + 2, {units});
    dims.input(view, first + 3, {BATCH, units});
}

// --- RNN ------------------------------------------------------------------------------------

template <class View>
void checkRnn(const View& view, Dims& dims) {
    dims.input(view, 0, {BATCH, INPUTS});
    checkCell(view, 1, INPUTS, UNITS, dims);
    if (view.inputCount() == 6) view.activation(in(5));
}

void validateRnn(OpView& v) {
    v.inputs({5, 6});
    v.outputs(2);
    v.type(in(0), {{TENSOR_FLOAT16, 3}, {TENSOR_FLOAT32, 1}});
    v.sameType({in(0), in(1), in(2), in(3), in(4), out(0), out(1)});
    v.optional(in(5));
    Dims dims;
    checkRnn(v, dims);
    dims.match(v, out(0), {BATCH, UNITS});
    dims.match(v, out(1), {BATCH, UNITS});
}

void prepareRnn(Context& c) {
    Dims dims;
    checkRnn(c, dims);
    c.setShape(0, {dims[BATCH], dims[UNITS]});
    c.setShape(1, {dims[BATCH], dims[UNITS]});
}

void executeRnn(Context& c) {
    FloatIo io(c);
    const Cell cell = makeCell(c, io, 1, 0, c.scalar<int32_t>(5, ANEURALNETWORKS_FUSED_NONE));
    Sequence sequence{};
    sequence.x = io.in(0);
    sequence.state = copyState(c, io, 4, io.out(0));
    sequence.output = io.out(1);
    sequence.outputStride = cell.units;
    sequence.batch = c.shape(0)[0];
    sequence.time = 1;
    run(c, cell, sequence);
    io.finish();
}

// --- UNIDIRECTIONAL_SEQUENCE_RNN ------------------------------------------------------------

constexpr size_t kLayout = 6;  // INT32, 1: time-major

template <class View>
void checkSequence(const View& view, std::optional<bool> timeMajor, Dims& dims) {
    matchSequence(view, 0, timeMajor, BATCH, TIME, INPUTS, dims);
    checkCell(view, 1, INPUTS, UNITS, dims);
    view.activation(in(5));
}

/// Whether the layout is time-major, where it is known.
template <class View>
std::optional<bool> timeMajorOf(const View& view) {
    view.integer(in(kLayout), 0, 1);
    const auto layout = view.intOf(in(kLayout));
    if (!layout) return std::nullopt;
    return *layout == 1;
}

void validateSequence(OpView& v) {
    v.inputs(7);
    v.outputs({1, 2});
    v.since(v.outputCount() == 2 ? 4 : 3);
    v.type(in(0), {{TENSOR_FLOAT16, 3}, {TENSOR_FLOAT32, 3}});
    v.sameType({in(0), in(1), in(2), in(3), in(4), out(0)});
    Dims dims;
    const auto timeMajor = timeMajorOf(v);
    checkSequence(v, timeMajor, dims);
    const int first = !timeMajor ? Dims::kAny : *timeMajor ? TIME : BATCH;
    const int second = !timeMajor ? Dims::kAny : *timeMajor ? BATCH : TIME;
    dims.match(v, out(0), {first, second, UNITS});
    if (v.outputCount() == 1) return;
    v.optional(out(1));
    v.sameType({in(0), out(1)});
    dims.match(v, out(1), {BATCH, UNITS});
}

void prepareSequence(Context& c) {
    Dims dims;
    checkSequence(c, timeMajorOf(c), dims);
    const Shape output{c.shape(0)[0], c.shape(0)[1], dims[UNITS]};
    requireCountable(c, output);
    c.setShape(0, output);
    if (c.outputCount() == 2) c.setShape(1, {dims[BATCH], dims[UNITS]});
}

void executeSequence(Context& c) {
    FloatIo io(c);
    const Cell cell = makeCell(c, io, 1, 0, c.activation(5));
    Sequence sequence{};
    sequence.timeMajor = c.scalar<int32_t>(kLayout) == 1;
    sequence.x = io.in(0);
    sequence.state = copyState(c, io, 4, io.out(1));
    sequence.output = io.out(0);
    sequence.outputStride = cell.units;
    sequence.time = c.shape(0)[sequence.timeMajor ? 0 : 1];
    sequence.batch = c.shape(0)[sequence.timeMajor ? 1 : 0];
    run(c, cell, sequence);
    io.finish();
}

// --- BIDIRECTIONAL_SEQUENCE_RNN -------------------------------------------------------------

constexpr size_t kForward = 1, kBackward = 5;  // weights, recurrent weights, bias, state
constexpr size_t kAuxInput = 9, kForwardAux = 10, kBackwardAux = 11, kActivation = 12;
// Reading: "input 6 (timeMajor)" in the text of this operation means input 13.
constexpr size_t kTimeMajor = 13, kMerge = 14;
constexpr size_t kStates = 2;

/// Tells whether an optional input is there; a model input may still be omitted: unknown.
std::optional<bool> present(const OpView& v, size_t input) {
    if (!v.has(in(input))) return false;
    if (v[in(input)].lifetime == Lifetime::INPUT) return std::nullopt;
    return true;
}
std::optional<bool> present(const Context& c, size_t input) { return c.has(input); }

/// Whether an optional input has a shape to check: none that is omitted has, nor a placeholder,
/// which each execution has to omit.
bool fits(const OpView& v, size_t input, uint32_t rank) {
    const auto there = present(v, input);
    return there == true || (!there && !isPlaceholder(v, in(input), rank));
}
bool fits(const Context& c, size_t input, uint32_t) { return c.has(input); }

template <class View>
void checkBidirectional(const View& view, std::optional<bool> timeMajor, Dims& dims) {
    view.activation(in(kActivation));
    matchSequence(view, 0, timeMajor, BATCH, TIME, INPUTS, dims);
    checkCell(view, kForward, INPUTS, UNITS, dims);
    checkCell(view, kBackward, BW_INPUTS, BW_UNITS, dims);
    const auto aux = present(view, kAuxInput);
    const auto forward = present(view, kForwardAux), backward = present(view, kBackwardAux);
    view.require(!forward || !backward || *forward == *backward,
                 "auxiliary weights must have values in both directions, or in none");
    const bool crossed = forward == true || backward == true;
    const bool plain = forward == false || backward == false;
    view.require(aux != false || !crossed, "auxiliary weights need an auxiliary input");
    if (fits(view, kAuxInput, 3)) {
        matchSequence(view, kAuxInput, timeMajor, BATCH, TIME, AUX, dims);
    }
    if (fits(view, kForwardAux, 2)) dims.input(view, kForwardAux, {UNITS, AUX});
    if (fits(view, kBackwardAux, 2)) dims.input(view, kBackwardAux, {BW_UNITS, AUX});
    const bool parallel = aux == true && plain;
    if (aux == false || crossed) {
        dims.same(view, INPUTS, BW_INPUTS, "the backward weights do not match the input");
    } else if (parallel) {
        // Parallel linking: the backward cell reads the auxiliary input in place of the input.
        dims.same(view, AUX, BW_INPUTS, "the backward weights do not match the auxiliary input");
    }
}

void validateBidirectional(OpView& v) {
    v.inputs(15);
    v.outputs({1, 2, 3, 4});
    v.since(v.outputCount() > 2 ? 4 : 3);
    v.type(in(0), {{TENSOR_FLOAT16, 3}, {TENSOR_FLOAT32, 3}});
    for (size_t i = kAuxInput; i <= kBackwardAux; i++) v.optional(in(i));
    for (size_t i = 1; i <= kBackwardAux; i++) {
        if (v.has(in(i))) v.sameType({in(0), in(i)});
    }
    // Parallel linking: an auxiliary input whose weights are omitted.
    if (fits(v, kAuxInput, 3) && present(v, kAuxInput) != false &&
        present(v, kForwardAux) == false) {
        v.since(4);
    }
    v.scalar(in(kTimeMajor), BOOL);
    v.scalar(in(kMerge), BOOL);
    Dims dims;
    const auto timeMajor = v.flagOf(in(kTimeMajor));
    checkBidirectional(v, timeMajor, dims);
    const BidirectionalOutputs outputs(v.outputCount(), kStates, v.flagOf(in(kMerge)));
    outputs.validate(v, timeMajor, BATCH, TIME, UNITS, BW_UNITS, dims);
    if (outputs.firstState == 0) return;
    dims.match(v, out(outputs.firstState), {BATCH, UNITS});
    dims.match(v, out(outputs.firstState + 1), {BATCH, BW_UNITS});
}

void prepareBidirectional(Context& c) {
    Dims dims;
    checkBidirectional(c, c.flag(kTimeMajor), dims);
    const BidirectionalOutputs outputs(c.outputCount(), kStates, c.flag(kMerge));
    outputs.prepare(c, dims[UNITS], dims[BW_UNITS]);
    if (outputs.firstState == 0) return;
    c.setShape(outputs.firstState, {dims[BATCH], dims[UNITS]});
    c.setShape(outputs.firstState + 1, {dims[BATCH], dims[BW_UNITS]});
}

void executeBidirectional(Context& c) {
    FloatIo io(c);
    const int32_t activation = c.activation(kActivation);
    const Cell forward = makeCell(c, io, kForward, kForwardAux, activation);
    const Cell backward = makeCell(c, io, kBackward, kBackwardAux, activation);
    const BidirectionalOutputs outputs(c.outputCount(), kStates, c.flag(kMerge));
    const OutputRows rows = outputs.rows(c, io, forward.units, backward.units);
    const auto stateOutput = [&](size_t k) {
        return outputs.firstState == 0 ? nullptr : io.out(outputs.firstState + k);
    };

    const float* x = io.in(0);
    const float* aux = io.in(kAuxInput);
    const bool crossed = c.has(kForwardAux);
    Sequence sequence{};
    sequence.timeMajor = c.flag(kTimeMajor);
    sequence.time = c.shape(0)[sequence.timeMajor ? 0 : 1];
    sequence.batch = c.shape(0)[sequence.timeMajor ? 1 : 0];
    sequence.aux = crossed ? aux : nullptr;

    sequence.x = x;
    sequence.state = copyState(c, io, kForward + 3, stateOutput(0));
    sequence.output = rows.forward;
    sequence.outputStride = rows.forwardStride;
    run(c, forward, sequence);

    sequence.x = c.has(kAuxInput) && !crossed ? aux : x;
    sequence.reverse = true;
    sequence.state = copyState(c, io, kBackward + 3, stateOutput(1));
    sequence.output = rows.backward;
    sequence.outputStride = rows.backwardStride;
    run(c, backward, sequence);
    io.finish();
}

const Register registered({
    {ANEURALNETWORKS_RNN, "RNN", validateRnn, prepareRnn, executeRnn},
    {ANEURALNETWORKS_UNIDIRECTIONAL_SEQUENCE_RNN, "UNIDIRECTIONAL_SEQUENCE_RNN", validateSequence,
     prepareSequence, executeSequence},
    {ANEURALNETWORKS_BIDIRECTIONAL_SEQUENCE_RNN, "BIDIRECTIONAL_SEQUENCE_RNN",
     validateBidirectional, prepareBidirectional, executeBidirectional},
});

}  // namespace
}  // namespace nnapi
