// Quantization arithmetic: real = (code - zeroPoint) * scale, rounded once, ties away from zero.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "../readings.h"
#include "../tensor.h"

namespace nnapi {

/// round(a * b / divisor) of the exact quotient, halves away from zero, as if computed with
/// unlimited precision. All arguments finite, divisor > 0. The result is only meaningful for
/// |quotient| < 2^51; larger ones come back as large values of the right sign, fit for clamping.
inline double roundQuotient(double a, double b, double divisor) {
    const double product = a * b;
    const double quotient = product / divisor;
    const double magnitude = std::fabs(quotient);
    const double whole = std::floor(magnitude);
    const double distance = magnitude - whole - 0.5;
    if (std::fabs(distance) > 1e-12 * (magnitude + 1)) {
        return std::copysign(distance > 0 ? whole + 1 : whole, quotient);
    }
    // Close to a tie: compare |a * b| with (whole + 0.5) * divisor, both as exact sums of two.
    const double error = std::fma(a, b, -product);
    const double tie = (whole + 0.5) * divisor;
    const double tieError = std::fma(whole + 0.5, divisor, -tie);
    const double sign = std::signbit(product) ? -1.0 : 1.0;
    const double excess = (sign * product - tie) + (sign * error - tieError);
    return std::copysign(excess >= 0 ? whole + 1 : whole, quotient);
}

/// Limits of the codes of a quantized type.
struct CodeRange {
    int32_t least;
    int32_t most;
};
constexpr CodeRange codeRange(Type type) {
    switch (type) {
        case TENSOR_QUANT8_ASYMM: return {0, 255};
        case TENSOR_QUANT16_ASYMM: return {0, 65535};
        case TENSOR_QUANT16_SYMM: return {-32768, 32767};
        case TENSOR_INT32:
            return {std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()};
        default: return {-128, 127};  // QUANT8_ASYMM_SIGNED, QUANT8_SYMM, per channel
    }
}

/// The code of the nearest real value, clamped to `range`; NaN becomes the zero point.
inline int32_t quantize(double real, float scale, int32_t zeroPoint, CodeRange range) {
    if (std::isnan(real)) return std::clamp(zeroPoint, range.least, range.most);
    if (std::isinf(real)) return real > 0 ? range.most : range.least;
    const double code = roundQuotient(real, 1.0, scale) + zeroPoint;
    return static_cast<int32_t>(std::clamp<double>(code, range.least, range.most));
}

/// The codes that a fused activation leaves: the type's range, cut at the activation's bounds.
inline CodeRange activationCodes(Type type, float scale, int32_t zeroPoint, int32_t fuse) {
    CodeRange range = codeRange(type);
    const auto code = [&](double real) { return quantize(real, scale, zeroPoint, range); };
    switch (fuse) {
        case ANEURALNETWORKS_FUSED_RELU: return {code(0), range.most};
        case ANEURALNETWORKS_FUSED_RELU1: return {code(-1), code(1)};
        case ANEURALNETWORKS_FUSED_RELU6: return {code(0), code(6)};
        default: return range;
    }
}

/// Integer accumulator to output code: real = accumulator * factor, code = real / scale + zero
/// point, rounded once from the exact value, clamped. `factor` is a product of scales: pass it
/// exactly (double holds the product of two floats); |accumulator| < 2^53.
class Requantizer {
public:
    Requantizer(double factor, const Tensor& output, int32_t fuse)
        : factor_(factor),
          scale_(output.scale),
          ratio_(factor / output.scale),
          zeroPoint_(output.zeroPoint),
          range_(activationCodes(output.type, output.scale, output.zeroPoint, fuse)) {}

    int32_t operator()(int64_t accumulator) const {
        const double a = static_cast<double>(accumulator);
        const double quick = a * ratio_;
        // Away from ties the quick quotient (three roundings) already rounds right.
        const double nearest = std::nearbyint(quick);
        double code = nearest;
        if (std::fabs(std::fabs(quick - nearest) - 0.5) < 1e-9 * (std::fabs(quick) + 1)) {
            code = roundQuotient(a, factor_, scale_);
        }
        return static_cast<int32_t>(
            std::clamp<double>(code + zeroPoint_, range_.least, range_.most));
    }

private:
    double factor_;
    double scale_;
    double ratio_;
    double zeroPoint_;
    CodeRange range_;
};

/// Bounds of a fused activation on floats. Use `clampFloat`, which keeps NaN.
/// Reading: without an upper bound a result is infinite where it is too large; devices that ship
/// cut it to the largest finite number, NONE included.
struct FloatRange {
    float least;
    float most;
};
inline FloatRange activationRange(int32_t fuse) {
    const float infinity = followsField() ? std::numeric_limits<float>::max()
                                          : std::numeric_limits<float>::infinity();
    switch (fuse) {
        case ANEURALNETWORKS_FUSED_RELU: return {0.0f, infinity};
        case ANEURALNETWORKS_FUSED_RELU1: return {-1.0f, 1.0f};
        case ANEURALNETWORKS_FUSED_RELU6: return {0.0f, 6.0f};
        default: return {-infinity, infinity};
    }
}
/// No bounds: for sums on the way, and for operations without an activation.
inline constexpr FloatRange kUnbounded{-std::numeric_limits<float>::infinity(),
                                       std::numeric_limits<float>::infinity()};
/// The same activation where nothing is cut to the finite numbers, as in recurrent cells.
inline FloatRange openActivationRange(int32_t fuse) {
    FloatRange range = activationRange(fuse);
    if (fuse == ANEURALNETWORKS_FUSED_NONE) range.least = kUnbounded.least;
    if (fuse == ANEURALNETWORKS_FUSED_NONE || fuse == ANEURALNETWORKS_FUSED_RELU) {
        range.most = kUnbounded.most;
    }
    return range;
}
constexpr float clampFloat(float value, FloatRange range) {
    const float raised = value < range.least ? range.least : value;
    return raised > range.most ? range.most : raised;
}

}  // namespace nnapi
