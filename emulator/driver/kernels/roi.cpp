#include "roi.h"

#include <cmath>

namespace nnapi {

namespace {

/// The rules on shapes and scalars, as far as either stage knows them.
template <class Where>
void check(const Where& where) {
    where.rank(in(0), 4);
    where.rank(in(1), 2);
    where.dim(in(1), 1, 4);
    where.rank(in(2), 1);
    where.sameDim(in(1), 0, in(2), 0);
    where.integer(in(3), 1, INT32_MAX);
    where.integer(in(4), 1, INT32_MAX);
    for (size_t i : {size_t{5}, size_t{6}}) {
        const auto ratio = where.realValue(in(i));
        where.require(!ratio || (*ratio > 0 && std::isfinite(*ratio)), "ratios must be positive");
    }
}

}  // namespace

void validateRegions(OpView& v, size_t layout) {
    v.outputs(1);
    const Type type = v.type(in(0), kRealAndQuant8Since3);
    v.sameType({in(0), out(0)});
    if (isQuantized(type)) {
        v.type(in(1), TENSOR_QUANT16_ASYMM);
        v.quant(in(1), 0.125f, 0);
    } else {
        v.sameType({in(0), in(1)});
    }
    v.type(in(2), TENSOR_INT32);
    // Reading: ratios are FLOAT32, as the reference says, or FLOAT16 with the feature map, as in
    // other operations; and they are positive.
    for (size_t i : {size_t{5}, size_t{6}}) v.anyRealScalar(in(i), type);
    check(v);
    v.scalar(in(layout), BOOL);
    v.rank(out(0), 4);
    v.sameDim(in(1), 0, out(0), 0);
    const auto nchw = v.flagOf(in(layout));
    if (!nchw) return;
    v.sameDim(in(0), *nchw ? 1 : 3, out(0), *nchw ? 1 : 3);
    for (const bool vertical : {false, true}) {
        const uint32_t axis = (vertical ? 1 : 2) + (*nchw ? 1 : 0);
        const auto size = v.value<int32_t>(in(vertical ? 3 : 4));
        if (size) v.dim(out(0), axis, static_cast<uint32_t>(*size));
    }
}

void prepareRegions(Context& c, bool nchw) {
    check(c);
    const Layout4 map(c.shape(0), nchw);
    const uint32_t count = c.shape(1)[0];
    const int32_t height = c.scalar<int32_t>(3), width = c.scalar<int32_t>(4);
    c.require(count == 0 || (map.height >= 1 && map.width >= 1), "the feature map has no pixels");
    for (size_t i = 0; i < count; i++) {
        const int32_t batch = c.in<int32_t>(2)[i];
        c.require(batch >= 0 && static_cast<uint32_t>(batch) < map.batch,
                  "a batch index is out of range");
        // Reading: data that break "x1 <= x2 and y1 <= y2" are refused; so are NaN and infinity.
        const double x1 = realAt(c.input(1), 4 * i), y1 = realAt(c.input(1), 4 * i + 1);
        const double x2 = realAt(c.input(1), 4 * i + 2), y2 = realAt(c.input(1), 4 * i + 3);
        c.require(x1 <= x2 && y1 <= y2, "a region must satisfy x1 <= x2 and y1 <= y2");
        c.require(std::isfinite(x1) && std::isfinite(y1) && std::isfinite(x2) && std::isfinite(y2),
                  "a region must be finite");
    }
    setShape4(c, count, height, width, map.channels, nchw);
}

Region region(const Context& c, size_t i) {
    // The ratio leads from the original image to the feature map: coordinates are divided by it.
    const double heightRatio = c.real(5), widthRatio = c.real(6);
    const Tensor& regions = c.input(1);
    return {static_cast<size_t>(c.in<int32_t>(2)[i]), realAt(regions, 4 * i) / widthRatio,
            realAt(regions, 4 * i + 1) / heightRatio, realAt(regions, 4 * i + 2) / widthRatio,
            realAt(regions, 4 * i + 3) / heightRatio};
}

}  // namespace nnapi
