// IEEE 754 binary16: round to nearest even, subnormals, infinities, NaN kept NaN.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace nnapi {

/// The bits of a FLOAT16 value; arithmetic is done in float or double.
struct Half {
    uint16_t bits;
};

inline float toFloat(Half half) {
    const uint32_t sign = static_cast<uint32_t>(half.bits & 0x8000u) << 16;
    const uint32_t exponent = (half.bits >> 10) & 0x1Fu;
    const uint32_t mantissa = half.bits & 0x3FFu;
    if (exponent == 0x1F) return std::bit_cast<float>(sign | 0x7F800000u | (mantissa << 13));
    if (exponent != 0) {
        return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
    }
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;  // subnormal: exact
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
}

/// One rounding from double, so a kernel that computes in double does not round twice.
inline Half toHalf(double value) {
    const uint64_t bits = std::bit_cast<uint64_t>(value);
    const uint16_t sign = static_cast<uint16_t>((bits >> 48) & 0x8000u);
    const uint64_t magnitude = bits & 0x7FFFFFFFFFFFFFFFull;
    if (magnitude > 0x7FF0000000000000ull) {
        return {static_cast<uint16_t>(sign | 0x7E00u)};  // NaN
    }
    // Halfway between 65504 and 65536 and above rounds to infinity.
    if (magnitude >= std::bit_cast<uint64_t>(65520.0)) {
        return {static_cast<uint16_t>(sign | 0x7C00u)};
    }
    const double absolute = std::bit_cast<double>(magnitude);
    if (absolute < 0x1p-14) {
        // Adding 2^28 leaves units of 2^-24 (the subnormal spacing): the sum is rounded there.
        const double shifted = absolute + 0x1p28;
        const auto units = std::bit_cast<uint64_t>(shifted) - std::bit_cast<uint64_t>(0x1p28);
        return {static_cast<uint16_t>(sign | units)};
    }
    // Normal: keep 10 of 52 mantissa bits, nearest even; a carry moves into the exponent.
    const uint64_t rounded = magnitude + 0x1FFFFFFFFFFull + ((magnitude >> 42) & 1u);
    return {static_cast<uint16_t>(sign | ((rounded >> 42) - (1008ull << 10)))};
}
inline Half toHalf(float value) { return toHalf(static_cast<double>(value)); }

/// Bulk conversions; use the F16C instructions where the machine has them.
void toFloat(const Half* from, float* to, size_t count);
void toHalf(const float* from, Half* to, size_t count);

}  // namespace nnapi
