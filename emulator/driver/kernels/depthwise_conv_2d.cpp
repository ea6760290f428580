// DEPTHWISE_CONV_2D: each input channel has its own filters.

#include "math/convolution.h"
#include "math/tap_sums.h"

namespace nnapi {
namespace {

constexpr int32_t kMost = 0x7FFFFFFF;
/// Elements that an input may have after its channels were repeated: half a gigabyte of them.
constexpr size_t kMostRepeated = size_t{1} << 28;

/// Explicit padding has 11 inputs, then optionally layout, then both dilations; implicit has 8.
/// Eleven are ambiguous: the ninth is a stride (INT32) or the layout (BOOL).
SlidingInputs inputs(size_t count, Type ninth) {
    const bool explicitPadding = count > 11 || (count == 11 && ninth == INT32);
    if (explicitPadding) return {true, 3, 7, 9, 11, 12};
    return {false, 3, 4, 6, 8, 9};
}

/// The filter's shape, and the multiplier that leads from the input depth to the output depth.
template <class Where>
void checkFilter(const Where& where, const SlidingInputs& at) {
    where.integer(in(at.next), 1, kMost);
    where.dim(in(1), 0, 1);
    const auto nchw = where.flagOf(in(at.layout));
    if (!nchw) return;
    const auto multiplier = where.intOf(in(at.next));
    const auto depth = where.dimOf(in(0), *nchw ? 1 : 3), outDepth = where.dimOf(in(1), 3);
    where.require(!multiplier || !depth || !outDepth ||
                      *outDepth == uint64_t{*depth} * static_cast<uint32_t>(*multiplier),
                  "the filter's depth must be the input depth times the multiplier");
}

void validate(OpView& v) {
    v.inputs({8, 9, 11, 12, 14});
    v.outputs(1);
    validateConvolutionTypes(v, 3, 1);
    const auto at = inputs(v.inputCount(), v.inputCount() > 8 ? v[in(8)].type : BOOL);
    validateSliding(v, at, true);
    checkFilter(v, at);
    validateSlidingOutput(v, at, v.dimOf(in(1), 1), v.dimOf(in(1), 2));
    if (const auto nchw = v.flagOf(in(at.layout))) v.sameDim(in(1), 3, out(0), *nchw ? 1 : 3);
}

SlidingInputs inputsOf(const Context& c) {
    return inputs(c.inputCount(), c.inputCount() > 8 ? c.type(8) : BOOL);
}

struct Depthwise {
    Convolution conv;
    size_t multiplier;
};

Depthwise geometry(const Context& c) {
    const SlidingInputs at = inputsOf(c);
    const Sliding sliding = readSliding(c, at);
    Depthwise d{slidingConvolution(c, sliding), static_cast<size_t>(c.scalar<int32_t>(at.next))};
    Convolution& conv = d.conv;
    const Shape& filter = c.shape(1);
    conv.groups = conv.depth;
    conv.outDepth = filter[3];
    return d;
}

void prepare(Context& c) {
    checkConvolution(c, 3);
    checkFilter(c, inputsOf(c));
    requirePaddingWithinFilter(c, inputsOf(c));
    setOutputShape(c, geometry(c).conv);
}

// --- NHWC: across channels --------------------------------------------------------------------

/// One row of output pixels, multiplier 1. `taps` points at the input pixels under the filter for
/// each output pixel, at zeros in the padding.
struct PixelRow {
    const float* const* taps;
    size_t tapCount;
    size_t pixels;
    size_t channels;
    const float* filter;  // [tap][channel]
    const float* bias;
    float* out;
    FloatRange range;
};

template <size_t Lanes>
struct VectorOf {
    // gcc 12 drops the attribute from a `using` whose size depends on a parameter.
    typedef float type __attribute__((vector_size(Lanes * sizeof(float))));
    static_assert(sizeof(type) == Lanes * sizeof(float));
};

/// As many channels as a vector has over the row; with `Taps` known, the filter stays in
/// registers.
template <size_t Lanes, size_t Taps>
__attribute__((always_inline)) inline void channelsOf(const PixelRow& row, size_t channel) {
    using Vector = typename VectorOf<Lanes>::type;
    const size_t count = Taps != 0 ? Taps : row.tapCount;
    Vector filter[Taps != 0 ? Taps : 1], bias;
    std::memcpy(&bias, row.bias + channel, sizeof(bias));
    for (size_t t = 0; t < Taps; t++) {
        std::memcpy(&filter[t], row.filter + t * row.channels + channel, sizeof(Vector));
    }
    for (size_t x = 0; x < row.pixels; x++) {
        const float* const* taps = row.taps + x * count;
        Vector sum = bias, other = {};
        for (size_t t = 0; t < count; t++) {
            Vector value, weight;
            std::memcpy(&value, taps[t] + channel, sizeof(value));
            if constexpr (Taps != 0) {
                weight = filter[t];
            } else {
                std::memcpy(&weight, row.filter + t * row.channels + channel, sizeof(weight));
            }
            // Two chains of additions, for their latency.
            if (t % 2 == 0) {
                sum += value * weight;
            } else {
                other += value * weight;
            }
        }
        sum += other;
        // Comparisons with NaN are false: NaN stays.
        sum = sum < row.range.least ? Vector{} + row.range.least : sum;
        sum = sum > row.range.most ? Vector{} + row.range.most : sum;
        std::memcpy(row.out + x * row.channels + channel, &sum, sizeof(sum));
    }
}

template <size_t Lanes>
__attribute__((always_inline)) inline void pixelRow(const PixelRow& row) {
    size_t channel = 0;
    for (; channel + Lanes <= row.channels; channel += Lanes) {
        if (row.tapCount == 9) {
            channelsOf<Lanes, 9>(row, channel);
        } else {
            channelsOf<Lanes, 0>(row, channel);
        }
    }
    const size_t rest = row.channels - channel;
    if (rest == 0) return;
    for (size_t x = 0; x < row.pixels; x++) {
        const float* const* taps = row.taps + x * row.tapCount;
        float sum[Lanes];
        for (size_t i = 0; i < rest; i++) sum[i] = row.bias[channel + i];
        for (size_t t = 0; t < row.tapCount; t++) {
            const float* value = taps[t] + channel;
            const float* weight = row.filter + t * row.channels + channel;
            for (size_t i = 0; i < rest; i++) sum[i] += value[i] * weight[i];
        }
        float* out = row.out + x * row.channels + channel;
        for (size_t i = 0; i < rest; i++) out[i] = clampFloat(sum[i], row.range);
    }
}

/// Output pixels 0 to count of a plane: out[i] = bias + sum of weights[t] * input[starts[t] + i].
struct PlaneRow {
    const float* input;
    const size_t* starts;
    const float* weights;
    size_t tapCount;
    size_t count;
    float bias;
    float* out;
    FloatRange range;
};

template <size_t Lanes, size_t Taps>
__attribute__((always_inline)) inline void planeOf(const PlaneRow& row) {
    using Vector = typename VectorOf<Lanes>::type;
    const size_t taps = Taps != 0 ? Taps : row.tapCount;
    size_t i = 0;
    for (; i + Lanes <= row.count; i += Lanes) {
        Vector sum = Vector{} + row.bias, other = {};
        for (size_t t = 0; t < taps; t++) {
            Vector value;
            std::memcpy(&value, row.input + row.starts[t] + i, sizeof(value));
            if (t % 2 == 0) {
                sum += value * row.weights[t];
            } else {
                other += value * row.weights[t];
            }
        }
        sum += other;
        sum = sum < row.range.least ? Vector{} + row.range.least : sum;
        sum = sum > row.range.most ? Vector{} + row.range.most : sum;
        std::memcpy(row.out + i, &sum, sizeof(sum));
    }
    for (; i < row.count; i++) {
        float sum = row.bias;
        for (size_t t = 0; t < taps; t++) sum += row.input[row.starts[t] + i] * row.weights[t];
        row.out[i] = clampFloat(sum, row.range);
    }
}

template <size_t Lanes>
__attribute__((always_inline)) inline void planeRow(const PlaneRow& row) {
    if (row.tapCount == 9) {
        planeOf<Lanes, 9>(row);
    } else {
        planeOf<Lanes, 0>(row);
    }
}

/// Builds of the two loops for the processor at hand.
struct Loops {
    void (*pixels)(const PixelRow&);
    void (*plane)(const PlaneRow&);
};

void pixelsPortable(const PixelRow& row) { pixelRow<4>(row); }
void planePortable(const PlaneRow& row) { planeRow<4>(row); }
#if defined(__x86_64__)
__attribute__((target("avx2"))) void pixelsAvx2(const PixelRow& row) { pixelRow<8>(row); }
__attribute__((target("avx2"))) void planeAvx2(const PlaneRow& row) { planeRow<8>(row); }
#define NNAPI_AVX512 __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw")))
NNAPI_AVX512 void pixelsAvx512(const PixelRow& row) { pixelRow<16>(row); }
NNAPI_AVX512 void planeAvx512(const PlaneRow& row) { planeRow<16>(row); }
#endif

Loops loops() {
#if defined(__x86_64__)
    switch (gemm::cpu()) {
        case gemm::Cpu::AVX512: return {pixelsAvx512, planeAvx512};
        case gemm::Cpu::AVX2: return {pixelsAvx2, planeAvx2};
        default: break;
    }
#endif
    return {pixelsPortable, planePortable};
}

/// Calls run(table, pixels, first) for rows of output pixels of an NHWC input or pieces of them,
/// `first` being the number of the first pixel of all. table[pixel][tap] points at the input under
/// each of `slots` taps, at zeros in the padding and where there are more slots than taps.
template <class T, class Run>
void forEachRun(Context& c, const Convolution& conv, const T* input, const T* zero, size_t slots,
                Run run) {
    const auto height = static_cast<int64_t>(conv.height);
    const auto width = static_cast<int64_t>(conv.width);
    // Long rows go in pieces, so that the table of pointers stays small.
    const size_t piece = std::min(conv.outWidth, std::max<size_t>(1, 4096 / slots));
    const T** table = c.scratch<const T*>(piece * slots);
    std::fill(table, table + piece * slots, zero);
    size_t done = 0;
    for (size_t row = 0; row < conv.batch * conv.outHeight; row++) {
        c.checkDeadline();
        const T* image = input + row / conv.outHeight * conv.height * conv.width * conv.depth;
        const auto y = static_cast<int64_t>(row % conv.outHeight);
        const int64_t top = y * conv.strideHeight - conv.top;
        for (size_t first = 0; first < conv.outWidth; first += piece) {
            const size_t pixels = std::min(piece, conv.outWidth - first);
            for (size_t i = 0; i < pixels; i++) {
                const T** to = table + i * slots;
                const int64_t left =
                    static_cast<int64_t>(first + i) * conv.strideWidth - conv.left;
                for (size_t ky = 0; ky < conv.filterHeight; ky++) {
                    const int64_t iy = top + static_cast<int64_t>(ky) * conv.dilationHeight;
                    for (size_t kx = 0; kx < conv.filterWidth; kx++) {
                        const int64_t ix = left + static_cast<int64_t>(kx) * conv.dilationWidth;
                        const bool inside = iy >= 0 && iy < height && ix >= 0 && ix < width;
                        *to++ = inside
                                    ? image + static_cast<size_t>(iy * width + ix) * conv.depth
                                    : zero;
                    }
                }
            }
            run(table, pixels, done);
            done += pixels;
        }
    }
}

/// Multiplier 1, dense NHWC.
void depthwiseNhwc(Context& c, const Convolution& conv, const float* input, const float* filter,
                   const float* bias, float* output, FloatRange range) {
    const auto rowLoop = loops().pixels;
    const size_t taps = conv.taps();
    forEachRun(c, conv, input, zeros<float>(c, conv.depth), taps,
               [&](const float* const* table, size_t pixels, size_t first) {
                   rowLoop({table, taps, pixels, conv.depth, filter, bias,
                            output + first * conv.depth, range});
               });
}

// --- NCHW: along planes ------------------------------------------------------------------------

/// One dimension of a plane with its padding, taken apart by position modulo the stride: then the
/// positions under one tap are neighbours for neighbouring outputs.
struct Apart {
    size_t stride, length;  // length of each of the `stride` parts

