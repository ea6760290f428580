// LSTM and UNIDIRECTIONAL_SEQUENCE_LSTM.

#include <algorithm>

#include "../readings.h"
#include "lstm_cell.h"

namespace nnapi {
namespace {

using namespace lstm;

enum Name { BATCH, INPUTS, AUX, UNITS, OUTPUTS, TIME };
constexpr Sizes kSizes{BATCH, INPUTS, AUX, UNITS, OUTPUTS};

// --- LSTM: one time step ------------------------------------------------------------------

constexpr size_t kScalars = 20;  // activation function, cell clip, projection clip

Places placesOfLstm(size_t inputCount) {
    return placesFrom(1, 18, inputCount > 23 ? fourFrom(23) : kNoGates, kNoGates);
}

template <class Where>
Dims checkLstm(const Where& where, const Places& places) {
    Dims dims;
    dims.input(where, 0, {BATCH, INPUTS});
    checkCell(where, places, kSizes, dims);
    return dims;
}

void validateLstm(OpView& v) {
    v.inputs({23, 27});
    v.outputs(4);
    if (v.inputCount() == 27) v.since(3);
    const Type type = v.type(in(0), {{TENSOR_FLOAT16, 3}, {TENSOR_FLOAT32, 1}});
    const Places places = placesOfLstm(v.inputCount());
    validateCell(v, places, type);
    validateScalars(v, kScalars, type);
    v.sameType({in(0), out(0), out(1), out(2), out(3)});

    Dims dims = checkLstm(v, places);
    v.rank(out(0), 2);
    dims.match(v, out(0), {BATCH, Dims::kAny});
    const Presence inputGate = presence(v, places.inputWeights[INPUT]);
    if (dims.known(UNITS) && inputGate != Presence::MAYBE) {
        const uint64_t gates = inputGate == Presence::ABSENT ? 3 : 4;
        const uint64_t width = gates * dims[UNITS];
        const auto given = v.dimOf(out(0), 1);
        v.require(!given || *given == width,
                  "the scratch buffer must be [batch_size, num_units * 4], with CIFG * 3");
    }
    dims.match(v, out(1), {BATCH, OUTPUTS});
    dims.match(v, out(2), {BATCH, UNITS});
    dims.match(v, out(3), {BATCH, OUTPUTS});
}

void prepareLstm(Context& c) {
    const Places places = placesOfLstm(c.inputCount());
    const Dims dims = checkLstm(c, places);
    checkScalars(c, kScalars);
    const uint32_t gates = c.has(places.inputWeights[INPUT]) ? 4 : 3;
    const Shape scratch{dims[BATCH], productDim(c, dims[UNITS], gates)};
    requireCountable(c, scratch);
    c.setShape(0, scratch);
    c.setShape(1, {dims[BATCH], dims[OUTPUTS]});
    c.setShape(2, {dims[BATCH], dims[UNITS]});
    c.setShape(3, {dims[BATCH], dims[OUTPUTS]});
}

void executeLstm(Context& c) {
    const Places places = placesOfLstm(c.inputCount());
    const Dims dims = checkLstm(c, places);
    FloatIo io(c);
    const Cell cell = makeCell(c, io, places, kSizes, dims, kScalars);
    const Work work = makeWork(c, cell);
    const float* x = io.in(0);
    float* gates = io.out(0);
    float* state = copyState(c, io, places.outputState, io.out(1));
    float* cellState = copyState(c, io, places.cellState, io.out(2));
    float* output = io.out(3);
    for (size_t b = 0; b < dims[BATCH]; b++) {
        c.checkDeadline();
        float* h = state + b * cell.outputSize;
        step(cell, x + b * cell.inputSize, nullptr, h, cellState + b * cell.units, work);
        std::copy_n(h, cell.outputSize, output + b * cell.outputSize);
        // Reading: what the scratch buffer holds is left open; here the values of the gates.
        const double* from = work.gates + (cell.coupled ? cell.units : 0);
        const size_t width = (cell.coupled ? 3 : 4) * cell.units;
        for (size_t k = 0; k < width; k++) gates[b * width + k] = static_cast<float>(from[k]);
    }
    io.finish();
}

// --- UNIDIRECTIONAL_SEQUENCE_LSTM ---------------------------------------------------------

constexpr size_t kTimeMajor = 23;
constexpr Places kSequencePlaces = placesFrom(1, 18, fourFrom(24), kNoGates);

template <class Where>
Dims checkSequence(const Where& where) {
    Dims dims;
    const auto timeMajor = where.flagOf(in(kTimeMajor));
    const int first = !timeMajor ? Dims::kAny : *timeMajor ? TIME : BATCH;
    const int second = !timeMajor ? Dims::kAny : *timeMajor ? BATCH : TIME;
    dims.input(where, 0, {first, second, INPUTS});
    checkCell(where, kSequencePlaces, kSizes, dims);
    dims.match(where, out(0), {first, second, OUTPUTS});
    return dims;
}

void validateSequence(OpView& v) {
    // Reading: the layer normalization weights at the end are optional. Devices that ship want
    // them in the list all the same.
    followsField() ? v.inputs(28) : v.inputs({24, 28});
    // Reading: "if output 1 is present then output 2 must be present as well".
    v.outputs({1, 3});
    v.since(v.outputCount() == 3 ? 4 : 3);
    const Type type = v.type(in(0), {{TENSOR_FLOAT16, 3}, {TENSOR_FLOAT32, 3}});
    validateCell(v, kSequencePlaces, type);
    // Reading: no types are given for the clips; those that LSTM documents, or FLOAT32.
    validateScalars(v, kScalars, type, true);
    v.scalar(in(kTimeMajor), BOOL);

    v.sameType({in(0), out(0)});
    Dims dims = checkSequence(v);
    if (v.outputCount() == 3) {
        v.optional(out(1));
        v.optional(out(2));
        v.sameType({in(0), out(1), out(2)});
        dims.match(v, out(1), {BATCH, OUTPUTS});
        dims.match(v, out(2), {BATCH, UNITS});
    }
}

void prepareSequence(Context& c) {
    const Dims dims = checkSequence(c);
    checkScalars(c, kScalars);
    const Shape output{c.shape(0)[0], c.shape(0)[1], dims[OUTPUTS]};
    requireCountable(c, output);
    c.setShape(0, output);
    if (c.outputCount() == 1) return;
    c.setShape(1, {dims[BATCH], dims[OUTPUTS]});
    c.setShape(2, {dims[BATCH], dims[UNITS]});
}

void executeSequence(Context& c) {
    const Dims dims = checkSequence(c);
    FloatIo io(c);
    const Cell cell = makeCell(c, io, kSequencePlaces, kSizes, dims, kScalars);
    const Work work = makeWork(c, cell);
    Sequence sequence{};
    sequence.x = io.in(0);
    sequence.output = io.out(0);
    sequence.outputStride = cell.outputSize;
    sequence.time = dims[TIME];
    sequence.batch = dims[BATCH];
    sequence.timeMajor = c.flag(kTimeMajor);
    sequence.state = copyState(c, io, kSequencePlaces.outputState, io.out(1));
    sequence.cellState = copyState(c, io, kSequencePlaces.cellState, io.out(2));
    run(c, cell, sequence, work);
    io.finish();
}

const Register registered({
    {ANEURALNETWORKS_LSTM, "LSTM", validateLstm, prepareLstm, executeLstm},
    {ANEURALNETWORKS_UNIDIRECTIONAL_SEQUENCE_LSTM, "UNIDIRECTIONAL_SEQUENCE_LSTM",
     validateSequence, prepareSequence, executeSequence},
});

}  // namespace
}  // namespace nnapi
