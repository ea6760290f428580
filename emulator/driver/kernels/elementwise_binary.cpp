// ADD, SUB, MUL, DIV: element-wise with broadcasting and a fused activation.

#include "kernel.h"
#include "maps.h"

namespace nnapi {
namespace {

void validateCommon(OpView& v, Type type) {
    v.sameType({in(0), in(1), out(0)});
    v.rank(in(0), 1, 4);
    v.rank(in(1), 1, 4);
    v.broadcast(in(0), in(1), out(0));
    v.activation(in(2));
    if (type == TENSOR_INT32) v.integer(in(2), 0, 0);  // FUSED_NONE only
}

void validateAdd(OpView& v) {
    v.inputs(3);
    v.outputs(1);
    validateCommon(v, v.type(in(0), {{TENSOR_FLOAT16, 3},
                                     {TENSOR_FLOAT32, 1},
                                     {TENSOR_QUANT8_ASYMM, 1},
                                     {TENSOR_QUANT8_ASYMM_SIGNED, 4},
                                     {TENSOR_INT32, 4}}));
}

void validateSub(OpView& v) {
    v.inputs(3);
    v.outputs(1);
    validateCommon(v, v.type(in(0), {{TENSOR_FLOAT16, 3},
                                     {TENSOR_FLOAT32, 2},
                                     {TENSOR_QUANT8_ASYMM, 3},
                                     {TENSOR_QUANT8_ASYMM_SIGNED, 4},
                                     {TENSOR_INT32, 4}}));
}

void validateMul(OpView& v) {
    validateAdd(v);  // the same types and levels
    if (!isQuantized(v[in(0)].type)) return;
    // In float, as callers compute the product: a scale equal to it is refused.
    const float product = v[in(0)].scale * v[in(1)].scale;
    v.require(v[out(0)].scale > product,
              "the output scale must be above the product of the input scales");
}

void validateDiv(OpView& v) {
    v.inputs(3);
    v.outputs(1);
    validateCommon(v,
                   v.type(in(0), {{TENSOR_FLOAT16, 3}, {TENSOR_FLOAT32, 2}, {TENSOR_INT32, 4}}));
}

void prepare(Context& c) {
    const int32_t fuse = c.activation(2);
    c.require(c.type(0) != TENSOR_INT32 || fuse == ANEURALNETWORKS_FUSED_NONE,
              "TENSOR_INT32 takes FUSED_NONE only");
    prepareBroadcast(c, 4);
}

// Integer overflow is left open by the reference and undefined in C++: these wrap around.
struct Add {
    static float real(float a, float b) { return a + b; }
    static double exact(double a, double b) { return a + b; }
    static int32_t integer(int32_t a, int32_t b) {
        return static_cast<int32_t>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b));
    }
};

struct Sub {
    static float real(float a, float b) { return a - b; }
    static double exact(double a, double b) { return a - b; }
    static int32_t integer(int32_t a, int32_t b) {
        return static_cast<int32_t>(static_cast<uint32_t>(a) - static_cast<uint32_t>(b));
    }
};

struct Mul {
    static float real(float a, float b) { return a * b; }
    static int32_t integer(int32_t a, int32_t b) {
        return static_cast<int32_t>(static_cast<uint32_t>(a) * static_cast<uint32_t>(b));
    }
};

struct Div {
    static float real(float a, float b) { return a / b; }
    static int32_t integer(int32_t a, int32_t b) {
        // Reading: the reference does not say what dividing by zero gives; 0, not a crash.
        if (b == 0) return 0;
        const int64_t x = a, y = b;
        const int64_t floored = x / y - ((x % y != 0 && (x < 0) != (y < 0)) ? 1 : 0);
        return static_cast<int32_t>(floored);  // INT32_MIN / -1 wraps around
    }
};

// Lambdas, not pointers to functions: each gets loops of its own, which can be vectorised.
template <class Op>
void executeReal(Context& c, int32_t fuse) {
    const FloatRange range = activationRange(fuse);
    if (c.type(0) == TENSOR_INT32) {
        mapPairs<int32_t, int32_t>(c, [](int32_t a, int32_t b) { return Op::integer(a, b); });
    } else if (c.type(0) == TENSOR_FLOAT16) {
        mapHalfPairs(c, [range](float a, float b) { return clampFloat(Op::real(a, b), range); });
    } else if (fuse == ANEURALNETWORKS_FUSED_NONE) {
        mapPairs<float, float>(c, [](float a, float b) { return Op::real(a, b); });
    } else {
        mapPairs<float, float>(
            c, [range](float a, float b) { return clampFloat(Op::real(a, b), range); });
    }
}

template <class Op, class T>
void sumQuantized(Context& c, int32_t fuse) {
    const Tensor &left = c.input(0), &right = c.input(1), &output = c.output(0);
    const double scaleA = left.scale, scaleB = right.scale;
    const CodeRange range = activationCodes(output.type, output.scale, output.zeroPoint, fuse);
    mapPairs<T, T>(c, [&](T a, T b) {
        const double real =
            Op::exact((a - left.zeroPoint) * scaleA, (b - right.zeroPoint) * scaleB);
        return static_cast<T>(quantize(real, output.scale, output.zeroPoint, range));
    });
}

template <class T>
void productQuantized(Context& c, int32_t fuse) {
    const Tensor &left = c.input(0), &right = c.input(1), &output = c.output(0);
    const double factor = static_cast<double>(left.scale) * right.scale;
    const Requantizer requantize(factor, output, fuse);
    mapPairs<T, T>(c, [&](T a, T b) {
        return static_cast<T>(requantize((a - left.zeroPoint) * (b - right.zeroPoint)));
    });
}

template <class Op>
void executeSum(Context& c) {
    const int32_t fuse = c.activation(2);
    switch (c.type(0)) {
        case TENSOR_QUANT8_ASYMM: return sumQuantized<Op, uint8_t>(c, fuse);
        case TENSOR_QUANT8_ASYMM_SIGNED: return sumQuantized<Op, int8_t>(c, fuse);
        default: return executeReal<Op>(c, fuse);
    }
}

void executeMul(Context& c) {
    const int32_t fuse = c.activation(2);
    switch (c.type(0)) {
        case TENSOR_QUANT8_ASYMM: return productQuantized<uint8_t>(c, fuse);
        case TENSOR_QUANT8_ASYMM_SIGNED: return productQuantized<int8_t>(c, fuse);
        default: return executeReal<Mul>(c, fuse);
    }
}

void executeDiv(Context& c) { executeReal<Div>(c, c.activation(2)); }

const Register registered({
    {ANEURALNETWORKS_ADD, "ADD", validateAdd, prepare, executeSum<Add>},
    {ANEURALNETWORKS_SUB, "SUB", validateSub, prepare, executeSum<Sub>},
    {ANEURALNETWORKS_MUL, "MUL", validateMul, prepare, executeMul},
    {ANEURALNETWORKS_DIV, "DIV", validateDiv, prepare, executeDiv},
});

}  // namespace
}  // namespace nnapi
