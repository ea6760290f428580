// ABS, EXP, FLOOR, LOG, NEG, RSQRT, SIN, SQRT, LOGICAL_NOT.

#include <cmath>

#include "kernel.h"
#include "maps.h"
#include "rules.h"

namespace nnapi {
namespace {

void validateReal(OpView& v) {
    v.inputs(1);
    v.outputs(1);
    v.type(in(0), {{TENSOR_FLOAT16, 3}, {TENSOR_FLOAT32, 3}});
    validateUnary(v, kAnyRank);
}

template <uint32_t mostRank = kAnyRank>
void prepare(Context& c) {
    requireElements(c);
    prepareUnary<mostRank>(c);
}

template <double (*function)(double)>
void executeReal(Context& c) {
    mapReal(c, function);
}

double exponential(double x) { return std::exp(x); }
double logarithm(double x) { return std::log(x); }
double sine(double x) { return std::sin(x); }
double reciprocalRoot(double x) { return 1 / std::sqrt(x); }

void executeSqrt(Context& c) {
    mapFloat(c, [](float x) { return std::sqrt(x); });
}

// --- FLOOR ----------------------------------------------------------------------------------

void validateFloor(OpView& v) {
    v.inputs(1);
    v.outputs(1);
    v.type(in(0), {{TENSOR_FLOAT16, 3}, {TENSOR_FLOAT32, 1}});
    validateUnary(v, 4);
}

void executeFloor(Context& c) {
    mapFloat(c, [](float x) { return std::floor(x); });
}

// --- ABS, NEG -------------------------------------------------------------------------------

template <int intLevel>
void validateSign(OpView& v) {
    v.inputs(1);
    v.outputs(1);
    v.type(in(0), {{TENSOR_FLOAT16, 3}, {TENSOR_FLOAT32, 3}, {TENSOR_INT32, intLevel}});
    validateUnary(v, kAnyRank);
}

template <bool absolute>
void executeSign(Context& c) {
    if (c.type(0) != TENSOR_INT32) {
        return mapFloat(c, [](float x) { return absolute ? std::fabs(x) : -x; });
    }
    const int32_t* x = c.in<int32_t>(0);
    int32_t* y = c.out<int32_t>(0);
    const size_t count = c.output(0).count();
    for (size_t i = 0; i < count; i++) {
        // Unsigned: the overflow of the smallest integer is left open, undefined in C++.
        const auto negated = static_cast<int32_t>(0u - static_cast<uint32_t>(x[i]));
        y[i] = absolute && x[i] >= 0 ? x[i] : negated;
    }
}

// --- RSQRT ----------------------------------------------------------------------------------

void validateRsqrt(OpView& v) {
    v.inputs(1);
    v.outputs(1);
    v.type(in(0), {{TENSOR_FLOAT16, 3},
                   {TENSOR_FLOAT32, 3},
                   {TENSOR_QUANT8_ASYMM, 7},
                   {TENSOR_QUANT8_ASYMM_SIGNED, 7}});
    validateUnary(v, kAnyRank);
}

void executeRsqrt(Context& c) {
    if (!isQuantized(c.type(0))) return mapReal(c, reciprocalRoot);
    // Reading: the reference leaves real inputs that are not positive open. 0 gives the largest
    // code (1 / 0 is infinite), a negative input the zero point (there is no value).
    mapQuantized(c, reciprocalRoot);
}

// --- LOGICAL_NOT ----------------------------------------------------------------------------

void validateNot(OpView& v) {
    v.inputs(1);
    v.outputs(1);
    v.type(in(0), {{TENSOR_BOOL8, 3}});
    validateUnary(v, kAnyRank);
}

void executeNot(Context& c) {
    const uint8_t* x = c.in<uint8_t>(0);
    uint8_t* y = c.out<uint8_t>(0);
    const size_t count = c.output(0).count();
    c.forEachBlock(count, [&](size_t first, size_t end) {
        for (size_t i = first; i < end; i++) y[i] = x[i] == 0;
    });
}

const Register registered({
    {ANEURALNETWORKS_ABS, "ABS", validateSign<4>, prepare<>, executeSign<true>},
    {ANEURALNETWORKS_EXP, "EXP", validateReal, prepare<>, executeReal<exponential>},
    {ANEURALNETWORKS_FLOOR, "FLOOR", validateFloor, prepare<4>, executeFloor},
    {ANEURALNETWORKS_LOG, "LOG", validateReal, prepare<>, executeReal<logarithm>},
    {ANEURALNETWORKS_LOGICAL_NOT, "LOGICAL_NOT", validateNot, prepare<>, executeNot},
    {ANEURALNETWORKS_NEG, "NEG", validateSign<3>, prepare<>, executeSign<false>},
    {ANEURALNETWORKS_RSQRT, "RSQRT", validateRsqrt, prepare<>, executeRsqrt},
    {ANEURALNETWORKS_SIN, "SIN", validateReal, prepare<>, executeReal<sine>},
    {ANEURALNETWORKS_SQRT, "SQRT", validateReal, prepare<>, executeSqrt},
});

}  // namespace
}  // namespace nnapi
