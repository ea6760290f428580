// Choice of the engine, and the portable one: vectors of four floats, whatever the processor.

#include "gemm.h"

#include <cstdlib>
#include <cstring>
#include <utility>

namespace nnapi::gemm {
namespace {

constexpr size_t kRows = 4;
constexpr size_t kColumns = 8;
using Vector = float __attribute__((vector_size(16)));

template <size_t Rows, size_t Vectors>
void floatTile(const FloatTile& tile) {
    Vector sum[Rows][Vectors];
    for (size_t r = 0; r < Rows; r++) {
        for (size_t v = 0; v < Vectors; v++) {
            if (tile.columnBias != nullptr) {
                std::memcpy(&sum[r][v], tile.columnBias + 4 * v, sizeof(Vector));
            } else {
                const float bias = tile.rowBias != nullptr ? tile.rowBias[r] : 0.0f;
                sum[r][v] = Vector{bias, bias, bias, bias};
            }
        }
    }
    for (size_t tap = 0; tap < tile.tapCount; tap++) {
        const float* const* rows = tile.rows + tap * kRows;
        const float* panel = tile.panel + tile.taps[tap];
        for (size_t k = 0; k < tile.depth; k++, panel += kColumns) {
            Vector weight[Vectors];
            std::memcpy(weight, panel, sizeof(weight));
            for (size_t r = 0; r < Rows; r++) {
                const float value = rows[r][tile.rowOffset + k];
                for (size_t v = 0; v < Vectors; v++) sum[r][v] += weight[v] * value;
            }
        }
    }
    for (size_t r = 0; r < Rows; r++) {
        float values[4 * Vectors];
        std::memcpy(values, sum[r], sizeof(values));
        float* out = tile.out[r] + tile.outOffset;
        for (size_t i = 0; i < tile.columns; i++) out[i] = clampFloat(values[i], tile.range);
    }
}

template <size_t Rows, size_t Vectors>
void shortTile(const ShortTile& tile) {
    int32_t sum[Rows][4 * Vectors] = {};
    for (size_t tap = 0; tap < tile.tapCount; tap++) {
        const int16_t* const* rows = tile.rows + tap * kRows;
        const int16_t* panel = tile.panel + tile.taps[tap];
        for (size_t k = 0; k < tile.pairs; k++, panel += 2 * kColumns) {
            for (size_t r = 0; r < Rows; r++) {
                const int16_t* pair = rows[r] + tile.rowOffset + 2 * k;
                const int32_t even = pair[0], odd = pair[1];
                for (size_t i = 0; i < 4 * Vectors; i++) {
                    sum[r][i] += even * panel[2 * i] + odd * panel[2 * i + 1];
                }
            }
        }
    }
    for (size_t r = 0; r < Rows; r++) {
        std::memcpy(tile.sums + r * kColumns, sum[r], sizeof(sum[r]));
    }
}

template <size_t... Row>
constexpr Engine makeEngine(std::index_sequence<Row...>) {
    return {"portable",
            kRows,
            kColumns,
            {{floatTile<Row + 1, 1>, floatTile<Row + 1, 2>}...},
            {{shortTile<Row + 1, 1>, shortTile<Row + 1, 2>}...}};
}
constexpr Engine kPortable = makeEngine(std::make_index_sequence<kRows>());

Cpu detect() {
    const char* asked = std::getenv("NNAPI_TESTKIT_CPU");
    const auto allows = [&](const char* name) {
        return asked == nullptr || std::strcmp(asked, name) == 0;
    };
    if (avx512Engine() != nullptr && allows("avx512")) return Cpu::AVX512;
    if (avx2Engine() != nullptr && allows("avx2")) return Cpu::AVX2;
    return Cpu::PORTABLE;
}

}  // namespace

Cpu cpu() {
    static const Cpu best = detect();
    return best;
}

const Engine& engine() {
    switch (cpu()) {
        case Cpu::AVX512: return *avx512Engine();
        case Cpu::AVX2: return *avx2Engine();
        default: return kPortable;
    }
}

}  // namespace nnapi::gemm
