// PRELU: f(x) = alpha * x for x < 0, x for x >= 0, with broadcasting.

#include "kernel.h"
#include "maps.h"
#include "rules.h"

namespace nnapi {
namespace {

void validate(OpView& v) {
    v.inputs(2);
    v.outputs(1);
    v.type(in(0), kRealAndQuant8Since3);
    v.sameType({in(0), in(1), out(0)});
    validateBroadcast(v, kAnyRank);
}

void prepare(Context& c) {
    requireElements(c);
    prepareBroadcast(c, kAnyRank);
}

template <class T>
void executeQuantized(Context& c) {
    const Tensor &input = c.input(0), &alpha = c.input(1), &output = c.output(0);
    const double scale = input.scale;
    const Requantizer above(scale, output, ANEURALNETWORKS_FUSED_NONE);
    const Requantizer below(scale * alpha.scale, output, ANEURALNETWORKS_FUSED_NONE);
    mapPairs<T, T>(c, [&](T code, T slope) {
        const int32_t x = code - input.zeroPoint;
        return static_cast<T>(x >= 0 ? above(x) : below(x * (slope - alpha.zeroPoint)));
    });
}

void execute(Context& c) {
    const auto prelu = [](float x, float alpha) { return x < 0 ? alpha * x : x; };
    switch (c.type(0)) {
        case TENSOR_FLOAT32: return mapPairs<float, float>(c, prelu);
        case TENSOR_FLOAT16: return mapHalfPairs(c, prelu);
        case TENSOR_QUANT8_ASYMM: return executeQuantized<uint8_t>(c);
        default: return executeQuantized<int8_t>(c);
    }
}

const Register registered({{ANEURALNETWORKS_PRELU, "PRELU", validate, prepare, execute}});

}  // namespace
}  // namespace nnapi