    Apart(size_t outputs, size_t filter, int64_t strides, int64_t dilation)
        : stride(static_cast<size_t>(strides)),
          length(outputs + (filter - 1) * static_cast<size_t>(dilation) / stride) {}
    size_t part(size_t tap, int64_t dilation) const {
        return tap * static_cast<size_t>(dilation) % stride;
    }
    size_t start(size_t tap, int64_t dilation) const {
        return tap * static_cast<size_t>(dilation) / stride;
    }
};

/// Fills parts[part y][part x][y][x] from a plane; positions without an input stay zero.
void takeApart(const Convolution& conv, const Apart& ys, const Apart& xs, const float* plane,
               float* parts) {
    const size_t partSize = ys.length * xs.length;
    for (size_t y = 0; y < conv.height; y++) {
        const size_t at = y + static_cast<size_t>(conv.top);
        if (at / ys.stride >= ys.length) continue;
        float* row = parts + at % ys.stride * xs.stride * partSize + at / ys.stride * xs.length;
        const float* from = plane + y * conv.width;
        const auto left = static_cast<size_t>(conv.left);
        if (xs.stride == 1) {
            const size_t count = left < xs.length ? std::min(conv.width, xs.length - left) : 0;
            std::copy_n(from, count, row + left);
            continue;
        }
        size_t part = left % xs.stride, column = left / xs.stride;
        for (size_t x = 0; x < conv.width && column < xs.length; x++) {
            row[part * partSize + column] = from[x];
            if (++part == xs.stride) part = 0, column++;
        }
    }
}

/// True when the taken-apart plane is not much larger than what the operation handles anyway;
/// huge strides or paddings make it so.
bool fitsApart(const Convolution& conv, const Apart& ys, const Apart& xs) {
    const double parts = static_cast<double>(ys.stride) * static_cast<double>(xs.stride) *
                         static_cast<double>(ys.length) * static_cast<double>(xs.length);
    const double usual = static_cast<double>(conv.height * conv.width) +
                         static_cast<double>(conv.pixels()) * static_cast<double>(conv.taps());
    return parts <= 4 * usual + 4096;
}

void depthwiseNchw(Context& c, const Convolution& conv, size_t multiplier, const Apart& ys,
                   const Apart& xs, const float* input, const float* filter, const float* bias,
                   float* output, FloatRange range) {
    const auto run = loops().plane;
    const size_t partSize = ys.length * xs.length, taps = conv.taps();
    const size_t partsSize = ys.stride * xs.stride * partSize;
    // Rows of the result lie as far apart as those of a part; the last needs no tail.
    const size_t wide = (conv.outHeight - 1) * xs.length + conv.outWidth;
    float* parts = c.scratch<float>(partsSize);
    float* result = c.scratch<float>(wide);
    float* weights = c.scratch<float>(taps);
    size_t* starts = c.scratch<size_t>(taps);
    for (size_t ky = 0; ky < conv.filterHeight; ky++) {
        for (size_t kx = 0; kx < conv.filterWidth; kx++) {
            const size_t part = ys.part(ky, conv.dilationHeight) * xs.stride +
                                xs.part(kx, conv.dilationWidth);
            starts[ky * conv.filterWidth + kx] =
                part * partSize + ys.start(ky, conv.dilationHeight) * xs.length +
                xs.start(kx, conv.dilationWidth);
        }
    }
    std::fill(parts, parts + partsSize, 0.0f);
    for (size_t b = 0; b < conv.batch; b++) {
        for (size_t channel = 0; channel < conv.outDepth; channel++) {
            c.checkDeadline();
            if (channel % multiplier == 0) {
                const size_t plane = b * conv.depth + channel / multiplier;
                takeApart(conv, ys, xs, input + plane * conv.height * conv.width, parts);
            }
            for (size_t t = 0; t < taps; t++) weights[t] = filter[t * conv.outDepth + channel];
            run({parts, starts, weights, taps, wide, bias[channel], result, range});
            for (size_t y = 0; y < conv.outHeight; y++, output += conv.outWidth) {
                std::copy_n(result + y * xs.length, conv.outWidth, output);
            }
        }
    }
}

/// Each channel of an NHWC tensor `times` times, with room for a tile to read beyond the end.
template <class T>
const T* repeatChannels(Context& c, const T* input, size_t count, size_t times) {
    if (times == 1) return input;
    T* repeated = c.scratch<T>(count * times + gemm::kTapChannels);
    for (size_t i = 0; i < count; i++) {
        std::fill(repeated + i * times, repeated + (i + 1) * times, input[i]);
    }
    std::fill_n(repeated + count * times, gemm::kTapChannels, T{});
    return repeated;
}

void depthwiseFloat(Context& c, Depthwise d, const float* input, const float* filter,
                    const float* bias, float* output, FloatRange range) {
    Convolution& conv = d.conv;
    const size_t plane = conv.height * conv.width;
    float* result = output;
    if (conv.nchw) {
        const Apart ys(conv.outHeight, conv.filterHeight, conv.strideHeight, conv.dilationHeight);
        const Apart xs(conv.outWidth, conv.filterWidth, conv.strideWidth, conv.dilationWidth);
        if (fitsApart(conv, ys, xs)) {
            return depthwiseNchw(c, conv, d.multiplier, ys, xs, input, filter, bias, output,
                                 range);
        }
        float* nhwc = c.scratch<float>(conv.batch * plane * conv.depth);
        transposeBatches(input, nhwc, conv.batch, conv.depth, plane);
        input = nhwc;
        result = c.scratch<float>(conv.batch * conv.pixels() * conv.outDepth);
    }
    input = repeatChannels(c, input, conv.batch * plane * conv.depth, d.multiplier);
    conv.depth = conv.outDepth;
    depthwiseNhwc(c, conv, input, filter, bias, result, range);
    if (conv.nchw) transposeBatches(result, output, conv.batch, conv.pixels(), conv.outDepth);
}

// --- Quantized ----------------------------------------------------------------------------------

/// Any number of taps.
template <class T>
void depthwiseWide(Context& c, const Depthwise& d, const T* input, const int16_t* filter,
                   const ColumnRequantizer& requantize, uint8_t* output) {
    const Convolution& conv = d.conv;
    const Layout4 from(c.shape(0), conv.nchw), to(c.output(0).shape, conv.nchw);
    const int32_t zeroPoint = c.input(0).zeroPoint;
    for (size_t b = 0; b < conv.batch; b++) {
        for (size_t y = 0; y < conv.outHeight; y++) {
            c.checkDeadline();
            for (size_t x = 0; x < conv.outWidth; x++) {
                for (size_t channel = 0; channel < conv.outDepth; channel++) {
                    int64_t sum = 0;
                    for (size_t tap = 0; tap < conv.taps(); tap++) {
                        const auto iy = static_cast<int64_t>(y) * conv.strideHeight - conv.top +
                                        static_cast<int64_t>(tap / conv.filterWidth) *
                                            conv.dilationHeight;
                        const auto ix = static_cast<int64_t>(x) * conv.strideWidth - conv.left +
                                        static_cast<int64_t>(tap % conv.filterWidth) *
                                            conv.dilationWidth;
                        if (iy < 0 || iy >= from.height || ix < 0 || ix >= from.width) continue;
                        const size_t at =
                            from.at(b, static_cast<size_t>(iy), static_cast<size_t>(ix),
                                    channel / d.multiplier);
                        sum += int64_t{input[at] - zeroPoint} *
                               filter[tap * conv.outDepth + channel];
                    }
                    requantize(&sum, channel, 1, output + to.at(b, y, x, channel));
                }
            }
        }
    }
}

/// Multiplier 1, dense NHWC: tiles of pixels and channels. `input` and filter are less their zero
/// points.
void depthwiseCodes(Context& c, const Convolution& conv, const int16_t* input,
                    const int16_t* filter, const ColumnRequantizer& requantize, uint8_t* output) {
    const size_t taps = conv.taps(), channels = conv.depth;
    int16_t* weights = c.scratch<int16_t>(gemm::packedTaps(taps, channels));
    gemm::packTaps(filter, taps, channels, weights);
    alignas(64) int32_t sums[gemm::kTapPixels * gemm::kTapChannels];
    uint8_t* out[gemm::kTapPixels];
    gemm::TapTile tile{};
    tile.pairs = gemm::tapPairs(taps);
    tile.sums = sums;
    const size_t slots = 2 * tile.pairs;
    forEachRun(
        c, conv, input, zeros<int16_t>(c, channels + gemm::kTapChannels), slots,
        [&](const int16_t* const* table, size_t pixels, size_t first) {
            for (size_t pixel = 0; pixel < pixels; pixel += gemm::kTapPixels) {
                tile.taps = table + pixel * slots;
                tile.pixels = std::min(gemm::kTapPixels, pixels - pixel);
                tile.weights = weights;
                for (size_t i = 0; i < tile.pixels; i++) {
                    out[i] = output + (first + pixel + i) * channels;
                }
                for (size_t channel = 0; channel < channels; channel += gemm::kTapChannels) {
                    tile.channel = channel;
                    gemm::sumTaps(tile);
                    requantize(sums, gemm::kTapChannels, tile.pixels, channel,
                               std::min(gemm::kTapChannels, channels - channel), out);
                    tile.weights += gemm::tapBlock(taps);
                }
            }
        });
}

template <class T>
void depthwiseQuant(Context& c, Depthwise d, int32_t fuse) {
    Convolution& conv = d.conv;
    const Tensor& input = c.input(0);
    const ColumnRequantizer requantize(c, input, c.input(1), c.in<int32_t>(2), conv.outDepth,
                                       fuse, conv.taps());
    const size_t filterCount = c.input(1).count();
    const int32_t filterZero = c.input(1).zeroPoint;
    int16_t* filter = c.scratch<int16_t>(filterCount);
    for (size_t i = 0; i < filterCount; i++) {
        const int32_t code = c.type(1) == TENSOR_QUANT8_ASYMM ? int32_t{c.in<uint8_t>(1)[i]}
                                                              : int32_t{c.in<int8_t>(1)[i]};
        filter[i] = static_cast<int16_t>(code - filterZero);
    }
    uint8_t* output = c.out<uint8_t>(0);
    // A multiplier repeats the input's channels; what would be gigabytes is read where it lies.
    const bool copied = d.multiplier > 1 && input.count() > kMostRepeated / d.multiplier;
    if (conv.taps() > gemm::kMostShortTerms || copied) {
        return depthwiseWide(c, d, c.in<T>(0), filter, requantize, output);
    }
    const int16_t* values = repeatChannels(
        c, centredNhwc<T>(c, input, conv.nchw, gemm::kTapChannels), input.count(), d.multiplier);
    conv.depth = conv.outDepth;
    uint8_t* result = conv.nchw ? c.scratch<uint8_t>(c.output(0).count()) : output;
    depthwiseCodes(c, conv, values, filter, requantize, result);
    if (conv.nchw) transposeBatches(result, output, conv.batch, conv.pixels(), conv.outDepth);
}

void execute(Context& c) {
    const Depthwise d = geometry(c);
    const int32_t fuse = c.activation(inputsOf(c).activation());
    if (d.conv.batch == 0 || d.conv.outDepth == 0) return;
    switch (c.type(0)) {
        case TENSOR_FLOAT32:
            return depthwiseFloat(c, d, c.in<float>(0), c.in<float>(1), c.in<float>(2),
                                  c.out<float>(0), activationRange(fuse));
        case TENSOR_FLOAT16: {
            const size_t count = c.output(0).count();
            float* output = c.scratch<float>(count);
            depthwiseFloat(c, d, asFloats(c, c.input(0)), asFloats(c, c.input(1)),
                           asFloats(c, c.input(2)), output, activationRange(fuse));
            return toHalf(output, c.out<Half>(0), count);
        }
        case TENSOR_QUANT8_ASYMM: return depthwiseQuant<uint8_t>(c, d, fuse);
        default: return depthwiseQuant<int8_t>(c, d, fuse);
    }
}

const Register registered(
    {{ANEURALNETWORKS_DEPTHWISE_CONV_2D, "DEPTHWISE_CONV_2D", validate, prepare, execute}});

}  // namespace
}  // namespace nnapi
