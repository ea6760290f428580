// Choice of the engine, and the portable one: vectors of four floats, whatever the processor.

#include "gemm.h"

#include <algorithm>
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

bool allows(const char* name) {
    const char* asked = std::getenv("NNAPI_TESTKIT_CPU");
    return asked == nullptr || std::strcmp(asked, name) == 0;
}

Cpu detect() {
    if (avx512Engine() != nullptr && (allows("avx512") || allows("vnni"))) return Cpu::AVX512;
    if (avx2Engine() != nullptr && allows("avx2")) return Cpu::AVX2;
    return Cpu::PORTABLE;
}

const Engine& choose() {
    switch (cpu()) {
        case Cpu::AVX512:
            return vnniEngine() != nullptr && allows("vnni") ? *vnniEngine() : *avx512Engine();
        case Cpu::AVX2: return *avx2Engine();
        default: return kPortable;
    }
}

/// The parts of a tile too long to be summed in one go.
class LongTile {
public:
    LongTile(const Engine& engine, const FloatTile& tile, size_t rows)
        : engine_(engine),
          tile_(tile),
          rows_(rows),
          columns_(tile.columns > engine.columns / 2 ? engine.columns : engine.columns / 2),
          run_(engine.floats[rows - 1][columns_ == engine.columns]) {
        for (size_t r = 0; r < rows; r++) out_[r] = part_ + r * engine.columns;
    }

    void run() {
        constexpr size_t terms = kMostFloatTerms / 2;
        for (size_t tap = 0; tap < tile_.tapCount;) {
            // As many whole taps as make a part, or one tap in several.
            const size_t whole = std::max<size_t>(1, terms / std::max<size_t>(1, tile_.depth));
            const size_t taps = std::min(whole, tile_.tapCount - tap);
            for (size_t k = 0; k < tile_.depth; k += terms) {
                add(tap, taps, k, std::min(terms, tile_.depth - k));
            }
            tap += taps;
        }
        store();
    }

private:
    void add(size_t tap, size_t taps, size_t first, size_t depth) {
        FloatTile part = tile_;
        part.rows += tap * engine_.rows;
        part.rowOffset += first;
        part.taps += tap;
        part.tapCount = taps;
        part.depth = depth;
        part.panel += first * engine_.columns;
        part.out = out_;
        part.outOffset = 0;
        part.columns = columns_;
        part.columnBias = part.rowBias = nullptr;
        part.range = kUnbounded;
        run_(part);
        for (size_t r = 0; r < rows_; r++) {
            for (size_t i = 0; i < columns_; i++) sums_[r][i] += out_[r][i];
        }
    }

    void store() const {
        for (size_t r = 0; r < rows_; r++) {
            float* to = tile_.out[r] + tile_.outOffset;
            for (size_t i = 0; i < tile_.columns; i++) {
                const float bias = tile_.columnBias != nullptr ? tile_.columnBias[i]
                                   : tile_.rowBias != nullptr  ? tile_.rowBias[r]
                                                               : 0.0f;
                to[i] = clampFloat(static_cast<float>(sums_[r][i] + bias), tile_.range);
            }
        }
    }

    const Engine& engine_;
    const FloatTile& tile_;
    size_t rows_;
    size_t columns_;  // that the engine's function computes
    void (*run_)(const FloatTile&);
    double sums_[kMostRows][kMostColumns] = {};
    alignas(64) float part_[kMostRows * kMostColumns];
    float* out_[kMostRows];
};

}  // namespace

void runTile(const Engine& engine, const FloatTile& tile, size_t rows) {
    if (tile.tapCount * tile.depth > kMostFloatTerms) return LongTile(engine, tile, rows).run();
    engine.floats[rows - 1][tile.columns > engine.columns / 2](tile);
}

Cpu cpu() {
    static const Cpu best = detect();
    return best;
}

const Engine& engine() {
    static const Engine& best = choose();
    return best;
}

}  // namespace nnapi::gemm
