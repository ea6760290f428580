// Convolutions as products of rows (output pixels) and panels (output channels), see gemm.h.
#pragma once

#include "product.h"
#include "../sliding.h"

namespace nnapi {

/// The type rules of all convolutions for input, filter, bias and output; `channelDim` is the
/// filter's dimension of output channels. Operations since level 3 pass it as `since`.
void validateConvolutionTypes(OpView& v, uint32_t channelDim, int since,
                              When ranks = When::LATER);

/// The same at execution: ranks, the sizes that go together, and one scale for each channel.
void checkConvolution(const Context& c, uint32_t channelDim);

/// Geometry of a grouped or plain convolution, dimensions in NHWC terms.
struct Convolution {
    size_t batch, height, width, depth;  // input
    size_t filterHeight, filterWidth;
    size_t outHeight, outWidth, outDepth;
    size_t groups;
    int64_t strideHeight, strideWidth, dilationHeight, dilationWidth, top, left;
    bool nchw;

    size_t taps() const { return filterHeight * filterWidth; }
    size_t groupDepth() const { return depth / groups; }
    size_t groupColumns() const { return outDepth / groups; }
    size_t pixels() const { return outHeight * outWidth; }
    gemm::PanelShape panels() const { return {groupColumns(), taps(), groupDepth()}; }
};

/// What all convolutions read alike: the sizes of input 0, the filter's height and width (dimensions
/// 1 and 2 of input 1), strides and dilations. The rest is left 0: what the filter's other dimensions
/// mean (groups, outDepth) and the output's height and width.
Convolution convolutionSizes(const Context& c, const Sliding& sliding);

/// The same with the output's height and width under strides, dilations and padding.
Convolution slidingConvolution(const Context& c, const Sliding& sliding);

/// Sets the shape of output 0.
void setOutputShape(Context& c, const Convolution& conv);

/// Packs a constant input 1 of [columns, ..., depth], its columns in `groups` groups. Null when it
/// is not constant, or where `execute` does without panels.
std::shared_ptr<const void> packFilter(const OpView& v, size_t groups, bool floatPanels);

/// The filter's panels: those of `pack`, or packed now.
const float* floatPanels(Context& c, const Convolution& conv);
const int16_t* shortPanels(Context& c, const Convolution& conv);

/// Computes output 0 from inputs 0 (input), 1 (filter), 2 (bias).
void convolve(Context& c, const Convolution& conv, int32_t fuse);

/// A float copy of a float32 or float16 tensor; float32 is used where it lies.
const float* asFloats(Context& c, const Tensor& tensor);

/// NCHW to NHWC or back: [batch][rows][columns] to [batch][columns][rows].
template <class From, class To>
void transposeBatches(const From* from, To* to, size_t batch, size_t rows, size_t columns,
                      int32_t subtract = 0) {
    constexpr size_t kBlock = 16;
    for (size_t b = 0; b < batch; b++, from += rows * columns, to += rows * columns) {
        for (size_t r0 = 0; r0 < rows; r0 += kBlock) {
            const size_t r1 = std::min(rows, r0 + kBlock);
            for (size_t c0 = 0; c0 < columns; c0 += kBlock) {
                const size_t c1 = std::min(columns, c0 + kBlock);
                for (size_t r = r0; r < r1; r++) {
                    for (size_t k = c0; k < c1; k++) {
                        if constexpr (std::is_same_v<From, To>) {
                            to[k * rows + r] = from[r * columns + k];
                        } else {
                            to[k * rows + r] = static_cast<To>(from[r * columns + k] - subtract);
                        }
                    }
                }
            }
        }
    }
}

/// Codes of an input in NHWC order less its zero point, with `slack` zeros for tiles to read.
template <class T>
const int16_t* centredNhwc(Context& c, const Tensor& input, bool nchw,
                           size_t slack = gemm::kShortSlack) {
    const T* codes = input.as<T>();
    if (!nchw) return gemm::centred(c, codes, input.count(), input.zeroPoint, slack);
    int16_t* values = c.scratch<int16_t>(input.count() + slack);
    transposeBatches(codes, values, input.shape[0], input.shape[1],
                     size_t{input.shape[2]} * input.shape[3], input.zeroPoint);
    std::fill_n(values + input.count(), slack, int16_t{0});
    return values;
}

/// A row of zeros for padding to point at.
template <class T>
const T* zeros(Context& c, size_t count) {
    T* row = c.scratch<T>(count);
    std::fill(row, row + count, T{});
    return row;
}

}  // namespace nnapi
