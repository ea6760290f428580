// SVDF: filters over features, whose last results are kept and filtered over time.

#include "../readings.h"
#include "dims.h"
#include "float_io.h"
#include "kernel.h"
#include "quantize.h"
#include "recurrent_math.h"

namespace nnapi {
namespace {

// Reading: a rank above 1 stacks filters, so weights_feature and weights_time have
// num_units * rank rows (`FILTERS`); the rows of a unit follow each other. The state holds, for
// each batch and filter, the last memory_size - 1 results of stage 1, oldest first. Devices that
// ship have one slot more for each filter: that of the newest result, which is not read where it
// comes in and is 0 where it goes out.
enum Name { BATCH, INPUTS, FILTERS, MEMORY, UNITS, STATE };

constexpr size_t kBias = 3, kState = 4, kRank = 5, kActivation = 6;

template <class View>
void checkInputs(const View& view, bool bias, Dims& dims) {
    dims.input(view, 0, {BATCH, INPUTS});
    dims.input(view, 1, {FILTERS, INPUTS});
    dims.input(view, 2, {FILTERS, MEMORY});
    if (bias) dims.input(view, kBias, {UNITS});
    dims.input(view, kState, {BATCH, STATE});
    view.integer(in(kRank), 1, INT32_MAX);
    if (view.inputCount() == 7) view.activation(in(kActivation));
}

/// Slots of a filter in the state.
uint32_t slotsOf(uint32_t memory) { return followsField() ? memory : memory - 1; }

/// What follows for sizes from one another; in `validate` as far as known.
template <class View>
void checkSizes(const View& view, uint32_t rank, Dims& dims) {
    if (dims.known(FILTERS)) {
        view.require(dims[FILTERS] % rank == 0, "the rank must divide the number of filters");
        const uint32_t units = dims[FILTERS] / rank;
        view.require(!dims.known(UNITS) || dims[UNITS] == units,
                     "the bias or output must have the number of filters / rank");
        dims.set(UNITS, units);
    }
    if (!dims.known(MEMORY)) return;
    view.require(dims[MEMORY] >= 1, "memory_size must be at least 1");
    if (dims.known(FILTERS) && dims.known(STATE)) {
        view.require(uint64_t{slotsOf(dims[MEMORY])} * dims[FILTERS] == dims[STATE],
                     followsField()
                         ? "the state must be [batch_size, memory_size * num_units * rank]"
                         : "the state must be [batch_size, (memory_size - 1) * num_units * rank]");
    }
}

void validate(OpView& v) {
    v.inputs({6, 7});
    v.outputs(2);
    v.type(in(0), {{TENSOR_FLOAT16, 3}, {TENSOR_FLOAT32, 1}});
    v.optional(in(kBias));
    v.optional(in(kActivation));
    v.sameType({in(0), in(1), in(2), in(kState), out(0), out(1)});
    if (v.has(in(kBias))) v.sameType({in(0), in(kBias)});
    Dims dims;
    checkInputs(v, v.has(in(kBias)), dims);
    dims.match(v, out(0), {BATCH, STATE});
    dims.match(v, out(1), {BATCH, UNITS});
    if (const auto rank = v.intOf(in(kRank))) {
        checkSizes(v, static_cast<uint32_t>(*rank), dims);
    }
}

void prepare(Context& c) {
    Dims dims;
    checkInputs(c, c.has(kBias), dims);
    checkSizes(c, static_cast<uint32_t>(c.scalar<int32_t>(kRank)), dims);
    c.setShape(0, {dims[BATCH], dims[STATE]});
    const Shape output{dims[BATCH], dims[UNITS]};
    requireCountable(c, output);
    c.setShape(1, output);
}

void execute(Context& c) {
    FloatIo io(c);
    const float* x = io.in(0);
    const float* feature = io.in(1);
    const float* time = io.in(2);
    const float* bias = io.in(kBias);
    const float* state = io.in(kState);
    float* newState = io.out(0);
    float* output = io.out(1);
    const size_t batches = c.shape(0)[0], inputs = c.shape(0)[1];
    const size_t filters = c.shape(1)[0], kept = c.shape(2)[1] - 1;
    const size_t slots = slotsOf(c.shape(2)[1]);
    const size_t rank = static_cast<size_t>(c.scalar<int32_t>(kRank));
    const FloatRange range =
        openActivationRange(c.scalar<int32_t>(kActivation, ANEURALNETWORKS_FUSED_NONE));
    for (size_t b = 0; b < batches; b++) {
        const float* row = x + b * inputs;
        for (size_t unit = 0; unit < filters / rank; unit++) {
            double sum = bias == nullptr ? 0.0 : bias[unit];
            for (size_t f = unit * rank; f < (unit + 1) * rank; f++) {
                const double newest = dot(feature + f * inputs, row, inputs);
                const float* old = state + (b * filters + f) * slots;
                float* pushed = newState + (b * filters + f) * slots;
                const float* weights = time + f * (kept + 1);
                sum += dot(weights, old, kept) + weights[kept] * newest;
                for (size_t m = 0; m + 1 < kept; m++) pushed[m] = old[m + 1];
                if (kept != 0) pushed[kept - 1] = static_cast<float>(newest);
                if (slots != kept) pushed[kept] = 0;
            }
            c.spend(rank * (inputs + 2 * kept));
            output[b * (filters / rank) + unit] = clampFloat(static_cast<float>(sum), range);
        }
    }
    io.finish();
}

const Register registered({{ANEURALNETWORKS_SVDF, "SVDF", validate, prepare, execute}});

}  // namespace
}  // namespace nnapi
