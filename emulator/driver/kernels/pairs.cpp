// MAXIMUM, MINIMUM, POW, LOGICAL_AND, LOGICAL_OR: two inputs with broadcasting, no activation.

#include <cmath>

#include "kernel.h"
#include "maps.h"
#include "rules.h"

namespace nnapi {
namespace {

void validateCommon(OpView& v) {
    v.sameType({in(0), in(1), out(0)});
    validateBroadcast(v, kAnyRank);
}

void prepare(Context& c) {
    requireElements(c);
    prepareBroadcast(c, kAnyRank);
}

// --- MAXIMUM, MINIMUM -----------------------------------------------------------------------

void validateExtreme(OpView& v) {
    v.inputs(2);
    v.outputs(1);
    v.type(in(0), kNumericSince3);
    validateCommon(v);
}

template <bool maximum, class T>
void extremeQuantized(Context& c) {
    const Tensor &left = c.input(0), &right = c.input(1), &output = c.output(0);
    const double scaleA = left.scale, scaleB = right.scale;
    const Requantizer fromA(scaleA, output, ANEURALNETWORKS_FUSED_NONE);
    const Requantizer fromB(scaleB, output, ANEURALNETWORKS_FUSED_NONE);
    mapPairs<T, T>(c, [&](T codeA, T codeB) {
        const int32_t a = codeA - left.zeroPoint, b = codeB - right.zeroPoint;
        const bool first = maximum ? a * scaleA >= b * scaleB : a * scaleA <= b * scaleB;
        return static_cast<T>(first ? fromA(a) : fromB(b));
    });
}

template <bool maximum>
void executeExtreme(Context& c) {
    const auto extreme = [](auto a, auto b) { return (maximum ? a > b : a < b) ? a : b; };
    // A NaN on either side is the result.
    const auto extremeReal = [](float a, float b) {
        if (std::isnan(a)) return a;
        return (maximum ? a > b : a < b) ? a : b;
    };
    switch (c.type(0)) {
        case TENSOR_FLOAT32: return mapPairs<float, float>(c, extremeReal);
        case TENSOR_FLOAT16: return mapHalfPairs(c, extremeReal);
        case TENSOR_INT32: return mapPairs<int32_t, int32_t>(c, extreme);
        case TENSOR_QUANT8_ASYMM: return extremeQuantized<maximum, uint8_t>(c);
        default: return extremeQuantized<maximum, int8_t>(c);
    }
}

// --- POW ------------------------------------------------------------------------------------

void validatePow(OpView& v) {
    v.inputs(2);
    v.outputs(1);
    v.type(in(0), {{TENSOR_FLOAT16, 3}, {TENSOR_FLOAT32, 3}});
    validateCommon(v);
}

void executePow(Context& c) {
    if (c.type(0) == TENSOR_FLOAT32) {
        return mapPairs<float, float>(c, [](float base, float exponent) {
            return static_cast<float>(
                std::pow(static_cast<double>(base), static_cast<double>(exponent)));
        });
    }
    mapPairs<Half, Half>(c, [](Half base, Half exponent) {
        return toHalf(std::pow(static_cast<double>(toFloat(base)),
                               static_cast<double>(toFloat(exponent))));
    });
}

// --- LOGICAL_AND, LOGICAL_OR ----------------------------------------------------------------

void validateLogical(OpView& v) {
    v.inputs(2);
    v.outputs(1);
    v.type(in(0), {{TENSOR_BOOL8, 3}});
    validateCommon(v);
}

template <bool both>
void executeLogical(Context& c) {
    mapPairs<uint8_t, uint8_t>(c, [](uint8_t a, uint8_t b) {
        const bool x = a != 0, y = b != 0;
        return static_cast<uint8_t>(both ? x && y : x || y);
    });
}

const Register registered({
    {ANEURALNETWORKS_MAXIMUM, "MAXIMUM", validateExtreme, prepare, executeExtreme<true>},
    {ANEURALNETWORKS_MINIMUM, "MINIMUM", validateExtreme, prepare, executeExtreme<false>},
    {ANEURALNETWORKS_POW, "POW", validatePow, prepare, executePow},
    {ANEURALNETWORKS_LOGICAL_AND, "LOGICAL_AND", validateLogical, prepare, executeLogical<true>},
    {ANEURALNETWORKS_LOGICAL_OR, "LOGICAL_OR", validateLogical, prepare, executeLogical<false>},
});

}  // namespace
}  // namespace nnapi
