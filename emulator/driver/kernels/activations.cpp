// RELU, RELU1, RELU6, LOGISTIC, TANH, ELU, HARD_SWISH.

#include <cmath>

#include "kernel.h"
#include "maps.h"
#include "rules.h"

namespace nnapi {
namespace {

bool isReal(Type type) { return type == TENSOR_FLOAT32 || type == TENSOR_FLOAT16; }

// --- RELU, RELU1, RELU6 ---------------------------------------------------------------------

void validateRelu(OpView& v) {
    v.inputs(1);
    v.outputs(1);
    const Type type = v.type(in(0), kRealAndQuant8Since1);
    validateUnary(v, 4);
    validateSameQuant(v, type, {in(0), out(0)});
}

template <int32_t fuse>
void executeRelu(Context& c) {
    if (isReal(c.type(0))) {
        const FloatRange range = activationRange(fuse);
        return mapFloat(c, [range](float x) { return clampFloat(x, range); });
    }
    const Tensor& x = c.input(0);
    const CodeRange codes = activationCodes(x.type, x.scale, x.zeroPoint, fuse);
    mapCodes(c, [&](int32_t code) { return std::clamp(code, codes.least, codes.most); });
}

// --- LOGISTIC, TANH -------------------------------------------------------------------------

void validateLogistic(OpView& v) {
    v.inputs(1);
    v.outputs(1);
    const Type type = v.type(in(0), kRealAndQuant8Since1);
    validateUnary(v, 4);
    v.quant(out(0), 1.f / 256, type == TENSOR_QUANT8_ASYMM ? 0 : -128);
}

double logistic(double x) { return 1 / (1 + std::exp(-x)); }

void executeLogistic(Context& c) {
    if (isReal(c.type(0))) return mapReal(c, logistic);
    mapQuantized(c, logistic);
}

void validateTanh(OpView& v) {
    v.inputs(1);
    v.outputs(1);
    const Type type = v.type(in(0), {{TENSOR_FLOAT16, 3},
                                     {TENSOR_FLOAT32, 1},
                                     {TENSOR_QUANT8_ASYMM, 3},
                                     {TENSOR_QUANT8_ASYMM_SIGNED, 4}});
    validateUnary(v, 4);
    v.quant(out(0), 1.f / 128, type == TENSOR_QUANT8_ASYMM ? 128 : 0);
}

double hyperbolicTangent(double x) { return std::tanh(x); }

void executeTanh(Context& c) {
    if (isReal(c.type(0))) return mapReal(c, hyperbolicTangent);
    mapQuantized(c, hyperbolicTangent);
}

// --- ELU ------------------------------------------------------------------------------------

void validateElu(OpView& v) {
    v.inputs(2);
    v.outputs(1);
    const Type type = v.type(in(0), {{TENSOR_FLOAT16, 4}, {TENSOR_FLOAT32, 4}});
    validateUnary(v, kAnyRank);
    v.realScalar(in(1), type);
}

void executeElu(Context& c) {
    const double alpha = c.real(1);
    mapReal(c, [alpha](double x) {
        if (std::isnan(x)) return x;
        // The whole formula, for a negative alpha as well: max(0, x) + min(0, alpha (e^x - 1)).
        const double tail = alpha * std::expm1(x);
        // A NaN tail is 0 * inf, the overflow of e^x: the product is 0. NaN alpha stays NaN.
        const double lower = std::isnan(tail) && !std::isnan(alpha) ? 0.0 : tail;
        return (x > 0 ? x : 0.0) + (lower > 0 ? 0.0 : lower);
    });
}

void prepareElu(Context& c) {
    requireElements(c);
    prepareUnary<kAnyRank>(c);
}

// --- HARD_SWISH -----------------------------------------------------------------------------

void validateHardSwish(OpView& v) {
    v.inputs(1);
    v.outputs(1);
    v.type(in(0), {{TENSOR_FLOAT16, 4},
                   {TENSOR_FLOAT32, 4},
                   {TENSOR_QUANT8_ASYMM, 4},
                   {TENSOR_QUANT8_ASYMM_SIGNED, 4}});
    validateUnary(v, kAnyRank);
}

double hardSwish(double x) {
    const double gate = x + 3;
    // Multiplied before the division: exact where the result is (x >= 3, dyadic scales).
    return x * (gate < 0 ? 0.0 : gate > 6 ? 6.0 : gate) / 6;
}

void executeHardSwish(Context& c) {
    if (isReal(c.type(0))) return mapReal(c, hardSwish);
    mapQuantized(c, hardSwish);
}

const Register registered({
    {ANEURALNETWORKS_RELU, "RELU", validateRelu, prepareUnary<4>,
     executeRelu<ANEURALNETWORKS_FUSED_RELU>},
    {ANEURALNETWORKS_RELU1, "RELU1", validateRelu, prepareUnary<4>,
     executeRelu<ANEURALNETWORKS_FUSED_RELU1>},
    {ANEURALNETWORKS_RELU6, "RELU6", validateRelu, prepareUnary<4>,
     executeRelu<ANEURALNETWORKS_FUSED_RELU6>},
    {ANEURALNETWORKS_LOGISTIC, "LOGISTIC", validateLogistic, prepareUnary<4>, executeLogistic},
    {ANEURALNETWORKS_TANH, "TANH", validateTanh, prepareUnary<4>, executeTanh},
    {ANEURALNETWORKS_ELU, "ELU", validateElu, prepareElu, executeElu},
    {ANEURALNETWORKS_HARD_SWISH, "HARD_SWISH", validateHardSwish, prepareUnary<kAnyRank>,
     executeHardSwish},
});

}  // namespace
}  // namespace nnapi
