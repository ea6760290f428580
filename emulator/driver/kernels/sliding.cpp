#include "sliding.h"

#include <limits>

#include "../readings.h"

namespace nnapi {
namespace {

constexpr int32_t kMost = std::numeric_limits<int32_t>::max();

/// Ranges of padding, strides, activation and dilations.
template <class Where>
void check(const Where& where, const SlidingInputs& at) {
    if (at.explicitPadding) {
        // Reading: padding is a number of elements, so it is not negative.
        for (size_t i = 0; i < 4; i++) where.integer(in(at.padding + i), 0, kMost);
    } else {
        where.paddingScheme(in(at.padding));
    }
    where.integer(in(at.stride), 1, kMost);
    where.integer(in(at.stride + 1), 1, kMost);
    where.activation(in(at.activation()));
    if (at.dilation >= where.inputCount()) return;
    where.integer(in(at.dilation), 1, kMost);
    where.integer(in(at.dilation + 1), 1, kMost);
    where.require(where.has(in(at.dilation)) == where.has(in(at.dilation + 1)),
                  "dilations for width and height go together");
}

/// The size of an output along one dimension.
template <class Where>
uint32_t outputSize(const Where& where, int64_t size) {
    where.require(size >= 1, "the window does not fit into the input");
    where.require(size <= kMost, "the output is too large");
    return static_cast<uint32_t>(size);
}

}  // namespace

void validateSliding(OpView& v, const SlidingInputs& at, bool optionalLayout) {
    if (optionalLayout) {
        v.optionalFlag(in(at.layout), 3);
    } else {
        v.scalar(in(at.layout), BOOL);
    }
    if (at.dilation < v.inputCount()) {
        v.optional(in(at.dilation));
        v.optional(in(at.dilation + 1));
        v.since(3);
    }
    check(v, at);
}

Sliding readSliding(const Context& c, const SlidingInputs& at) {
    check(c, at);
    Sliding s;
    s.nchw = c.flag(at.layout);
    s.explicitPadding = at.explicitPadding;
    if (at.explicitPadding) {
        s.left = c.scalar<int32_t>(at.padding);
        s.right = c.scalar<int32_t>(at.padding + 1);
        s.top = c.scalar<int32_t>(at.padding + 2);
        s.bottom = c.scalar<int32_t>(at.padding + 3);
    } else {
        s.scheme = c.scalar<int32_t>(at.padding);
    }
    s.strideWidth = c.scalar<int32_t>(at.stride);
    s.strideHeight = c.scalar<int32_t>(at.stride + 1);
    if (at.dilation < c.inputCount()) {
        s.dilationWidth = c.scalar<int32_t>(at.dilation, 1);
        s.dilationHeight = c.scalar<int32_t>(at.dilation + 1, 1);
    }
    return s;
}

void requirePaddingWithinFilter(const Context& c, const SlidingInputs& at) {
    if (!followsField() || !at.explicitPadding) return;
    const Sliding s = readSliding(c, at);
    const int64_t height = (int64_t{c.shape(1)[1]} - 1) * s.dilationHeight + 1;
    const int64_t width = (int64_t{c.shape(1)[2]} - 1) * s.dilationWidth + 1;
    c.require(s.left < width && s.right < width && s.top < height && s.bottom < height,
              "a padding must be smaller than the filter");
}

void setShape4(Context& c, int64_t batch, int64_t height, int64_t width, int64_t channels,
               bool nchw) {
    const uint32_t rows = outputSize(c, height), columns = outputSize(c, width);
    size_t count = size_t{rows} * columns;
    c.require(channels <= kMost &&
                  !__builtin_mul_overflow(count, static_cast<size_t>(channels), &count) &&
                  !__builtin_mul_overflow(count, static_cast<size_t>(batch), &count) &&
                  count < size_t{1} << 40,
              "the output is too large");
    c.setShape(0, shape4(static_cast<uint32_t>(batch), rows, columns,
                         static_cast<uint32_t>(channels), nchw));
}

void validateSlidingOutput(const OpView& v, const SlidingInputs& at,
                           std::optional<int64_t> filterHeight,
                           std::optional<int64_t> filterWidth) {
    const auto nchw = v.flagOf(in(at.layout));
    if (!nchw) return;
    v.sameDim(in(0), 0, out(0), 0);
    const auto value = [&](size_t index, int64_t absent) -> std::optional<int64_t> {
        if (!v.has(in(index))) return absent;
        return v.value<int32_t>(in(index));
    };
    for (const bool vertical : {false, true}) {
        const auto filter = vertical ? filterHeight : filterWidth;
        const uint32_t axis = (vertical ? 1 : 2) + (*nchw ? 1 : 0);
        const auto input = v.dimOf(in(0), axis);
        const auto stride = value(at.stride + (vertical ? 1 : 0), 1);
        const auto dilation = at.dilation < v.inputCount()
                                  ? value(at.dilation + (vertical ? 1 : 0), 1)
                                  : std::optional<int64_t>(1);
        const size_t head = at.padding + (at.explicitPadding && vertical ? 2 : 0);
        const auto padding = value(head, 0);
        const auto tail = at.explicitPadding ? value(head + 1, 0) : std::optional<int64_t>(0);
        if (!filter || !input || !stride || !dilation || !padding || !tail) continue;
        const Window window =
            at.explicitPadding
                ? Window::explicitPadding(*input, *padding, *tail, *stride, *filter, *dilation)
                : Window::implicitPadding(*input, static_cast<int32_t>(*padding), *stride,
                                          *filter, *dilation);
        v.dim(out(0), axis, outputSize(v, window.output));
    }
}

}  // namespace nnapi
