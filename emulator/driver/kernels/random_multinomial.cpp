// RANDOM_MULTINOMIAL: class indices drawn with the probabilities softmax(logits).

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "dims.h"
#include "float_io.h"
#include "kernel.h"

namespace nnapi {
namespace {

/// The rules on shapes and the number of samples.
template <class Where>
void check(const Where& where) {
    where.rank(in(0), 2);
    where.integer(in(1), 0, INT32_MAX);
    where.rank(in(2), 1);
    where.dim(in(2), 0, 2);
}

void validate(OpView& v) {
    v.inputs(3);
    v.outputs(1);
    v.type(in(0), {{TENSOR_FLOAT16, 3}, {TENSOR_FLOAT32, 3}});
    v.type(in(2), TENSOR_INT32);
    check(v);
    v.type(out(0), TENSOR_INT32);
    v.rank(out(0), 2);
    v.sameDim(in(0), 0, out(0), 0);
    const auto samples = v.intOf(in(1));
    if (samples && *samples > 0) v.dim(out(0), 1, static_cast<uint32_t>(*samples));
}

void prepare(Context& c) {
    check(c);
    const Shape& logits = c.shape(0);
    const auto samples = static_cast<uint32_t>(c.scalar<int32_t>(1));
    c.require(logits[1] > 0 || logits[0] == 0 || samples == 0, "there is no class to draw");
    const Shape output{logits[0], samples};
    requireCountable(c, output);
    c.setShape(0, output);
}

/// SplitMix64 (Steele, Lea, Flood 2014): a counter through a mixing function.
class Generator {
public:
    explicit Generator(uint64_t seed) : counter_(seed) {}
    uint64_t next() {
        uint64_t z = counter_ += 0x9E3779B97F4A7C15u;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        return z ^ z >> 31;
    }
    /// Uniform in [0, 1).
    double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

private:
    uint64_t counter_;
};

Generator makeGenerator(const int32_t* seeds) {
    if (seeds[0] != 0 || seeds[1] != 0) {
        const auto high = static_cast<uint64_t>(static_cast<uint32_t>(seeds[0]));
        // One step, so that neighbouring seeds give unrelated sequences.
        return Generator(Generator(high << 32 | static_cast<uint32_t>(seeds[1])).next());
    }
    std::random_device device;
    return Generator(static_cast<uint64_t>(device()) << 32 | device());
}

/// Running sums of the unnormalised probabilities of a row.
/// Reading: a class of logit -inf or NaN is never drawn; classes of +inf share all probability;
/// where nothing is left, all classes are equally likely.
void accumulate(const float* logits, size_t classes, double* sums) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    double greatest = -infinity;
    for (size_t k = 0; k < classes; k++) {
        if (logits[k] > greatest) greatest = logits[k];
    }
    double sum = 0;
    for (size_t k = 0; k < classes; k++) {
        double weight = std::isnan(logits[k]) ? 0 : std::exp(logits[k] - greatest);
        if (greatest == infinity) weight = logits[k] == infinity ? 1 : 0;
        if (greatest == -infinity) weight = 1;
        sums[k] = sum += weight;
    }
}

void execute(Context& c) {
    FloatIo io(c);
    const float* logits = io.in(0);
    const size_t batches = c.shape(0)[0], classes = c.shape(0)[1];
    const auto samples = static_cast<size_t>(c.scalar<int32_t>(1));
    Generator generator = makeGenerator(c.in<int32_t>(2));
    double* sums = c.scratch<double>(classes);
    int32_t* output = c.out<int32_t>(0);
    if (samples == 0) return;
    for (size_t b = 0; b < batches; b++) {
        accumulate(logits + b * classes, classes, sums);
        for (size_t s = 0; s < samples; s++) {
            if (s % 4096 == 0) c.checkDeadline();
            const double drawn = generator.uniform() * sums[classes - 1];
            // The first class whose running sum exceeds it, so never one of probability 0.
            const double* found = std::upper_bound(sums, sums + classes, drawn);
            if (found == sums + classes) {  // the product was rounded up to the total
                found = std::lower_bound(sums, sums + classes, sums[classes - 1]);
            }
            output[b * samples + s] = static_cast<int32_t>(found - sums);
        }
    }
}

const Register registered(
    {{ANEURALNETWORKS_RANDOM_MULTINOMIAL, "RANDOM_MULTINOMIAL", validate, prepare, execute}});

}  // namespace
}  // namespace nnapi
