// MEAN, REDUCE_SUM, REDUCE_PROD, REDUCE_MAX, REDUCE_MIN, REDUCE_ALL, REDUCE_ANY.
//
// Sums and products are kept in double (integers for quantized tensors) and rounded once.

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernel.h"
#include "quantize.h"
#include "rules.h"

namespace nnapi {
namespace {

// --- shapes ---------------------------------------------------------------------------------

/// The rules on ranks and axes, and what is reduced where it is known: bit i for dimension i.
/// Reading: a dimension listed twice is reduced once, and an empty list reduces nothing (MEAN says
/// that reducing all was never implemented).
template <class Where>
std::optional<uint32_t> reducedMask(const Where& where) {
    where.rank(in(0), 1, 4, When::AT_ONCE);
    const auto axes = intVector(where, in(1));
    const auto rank = where.rankOf(in(0));
    if (!axes || !rank) return std::nullopt;
    uint32_t mask = 0;
    for (int32_t axis : *axes) mask |= 1u << normalAxis(where, axis, *rank);
    return mask;
}

/// Whether reduced dimensions stay, with size 1, where it is known.
template <bool isMean, class Where>
std::optional<bool> keepDims(const Where& where) {
    if constexpr (!isMean) return where.flagOf(in(2));
    const auto keep = where.intOf(in(2));
    return keep ? std::optional(*keep > 0) : std::nullopt;
}

/// The output's shape as far as it is known.
template <bool isMean, class Where>
std::optional<Shape> reducedShape(const Where& where) {
    const auto mask = reducedMask(where);
    const auto keep = keepDims<isMean>(where);
    const auto input = shapeOf(where, in(0));
    if (!mask || !keep || !input) return std::nullopt;
    Shape result;
    for (uint32_t i = 0; i < input->rank; i++) {
        if ((*mask >> i & 1) == 0) {
            result.push((*input)[i]);
        } else if (*keep) {
            result.push(1);
        }
    }
    if (result.rank == 0) result.push(1);
    return result;
}

/// For the model; `types`: those of input 0.
template <bool isMean>
void validateReduction(OpView& v, std::initializer_list<Since> types) {
    v.inputs(3);
    v.outputs(1);
    const Type type = v.type(in(0), types);
    v.sameType({in(0), out(0)});
    v.type(in(1), TENSOR_INT32);
    v.scalar(in(2), isMean ? INT32 : BOOL);
    validateSameQuant(v, type, {in(0), out(0)});
    if (const auto shape = reducedShape<isMean>(v)) expectShape(v, out(0), *shape);
}

template <bool isMean>
void prepare(Context& c) {
    c.setShape(0, *reducedShape<isMean>(c));
}

// --- the loop -------------------------------------------------------------------------------

/// Folds every input element into the accumulator of its output element, in the order of the
/// input: accumulate(accumulator, element).
template <class T, class A, class Accumulate>
void fold(const Context& c, A* accumulators, Accumulate accumulate) {
    const Tensor& input = c.input(0);
    if (input.count() == 0) return;
    const uint32_t mask = *reducedMask(c);
    // Neighbouring dimensions of a kind are one run; rank is 4 at most.
    struct Run {
        size_t count;
        size_t step;  // in accumulators; 0 when reduced
    } runs[4];
    uint32_t used = 0;
    size_t step = 1;
    for (uint32_t axis = input.shape.rank; axis-- > 0;) {
        const size_t count = input.shape[axis];
        const bool reduced = (mask >> axis & 1) != 0;
        if (count == 1) continue;
        if (used != 0 && (runs[used - 1].step == 0) == reduced) {
            runs[used - 1].count *= count;
        } else {
            runs[used++] = {count, reduced ? 0 : step};
        }
        if (!reduced) step *= count;
    }
    while (used < 4) runs[used++] = {1, 0};
    const T* x = input.as<T>();
    for (size_t i3 = 0; i3 < runs[3].count; i3++) {
        for (size_t i2 = 0; i2 < runs[2].count; i2++) {
            for (size_t i1 = 0; i1 < runs[1].count; i1++) {
                A* to = accumulators + i3 * runs[3].step + i2 * runs[2].step + i1 * runs[1].step;
                const size_t count = runs[0].count;
                if (runs[0].step == 0) {
                    A total = *to;
                    for (size_t i = 0; i < count; i++) accumulate(total, x[i]);
                    *to = total;
                } else {
                    for (size_t i = 0; i < count; i++) accumulate(to[i], x[i]);
                }
                x += count;
                c.spend(4 * count);
            }
        }
    }
}

/// Accumulators for the output elements, all `initial`.
template <class A>
A* accumulators(Context& c, A initial) {
    const size_t count = c.output(0).count();
    A* result = c.scratch<A>(count);
    std::fill_n(result, count, initial);
    return result;
}

template <class Accumulate>
void foldReal(Context& c, double initial, double divisor, Accumulate accumulate) {
    const size_t count = c.output(0).count();
    double* work = accumulators(c, initial);
    if (c.type(0) == TENSOR_FLOAT32) {
        fold<float>(c, work, [&](double& total, float x) { accumulate(total, x); });
        float* y = c.out<float>(0);
        for (size_t i = 0; i < count; i++) y[i] = static_cast<float>(work[i] / divisor);
    } else {
        fold<Half>(c, work, [&](double& total, Half x) { accumulate(total, toFloat(x)); });
        Half* y = c.out<Half>(0);
        for (size_t i = 0; i < count; i++) y[i] = toHalf(work[i] / divisor);
    }
}

void add(double& total, double x) { total += x; }
void multiply(double& total, double x) { total *= x; }

// --- MEAN -----------------------------------------------------------------------------------

void validateMean(OpView& v) {
    validateReduction<true>(v, {{TENSOR_FLOAT16, 3},
                                {TENSOR_FLOAT32, 2},
                                {TENSOR_QUANT8_ASYMM, 2},
                                {TENSOR_QUANT8_ASYMM_SIGNED, 4}});
}

template <class T>
void meanQuantized(Context& c, double reducedCount) {
    const Tensor &input = c.input(0), &output = c.output(0);
    const CodeRange range = codeRange(output.type);
    const int32_t zeroPoint = input.zeroPoint;
    int64_t* work = accumulators(c, int64_t{0});
    fold<T>(c, work, [&](int64_t& total, T code) { total += code - zeroPoint; });
    T* y = c.out<T>(0);
    const size_t count = output.count();
    for (size_t i = 0; i < count; i++) {
        // Equal scales: the mean of the codes, ties away from the real value zero. A mean of
        // nothing has no value: the zero point.
        const double mean =
            reducedCount == 0 ? 0 : roundQuotient(static_cast<double>(work[i]), 1, reducedCount);
        y[i] = static_cast<T>(std::clamp<double>(mean + zeroPoint, range.least, range.most));
    }
}

void executeMean(Context& c) {
    const Shape& shape = c.shape(0);
    const uint32_t mask = *reducedMask(c);
    double reducedCount = 1;
    for (uint32_t i = 0; i < shape.rank; i++) {
        if ((mask >> i & 1) != 0) reducedCount *= shape[i];
    }
    switch (c.type(0)) {
        case TENSOR_QUANT8_ASYMM: return meanQuantized<uint8_t>(c, reducedCount);
        case TENSOR_QUANT8_ASYMM_SIGNED: return meanQuantized<int8_t>(c, reducedCount);
        default: return foldReal(c, 0, reducedCount, add);
    }
}

// --- REDUCE_SUM, REDUCE_PROD ----------------------------------------------------------------

void validateArithmetic(OpView& v) {
    validateReduction<false>(v, {{TENSOR_FLOAT16, 3}, {TENSOR_FLOAT32, 3}});
}

void executeSum(Context& c) { foldReal(c, 0, 1, add); }
void executeProduct(Context& c) { foldReal(c, 1, 1, multiply); }

// --- REDUCE_MAX, REDUCE_MIN -----------------------------------------------------------------

void validateExtreme(OpView& v) {
    validateReduction<false>(v, kRealAndQuant8Since3);
}

template <class T>
void extremeCodes(Context& c, bool maximum) {
    // Equal scales: codes are ordered like their values. Nothing reduces to the end of the range.
    const T initial = maximum ? std::numeric_limits<T>::min() : std::numeric_limits<T>::max();
    T* y = c.out<T>(0);
    std::fill_n(y, c.output(0).count(), initial);
    if (maximum) {
        fold<T>(c, y, [](T& best, T x) { best = x > best ? x : best; });
    } else {
        fold<T>(c, y, [](T& best, T x) { best = x < best ? x : best; });
    }
}

template <bool maximum>
void executeExtreme(Context& c) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    switch (c.type(0)) {
        case TENSOR_QUANT8_ASYMM: return extremeCodes<uint8_t>(c, maximum);
        case TENSOR_QUANT8_ASYMM_SIGNED: return extremeCodes<int8_t>(c, maximum);
        default:
            return foldReal(c, maximum ? -infinity : infinity, 1, [](double& best, double x) {
                if ((maximum ? x > best : x < best) || std::isnan(x)) best = x;
            });
    }
}

// --- REDUCE_ALL, REDUCE_ANY -----------------------------------------------------------------

void validateLogical(OpView& v) {
    validateReduction<false>(v, {{TENSOR_BOOL8, 3}});
}

template <bool all>
void executeLogical(Context& c) {
    uint8_t* y = c.out<uint8_t>(0);
    std::fill_n(y, c.output(0).count(), static_cast<uint8_t>(all));
    fold<uint8_t>(c, y, [](uint8_t& total, uint8_t x) {
        const uint8_t truth = x != 0;
        total = all ? total & truth : total | truth;
    });
}

const Register registered({
    {ANEURALNETWORKS_MEAN, "MEAN", validateMean, prepare<true>, executeMean},
    {ANEURALNETWORKS_REDUCE_SUM, "REDUCE_SUM", validateArithmetic, prepare<false>, executeSum},
    {ANEURALNETWORKS_REDUCE_PROD, "REDUCE_PROD", validateArithmetic, prepare<false>,
     executeProduct},
    {ANEURALNETWORKS_REDUCE_MAX, "REDUCE_MAX", validateExtreme, prepare<false>,
     executeExtreme<true>},
    {ANEURALNETWORKS_REDUCE_MIN, "REDUCE_MIN", validateExtreme, prepare<false>,
     executeExtreme<false>},
    {ANEURALNETWORKS_REDUCE_ALL, "REDUCE_ALL", validateLogical, prepare<false>,
     executeLogical<true>},
    {ANEURALNETWORKS_REDUCE_ANY, "REDUCE_ANY", validateLogical, prepare<false>,
     executeLogical<false>},
});

}  // namespace
}  // namespace nnapi
