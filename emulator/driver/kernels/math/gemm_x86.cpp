// Engines for AVX2 with FMA (tiles of 6 x 16) and AVX-512 (8 x 32), the latter's sums of codes by
// VNNI where there is that: the sums stay in registers over the whole depth; each step loads one
// panel row and broadcasts one value a row.

#include "gemm.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <cstring>
#include <utility>

#define NNAPI_AVX2 __attribute__((target("avx2,fma")))
#define NNAPI_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")))
#define NNAPI_VNNI \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")))

namespace nnapi::gemm {
namespace {

inline int32_t loadPair(const int16_t* pair) {
    int32_t bits;
    std::memcpy(&bits, pair, sizeof(bits));
    return bits;
}

namespace avx2 {

constexpr size_t kRows = 6;
constexpr size_t kColumns = 16;

// Lanes below `count`: loads 8 lanes ending `count` lanes into a run of ones.
alignas(64) constexpr int32_t kLanes[16] = {-1, -1, -1, -1, -1, -1, -1, -1};

template <size_t Rows, size_t Vectors>
NNAPI_AVX2 void floatTile(const FloatTile& tile) {
    __m256 sum[Rows][Vectors];
    for (size_t r = 0; r < Rows; r++) {
        for (size_t v = 0; v < Vectors; v++) {
            sum[r][v] = tile.columnBias != nullptr ? _mm256_loadu_ps(tile.columnBias + 8 * v)
                        : tile.rowBias != nullptr  ? _mm256_set1_ps(tile.rowBias[r])
                                                   : _mm256_setzero_ps();
        }
    }
    for (size_t tap = 0; tap < tile.tapCount; tap++) {
        const float* row[Rows];
        for (size_t r = 0; r < Rows; r++) row[r] = tile.rows[tap * kRows + r] + tile.rowOffset;
        const float* panel = tile.panel + tile.taps[tap];
        for (size_t k = 0; k < tile.depth; k++, panel += kColumns) {
            __m256 weight[Vectors];
            for (size_t v = 0; v < Vectors; v++) weight[v] = _mm256_loadu_ps(panel + 8 * v);
            for (size_t r = 0; r < Rows; r++) {
                const __m256 value = _mm256_broadcast_ss(row[r] + k);
                for (size_t v = 0; v < Vectors; v++) {
                    sum[r][v] = _mm256_fmadd_ps(value, weight[v], sum[r][v]);
                }
            }
        }
    }
    const __m256 least = _mm256_set1_ps(tile.range.least);
    const __m256 most = _mm256_set1_ps(tile.range.most);
    const size_t rest = tile.columns - 8 * (Vectors - 1);
    const __m256i lanes =
        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kLanes + 8 - rest));
    for (size_t r = 0; r < Rows; r++) {
        float* out = tile.out[r] + tile.outOffset;
        for (size_t v = 0; v < Vectors; v++) {
            // The second operand is kept when one is NaN.
            const __m256 value = _mm256_min_ps(most, _mm256_max_ps(least, sum[r][v]));
            if (v + 1 < Vectors || rest == 8) {
                _mm256_storeu_ps(out + 8 * v, value);
            } else {
                _mm256_maskstore_ps(out + 8 * v, lanes, value);
            }
        }
    }
}

template <size_t Rows, size_t Vectors>
NNAPI_AVX2 void shortTile(const ShortTile& tile) {
    __m256i sum[Rows][Vectors];
    for (size_t r = 0; r < Rows; r++) {
        for (size_t v = 0; v < Vectors; v++) sum[r][v] = _mm256_setzero_si256();
    }
    for (size_t tap = 0; tap < tile.tapCount; tap++) {
        const int16_t* row[Rows];
        for (size_t r = 0; r < Rows; r++) row[r] = tile.rows[tap * kRows + r] + tile.rowOffset;
        const int16_t* panel = tile.panel + tile.taps[tap];
        for (size_t k = 0; k < tile.pairs; k++, panel += 2 * kColumns) {
            __m256i weight[Vectors];
            for (size_t v = 0; v < Vectors; v++) {
                weight[v] =
                    _mm256_loadu_si256(reinterpret_cast<const __m256i*>(panel + 16 * v));
            }
            for (size_t r = 0; r < Rows; r++) {
                const __m256i pair = _mm256_set1_epi32(loadPair(row[r] + 2 * k));
                for (size_t v = 0; v < Vectors; v++) {
                    sum[r][v] =
                        _mm256_add_epi32(sum[r][v], _mm256_madd_epi16(pair, weight[v]));
                }
            }
        }
    }
    for (size_t r = 0; r < Rows; r++) {
        for (size_t v = 0; v < Vectors; v++) {
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(tile.sums + r * kColumns + 8 * v),
                                sum[r][v]);
        }
    }
}

