#include "codes.h"

#include <cstring>

#include "gemm.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define NNAPI_AVX2 __attribute__((target("avx2")))
#endif

namespace nnapi::codes {
namespace {

// Below kFar a quotient of a sum has three roundings of 2^-24 behind it: 2^-13.4 in all; that of a
// real value has two.
constexpr float kTie = 0.5f - 0x1p-13f;
// Each of a pair's products is below 2^10 and has two roundings behind it, their sum one of 2^11:
// 2^-11.4 in all.
constexpr float kPairTie = 0.5f - 0x1p-11f;

// --- Portable: vectors of four floats ------------------------------------------------------------

constexpr size_t kFew = 4;
using Real = float __attribute__((vector_size(4 * kFew)));
using Int = int32_t __attribute__((vector_size(4 * kFew)));

/// Codes of four values; `open` becomes nonzero in lanes that are NaN or farther than `tie` from
/// their nearest integer. Written in vectors, since compilers keep comparisons of floating point
/// numbers apart.
inline void roundFour(Real steps, const Rounding& to, float tie, uint8_t* codes, Int& open) {
    const Real zero = {}, least = zero + to.least, most = zero + to.most;
    // Clamped before it is rounded, which is the same: the limits are integers.
    steps = steps < least ? least : steps;
    steps = steps > most ? most : steps;
    const Real shifted = steps + to.shift;
    const Real above = steps - (shifted - to.shift);
    open |= ~((above <= zero + tie) & (above >= zero - tie));
    const Int bits = reinterpret_cast<Int>(shifted);
    for (size_t k = 0; k < kFew; k++) codes[k] = static_cast<uint8_t>(bits[k]);
}

bool closed(Int open) { return (open[0] | open[1] | open[2] | open[3]) == 0; }

/// The first `count` of four codes.
void store(const uint8_t* codes, uint8_t* to, size_t count) {
    if (count >= kFew) {
        std::memcpy(to, codes, kFew);
    } else {
        for (size_t k = 0; k < count; k++) to[k] = codes[k];
    }
}

bool sumsPortable(const Sums& tile) {
    Int open = {};
    for (size_t r = 0; r < tile.rows; r++) {
        const int32_t* sums = tile.sums + r * tile.stride;
        uint8_t* out = tile.out[r] + tile.outOffset;
        for (size_t i = 0; i < tile.columns; i += kFew) {
            Int sum, bias;
            Real ratio;
            std::memcpy(&sum, sums + i, sizeof(sum));
            std::memcpy(&bias, tile.bias + i, sizeof(bias));
            std::memcpy(&ratio, tile.ratio + i, sizeof(ratio));
            uint8_t codes[kFew];
            roundFour(__builtin_convertvector(sum + bias, Real) * ratio, tile.rounding, kTie,
                      codes, open);
            store(codes, out + i, tile.columns - i);
        }
    }
    return closed(open);
}

bool realsPortable(const Reals& run, size_t first, size_t count) {
    Int open = {};
    for (size_t i = first; i < count; i += kFew) {
        Real value = {};
        std::memcpy(&value, run.values + i, std::min(kFew, count - i) * sizeof(float));
        uint8_t codes[kFew];
        roundFour(value * run.ratio, run.rounding, kTie, codes, open);
        store(codes, run.out + i, count - i);
    }
    return closed(open);
}

bool pairsPortable(const Pairs& run, size_t first, size_t count) {
    Int open = {};
    for (size_t i = first; i < count; i += kFew) {
        Real x = {}, y = {};
        for (size_t k = 0; k < std::min(kFew, count - i); k++) {
            x[k] = static_cast<float>(run.x[i + k] ^ run.flip);
            y[k] = static_cast<float>(run.y[i + k] ^ run.flip);
        }
        uint8_t codes[kFew];
        roundFour((x - run.zeroX) * run.ratioX + (y - run.zeroY) * run.ratioY, run.rounding,
                  kPairTie, codes, open);
        store(codes, run.out + i, count - i);
    }
    return closed(open);
}

// --- AVX2: eight floats. Sixteen of AVX-512 were measured slower. --------------------------------

#if defined(__x86_64__)

class Eight {
public:
    NNAPI_AVX2 Eight(const Rounding& to, float tie)
        : least_(_mm256_set1_ps(to.least)),
          most_(_mm256_set1_ps(to.most)),
          shift_(_mm256_set1_ps(to.shift)),
          tie_(_mm256_set1_ps(tie)),
          open_(_mm256_setzero_ps()) {}

