#include "tap_sums.h"

#include <cstring>

#include "gemm.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define NNAPI_AVX2 __attribute__((target("avx2")))
#endif

namespace nnapi::gemm {
namespace {

void sumPortable(const TapTile& tile) {
    for (size_t pixel = 0; pixel < tile.pixels; pixel++) {
        const int16_t* const* taps = tile.taps + pixel * 2 * tile.pairs;
        const int16_t* weights = tile.weights;
        int32_t sum[kTapChannels] = {};
        for (size_t p = 0; p < tile.pairs; p++, weights += 2 * kTapChannels) {
            const int16_t* even = taps[2 * p] + tile.channel;
            const int16_t* odd = taps[2 * p + 1] + tile.channel;
            for (size_t i = 0; i < kTapChannels; i++) {
                sum[i] += even[i] * weights[2 * i] + odd[i] * weights[2 * i + 1];
            }
        }
        std::memcpy(tile.sums + pixel * kTapChannels, sum, sizeof(sum));
    }
}

#if defined(__x86_64__)

/// Two taps' values are interleaved within halves of registers, which takes channels in this order.
constexpr size_t kOrder[kTapChannels] = {0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15};

NNAPI_AVX2 inline __m256i load(const int16_t* values) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(values));
}

NNAPI_AVX2 inline void store(int32_t* to, __m256i values) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), values);
}

/// With `Pairs` known the loop over taps is unrolled.
template <size_t Pairs>
NNAPI_AVX2 void sumAvx2(const TapTile& tile) {
    const size_t pairs = Pairs != 0 ? Pairs : tile.pairs;
    for (size_t pixel = 0; pixel < tile.pixels; pixel++) {
        const int16_t* const* taps = tile.taps + pixel * 2 * pairs;
        __m256i low = _mm256_setzero_si256(), high = low;
        for (size_t p = 0; p < pairs; p++) {
            const int16_t* weights = tile.weights + p * 2 * kTapChannels;
            const __m256i even = load(taps[2 * p] + tile.channel);
            const __m256i odd = load(taps[2 * p + 1] + tile.channel);
            low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_unpacklo_epi16(even, odd),
                                                          load(weights)));
            high = _mm256_add_epi32(high, _mm256_madd_epi16(_mm256_unpackhi_epi16(even, odd),
                                                            load(weights + kTapChannels)));
        }
        int32_t* sums = tile.sums + pixel * kTapChannels;
        store(sums, _mm256_permute2x128_si256(low, high, 0x20));
        store(sums + kTapChannels / 2, _mm256_permute2x128_si256(low, high, 0x31));
    }
}

#endif

}  // namespace

void sumTaps(const TapTile& tile) {
#if defined(__x86_64__)
    if (cpu() != Cpu::PORTABLE) {
        return tile.pairs == tapPairs(9) ? sumAvx2<tapPairs(9)>(tile) : sumAvx2<0>(tile);
    }
#endif
    sumPortable(tile);
}

void packTaps(const int16_t* weights, size_t taps, size_t channels, int16_t* packed) {
    size_t order[kTapChannels];
    for (size_t i = 0; i < kTapChannels; i++) order[i] = i;
#if defined(__x86_64__)
    if (cpu() != Cpu::PORTABLE) std::memcpy(order, kOrder, sizeof(order));
#endif
    for (size_t first = 0; first < channels; first += kTapChannels) {
        for (size_t tap = 0; tap < 2 * tapPairs(taps); tap++) {
            int16_t* to = packed + (tap - tap % 2) * kTapChannels + tap % 2;
            for (size_t i = 0; i < kTapChannels; i++) {
                const size_t channel = first + order[i];
                const bool any = tap < taps && channel < channels;
                to[2 * i] = any ? weights[tap * channels + channel] : int16_t{0};
            }
        }
        packed += tapBlock(taps);
    }
}

}  // namespace nnapi::gemm
