// EQUAL, NOT_EQUAL, GREATER, GREATER_EQUAL, LESS, LESS_EQUAL: a TENSOR_BOOL8, with broadcasting.

#include <functional>

#include "kernel.h"
#include "maps.h"
#include "rules.h"

namespace nnapi {
namespace {

void validate(OpView& v) {
    v.inputs(2);
    v.outputs(1);
    v.type(in(0), {{TENSOR_BOOL8, 3},
                   {TENSOR_FLOAT16, 3},
                   {TENSOR_FLOAT32, 3},
                   {TENSOR_INT32, 3},
                   {TENSOR_QUANT8_ASYMM, 3},
                   {TENSOR_QUANT8_ASYMM_SIGNED, 4}});
    v.sameType({in(0), in(1)});
    v.type(out(0), TENSOR_BOOL8);
    validateBroadcast(v, kAnyRank);
}

void prepare(Context& c) {
    requireElements(c);
    prepareBroadcast(c, kAnyRank);
}

/// Real values are compared: the products of a code and a scale are exact in double.
template <class T, class Compare>
void compareQuantized(Context& c, Compare compare) {
    const Tensor &left = c.input(0), &right = c.input(1);
    const double scaleA = left.scale, scaleB = right.scale;
    mapPairs<T, uint8_t>(c, [&](T a, T b) {
        return static_cast<uint8_t>(
            compare((a - left.zeroPoint) * scaleA, (b - right.zeroPoint) * scaleB));
    });
}

template <class Compare>
void execute(Context& c) {
    const Compare compare;
    const auto byte = [compare](auto a, auto b) { return static_cast<uint8_t>(compare(a, b)); };
    switch (c.type(0)) {
        case TENSOR_FLOAT32: return mapPairs<float, uint8_t>(c, byte);
        case TENSOR_INT32: return mapPairs<int32_t, uint8_t>(c, byte);
        case TENSOR_FLOAT16:
            return mapPairs<Half, uint8_t>(
                c, [byte](Half a, Half b) { return byte(toFloat(a), toFloat(b)); });
        case TENSOR_BOOL8:  // every byte but zero is true
            return mapPairs<uint8_t, uint8_t>(
                c, [byte](uint8_t a, uint8_t b) { return byte(a != 0, b != 0); });
        case TENSOR_QUANT8_ASYMM: return compareQuantized<uint8_t>(c, compare);
        default: return compareQuantized<int8_t>(c, compare);
    }
}

const Register registered({
    {ANEURALNETWORKS_EQUAL, "EQUAL", validate, prepare, execute<std::equal_to<>>},
    {ANEURALNETWORKS_NOT_EQUAL, "NOT_EQUAL", validate, prepare, execute<std::not_equal_to<>>},
    {ANEURALNETWORKS_GREATER, "GREATER", validate, prepare, execute<std::greater<>>},
    {ANEURALNETWORKS_GREATER_EQUAL, "GREATER_EQUAL", validate, prepare,
     execute<std::greater_equal<>>},
    {ANEURALNETWORKS_LESS, "LESS", validate, prepare, execute<std::less<>>},
    {ANEURALNETWORKS_LESS_EQUAL, "LESS_EQUAL", validate, prepare, execute<std::less_equal<>>},
});

}  // namespace
}  // namespace nnapi
