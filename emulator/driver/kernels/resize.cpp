// RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR. Positions are exact, fractions of integers; but for
// the nearest neighbour devices that ship compute them in single precision.

#include <cmath>

#include "../readings.h"
#include "kernel.h"
#include "quantize.h"
#include "sliding.h"

namespace nnapi {
namespace {

constexpr int32_t kMost = 0x7FFFFFFF;

/// The flags follow the two sizes: layout, align corners, half pixel centers.
constexpr size_t kLayout = 3, kAlign = 4, kHalfPixel = 5;

/// The rules on rank and scalars, as far as either stage knows them.
template <class Where>
void check(const Where& where) {
    where.rank(in(0), 4);
    for (size_t i = 1; i <= 2; i++) {
        if (where.typeOf(in(i)) == INT32) where.integer(in(i), 1, kMost);
    }
    where.require(where.flagOf(in(kAlign)) != true || where.flagOf(in(kHalfPixel)) != true,
                  "align corners and half pixel centers exclude each other");
}

void validate(OpView& v, bool nearest) {
    v.inputRange(3, 6);
    v.outputs(1);
    const Type type = v.type(in(0), {{TENSOR_FLOAT32, 1},
                                     {TENSOR_FLOAT16, 3},
                                     {TENSOR_QUANT8_ASYMM, 3},
                                     {TENSOR_QUANT8_ASYMM_SIGNED, 4}});
    // Reading: RESIZE_NEAREST_NEIGHBOR's layout "defaults to false", so it may be left out, as
    // that of RESIZE_BILINEAR.
    if (nearest) v.since(3);
    v.sameType({in(0), out(0)});
    v.sameQuant({in(0), out(0)});
    v.rank(out(0), 4);
    const bool byShape = v[in(1)].type == INT32;
    if (byShape) {
        v.scalar(in(2), INT32);
    } else {
        v.since(3);
        v.realScalar(in(1), type);
        v.realScalar(in(2), type);
    }
    v.optionalFlag(in(kLayout), 3);
    v.optionalFlag(in(kAlign), 4);
    v.optionalFlag(in(kHalfPixel), 4);
    check(v);
    const auto nchw = v.flagOf(in(kLayout));
    if (!nchw) return;
    v.sameDim(in(0), 0, out(0), 0);
    v.sameDim(in(0), *nchw ? 1 : 3, out(0), *nchw ? 1 : 3);
    for (const bool vertical : {false, true}) {
        const uint32_t axis = (vertical ? 1 : 2) + (*nchw ? 1 : 0);
        const Ref size = in(vertical ? 2 : 1);
        if (byShape) {
            if (const auto known = v.value<int32_t>(size)) {
                v.dim(out(0), axis, static_cast<uint32_t>(*known));
            }
        }
    }
}
void validateNearest(OpView& v) { validate(v, true); }
void validateBilinear(OpView& v) { validate(v, false); }

/// An output size: given, or floor(input * scale).
/// Reading: the product is one of single precision, as the scale is. 10 times 0.7f is 7 then; the
/// exact product, a little below since 0.7f is, would give 6.
int64_t outputSize(const Context& c, size_t index, uint32_t input) {
    if (c.type(index) == INT32) return c.scalar<int32_t>(index);
    const float size = std::floor(static_cast<float>(input) * c.real(index));
    c.require(size >= 1 && size < 0x1p31f, "the scale must give a size of at least 1");
    return static_cast<int64_t>(size);
}

void prepare(Context& c) {
    check(c);
    const bool nchw = c.flag(kLayout);
    const Layout4 input(c.shape(0), nchw);
    const int64_t width = outputSize(c, 1, input.width);
    const int64_t height = outputSize(c, 2, input.height);
    c.require(input.width >= 1 && input.height >= 1, "the input has no pixels");
    setShape4(c, input.batch, height, width, input.channels, nchw);
}

/// Maps output positions to input positions numerator(i) / denominator, exactly.
struct Mapping {
    int64_t input, output;
    bool align, halfPixel;

    Mapping(int64_t in, int64_t out, bool alignCorners, bool halfPixelCenters)
        : input(in),
          output(out),
          // With one output pixel there are no two corners to align.
          align(alignCorners && out > 1),
          halfPixel(halfPixelCenters) {}

