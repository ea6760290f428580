// What convolutions and pooling have in common: two signatures, padding, strides, layouts.
#pragma once

#include "kernel.h"
#include "window.h"

namespace nnapi {

/// Where a signature keeps its scalars. Padding is at `padding` (left, right, top, bottom, or the
/// scheme); stride width and height follow.
struct SlidingInputs {
    bool explicitPadding;
    size_t padding;
    size_t stride;      // width, then height
    size_t next;      // the input after the strides
    size_t layout;    // the NCHW flag
    size_t dilation;  // width, then height; SIZE_MAX where the operation has none

    size_t activation() const { return layout - 1; }
};

/// Padding, strides and dilations, once their values are known.
struct Sliding {
    bool nchw;
    int64_t strideWidth, strideHeight;
    int64_t dilationWidth = 1, dilationHeight = 1;
    bool explicitPadding;
    int32_t scheme = 0;
    int64_t left = 0, right = 0, top = 0, bottom = 0;

    Window horizontal(int64_t input, int64_t filter) const {
        return explicitPadding
                   ? Window::explicitPadding(input, left, right, strideWidth, filter,
                                             dilationWidth)
                   : Window::implicitPadding(input, scheme, strideWidth, filter, dilationWidth);
    }
    Window vertical(int64_t input, int64_t filter) const {
        return explicitPadding
                   ? Window::explicitPadding(input, top, bottom, strideHeight, filter,
                                             dilationHeight)
                   : Window::implicitPadding(input, scheme, strideHeight, filter,
                                             dilationHeight);
    }
};

/// For the model: types and ranges of padding, strides, activation, layout flag, dilations.
void validateSliding(OpView& v, const SlidingInputs& at, bool optionalLayout);

/// The values at execution; refuses what is out of range.
Sliding readSliding(const Context& c, const SlidingInputs& at);

/// Reading: explicit padding may be of any size; devices that ship want each one smaller than the
/// (dilated) filter, input 1 of [.., height, width, ..].
void requirePaddingWithinFilter(const Context& c, const SlidingInputs& at);

/// Sets output 0 to a 4-D shape in the layout given, refusing sizes below 1 (except the batch,
/// which may be empty) and sizes that no tensor can have.
void setShape4(Context& c, int64_t batch, int64_t height, int64_t width, int64_t channels,
               bool nchw);

/// Checks the output's dimensions at model finish, as far as input, filter and scalars are known.
/// `filter*` are the inputs' dimensions of the filter, or nothing.
void validateSlidingOutput(const OpView& v, const SlidingInputs& at,
                           std::optional<int64_t> filterHeight,
                           std::optional<int64_t> filterWidth);

}  // namespace nnapi