template <size_t... Row>
constexpr Engine makeEngine(std::index_sequence<Row...>) {
    return {"avx2",
            kRows,
            kColumns,
            {{floatTile<Row + 1, 1>, floatTile<Row + 1, 2>}...},
            {{shortTile<Row + 1, 1>, shortTile<Row + 1, 2>}...}};
}
constexpr Engine kEngine = makeEngine(std::make_index_sequence<kRows>());

}  // namespace avx2

namespace avx512 {

constexpr size_t kRows = 8;
constexpr size_t kColumns = 32;
constexpr __mmask16 kAll = 0xFFFF;

template <size_t Rows, size_t Vectors>
NNAPI_AVX512 void floatTile(const FloatTile& tile) {
    __m512 sum[Rows][Vectors];
    for (size_t r = 0; r < Rows; r++) {
        for (size_t v = 0; v < Vectors; v++) {
            sum[r][v] = tile.columnBias != nullptr ? _mm512_loadu_ps(tile.columnBias + 16 * v)
                        : tile.rowBias != nullptr  ? _mm512_set1_ps(tile.rowBias[r])
                                                   : _mm512_setzero_ps();
        }
    }
    for (size_t tap = 0; tap < tile.tapCount; tap++) {
        const float* row[Rows];
        for (size_t r = 0; r < Rows; r++) row[r] = tile.rows[tap * kRows + r] + tile.rowOffset;
        const float* panel = tile.panel + tile.taps[tap];
        for (size_t k = 0; k < tile.depth; k++, panel += kColumns) {
            __m512 weight[Vectors];
            for (size_t v = 0; v < Vectors; v++) weight[v] = _mm512_loadu_ps(panel + 16 * v);
            for (size_t r = 0; r < Rows; r++) {
                const __m512 value = _mm512_set1_ps(row[r][k]);
                for (size_t v = 0; v < Vectors; v++) {
                    sum[r][v] = _mm512_fmadd_ps(value, weight[v], sum[r][v]);
                }
            }
        }
    }
    const __m512 least = _mm512_set1_ps(tile.range.least);
    const __m512 most = _mm512_set1_ps(tile.range.most);
    const size_t rest = tile.columns - 16 * (Vectors - 1);
    const __mmask16 lanes = static_cast<__mmask16>((1u << rest) - 1);
    for (size_t r = 0; r < Rows; r++) {
        float* out = tile.out[r] + tile.outOffset;
        for (size_t v = 0; v < Vectors; v++) {
            // The second operand is kept when one is NaN. Masked forms with all lanes on: gcc 12
            // warns about its own unmasked ones (its bug 105593).
            const __m512 value = _mm512_maskz_min_ps(
                kAll, most, _mm512_maskz_max_ps(kAll, least, sum[r][v]));
            if (v + 1 < Vectors) {
                _mm512_storeu_ps(out + 16 * v, value);
            } else {
                _mm512_mask_storeu_ps(out + 16 * v, lanes, value);
            }
        }
    }
}

template <size_t Rows, size_t Vectors>
NNAPI_AVX512 void shortTile(const ShortTile& tile) {
    __m512i sum[Rows][Vectors];
    for (size_t r = 0; r < Rows; r++) {
        for (size_t v = 0; v < Vectors; v++) sum[r][v] = _mm512_setzero_si512();
    }
    for (size_t tap = 0; tap < tile.tapCount; tap++) {
        const int16_t* row[Rows];
        for (size_t r = 0; r < Rows; r++) row[r] = tile.rows[tap * kRows + r] + tile.rowOffset;
        const int16_t* panel = tile.panel + tile.taps[tap];
        for (size_t k = 0; k < tile.pairs; k++, panel += 2 * kColumns) {
            __m512i weight[Vectors];
            for (size_t v = 0; v < Vectors; v++) {
                weight[v] = _mm512_loadu_si512(panel + 32 * v);
            }
            for (size_t r = 0; r < Rows; r++) {
                const __m512i pair = _mm512_set1_epi32(loadPair(row[r] + 2 * k));
                for (size_t v = 0; v < Vectors; v++) {
                    sum[r][v] =
                        _mm512_add_epi32(sum[r][v], _mm512_madd_epi16(pair, weight[v]));
                }
            }
        }
    }
    for (size_t r = 0; r < Rows; r++) {
        for (size_t v = 0; v < Vectors; v++) {
            _mm512_storeu_si512(tile.sums + r * kColumns + 16 * v, sum[r][v]);
        }
    }
}

/// The same sums, product and addition being one instruction.
template <size_t Rows, size_t Vectors>
NNAPI_VNNI void dotTile(const ShortTile& tile) {
    __m512i sum[Rows][Vectors];
    for (size_t r = 0; r < Rows; r++) {
        for (size_t v = 0; v < Vectors; v++) sum[r][v] = _mm512_setzero_si512();
    }
    for (size_t tap = 0; tap < tile.tapCount; tap++) {
        const int16_t* row[Rows];
        for (size_t r = 0; r < Rows; r++) row[r] = tile.rows[tap * kRows + r] + tile.rowOffset;
        const int16_t* panel = tile.panel + tile.taps[tap];
        for (size_t k = 0; k < tile.pairs; k++, panel += 2 * kColumns) {
            __m512i weight[Vectors];
            for (size_t v = 0; v < Vectors; v++) {
                weight[v] = _mm512_loadu_si512(panel + 32 * v);
            }
            for (size_t r = 0; r < Rows; r++) {
                const __m512i pair = _mm512_set1_epi32(loadPair(row[r] + 2 * k));
                for (size_t v = 0; v < Vectors; v++) {
                    sum[r][v] = _mm512_dpwssd_epi32(sum[r][v], pair, weight[v]);
                }
            }
        }
    }
    for (size_t r = 0; r < Rows; r++) {
        for (size_t v = 0; v < Vectors; v++) {
            _mm512_storeu_si512(tile.sums + r * kColumns + 16 * v, sum[r][v]);
        }
    }
}

template <size_t... Row>
constexpr Engine makeEngine(std::index_sequence<Row...>) {
    return {"avx512",
            kRows,
            kColumns,
            {{floatTile<Row + 1, 1>, floatTile<Row + 1, 2>}...},
            {{shortTile<Row + 1, 1>, shortTile<Row + 1, 2>}...}};
}
constexpr Engine kEngine = makeEngine(std::make_index_sequence<kRows>());

template <size_t... Row>
constexpr Engine makeVnniEngine(std::index_sequence<Row...>) {
    return {"vnni",
            kRows,
            kColumns,
            {{floatTile<Row + 1, 1>, floatTile<Row + 1, 2>}...},
            {{dotTile<Row + 1, 1>, dotTile<Row + 1, 2>}...}};
}
constexpr Engine kVnniEngine = makeVnniEngine(std::make_index_sequence<kRows>());

}  // namespace avx512
}  // namespace

const Engine* avx2Engine() {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &avx2::kEngine
                                                                           : nullptr;
}

const Engine* avx512Engine() {
    const bool available =
        __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    return available ? &avx512::kEngine : nullptr;
}

const Engine* vnniEngine() {
    return avx512Engine() != nullptr && __builtin_cpu_supports("avx512vnni")
               ? &avx512::kVnniEngine
               : nullptr;
}

}  // namespace nnapi::gemm

#else

namespace nnapi::gemm {

const Engine* avx2Engine() { return nullptr; }
const Engine* avx512Engine() { return nullptr; }
const Engine* vnniEngine() { return nullptr; }

}  // namespace nnapi::gemm

#endif
