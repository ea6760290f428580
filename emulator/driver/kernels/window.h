// Sliding windows and 4-D layouts, for convolutions, pooling and resizing.
#pragma once

#include <algorithm>
#include <cstdint>

#include "../tensor.h"

namespace nnapi {

/// A 4-D tensor seen as batch, height, width, channels whatever the order in memory.
struct Layout4 {
    uint32_t batch, height, width, channels;
    size_t batchStride, rowStride, columnStride, channelStride;  // in elements

    Layout4(const Shape& shape, bool nchw) {
        const auto strides = shape.strides();
        const int h = nchw ? 2 : 1, w = nchw ? 3 : 2, c = nchw ? 1 : 3;
        batch = shape[0], height = shape[h], width = shape[w], channels = shape[c];
        batchStride = strides[0], rowStride = strides[h];
        columnStride = strides[w], channelStride = strides[c];
    }
    size_t at(size_t b, size_t y, size_t x, size_t c) const {
        return b * batchStride + y * rowStride + x * columnStride + c * channelStride;
    }
};

/// The shape of a 4-D tensor in either layout.
inline Shape shape4(uint32_t batch, uint32_t height, uint32_t width, uint32_t channels, bool nchw) {
    return nchw ? Shape{batch, channels, height, width} : Shape{batch, height, width, channels};
}

/// One spatial dimension of a sliding window. All values fit in int64 without overflow for any
/// int32 arguments, so callers may check ranges afterwards.
struct Window {
    int64_t head = 0;    // padding before
    int64_t tail = 0;    // padding after
    int64_t output = 0;  // number of positions; <= 0 when the window does not fit

    /// Explicit padding. stride, dilation, filter >= 1.
    static Window explicitPadding(int64_t input, int64_t head, int64_t tail, int64_t stride,
                                  int64_t filter, int64_t dilation = 1) {
        const int64_t effective = (filter - 1) * dilation + 1;
        const int64_t room = input + head + tail - effective;
        return {head, tail, room < 0 ? 0 : room / stride + 1};
    }

    /// PADDING_SAME or PADDING_VALID, by the formulas of PaddingCode.
    static Window implicitPadding(int64_t input, int32_t scheme, int64_t stride, int64_t filter,
                                  int64_t dilation = 1) {
        if (scheme == ANEURALNETWORKS_PADDING_VALID) {
            return explicitPadding(input, 0, 0, stride, filter, dilation);
        }
        const int64_t effective = (filter - 1) * dilation + 1;
        const int64_t output = (input + stride - 1) / stride;
        const int64_t total =
            std::max<int64_t>(0, (output - 1) * stride + effective - input);
        return {total / 2, (total + 1) / 2, output};
    }
};

}  // namespace nnapi
