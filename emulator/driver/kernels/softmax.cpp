// SOFTMAX and LOG_SOFTMAX along one axis. Computed in double and rounded once.

#include <cmath>

#include "kernel.h"
#include "quantize.h"
#include "rules.h"

namespace nnapi {
namespace {

/// The rules on rank and scalars; `ranks`: when that on ranks is due.
template <class Where>
void check(const Where& where, uint32_t mostRank, When ranks) {
    where.rank(in(0), 1, mostRank, ranks);
    const auto beta = where.realValue(in(1));
    where.require(!beta || *beta > 0, "beta must be positive");
    if (where.has(in(2))) checkAxis(where, in(2), in(0));
}

void validateSoftmax(OpView& v) {
    v.inputs({2, 3});
    v.outputs(1);
    const Type type = v.type(in(0), kRealAndQuant8Since1);
    v.sameType({in(0), out(0)});
    v.realScalar(in(1), type);
    const auto rank = v.rankOf(in(0));
    if (rank && *rank != 2 && *rank != 4) v.since(3);  // noted before anything is refused
    check(v, 4, When::AT_ONCE);
    v.sameShape({in(0), out(0)});
    v.optional(in(2));
    if (v.inputCount() == 3) {
        v.since(3);
        v.scalar(in(2), INT32);
    }
    v.quant(out(0), 1.f / 256, type == TENSOR_QUANT8_ASYMM ? 0 : -128);
}

void validateLogSoftmax(OpView& v) {
    v.inputs(3);
    v.outputs(1);
    const Type type = v.type(in(0), {{TENSOR_FLOAT16, 3}, {TENSOR_FLOAT32, 3}});
    v.sameType({in(0), out(0)});
    v.realScalar(in(1), type);
    v.scalar(in(2), INT32);
    check(v, kAnyRank, When::LATER);
    v.sameShape({in(0), out(0)});
}

template <uint32_t mostRank>
void prepare(Context& c) {
    check(c, mostRank, When::LATER);
    c.setShape(0, c.shape(0));
}

/// Calls slice(first, step) for each 1-D slice along the axis, `length` elements long.
template <class Slice>
void forEachSlice(Context& c, Slice slice) {
    const Shape& shape = c.shape(0);
    const uint32_t axis = normalAxis(c, c.scalar<int32_t>(2, -1), shape.rank);
    const size_t length = shape[axis];
    const size_t outer = shape.countFrom(0, axis);
    const size_t inner = shape.countFrom(axis + 1, shape.rank);
    if (length == 0) return;
    double* work = c.scratch<double>(length);
    for (size_t o = 0; o < outer; o++) {
        for (size_t i = 0; i < inner; i++) {
            slice(o * length * inner + i, inner, length, work);
            c.spend(32 * length);
        }
    }
}

/// The largest value; NaN if there is one.
double largest(const double* x, size_t length) {
    double best = x[0];
    for (size_t k = 1; k < length; k++) {
        if (x[k] > best || std::isnan(x[k])) best = x[k];
        if (std::isnan(best)) break;
    }
    return best;
}

/// x to softmax(x * beta), in place.
void softmax(double* x, size_t length, double beta) {
    const double most = largest(x, length);
    double sum = 0;
    for (size_t k = 0; k < length; k++) {
        x[k] = std::exp((x[k] - most) * beta);
        sum += x[k];
    }
    for (size_t k = 0; k < length; k++) x[k] /= sum;
}

/// x to x * beta - log(sum(exp(x * beta))), in place. Shifted by the maximum where it is finite,
/// so that nothing overflows; otherwise the formula as it stands.
void logSoftmax(double* x, size_t length, double beta) {
    const double most = largest(x, length);
    const double shift = std::isfinite(most) ? most : 0;
    double sum = 0;
    for (size_t k = 0; k < length; k++) {
        x[k] = (x[k] - shift) * beta;
        sum += std::exp(x[k]);
    }
    const double logSum = std::log(sum);
    for (size_t k = 0; k < length; k++) x[k] -= logSum;
}

template <void (*normalize)(double*, size_t, double)>
void executeReal(Context& c) {
    const double beta = c.real(1);
    if (c.type(0) == TENSOR_FLOAT32) {
        const float* x = c.in<float>(0);
        float* y = c.out<float>(0);
        forEachSlice(c, [&](size_t first, size_t step, size_t length, double* work) {
            for (size_t k = 0; k < length; k++) work[k] = x[first + k * step];
            normalize(work, length, beta);
            for (size_t k = 0; k < length; k++) y[first + k * step] = static_cast<float>(work[k]);
        });
    } else {
        const Half* x = c.in<Half>(0);
        Half* y = c.out<Half>(0);
        forEachSlice(c, [&](size_t first, size_t step, size_t length, double* work) {
            for (size_t k = 0; k < length; k++) work[k] = toFloat(x[first + k * step]);
            normalize(work, length, beta);
            for (size_t k = 0; k < length; k++) y[first + k * step] = toHalf(work[k]);
        });
    }
}

template <class T>
void executeQuantized(Context& c) {
    const double beta = c.real(1);
    const Tensor &input = c.input(0), &output = c.output(0);
    const CodeRange range = codeRange(output.type);
    const T* x = c.in<T>(0);
    T* y = c.out<T>(0);
    const double scale = input.scale;
    forEachSlice(c, [&](size_t first, size_t step, size_t length, double* work) {
        for (size_t k = 0; k < length; k++) {
            work[k] = (x[first + k * step] - input.zeroPoint) * scale;
        }
        softmax(work, length, beta);
        for (size_t k = 0; k < length; k++) {
            y[first + k * step] =
                static_cast<T>(quantize(work[k], output.scale, output.zeroPoint, range));
        }
    });
}

void executeSoftmax(Context& c) {
    switch (c.type(0)) {
        case TENSOR_QUANT8_ASYMM: return executeQuantized<uint8_t>(c);
        case TENSOR_QUANT8_ASYMM_SIGNED: return executeQuantized<int8_t>(c);
        default: return executeReal<softmax>(c);
    }
}

const Register registered({
    {ANEURALNETWORKS_SOFTMAX, "SOFTMAX", validateSoftmax, prepare<4>, executeSoftmax},
    {ANEURALNETWORKS_LOG_SOFTMAX, "LOG_SOFTMAX", validateLogSoftmax, prepare<kAnyRank>,
     executeReal<logSoftmax>},
});

}  // namespace
}  // namespace nnapi
