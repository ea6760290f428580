// Matrix products by register tiles, the core of convolutions, FULLY_CONNECTED and BATCH_MATMUL.
//
// A product is rows times panels. Rows are given by pointers, one for each filter tap, so that a
// convolution needs no im2col: a row is an output pixel, a tap points at the input pixel under
// it, or at zeros. A panel is a block of `Engine::columns` output channels, packed as
// [tap][depth][column] (float) or [tap][depth / 2][column][2] (int16), zeros where it overhangs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../quantize.h"

namespace nnapi::gemm {

/// The most rows a tile of any engine has.
inline constexpr size_t kMostRows = 8;
/// The most columns a panel of any engine has.
inline constexpr size_t kMostColumns = 32;

/// One tile of sums: rows times one panel, plus a bias, clamped.
struct FloatTile {
    const float* const* rows;  // rows[tap * Engine::rows + row]: `depth` elements each
    size_t rowOffset;          // added to each of them, in elements
    const size_t* taps;        // where each tap begins in the panel, in elements
    size_t tapCount;
    size_t depth;
    const float* panel;
    float* const* out;  // out[row]
    size_t outOffset;   // added to each of them
    size_t columns;     // how many to store
    const float* columnBias;  // null, or Engine::columns values
    const float* rowBias;     // null, or one value for each row
    FloatRange range;
};

/// The same over int16, into exact int32 sums: rows * Engine::columns, row by row.
struct ShortTile {
    const int16_t* const* rows;  // may be read one element beyond an odd depth
    size_t rowOffset;
    const size_t* taps;
    size_t tapCount;
    size_t pairs;  // (depth + 1) / 2
    const int16_t* panel;
    int32_t* sums;
};

/// Products of two codes less their zero points are at most 255 * 255: this many fit in int32.
inline constexpr size_t kMostShortTerms = 0x7FFFFFFF / (255 * 255);

/// Tile functions for the processor at hand: [rows - 1][1: all columns, 0: the first half].
struct Engine {
    const char* name;
    size_t rows;
    size_t columns;
    void (*floats[kMostRows][2])(const FloatTile&);
    void (*shorts[kMostRows][2])(const ShortTile&);
};

/// The fastest engine this processor has; NNAPI_TESTKIT_CPU=portable, avx2, avx512 or vnni in
/// the environment asks for a lesser one (read once).
const Engine& engine();

/// Longer sums of floats are made of parts of half as many terms, which are added in double: the
/// rounding error of a long dot product stays that of a part.
inline constexpr size_t kMostFloatTerms = 1024;

/// One tile of `rows` rows by whichever function of the engine fits.
void runTile(const Engine& engine, const FloatTile& tile, size_t rows);

/// Null when the library was built without it or the processor lacks it.
const Engine* avx2Engine();
const Engine* avx512Engine();
/// That of AVX-512 with faster sums of codes, the same sums.
const Engine* vnniEngine();

/// Levels of x86 instruction sets, for functions that choose among builds of one loop.
enum class Cpu { PORTABLE, AVX2, AVX512 };
Cpu cpu();

}  // namespace nnapi::gemm
