// DEPTHWISE_CONV_2D: each input channel has its own filters.

#include "convolution.h"

namespace nnapi {
namespace {

constexpr int32_t kMost = 0x7FFFFFFF;

/// Explicit padding has 11 inputs, then optionally layout, then both dilations; implicit has 8.
/// Eleven are ambiguous: the ninth is a stride (INT32) or the layout (BOOL).
SlidingInputs inputs(size_t count, Type ninth) {
    const bool explicitPadding = count > 11 || (count == 11 && ninth == INT32);
    if (explicitPadding) return {true, 3, 7, 9, 11, 12};
    return {false, 3, 4, 6, 8, 9};
}

void validate(OpView& v) {
    v.inputs({8, 9, 11, 12, 14});
    v.outputs(1);
    validateConvolutionTypes(v, 3, 1);
    const auto at = inputs(v.inputCount(), v.inputCount() > 8 ? v[in(8)].type : BOOL);
    validateSliding(v, at, true);
    v.integer(in(at.next), 1, kMost);
    v.dim(in(1), 0, 1);
    validateSlidingOutput(v, at, v.dimOf(in(1), 1), v.dimOf(in(1), 2));
    const auto nchw = knownLayout(v, at.layout);
    if (!nchw) return;
    const uint32_t channelAxis = *nchw ? 1 : 3;
    v.sameDim(in(1), 3, out(0), channelAxis);
    const auto multiplier = v.value<int32_t>(in(at.next));
    const auto depth = v.dimOf(in(0), channelAxis);
    const auto outDepth = v.dimOf(in(1), 3);
    v.require(!multiplier || !depth || !outDepth ||
                  *outDepth == uint64_t{*depth} * static_cast<uint32_t>(*multiplier),
              "the filter's depth must be the input depth times the multiplier");
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
    Depthwise d{slidingConvolution(c, sliding), static_cast<size_t>(c.integer(at.next, 1, kMost))};
    Convolution& conv = d.conv;
    const Shape& filter = c.shape(1);
    conv.groups = conv.depth;
    conv.outDepth = filter[3];
    c.require(filter[0] == 1, "the filter's first dimension must be 1");
    c.require(conv.outDepth == conv.depth * d.multiplier,
              "the filter's depth must be the input depth times the multiplier");
    return d;
}

void prepare(Context& c) {
    const Depthwise d = geometry(c);
    c.activation(inputsOf(c).activation());
    checkConvolutionFilter(c, static_cast<uint32_t>(d.conv.outDepth));
    setOutputShape(c, d.conv);
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

/// Multiplier 1, dense NHWC.
void depthwiseNhwc(Context& c, const Convolution& conv, const float* input, const float* filter,
                   const float* bias, float* output, FloatRange range) {
    const auto run = loops().pixels;
    const float* zero = zeros<float>(c, conv.depth);
    const auto height = static_cast<int64_t>(conv.height);
    const auto width = static_cast<int64_t>(conv.width);
    const size_t taps = conv.taps();
    // Long rows go in pieces, so that the table of pointers stays small.
    const size_t piece = std::min(conv.outWidth, std::max<size_t>(1, 4096 / taps));
    const float** table = c.scratch<const float*>(piece * taps);
    PixelRow row{table, taps, 0, conv.depth, filter, bias, output, range};
    for (size_t b = 0; b < conv.batch; b++) {
        const float* image = input + b * conv.height * conv.width * conv.depth;
        for (size_t y = 0; y < conv.outHeight; y++) {
            c.checkDeadline();
            const int64_t top = static_cast<int64_t>(y) * conv.strideHeight - conv.top;
            for (size_t first = 0; first < conv.outWidth; first += piece) {
                row.pixels = std::min(piece, conv.outWidth - first);
                const float** to = table;
                for (size_t x = first; x < first + row.pixels; x++) {
                    const int64_t left = static_cast<int64_t>(x) * conv.strideWidth - conv.left;
                    for (size_t ky = 0; ky < conv.filterHeight; ky++) {
                        const int64_t iy = top + static_cast<int64_t>(ky) * conv.dilationHeight;
                        for (size_t kx = 0; kx < conv.filterWidth; kx++) {
                            const int64_t ix =
                                left + static_cast<int64_t>(kx) * conv.dilationWidth;
                            const bool inside = iy >= 0 && iy < height && ix >= 0 && ix < width;
                            *to++ = inside ? image + static_cast<size_t>(iy * width + ix) *
                                                         conv.depth
                                           : zero;
                        }
                    }
                }
                run(row);
                row.out += row.pixels * conv.depth;
            }
        }
    }
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

/// Each channel of an NHWC tensor `times` times.
const float* repeatChannels(Context& c, const float* input, size_t count, size_t times) {
    if (times == 1) return input;
    float* repeated = c.scratch<float>(count * times);
    for (size_t i = 0; i < count; i++) {
        std::fill(repeated + i * times, repeated + (i + 1) * times, input[i]);
    }
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

/// Any number of taps, in integers.
template <class T>
void depthwiseWide(Context& c, const Depthwise& d, const T* input, const int16_t* filter,
                   const ColumnRequantizer& requantize, T* output) {
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
                    int32_t code;
                    requantize(&sum, channel, 1, &code);
                    output[to.at(b, y, x, channel)] = static_cast<T>(code);
                }
            }
        }
    }
}

/// Sums of products of two codes are integers, exact in float up to 2^24: few enough taps may use
/// the float loops.
constexpr size_t kMostFloatTaps = (1 << 24) / (255 * 255);

template <class T>
void depthwiseQuant(Context& c, Depthwise d, int32_t fuse) {
    const Convolution& conv = d.conv;
    const Tensor& input = c.input(0);
    const ColumnRequantizer requantize(c, input, c.input(1), c.in<int32_t>(2), conv.outDepth,
                                       fuse);
    const size_t filterCount = c.input(1).count(), count = input.count();
    const int32_t filterZero = c.input(1).zeroPoint;
    int16_t* filter = c.scratch<int16_t>(filterCount);
    for (size_t i = 0; i < filterCount; i++) {
        const int32_t code = c.type(1) == TENSOR_QUANT8_ASYMM ? int32_t{c.in<uint8_t>(1)[i]}
                                                              : int32_t{c.in<int8_t>(1)[i]};
        filter[i] = static_cast<int16_t>(code - filterZero);
    }
    T* output = c.out<T>(0);
    if (conv.taps() > kMostFloatTaps) {
        return depthwiseWide(c, d, c.in<T>(0), filter, requantize, output);
    }
    float* values = c.scratch<float>(count);
    const T* codes = c.in<T>(0);
    for (size_t i = 0; i < count; i++) {
        values[i] = static_cast<float>(codes[i] - input.zeroPoint);
    }
    float* weights = c.scratch<float>(filterCount);
    for (size_t i = 0; i < filterCount; i++) weights[i] = filter[i];
    float* sums = c.scratch<float>(c.output(0).count());
    depthwiseFloat(c, d, values, weights, zeros<float>(c, conv.outDepth), sums,
                   activationRange(ANEURALNETWORKS_FUSED_NONE));
    constexpr size_t kPiece = 256;
    int32_t exact[kPiece], result[kPiece];
    const size_t pixels = conv.pixels();
    if (!conv.nchw) {
        for (size_t p = 0; p < conv.batch * pixels; p++) {
            for (size_t first = 0; first < conv.outDepth; first += kPiece) {
                const size_t n = std::min(kPiece, conv.outDepth - first);
                for (size_t i = 0; i < n; i++) exact[i] = static_cast<int32_t>(sums[i]);
                requantize(exact, first, n, result);
                for (size_t i = 0; i < n; i++) output[i] = static_cast<T>(result[i]);
                sums += n, output += n;
            }
        }
        return;
    }
    // Gather channels of a pixel, so that rows of channels are requantized in both layouts.
    for (size_t b = 0; b < conv.batch; b++) {
        for (size_t p = 0; p < pixels; p++) {
            for (size_t first = 0; first < conv.outDepth; first += kPiece) {
                const size_t n = std::min(kPiece, conv.outDepth - first);
                const size_t at = (b * conv.outDepth + first) * pixels + p;
                for (size_t i = 0; i < n; i++) {
                    exact[i] = static_cast<int32_t>(sums[at + i * pixels]);
                }
                requantize(exact, first, n, result);
                for (size_t i = 0; i < n; i++) {
                    output[at + i * pixels] = static_cast<T>(result[i]);
                }
            }
        }
    }
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
