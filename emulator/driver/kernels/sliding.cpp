#include "sliding.h"

#include <limits>

namespace nnapi {
namespace {

constexpr int32_t kMost = std::numeric_limits<int32_t>::max();

}  // namespace

void validateSliding(OpView& v, const SlidingInputs& at, bool optionalLayout) {
    if (at.explicitPadding) {
        // Reading: padding is a number of elements, so it is not negative.
        for (size_t i = 0; i < 4; i++) v.integer(in(at.padding + i), 0, kMost);
    } else {
        v.paddingScheme(in(at.padding));
    }
    v.integer(in(at.stride), 1, kMost);
    v.integer(in(at.stride + 1), 1, kMost);
    v.activation(in(at.activation()));
    if (optionalLayout) {
        v.optionalFlag(in(at.layout), 3);
    } else {
        v.scalar(in(at.layout), BOOL);
    }
    if (at.dilation < v.inputCount()) {
        v.integer(in(at.dilation), 1, kMost);
        v.integer(in(at.dilation + 1), 1, kMost);
        v.optional(in(at.dilation));
        v.optional(in(at.dilation + 1));
        v.require(v.has(in(at.dilation)) == v.has(in(at.dilation + 1)),
                  "dilations for width and height go together");
        v.since(3);
    }
}

Sliding readSliding(const Context& c, const SlidingInputs& at) {
    Sliding s;
    s.nchw = c.flag(at.layout);
    s.explicitPadding = at.explicitPadding;
    if (at.explicitPadding) {
        s.left = c.integer(at.padding, 0, kMost);
        s.right = c.integer(at.padding + 1, 0, kMost);
        s.top = c.integer(at.padding + 2, 0, kMost);
        s.bottom = c.integer(at.padding + 3, 0, kMost);
    } else {
        s.scheme = c.integer(at.padding, 1, 2);
    }
    s.strideWidth = c.integer(at.stride, 1, kMost);
    s.strideHeight = c.integer(at.stride + 1, 1, kMost);
    if (at.dilation < c.inputCount() && (c.has(at.dilation) || c.has(at.dilation + 1))) {
        c.require(c.has(at.dilation) && c.has(at.dilation + 1),
                  "dilations for width and height go together");
        s.dilationWidth = c.integer(at.dilation, 1, kMost);
        s.dilationHeight = c.integer(at.dilation + 1, 1, kMost);
    }
    return s;
}

void setShape4(Context& c, int64_t batch, int64_t height, int64_t width, int64_t channels,
               bool nchw) {
    c.require(height >= 1 && width >= 1, "the window does not fit into the input");
    c.require(height <= kMost && width <= kMost && channels <= kMost, "the output is too large");
    size_t count = static_cast<size_t>(height) * static_cast<size_t>(width);
    c.require(!__builtin_mul_overflow(count, static_cast<size_t>(channels), &count) &&
                  !__builtin_mul_overflow(count, static_cast<size_t>(batch), &count) &&
                  count < size_t{1} << 40,
              "the output is too large");
    c.setShape(0, shape4(static_cast<uint32_t>(batch), static_cast<uint32_t>(height),
                         static_cast<uint32_t>(width), static_cast<uint32_t>(channels), nchw));
}

std::optional<bool> knownLayout(const OpView& v, size_t layout) {
    if (!v.has(in(layout))) return false;
    const auto flag = v.value<uint8_t>(in(layout));
    if (!flag) return std::nullopt;
    return *flag != 0;
}

void validateSlidingOutput(const OpView& v, const SlidingInputs& at,
                           std::optional<int64_t> filterHeight,
                           std::optional<int64_t> filterWidth) {
    const auto nchw = knownLayout(v, at.layout);
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
        v.require(window.output >= 1, "the window does not fit into the input");
        v.require(window.output <= kMost, "the output is too large");
        v.dim(out(0), axis, static_cast<uint32_t>(window.output));
    }
}

}  // namespace nnapi
