// L2_NORMALIZATION, LOCAL_RESPONSE_NORMALIZATION and INSTANCE_NORMALIZATION: values divided by a
// measure of their neighbours. Sums are kept in double, where squares of floats do not overflow.

#include <cmath>

#include "float_io.h"
#include "quantize.h"
#include "rules.h"
#include "window.h"

namespace nnapi {
namespace {

/// A tensor as [outer][size][inner], `size` along the axis.
struct AxisView {
    size_t outer, size, inner;

    AxisView(const Shape& shape, uint32_t axis)
        : outer(shape.countFrom(0, axis)),
          size(shape[axis]),
          inner(shape.countFrom(axis + 1, shape.rank)) {}

    /// line(first element) for each line along the axis; its elements are `inner` apart.
    template <class Line>
    void forEachLine(const Context& c, Line line, size_t work = 16) const {
        for (size_t o = 0; o < outer; o++) {
            for (size_t i = 0; i < inner; i++) {
                line(o * size * inner + i);
                c.spend(work * size);
            }
        }
    }
};

/// The rules on rank and axis.
template <class Where>
void checkAxisInput(const Where& where, size_t index) {
    where.rank(in(0), 1, 4, When::AT_ONCE);
    if (where.has(in(index))) checkAxis(where, in(index), in(0));
}

/// Ranks below 4, and the axis, came with level 3.
void validateAxisInput(OpView& v, size_t index) {
    checkAxisInput(v, index);
    const auto rank = v.rankOf(in(0));
    if (rank && *rank < 4) v.since(3);
    v.sameShape({in(0), out(0)});
    v.optional(in(index));
    if (index >= v.inputCount()) return;
    v.since(3);
    v.scalar(in(index), INT32);
}

uint32_t axisOf(const Context& c, size_t index) {
    return normalAxis(c, c.scalar<int32_t>(index, -1), c.shape(0).rank);
}

// --- L2_NORMALIZATION ---------------------------------------------------------------------------

void validateL2(OpView& v) {
    v.inputs({1, 2});
    v.outputs(1);
    const Type type = v.type(in(0), {{TENSOR_FLOAT32, 1},
                                     {TENSOR_FLOAT16, 3},
                                     {TENSOR_QUANT8_ASYMM, 3},
                                     {TENSOR_QUANT8_ASYMM_SIGNED, 4}});
    v.sameType({in(0), out(0)});
    v.quant(out(0), 1.0f / 128, type == TENSOR_QUANT8_ASYMM ? 128 : 0);
    validateAxisInput(v, 1);
}

void prepareL2(Context& c) {
    checkAxisInput(c, 1);
    c.setShape(0, c.shape(0));
}

void l2Float(const Context& c, const AxisView& view, const float* input, float* output) {
    view.forEachLine(c, [&](size_t first) {
        double sum = 0;
        for (size_t k = 0; k < view.size; k++) {
            const double value = input[first + k * view.inner];
            sum += value * value;
        }
        const double norm = std::sqrt(sum);
        for (size_t k = 0; k < view.size; k++) {
            const size_t at = first + k * view.inner;
            output[at] = norm == 0 ? 0.0f : static_cast<float>(input[at] / norm);
        }
    });
}

/// The input's scale cancels out: integers over the root of an integer. Where that root is not an
/// integer itself the quotient is irrational and cannot be a tie.
template <class T>
void l2Quant(Context& c, const AxisView& view) {
    const T* input = c.in<T>(0);
    T* output = c.out<T>(0);
    const int32_t zero = c.input(0).zeroPoint;
    const Tensor& to = c.output(0);
    const CodeRange range = codeRange(to.type);
    view.forEachLine(c, [&](size_t first) {
        int64_t sum = 0;
        for (size_t k = 0; k < view.size; k++) {
            const int64_t value = input[first + k * view.inner] - zero;
            sum += value * value;
        }
        const double norm = std::sqrt(static_cast<double>(sum));
        for (size_t k = 0; k < view.size; k++) {
            const size_t at = first + k * view.inner;
            const double value = input[at] - zero;
            const double code = sum == 0 ? 0 : roundQuotient(value, 128, norm);
            output[at] = static_cast<T>(
                std::clamp<double>(code + to.zeroPoint, range.least, range.most));
        }
    });
}

void executeL2(Context& c) {
    const AxisView view(c.shape(0), axisOf(c, 1));
    switch (c.type(0)) {
        case TENSOR_QUANT8_ASYMM: return l2Quant<uint8_t>(c, view);
        case TENSOR_QUANT8_ASYMM_SIGNED: return l2Quant<int8_t>(c, view);
        default: break;
    }
    FloatIo io(c);
    const float* input = io.in(0);
    l2Float(c, view, input, io.out(0));
    io.finish();
}

// --- LOCAL_RESPONSE_NORMALIZATION ---------------------------------------------------------------

constexpr size_t kRadius = 1, kBias = 2, kAlpha = 3, kBeta = 4;

/// The rules on scalars.
template <class Where>
void checkLrn(const Where& where) {
    // Reading: a radius is a number of elements, so it is not negative.
    where.integer(in(kRadius), 0, INT32_MAX);
    const auto bias = where.realValue(in(kBias));
    where.require(!bias || *bias != 0, "the bias must not be zero");
}

void validateLrn(OpView& v) {
    v.inputs({5, 6});
    v.outputs(1);
    const Type type = v.type(in(0), {{TENSOR_FLOAT32, 1}, {TENSOR_FLOAT16, 3}});
    v.sameType({in(0), out(0)});
    for (size_t i : {kBias, kAlpha, kBeta}) v.realScalar(in(i), type);
    checkLrn(v);
    validateAxisInput(v, 5);
}

void prepareLrn(Context& c) {
    checkAxisInput(c, 5);
    checkLrn(c);
    c.setShape(0, c.shape(0));
}

void executeLrn(Context& c) {
    const AxisView view(c.shape(0), axisOf(c, 5));
    const auto radius = static_cast<size_t>(c.scalar<int32_t>(kRadius));
    const double bias = c.real(kBias), alpha = c.real(kAlpha), beta = c.real(kBeta);
    FloatIo io(c);
    const float* input = io.in(0);
    float* output = io.out(0);
    view.forEachLine(c, [&](size_t first) {
        for (size_t k = 0; k < view.size; k++) {
            const size_t begin = k < radius ? 0 : k - radius;
            const size_t end = std::min(view.size, k + radius + 1);
            double sum = 0;
            for (size_t j = begin; j < end; j++) {
                const double value = input[first + j * view.inner];
                sum += value * value;
            }
            const size_t at = first + k * view.inner;
            output[at] = static_cast<float>(input[at] / std::pow(bias + alpha * sum, beta));
        }
    }, 64 + std::min(radius, view.size));
    io.finish();
}

// --- INSTANCE_NORMALIZATION ---------------------------------------------------------------------

constexpr size_t kGamma = 1, kOffset = 2, kEpsilon = 3, kLayout = 4;

template <class Where>
void checkInstance(const Where& where) {
    where.rank(in(0), 4);
    where.sameShape({in(0), out(0)});
}

void validateInstance(OpView& v) {
    v.inputs(5);
    v.outputs(1);
    const Type type = v.type(in(0), {{TENSOR_FLOAT32, 3}, {TENSOR_FLOAT16, 3}});
    v.sameType({in(0), out(0)});
    for (size_t i : {kGamma, kOffset, kEpsilon}) v.realScalar(in(i), type);
    v.scalar(in(kLayout), BOOL);
    checkInstance(v);
}

void prepareInstance(Context& c) {
    checkInstance(c);
    c.setShape(0, c.shape(0));
}

void executeInstance(Context& c) {
    const double gamma = c.real(kGamma), beta = c.real(kOffset), epsilon = c.real(kEpsilon);
    const Layout4 layout(c.shape(0), c.flag(kLayout));
    FloatIo io(c);
    const float* input = io.in(0);
    float* output = io.out(0);
    const double count = static_cast<double>(layout.height) * layout.width;
    const auto forEach = [&](size_t b, size_t channel, auto visit) {
        for (size_t y = 0; y < layout.height; y++) {
            for (size_t x = 0; x < layout.width; x++) visit(layout.at(b, y, x, channel));
            c.spend(16 * size_t{layout.width});
        }
    };
    for (size_t b = 0; b < layout.batch; b++) {
        for (size_t channel = 0; channel < layout.channels; channel++) {
            double sum = 0, squares = 0;
            forEach(b, channel, [&](size_t at) { sum += input[at]; });
            const double mean = sum / count;
            forEach(b, channel, [&](size_t at) {
                const double off = input[at] - mean;
                squares += off * off;
            });
            const double deviation = std::sqrt(squares / count + epsilon);
            forEach(b, channel, [&](size_t at) {
                output[at] = static_cast<float>((input[at] - mean) * gamma / deviation + beta);
            });
        }
    }
    io.finish();
}

const Register registered({
    {ANEURALNETWORKS_L2_NORMALIZATION, "L2_NORMALIZATION", validateL2, prepareL2, executeL2},
    {ANEURALNETWORKS_LOCAL_RESPONSE_NORMALIZATION, "LOCAL_RESPONSE_NORMALIZATION", validateLrn,
     prepareLrn, executeLrn},
    {ANEURALNETWORKS_INSTANCE_NORMALIZATION, "INSTANCE_NORMALIZATION", validateInstance,
     prepareInstance, executeInstance},
});

}  // namespace
}  // namespace nnapi
