// Real values in steps of an output's scale, rounded to codes of 8 bits, many at a time.
//
// Single precision tells the code of every value but those near a tie. The functions return false
// where there was one: the caller rounds exactly then. They take bytes for codes of either sign.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../quantize.h"

namespace nnapi::codes {

/// How steps become codes: limits less the zero point, and what to add so that the low byte of a
/// float's bits is the code: 1.5 * 2^23, where floats are integers, and the zero point.
struct Rounding {
    Rounding(int32_t zeroPoint, CodeRange range)
        : least(static_cast<float>(range.least - zeroPoint)),
          most(static_cast<float>(range.most - zeroPoint)),
          shift(0x1.8p23f + static_cast<float>(zeroPoint)) {}
    float least, most, shift;
};

/// Whether the codes of `range` lie within kFar of the zero point, which bounds the errors below.
inline constexpr int32_t kFar = 512;
inline bool isClose(int32_t zeroPoint, CodeRange range) {
    return range.most - zeroPoint < kFar && zeroPoint - range.least < kFar;
}

/// A ratio whose products with any sum neither overflow nor lose precision to underflow.
inline bool isOrdinary(double ratio) { return ratio > 0x1p-100 && ratio < 0x1p100; }

/// Rows of integer sums: steps = (sum + bias[column]) * ratio[column]. Sums and biases may be read
/// up to kLanes - 1 elements beyond `columns`; sum + bias fits in 32 bits.
inline constexpr size_t kLanes = 8;
struct Sums {
    const int32_t* sums;
    size_t stride;  // from row to row
    size_t rows, columns;
    const int32_t* bias;
    const float* ratio;
    Rounding rounding;
    uint8_t* const* out;  // a pointer for each row
    size_t outOffset;     // added to each of them
};
bool fromSums(const Sums& tile);

/// steps = value * ratio; NaN is never told.
struct Reals {
    const float* values;
    float ratio;
    Rounding rounding;
    uint8_t* out;
};
bool fromReals(const Reals& run, size_t count);

/// Two codes: steps = (x - zeroX) * ratioX + (y - zeroY) * ratioY, no ratio beyond kMostPairRatio.
/// Codes are those of bytes: signed ones and their zero points are moved by 128, their bits by
/// `flip`, which is 128 for signed codes and 0 otherwise.
inline constexpr double kMostPairRatio = 4;
struct Pairs {
    const uint8_t *x, *y;
    uint8_t flip;
    float zeroX, zeroY, ratioX, ratioY;
    Rounding rounding;
    uint8_t* out;
};
bool fromPairs(const Pairs& run, size_t count);

}  // namespace nnapi::codes
