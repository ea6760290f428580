// BIDIRECTIONAL_SEQUENCE_LSTM.

#include "../readings.h"
#include "bidirectional.h"
#include "lstm_cell.h"

namespace nnapi {
namespace {

using namespace lstm;

enum Name { BATCH, TIME, INPUTS, AUX, FW_UNITS, FW_OUTPUTS, BW_INPUTS, BW_UNITS, BW_OUTPUTS };
constexpr Sizes kForwardSizes{BATCH, INPUTS, AUX, FW_UNITS, FW_OUTPUTS};
constexpr Sizes kBackwardSizes{BATCH, BW_INPUTS, AUX, BW_UNITS, BW_OUTPUTS};

// Reading: inputs 35 and 36 have the forward sizes; the reference gives the backward ones, which
// would contradict the recurrent weights wherever the two differ.
constexpr Places kForward = placesFrom(1, 35, fourFrom(53), fourFrom(40));
constexpr Places kBackward = placesFrom(18, 37, fourFrom(57), fourFrom(44));
constexpr size_t kAuxInput = 39;
constexpr size_t kScalars = 48;  // activation function, cell clip, projection clip
constexpr size_t kMerge = 51;
constexpr size_t kTimeMajor = 52;
constexpr size_t kStates = 4;

/// Checks inputs in either stage; `timeMajor` is unknown while it is not constant.
template <class View>
void check(const View& view, std::optional<bool> timeMajor, Dims& dims) {
    matchSequence(view, 0, timeMajor, BATCH, TIME, INPUTS, dims);
    checkCell(view, kForward, kForwardSizes, dims);
    checkCell(view, kBackward, kBackwardSizes, dims);
    const Presence weights =
        together(view, {kForward.auxWeights[FORGET], kBackward.auxWeights[FORGET]},
                 "auxiliary weights must have values in both directions, or in none");
    const Presence aux = presence(view, kAuxInput);
    view.require(aux != Presence::ABSENT || weights != Presence::PRESENT,
                 "auxiliary weights need an auxiliary input");
    if (aux == Presence::ABSENT) {
        dims.same(view, INPUTS, BW_INPUTS, "the weights do not match the input");
        return;
    }
    // Reading: the auxiliary input is laid out as the input is; the reference writes the
    // time-major shape only.
    if (mustBeOmitted(view, kAuxInput, 3)) return;
    matchSequence(view, kAuxInput, timeMajor, BATCH, TIME, AUX, dims);
    if (weights == Presence::PRESENT) {
        dims.same(view, INPUTS, BW_INPUTS, "the weights do not match the input");
    } else if (weights == Presence::ABSENT && aux == Presence::PRESENT) {
        // Parallel linking: the backward cell reads the auxiliary input in place of the input.
        dims.same(view, AUX, BW_INPUTS, "the backward weights do not match the auxiliary input");
    }
}

void validate(OpView& v) {
    // Reading: the layer normalization weights at the end are optional. Devices that ship want
    // them in the list all the same.
    followsField() ? v.inputs(61) : v.inputs({53, 61});
    v.outputs({1, 2, 5, 6});
    v.since(v.outputCount() > 2 ? 4 : 3);
    const Type type = v.type(in(0), {{TENSOR_FLOAT16, 3}, {TENSOR_FLOAT32, 3}});
    validateCell(v, kForward, type);
    validateCell(v, kBackward, type);
    validateScalars(v, kScalars, type);
    v.optional(in(kAuxInput));
    if (v.has(in(kAuxInput))) v.sameType({in(0), in(kAuxInput)});
    // Parallel linking: an auxiliary input whose weights are omitted.
    if (presence(v, kAuxInput) != Presence::ABSENT && !mustBeOmitted(v, kAuxInput, 3) &&
        presence(v, kForward.auxWeights[FORGET]) == Presence::ABSENT) {
        v.since(4);
    }
    v.scalar(in(kMerge), BOOL);
    v.scalar(in(kTimeMajor), BOOL);

    Dims dims;
    const auto timeMajor = v.flagOf(in(kTimeMajor));
    check(v, timeMajor, dims);
    const BidirectionalOutputs outputs(v.outputCount(), kStates, v.flagOf(in(kMerge)));
    outputs.validate(v, timeMajor, BATCH, TIME, FW_OUTPUTS, BW_OUTPUTS, dims);
    if (outputs.firstState == 0) return;
    const size_t first = outputs.firstState;
    dims.match(v, out(first), {BATCH, FW_OUTPUTS});
    dims.match(v, out(first + 1), {BATCH, FW_UNITS});
    dims.match(v, out(first + 2), {BATCH, BW_OUTPUTS});
    dims.match(v, out(first + 3), {BATCH, BW_UNITS});
}

void prepare(Context& c) {
    Dims dims;
    check(c, c.flag(kTimeMajor), dims);
    checkScalars(c, kScalars);
    const BidirectionalOutputs outputs(c.outputCount(), kStates, c.flag(kMerge));
    outputs.prepare(c, dims[FW_OUTPUTS], dims[BW_OUTPUTS]);
    if (outputs.firstState == 0) return;
    const size_t first = outputs.firstState;
    c.setShape(first, {dims[BATCH], dims[FW_OUTPUTS]});
    c.setShape(first + 1, {dims[BATCH], dims[FW_UNITS]});
    c.setShape(first + 2, {dims[BATCH], dims[BW_OUTPUTS]});
    c.setShape(first + 3, {dims[BATCH], dims[BW_UNITS]});
}

void execute(Context& c) {
    Dims dims;
    check(c, c.flag(kTimeMajor), dims);
    FloatIo io(c);
    const Cell forward = makeCell(c, io, kForward, kForwardSizes, dims, kScalars);
    const Cell backward = makeCell(c, io, kBackward, kBackwardSizes, dims, kScalars);
    const BidirectionalOutputs outputs(c.outputCount(), kStates, c.flag(kMerge));
    const OutputRows rows = outputs.rows(c, io, forward.outputSize, backward.outputSize);
    const auto stateOutput = [&](size_t k) {
        return outputs.firstState == 0 ? nullptr : io.out(outputs.firstState + k);
    };

    const float* x = io.in(0);
    const float* aux = io.in(kAuxInput);
    const bool parallel = c.has(kAuxInput) && !forward.hasAux;
    Sequence sequence{};
    sequence.time = dims[TIME];
    sequence.batch = dims[BATCH];
    sequence.timeMajor = c.flag(kTimeMajor);

    sequence.x = x;
    sequence.aux = forward.hasAux ? aux : nullptr;
    sequence.output = rows.forward;
    sequence.outputStride = rows.forwardStride;
    sequence.state = copyState(c, io, kForward.outputState, stateOutput(0));
    sequence.cellState = copyState(c, io, kForward.cellState, stateOutput(1));
    run(c, forward, sequence, makeWork(c, forward));

    sequence.x = parallel ? aux : x;
    sequence.aux = backward.hasAux ? aux : nullptr;
    sequence.output = rows.backward;
    sequence.outputStride = rows.backwardStride;
    sequence.reverse = true;
    sequence.state = copyState(c, io, kBackward.outputState, stateOutput(2));
    sequence.cellState = copyState(c, io, kBackward.cellState, stateOutput(3));
    run(c, backward, sequence, makeWork(c, backward));
    io.finish();
}

const Register registered({{ANEURALNETWORKS_BIDIRECTIONAL_SEQUENCE_LSTM,
                            "BIDIRECTIONAL_SEQUENCE_LSTM", validate, prepare, execute}});

}  // namespace
}  // namespace nnapi