    int64_t denominator() const { return align ? output - 1 : halfPixel ? 2 * output : output; }
    /// Half pixel centers: (i + 0.5) * input / output - 0.5. Negative for the first pixels.
    int64_t numerator(int64_t i) const {
        if (align) return i * (input - 1);
        if (halfPixel) return (2 * i + 1) * input - output;
        return i * input;
    }
    /// Reading: without flags a position is rounded down, as the pixels are at their upper left
    /// corners; with either flag pixels are at their centers, and halves are rounded up.
    size_t nearest(int64_t i) const {
        int64_t position = 0;
        if (followsField()) {
            position = nearestInSinglePrecision(i);
        } else if (halfPixel) {
            position = (2 * i + 1) * input / (2 * output);
        } else if (align) {
            position = (2 * numerator(i) + denominator()) / (2 * denominator());
        } else {
            position = numerator(i) / denominator();
        }
        return static_cast<size_t>(std::min(position, input - 1));
    }

private:
    /// The fraction of the output first, then its place in the input: 502 of 1966 is below 251 of
    /// 983, and gives 250.
    int64_t nearestInSinglePrecision(int64_t i) const {
        const auto place = [](int64_t at, float offset, int64_t from, int64_t to) {
            return (static_cast<float>(at) + offset) / static_cast<float>(from) *
                   static_cast<float>(to);
        };
        if (align) return std::lround(place(i, 0, output - 1, input - 1));
        return static_cast<int64_t>(std::floor(place(i, halfPixel ? 0.5f : 0, output, input)));
    }
};

/// The two input positions around an output position; the upper has weight `part` / denominator.
struct Between {
    size_t lower, upper;
    int64_t part;
    double weight;
};

Between between(const Mapping& map, int64_t i) {
    const int64_t numerator = map.numerator(i), denominator = map.denominator();
    // Before the first pixel's center, and beyond the last one's, the edge goes on.
    if (numerator <= 0) return {0, map.input > 1 ? size_t{1} : size_t{0}, 0, 0.0};
    const int64_t lower = std::min(numerator / denominator, map.input - 1);
    const int64_t upper = std::min(lower + 1, map.input - 1);
    const int64_t part = upper == lower ? 0 : numerator - lower * denominator;
    return {static_cast<size_t>(lower), static_cast<size_t>(upper), part,
            static_cast<double>(part) / static_cast<double>(denominator)};
}

/// NCHW is seen as images of one channel.
struct Images {
    size_t count, channels, height, width, outHeight, outWidth;
    Mapping y, x;

