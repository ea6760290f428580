// QUANTIZE, DEQUANTIZE, CAST: the same elements in another type.

#include <cmath>
#include <cstring>
#include <limits>

#include "kernel.h"
#include "math/codes.h"
#include "quantize.h"
#include "rules.h"

namespace nnapi {
namespace {

// --- QUANTIZE -------------------------------------------------------------------------------

void validateQuantize(OpView& v) {
    v.inputs(1);
    v.outputs(1);
    v.type(in(0), {{TENSOR_FLOAT16, 3}, {TENSOR_FLOAT32, 3}});
    v.type(out(0), {{TENSOR_QUANT8_ASYMM, 3}, {TENSOR_QUANT8_ASYMM_SIGNED, 4}});
    checkUnary(v, kAnyRank, When::LATER);
}

double asDouble(float value) { return value; }
double asDouble(Half value) { return toFloat(value); }

/// Codes of one run of values, exactly.
template <class In, class Out>
void quantizeRun(const In* x, Out* y, size_t count, const Tensor& output, CodeRange range) {
    for (size_t i = 0; i < count; i++) {
        y[i] = static_cast<Out>(quantize(asDouble(x[i]), output.scale, output.zeroPoint, range));
    }
}

template <class In, class Out>
void quantizeAll(Context& c) {
    const Tensor& output = c.output(0);
    const CodeRange range = codeRange(output.type);
    const In* x = c.in<In>(0);
    Out* y = c.out<Out>(0);
    constexpr size_t kRun = 64;  // of which few hold a value near a tie
    const double ratio = 1 / double{output.scale};
    const bool quick = codes::isOrdinary(ratio);
    const codes::Rounding rounding(output.zeroPoint, range);
    c.forEachBlock(output.count(), [&](size_t first, size_t end) {
        for (size_t i = first; i < end; i += kRun) {
            const size_t count = std::min(kRun, end - i);
            if constexpr (std::is_same_v<In, float>) {
                auto* bytes = reinterpret_cast<uint8_t*>(y + i);
                if (quick && codes::fromReals({x + i, static_cast<float>(ratio), rounding, bytes},
                                              count)) {
                    continue;
                }
            }
            quantizeRun(x + i, y + i, count, output, range);
        }
    });
}

void executeQuantize(Context& c) {
    const bool isSigned = c.output(0).type == TENSOR_QUANT8_ASYMM_SIGNED;
    if (c.type(0) == TENSOR_FLOAT32) {
        isSigned ? quantizeAll<float, int8_t>(c) : quantizeAll<float, uint8_t>(c);
    } else {
        isSigned ? quantizeAll<Half, int8_t>(c) : quantizeAll<Half, uint8_t>(c);
    }
}

// --- DEQUANTIZE -----------------------------------------------------------------------------

void validateDequantize(OpView& v) {
    v.inputs(1);
    v.outputs(1);
    v.type(in(0), {{TENSOR_QUANT8_ASYMM, 1},
                   {TENSOR_QUANT8_SYMM, 3},
                   {TENSOR_QUANT8_SYMM_PER_CHANNEL, 3},
                   {TENSOR_QUANT8_ASYMM_SIGNED, 4}});
    v.type(out(0), {{TENSOR_FLOAT16, 3}, {TENSOR_FLOAT32, 1}});
    checkUnary(v, 4, When::AT_ONCE);
}

void store(float* to, double value) { *to = static_cast<float>(value); }
void store(Half* to, double value) { *to = toHalf(value); }

template <class In, class Out>
void dequantizeAll(Context& c) {
    const Tensor& input = c.input(0);
    const In* x = c.in<In>(0);
    Out* y = c.out<Out>(0);
    if (input.channels == nullptr) {
        const size_t count = input.count();
        const double scale = input.scale;  // the product is exact in double: rounded once
        c.forEachBlock(count, [&](size_t first, size_t end) {
            for (size_t i = first; i < end; i++) store(y + i, (x[i] - input.zeroPoint) * scale);
        });
        return;
    }
    const uint32_t axis = input.channels->channelDim;
    const size_t outer = input.shape.countFrom(0, axis);
    const size_t inner = input.shape.countFrom(axis + 1, input.shape.rank);
    for (size_t o = 0; o < outer; o++) {
        for (size_t channel = 0; channel < input.shape[axis]; channel++) {
            const double scale = input.channels->scales[channel];
            for (size_t i = 0; i < inner; i++) store(y++, *x++ * scale);
            c.spend(4 * inner);
        }
    }
}

void prepareDequantize(Context& c) {
    prepareUnary<4>(c);
    if (const ChannelQuant* channels = c.input(0).channels) {
        const Shape& shape = c.shape(0);
        c.require(channels->channelDim < shape.rank &&
                      channels->scales.size() == shape[channels->channelDim],
                  "the channel scales do not match the shape of the input");
    } else {
        c.require(c.type(0) != TENSOR_QUANT8_SYMM_PER_CHANNEL, "the channel scales are missing");
    }
}

void executeDequantize(Context& c) {
    const bool half = c.output(0).type == TENSOR_FLOAT16;
    if (c.type(0) == TENSOR_QUANT8_ASYMM) {
        half ? dequantizeAll<uint8_t, Half>(c) : dequantizeAll<uint8_t, float>(c);
    } else {
        half ? dequantizeAll<int8_t, Half>(c) : dequantizeAll<int8_t, float>(c);
    }
}

// --- CAST -----------------------------------------------------------------------------------

bool isCastable(Type type) {
    return type == TENSOR_FLOAT16 || type == TENSOR_FLOAT32 || type == TENSOR_INT32 ||
           type == TENSOR_QUANT8_ASYMM;
}

void validateCast(OpView& v) {
    v.inputs(1);
    v.outputs(1);
    const Type from = v.type(in(0), {{TENSOR_FLOAT16, 3},
                                     {TENSOR_FLOAT32, 3},
                                     {TENSOR_INT32, 3},
                                     {TENSOR_QUANT8_ASYMM, 3},
                                     {TENSOR_BOOL8, 4},
                                     {TENSOR_QUANT16_ASYMM, 4},
                                     {TENSOR_QUANT16_SYMM, 4},
                                     {TENSOR_QUANT8_ASYMM_SIGNED, 4},
                                     {TENSOR_QUANT8_SYMM, 4}});
    const Type to = v[out(0)].type;
    v.require(from == to || (isCastable(from) && isCastable(to)),
              "this input type is not cast to this output type", When::AT_ONCE);
    checkUnary(v, kAnyRank, When::LATER);
}

// Values that the target type does not hold are left open by the reference.
// Reading: reals lose their fraction, as in C, then are cut to the range, as integers are; NaN
// becomes 0.
template <class Integer>
Integer toInteger(double value) {
    constexpr double least = std::numeric_limits<Integer>::min();
    constexpr double most = std::numeric_limits<Integer>::max();
    if (std::isnan(value)) return 0;
    return static_cast<Integer>(value < least ? least : value > most ? most : std::trunc(value));
}

struct Convert {
    static void to(float from, float& result) { result = from; }
    static void to(float from, Half& result) { result = toHalf(from); }
    static void to(float from, int32_t& result) { result = toInteger<int32_t>(from); }
    static void to(float from, uint8_t& result) { result = toInteger<uint8_t>(from); }
    template <class Out>
    static void to(Half from, Out& result) {
        to(toFloat(from), result);
    }
    static void to(int32_t from, float& result) { result = static_cast<float>(from); }
    static void to(int32_t from, Half& result) { result = toHalf(static_cast<double>(from)); }
    static void to(int32_t from, int32_t& result) { result = from; }
    static void to(int32_t from, uint8_t& result) { result = toInteger<uint8_t>(from); }
    template <class Out>
    static void to(uint8_t from, Out& result) {
        to(static_cast<int32_t>(from), result);
    }
};

template <class In, class Out>
void castAll(Context& c) {
    const In* x = c.in<In>(0);
    Out* y = c.out<Out>(0);
    const size_t count = c.output(0).count();
    c.forEachBlock(count, [&](size_t first, size_t end) {
        for (size_t i = first; i < end; i++) Convert::to(x[i], y[i]);
    });
}

template <class In>
void castFrom(Context& c) {
    switch (c.output(0).type) {
        case TENSOR_FLOAT16: return castAll<In, Half>(c);
        case TENSOR_FLOAT32: return castAll<In, float>(c);
        case TENSOR_INT32: return castAll<In, int32_t>(c);
        default: return castAll<In, uint8_t>(c);
    }
}

void executeCast(Context& c) {
    if (c.type(0) == c.output(0).type) {
        if (c.output(0).bytes() != 0) {
            std::memcpy(c.out<uint8_t>(0), c.in<uint8_t>(0), c.output(0).bytes());
        }
        return;
    }
    switch (c.type(0)) {
        case TENSOR_FLOAT16: return castFrom<Half>(c);
        case TENSOR_FLOAT32: return castFrom<float>(c);
        case TENSOR_INT32: return castFrom<int32_t>(c);
        default: return castFrom<uint8_t>(c);
    }
}

const Register registered({
    {ANEURALNETWORKS_QUANTIZE, "QUANTIZE", validateQuantize, prepareUnary<kAnyRank>, executeQuantize},
    {ANEURALNETWORKS_DEQUANTIZE, "DEQUANTIZE", validateDequantize, prepareDequantize,
     executeDequantize},
    {ANEURALNETWORKS_CAST, "CAST", validateCast, prepareUnary<kAnyRank>, executeCast},
});

}  // namespace
}  // namespace nnapi