    /// The codes of eight values in the low half.
    NNAPI_AVX2 __m128i operator()(__m256 steps) {
        // The second operand is kept when one is NaN.
        steps = _mm256_min_ps(most_, _mm256_max_ps(least_, steps));
        const __m256 shifted = _mm256_add_ps(steps, shift_);
        const __m256 above = _mm256_sub_ps(steps, _mm256_sub_ps(shifted, shift_));
        const __m256 distance = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), above);
        open_ = _mm256_or_ps(open_, _mm256_cmp_ps(distance, tie_, _CMP_NLE_UQ));
        const __m256i low = _mm256_set1_epi32(0x0C080400);  // the low byte of each element
        const __m256i bytes = _mm256_shuffle_epi8(_mm256_castps_si256(shifted), low);
        return _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes),
                                  _mm256_extracti128_si256(bytes, 1));
    }

    NNAPI_AVX2 bool closed() const { return _mm256_movemask_ps(open_) == 0; }

private:
    __m256 least_, most_, shift_, tie_, open_;
};

NNAPI_AVX2 bool sumsAvx2(const Sums& tile) {
    Eight round(tile.rounding, kTie);
    for (size_t r = 0; r < tile.rows; r++) {
        const int32_t* sums = tile.sums + r * tile.stride;
        uint8_t* out = tile.out[r] + tile.outOffset;
        for (size_t i = 0; i < tile.columns; i += kLanes) {
            const __m256i sum = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(sums + i));
            const __m256i bias =
                _mm256_loadu_si256(reinterpret_cast<const __m256i*>(tile.bias + i));
            const __m256 total = _mm256_cvtepi32_ps(_mm256_add_epi32(sum, bias));
            const __m128i codes = round(_mm256_mul_ps(total, _mm256_loadu_ps(tile.ratio + i)));
            if (tile.columns - i >= kLanes) {
                _mm_storel_epi64(reinterpret_cast<__m128i*>(out + i), codes);
            } else {
                uint8_t bytes[16];
                _mm_storeu_si128(reinterpret_cast<__m128i*>(bytes), codes);
                for (size_t k = 0; k < tile.columns - i; k++) out[i + k] = bytes[k];
            }
        }
    }
    return round.closed();
}

NNAPI_AVX2 bool realsAvx2(const Reals& run, size_t count) {
    Eight round(run.rounding, kTie);
    const __m256 ratio = _mm256_set1_ps(run.ratio);
    size_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
        const __m128i codes = round(_mm256_mul_ps(_mm256_loadu_ps(run.values + i), ratio));
        _mm_storel_epi64(reinterpret_cast<__m128i*>(run.out + i), codes);
    }
    const bool rest = realsPortable(run, i, count);
    return rest && round.closed();
}

/// Eight codes less a zero point.
NNAPI_AVX2 inline __m256 centred(const uint8_t* codes, __m128i flip, __m256 zero) {
    const __m128i bytes = _mm_xor_si128(
        _mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes)), flip);
    return _mm256_sub_ps(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)), zero);
}

NNAPI_AVX2 bool pairsAvx2(const Pairs& run, size_t count) {
    Eight round(run.rounding, kPairTie);
    const __m128i flip = _mm_set1_epi8(static_cast<char>(run.flip));
    const __m256 zeroX = _mm256_set1_ps(run.zeroX), zeroY = _mm256_set1_ps(run.zeroY);
    const __m256 ratioX = _mm256_set1_ps(run.ratioX), ratioY = _mm256_set1_ps(run.ratioY);
    size_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
        const __m256 x = _mm256_mul_ps(centred(run.x + i, flip, zeroX), ratioX);
        const __m256 y = _mm256_mul_ps(centred(run.y + i, flip, zeroY), ratioY);
        _mm_storel_epi64(reinterpret_cast<__m128i*>(run.out + i), round(_mm256_add_ps(x, y)));
    }
    const bool rest = pairsPortable(run, i, count);
    return rest && round.closed();
}

bool isWide() { return gemm::cpu() != gemm::Cpu::PORTABLE; }

#endif

}  // namespace

bool fromSums(const Sums& tile) {
#if defined(__x86_64__)
    if (isWide()) return sumsAvx2(tile);
#endif
    return sumsPortable(tile);
}

bool fromReals(const Reals& run, size_t count) {
#if defined(__x86_64__)
    if (isWide()) return realsAvx2(run, count);
#endif
    return realsPortable(run, 0, count);
}

bool fromPairs(const Pairs& run, size_t count) {
#if defined(__x86_64__)
    if (isWide()) return pairsAvx2(run, count);
#endif
    return pairsPortable(run, 0, count);
}

}  // namespace nnapi::codes