    explicit Images(Context& c)
        : Images(c, Layout4(c.shape(0), c.flag(kLayout)),
                 Layout4(c.output(0).shape, c.flag(kLayout))) {}

private:
    Images(Context& c, const Layout4& from, const Layout4& to)
        : count(c.flag(kLayout) ? size_t{from.batch} * from.channels : from.batch),
          channels(c.flag(kLayout) ? 1 : from.channels),
          height(from.height),
          width(from.width),
          outHeight(to.height),
          outWidth(to.width),
          y(from.height, to.height, c.flag(kAlign), c.flag(kHalfPixel)),
          x(from.width, to.width, c.flag(kAlign), c.flag(kHalfPixel)) {}
};

template <class T>
void nearest(Context& c) {
    const Images images(c);
    const T* input = c.in<T>(0);
    T* output = c.out<T>(0);
    size_t* columns = c.scratch<size_t>(images.outWidth);
    for (size_t x = 0; x < images.outWidth; x++) {
        columns[x] = images.x.nearest(static_cast<int64_t>(x)) * images.channels;
    }
    for (size_t b = 0; b < images.count; b++) {
        for (size_t y = 0; y < images.outHeight; y++) {
            const T* row = input + (b * images.height + images.y.nearest(static_cast<int64_t>(y))) *
                                       images.width * images.channels;
            c.spend(size_t{images.outWidth} * images.channels);
            for (size_t x = 0; x < images.outWidth; x++, output += images.channels) {
                std::copy_n(row + columns[x], images.channels, output);
            }
        }
    }
}

void executeNearest(Context& c) {
    if (c.output(0).count() == 0) return;
    switch (elementSize(c.type(0))) {
        case 4: return nearest<uint32_t>(c);
        case 2: return nearest<uint16_t>(c);
        default: return nearest<uint8_t>(c);
    }
}

/// pixel(output element, pointers to the four input pixels, y, x) for each output pixel.
template <class T, class Pixel>
void forEachPixel(Context& c, const T* input, Pixel pixel) {
    const Images images(c);
    Between* columns = c.scratch<Between>(images.outWidth);
    for (size_t x = 0; x < images.outWidth; x++) {
        columns[x] = between(images.x, static_cast<int64_t>(x));
    }
    const size_t rowSize = images.width * images.channels;
    size_t out = 0;
    for (size_t b = 0; b < images.count; b++) {
        const T* image = input + b * images.height * rowSize;
        for (size_t y = 0; y < images.outHeight; y++) {
            const Between row = between(images.y, static_cast<int64_t>(y));
            const T* upper = image + row.lower * rowSize;
            const T* lower = image + row.upper * rowSize;
            c.spend(8 * size_t{images.outWidth} * images.channels);
            for (size_t x = 0; x < images.outWidth; x++, out += images.channels) {
                const Between& column = columns[x];
                const T* corners[4] = {upper + column.lower * images.channels,
                                       upper + column.upper * images.channels,
                                       lower + column.lower * images.channels,
                                       lower + column.upper * images.channels};
                pixel(out, corners, row, column, images.channels);
            }
        }
    }
}

void bilinearFloat(Context& c, const float* input, float* output) {
    forEachPixel(c, input,
                 [&](size_t out, const float* const* corners, const Between& row,
                     const Between& column, size_t channels) {
                     const double x1 = column.weight, x0 = 1 - x1;
                     const double y1 = row.weight, y0 = 1 - y1;
                     for (size_t i = 0; i < channels; i++) {
                         const double top = corners[0][i] * x0 + corners[1][i] * x1;
                         const double bottom = corners[2][i] * x0 + corners[3][i] * x1;
                         output[out + i] = static_cast<float>(top * y0 + bottom * y1);
                     }
                 });
}

template <class T>
void bilinearQuant(Context& c) {
    const Images images(c);
    const int32_t zeroPoint = c.input(0).zeroPoint;
    const int64_t denominatorX = images.x.denominator(), denominatorY = images.y.denominator();
    T* output = c.out<T>(0);
    using Wide = __int128;  // 2 * 33 bits of weights and 8 of code
    const Wide denominator = static_cast<Wide>(denominatorX) * denominatorY;
    // Small products, nearly always, need no wide arithmetic.
    const bool narrow = denominator < (Wide{1} << 52);
    const auto small = static_cast<int64_t>(denominator);
    forEachPixel(
        c, c.in<T>(0),
        [&](size_t out, const T* const* corners, const Between& row, const Between& column,
            size_t channels) {
            const int64_t x1 = column.part, x0 = denominatorX - x1;
            const int64_t y1 = row.part, y0 = denominatorY - y1;
            for (size_t i = 0; i < channels; i++) {
                const int64_t top =
                    (corners[0][i] - zeroPoint) * x0 + (corners[1][i] - zeroPoint) * x1;
                const int64_t bottom =
                    (corners[2][i] - zeroPoint) * x0 + (corners[3][i] - zeroPoint) * x1;
                int64_t code = 0;
                // The mean of four codes lies among them: no clamping. Halves away from zero.
                if (narrow) {
                    const int64_t sum = top * y0 + bottom * y1;
                    code = (2 * (sum < 0 ? -sum : sum) + small) / (2 * small);
                    code = sum < 0 ? -code : code;
                } else {
                    const Wide sum = static_cast<Wide>(top) * y0 + static_cast<Wide>(bottom) * y1;
                    code = static_cast<int64_t>((2 * (sum < 0 ? -sum : sum) + denominator) /
                                                (2 * denominator));
                    code = sum < 0 ? -code : code;
                }
                output[out + i] = static_cast<T>(code + zeroPoint);
            }
        });
}

void executeBilinear(Context& c) {
    const size_t count = c.output(0).count();
    if (count == 0) return;
    switch (c.type(0)) {
        case TENSOR_FLOAT32: return bilinearFloat(c, c.in<float>(0), c.out<float>(0));
        case TENSOR_FLOAT16: {
            float* input = c.scratch<float>(c.input(0).count());
            float* output = c.scratch<float>(count);
            toFloat(c.in<Half>(0), input, c.input(0).count());
            bilinearFloat(c, input, output);
            return toHalf(output, c.out<Half>(0), count);
        }
        case TENSOR_QUANT8_ASYMM: return bilinearQuant<uint8_t>(c);
        default: return bilinearQuant<int8_t>(c);
    }
}

const Register registered({
    {ANEURALNETWORKS_RESIZE_NEAREST_NEIGHBOR, "RESIZE_NEAREST_NEIGHBOR", validateNearest, prepare,
     executeNearest},
    {ANEURALNETWORKS_RESIZE_BILINEAR, "RESIZE_BILINEAR", validateBilinear, prepare,
     executeBilinear},
});

}  // namespace
}  // namespace nnapi
