// ROI_POOLING: the greatest element in each bin of a region rounded to whole pixels.

#include <cmath>

#include "roi.h"

namespace nnapi {
namespace {

constexpr size_t kLayout = 7;

void validate(OpView& v) {
    v.inputs(8);
    validateRegions(v, kLayout);
    v.sameQuant({in(0), out(0)});
}

void prepare(Context& c) { prepareRegions(c, c.flag(kLayout)); }

/// One dimension of a region in whole pixels, both ends included.
struct Span {
    int64_t start, size;
};

Span span(double start, double end) {
    // Far beyond any feature map, and safe to calculate with.
    constexpr double kFar = 0x1p40;
    const auto pixel = [&](double at) {
        return static_cast<int64_t>(std::round(std::clamp(at, -kFar, kFar)));
    };
    const int64_t first = pixel(start);
    return {first, std::max<int64_t>(1, pixel(end) - first + 1)};
}

/// Pixels [first, last) of bin `b` of `bins`, within the feature map: rounded outwards, so that
/// the bins cover the region.
struct Bin {
    size_t first, last;
};

Bin bin(const Span& span, size_t b, size_t bins, uint32_t size) {
    const auto n = static_cast<__int128>(bins);
    const auto begin = static_cast<int64_t>(static_cast<__int128>(b) * span.size / n);
    const auto end = static_cast<int64_t>((static_cast<__int128>(b + 1) * span.size + n - 1) / n);
    const auto inside = [&](int64_t at) {
        return static_cast<size_t>(std::clamp<int64_t>(at + span.start, 0, size));
    };
    return {inside(begin), inside(end)};
}

/// T is compared as real values by `real`; the element itself is copied.
template <class T, class Real>
void pool(Context& c, T empty, Real real) {
    const bool nchw = c.flag(kLayout);
    const Layout4 map(c.shape(0), nchw), to(c.output(0).shape, nchw);
    const T* input = c.in<T>(0);
    T* output = c.out<T>(0);
    for (size_t i = 0; i < to.batch; i++) {
        const Region roi = region(c, i);
        const Span ys = span(roi.y1, roi.y2), xs = span(roi.x1, roi.x2);
        for (size_t y = 0; y < to.height; y++) {
            const Bin rows = bin(ys, y, to.height, map.height);
            for (size_t x = 0; x < to.width; x++) {
                const Bin columns = bin(xs, x, to.width, map.width);
                for (size_t k = 0; k < map.channels; k++) {
                    // Reading: a bin outside the feature map has nothing to pool; it is zero.
                    T most = empty;
                    bool any = false;
                    for (size_t iy = rows.first; iy < rows.last; iy++) {
                        for (size_t ix = columns.first; ix < columns.last; ix++) {
                            const T value = input[map.at(roi.batch, iy, ix, k)];
                            const auto a = real(value), b = real(most);
                            if (!any || a > b || a != a) most = value;
                            any = true;
                        }
                        c.spend(16 + 4 * (columns.last - columns.first));
                    }
                    output[to.at(i, y, x, k)] = most;
                }
            }
        }
    }
}

void execute(Context& c) {
    if (c.output(0).count() == 0) return;
    const int32_t zero = c.input(0).zeroPoint;
    switch (c.type(0)) {
        case TENSOR_FLOAT32: return pool<float>(c, 0.0f, [](float v) { return v; });
        case TENSOR_FLOAT16: return pool<Half>(c, Half{0}, [](Half v) { return toFloat(v); });
        case TENSOR_QUANT8_ASYMM:
            return pool<uint8_t>(c, static_cast<uint8_t>(zero), [](int32_t v) { return v; });
        default: return pool<int8_t>(c, static_cast<int8_t>(zero), [](int32_t v) { return v; });
    }
}

const Register registered(
    {{ANEURALNETWORKS_ROI_POOLING, "ROI_POOLING", validate, prepare, execute}});

}  // namespace
}  // namespace nnapi
