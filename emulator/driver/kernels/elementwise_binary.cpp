// ADD, SUB, MUL, DIV: element-wise with broadcasting and a fused activation.

#include "kernel.h"
#include "maps.h"
#include "math/codes.h"

namespace nnapi {
namespace {

/// The fused activation: any, and FUSED_NONE with TENSOR_INT32.
template <class Where>
void checkFuse(const Where& where) {
    where.activation(in(2));
    const auto fuse = where.intOf(in(2));
    where.require(where.typeOf(in(0)) != TENSOR_INT32 || !fuse ||
                      *fuse == ANEURALNETWORKS_FUSED_NONE,
                  "TENSOR_INT32 takes FUSED_NONE only");
}

/// Beside the types of input 0.
void validateCommon(OpView& v) {
    v.sameType({in(0), in(1), out(0)});
    validateBroadcast(v, 4, When::AT_ONCE);
    checkFuse(v);
}

void validateAdd(OpView& v) {
    v.inputs(3);
    v.outputs(1);
    v.type(in(0), {{TENSOR_FLOAT16, 3},
                   {TENSOR_FLOAT32, 1},
                   {TENSOR_QUANT8_ASYMM, 1},
                   {TENSOR_QUANT8_ASYMM_SIGNED, 4},
                   {TENSOR_INT32, 4}});
    validateCommon(v);
}

void validateSub(OpView& v) {
    v.inputs(3);
    v.outputs(1);
    v.type(in(0), {{TENSOR_FLOAT16, 3},
                   {TENSOR_FLOAT32, 2},
                   {TENSOR_QUANT8_ASYMM, 3},
                   {TENSOR_QUANT8_ASYMM_SIGNED, 4},
                   {TENSOR_INT32, 4}});
    validateCommon(v);
}

void validateMul(OpView& v) {
    validateAdd(v);  // the same types and levels
    if (!isQuantized(v[in(0)].type)) return;
    // In float, as callers compute the product: a scale equal to it is refused.
    const float product = v[in(0)].scale * v[in(1)].scale;
    v.require(v[out(0)].scale > product,
              "the output scale must be above the product of the input scales", When::AT_ONCE);
}

void validateDiv(OpView& v) {
    v.inputs(3);
    v.outputs(1);
    v.type(in(0), {{TENSOR_FLOAT16, 3}, {TENSOR_FLOAT32, 2}, {TENSOR_INT32, 4}});
    validateCommon(v);
}

void prepare(Context& c) {
    checkFuse(c);
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
    } else if (fuse == ANEURALNETWORKS_FUSED_NONE && !followsField()) {
        mapPairs<float, float>(c, [](float a, float b) { return Op::real(a, b); });
    } else {
        mapPairs<float, float>(
            c, [range](float a, float b) { return clampFloat(Op::real(a, b), range); });
    }
}

/// Codes of sums or differences one by one: in steps of the output's scale the sum is near enough
/// to tell the code, but for ties.
template <class Op, class T>
class SumCode {
public:
    SumCode(const Tensor& left, const Tensor& right, const Tensor& output, CodeRange range)
        : left_(left), right_(right), output_(output), range_(range),
          ratioA_(double{left.scale} / output.scale), ratioB_(double{right.scale} / output.scale),
          quick_(ratioA_ < 0x1p20 && ratioB_ < 0x1p20) {}

    T operator()(T a, T b) const {
        const int32_t x = a - left_.zeroPoint, y = b - right_.zeroPoint;
        const double steps = Op::exact(x * ratioA_, y * ratioB_);
        const double nearest = (steps + kRound) - kRound;
        if (quick_ && std::fabs(steps - nearest) < kNearTie) {
            return static_cast<T>(static_cast<int32_t>(
                std::clamp<double>(nearest + output_.zeroPoint, range_.least, range_.most)));
        }
        const double real = Op::exact(x * double{left_.scale}, y * double{right_.scale});
        return static_cast<T>(quantize(real, output_.scale, output_.zeroPoint, range_));
    }

private:
    static constexpr double kRound = 0x1.8p52, kNearTie = 0.5 - 1e-6;
    const Tensor &left_, &right_, &output_;
    CodeRange range_;
    double ratioA_, ratioB_;
    bool quick_;
};

template <class Op, class T>
void sumQuantized(Context& c, int32_t fuse) {
    const Tensor &left = c.input(0), &right = c.input(1), &output = c.output(0);
    const CodeRange range = activationCodes(output.type, output.scale, output.zeroPoint, fuse);
    const SumCode<Op, T> exact(left, right, output, range);
    const double ratioA = double{left.scale} / output.scale;
    const double ratioB = double{right.scale} / output.scale;
    const bool single = codes::isClose(output.zeroPoint, range) && codes::isOrdinary(ratioA) &&
                        codes::isOrdinary(ratioB) &&
                        std::max(ratioA, ratioB) <= codes::kMostPairRatio;
    const int32_t moved = std::is_signed_v<T> ? 128 : 0;
    codes::Pairs run{nullptr,
                     nullptr,
                     static_cast<uint8_t>(moved),
                     static_cast<float>(left.zeroPoint + moved),
                     static_cast<float>(right.zeroPoint + moved),
                     static_cast<float>(ratioA),
                     static_cast<float>(Op::exact(0, ratioB)),
                     codes::Rounding(output.zeroPoint, range),
                     nullptr};
    mapRows(c, c.in<T>(0), c.in<T>(1), c.out<T>(0),
            [&](const T* x, const T* y, T* z, size_t n, size_t stepA, size_t stepB) {
                if (!single || stepA != 1 || stepB != 1) {
                    return mapRow(x, y, z, n, stepA, stepB, exact);
                }
                constexpr size_t kRun = 64;  // of which few hold a sum near a tie
                for (size_t i = 0; i < n; i += kRun) {
                    const size_t count = std::min(kRun, n - i);
                    run.x = reinterpret_cast<const uint8_t*>(x + i);
                    run.y = reinterpret_cast<const uint8_t*>(y + i);
                    run.out = reinterpret_cast<uint8_t*>(z + i);
                    if (codes::fromPairs(run, count)) continue;
                    mapRow(x + i, y + i, z + i, count, 1, 1, exact);
                }
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
