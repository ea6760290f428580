// Depthwise convolution of codes: sums over taps for some channels of some pixels, the counterpart
// of gemm.h's tiles.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nnapi::gemm {

/// A tile of sums has as many channels side by side.
inline constexpr size_t kTapChannels = 16;
/// The most pixels of a tile.
inline constexpr size_t kTapPixels = 8;

/// sums[pixel][channel] of kTapChannels channels each, exact in 32 bits for kMostShortTerms taps.
struct TapTile {
    const int16_t* const* taps;  // taps[pixel][2 * pairs]: the input under each tap
    size_t channel;              // the first; kTapChannels are read
    size_t pairs;                // of taps
    size_t pixels;
    const int16_t* weights;  // one block of `packTaps`
    int32_t* sums;
};
void sumTaps(const TapTile& tile);

inline constexpr size_t tapPairs(size_t taps) { return (taps + 1) / 2; }
/// Elements of a block of kTapChannels channels, and of all blocks.
inline constexpr size_t tapBlock(size_t taps) { return tapPairs(taps) * 2 * kTapChannels; }
inline constexpr size_t packedTaps(size_t taps, size_t channels) {
    return (channels + kTapChannels - 1) / kTapChannels * tapBlock(taps);
}

/// Reorders weights of [taps][channels] to blocks of [pair of taps][channel][2], zeros where there
/// is no tap or channel, the channels in the order in which sumTaps takes them.
void packTaps(const int16_t* weights, size_t taps, size_t channels, int16_t* packed);

}  // namespace nnapi::gemm
