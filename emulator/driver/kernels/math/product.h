// Rows times panels, tile by tile: the loop that convolutions and matrix products share.
#pragma once

#include <algorithm>

#include "../../context.h"
#include "panels.h"
#include "requantize.h"

namespace nnapi::gemm {

/// The most rows of a block.
inline constexpr size_t kMostBlockRows = 1024;

/// Pointers to the rows of a block, tile by tile: at(row, tap). A block has a bounded number of
/// rows, so that its data stay in cache while all panels pass over them.
template <class T>
class RowTable {
public:
    RowTable(Context& c, size_t rows, size_t taps, size_t depth)
        : tileRows_(engine().rows), taps_(taps) {
        const size_t perRow = std::max<size_t>(1, taps * depth);
        const size_t wanted = std::clamp<size_t>(98304 / perRow, 4 * tileRows_, kMostBlockRows);
        limit_ = std::min(rows, wanted / tileRows_ * tileRows_);
        const size_t tiles = (limit_ + tileRows_ - 1) / tileRows_;
        pointers_ = c.scratch<const T*>(tiles * tileRows_ * std::max<size_t>(1, taps));
    }
    /// Lays the table out for fewer taps than it was made for.
    void use(size_t taps) { taps_ = taps; }
    /// The most rows a block has.
    size_t limit() const { return limit_; }
    const T*& at(size_t row, size_t tap) {
        const size_t tile = row / tileRows_;
        return pointers_[(tile * taps_ + tap) * tileRows_ + row % tileRows_];
    }
    /// The pointers of the tile that begins at `row`.
    const T* const* tile(size_t row) const { return pointers_ + row * taps_; }

private:
    size_t tileRows_;
    size_t taps_;
    size_t limit_;
    const T** pointers_;
};

/// Which panels and taps take part in a product.
template <class T>
struct PanelView {
    const T* data;       // first panel
    size_t panelStride;  // elements from panel to panel
    const size_t* taps;  // where taps begin within a panel
    size_t tapCount;
    size_t depth;
    size_t columns;
};

/// out[row][outOffset + column] = clamp(bias + sum), for a block of rows.
inline void multiplyFloats(const RowTable<float>& table, size_t rowCount, size_t rowOffset,
                           const PanelView<float>& panels, const float* columnBias,
                           float* const* out, size_t outOffset, FloatRange range) {
    const Engine& e = engine();
    FloatTile tile;
    tile.rowOffset = rowOffset;
    tile.taps = panels.taps;
    tile.tapCount = panels.tapCount;
    tile.depth = panels.depth;
    tile.panel = panels.data;
    tile.rowBias = nullptr;
    tile.range = range;
    for (size_t first = 0; first < panels.columns; first += e.columns) {
        tile.columns = std::min(e.columns, panels.columns - first);
        tile.columnBias = columnBias + first;
        tile.outOffset = outOffset + first;
        for (size_t row = 0; row < rowCount; row += e.rows) {
            tile.rows = table.tile(row);
            tile.out = out + row;
            runTile(e, tile, std::min(e.rows, rowCount - row));
        }
        tile.panel += panels.panelStride;
    }
}

/// A copy of a bias, zeros where panels overhang; null stands for zeros.
inline float* paddedBias(Context& c, const float* bias, size_t columns) {
    const size_t width = engine().columns;
    const size_t padded = (columns + width - 1) / width * width;
    float* copy = c.scratch<float>(std::max<size_t>(padded, 1));
    for (size_t i = 0; i < padded; i++) copy[i] = i < columns && bias != nullptr ? bias[i] : 0.0f;
    return copy;
}

/// Quantized: codes to out[row] + firstColumn.
inline void multiplyShorts(const RowTable<int16_t>& table, size_t rowCount, size_t rowOffset,
                           const PanelView<int16_t>& panels, const ColumnRequantizer& requantize,
                           size_t firstColumn, uint8_t* const* out) {
    const Engine& e = engine();
    alignas(64) int32_t sums[kMostRows * kMostColumns] = {};
    // Few enough terms fit in int32 sums; more are summed in steps, into int64.
    const bool fits = panels.tapCount * panels.depth <= kMostShortTerms;
    const size_t step = kMostShortTerms / 2 * 2;
    int64_t wide[kMostRows * kMostColumns];
    ShortTile tile;
    tile.sums = sums;
    for (size_t first = 0, p = 0; first < panels.columns; first += e.columns, p++) {
        const size_t columns = std::min(e.columns, panels.columns - first);
        const bool half = columns <= e.columns / 2;
        const int16_t* panel = panels.data + p * panels.panelStride;
        for (size_t row = 0; row < rowCount; row += e.rows) {
            const size_t rows = std::min(e.rows, rowCount - row);
            const auto run = e.shorts[rows - 1][half ? 0 : 1];
            if (fits) {
                tile.rows = table.tile(row);
                tile.rowOffset = rowOffset;
                tile.taps = panels.taps;
                tile.tapCount = panels.tapCount;
                tile.pairs = (panels.depth + 1) / 2;
                tile.panel = panel;
                run(tile);
            } else {
                std::fill(wide, wide + rows * e.columns, 0);
                tile.tapCount = 1;
                for (size_t tap = 0; tap < panels.tapCount; tap++) {
                    for (size_t k = 0; k < panels.depth; k += step) {
                        const size_t offset = k * e.columns;
                        tile.rows = table.tile(row) + tap * e.rows;
                        tile.rowOffset = rowOffset + k;
                        tile.taps = panels.taps + tap;
                        tile.pairs = (std::min(step, panels.depth - k) + 1) / 2;
                        tile.panel = panel + offset;
                        run(tile);
                        for (size_t i = 0; i < rows * e.columns; i++) wide[i] += sums[i];
                    }
                }
            }
            const size_t column = firstColumn + first;
            if (fits) {
                requantize(sums, e.columns, rows, column, columns, out + row);
                continue;
            }
            for (size_t r = 0; r < rows; r++) {
                requantize(wide + r * e.columns, column, columns, out[row + r] + column);
            }
        }
    }
}

/// A tile of shorts may read beyond the end: at least that many elements are there.
inline constexpr size_t kShortSlack = 2;

/// Codes less their zero point, followed by `slack` zeros.
template <class T>
int16_t* centred(Context& c, const T* codes, size_t count, int32_t zeroPoint,
                 size_t slack = kShortSlack) {
    int16_t* values = c.scratch<int16_t>(count + slack);
    for (size_t i = 0; i < count; i++) {
        values[i] = static_cast<int16_t>(codes[i] - zeroPoint);
    }
    std::fill_n(values + count, slack, int16_t{0});
    return values;
}

}  // namespace nnapi::gemm
