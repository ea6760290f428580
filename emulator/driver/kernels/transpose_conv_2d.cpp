// TRANSPOSE_CONV_2D: the transpose of CONV_2D. Input pixel (y, x) adds to the output pixels
// (y * stride + ky - top, x * stride + kx - left).
//
// Computed as sums over output pixels: those whose position plus padding is alike modulo the
// strides see the same filter taps, so each of these phases is a plain product (gemm.h).

#include "math/convolution.h"

namespace nnapi {
namespace {

constexpr int32_t kMost = 0x7FFFFFFF;

/// Explicit padding has 11 inputs; implicit has 9, the output's shape before the scheme.
SlidingInputs inputs(size_t count) {
    if (count == 11) return {true, 3, 7, 9, 10, SIZE_MAX};
    return {false, 4, 5, 7, 8, SIZE_MAX};
}

/// The rules on the input's depth and on the output's shape as an operand, which is there with
/// implicit padding.
template <class Where>
void checkShapes(const Where& where, const SlidingInputs& at) {
    const auto nchw = where.flagOf(in(at.layout));
    if (nchw) where.sameDim(in(0), *nchw ? 1 : 3, in(1), 3);
    if (at.explicitPadding) return;
    where.rank(in(3), 1);
    where.dim(in(3), 0, 4);
    for (int32_t size : where.intsOf(in(3))) {
        where.require(size >= 0, "the output shape must not be negative");
    }
}

/// One spatial dimension of the output under explicit padding, where everything is known.
template <class Where>
std::optional<uint32_t> explicitSize(const Where& where, const SlidingInputs& at, bool vertical) {
    const auto nchw = where.flagOf(in(at.layout));
    if (!nchw) return std::nullopt;
    const size_t head = at.padding + (vertical ? 2 : 0);
    const auto size = where.dimOf(in(0), (vertical ? 1 : 2) + (*nchw ? 1 : 0));
    const auto filter = where.dimOf(in(1), vertical ? 1 : 2);
    const auto before = where.intOf(in(head)), after = where.intOf(in(head + 1));
    const auto stride = where.intOf(in(at.stride + (vertical ? 1 : 0)));
    if (!size || !filter || !before || !after || !stride) return std::nullopt;
    const int64_t output = (int64_t{*size} - 1) * *stride + *filter - *before - *after;
    where.require(output >= 1, "the padding leaves no output");
    where.require(output <= kMost, "the output is too large");
    return static_cast<uint32_t>(output);
}

void validate(OpView& v) {
    v.inputs({9, 11});
    v.outputs(1);
    validateConvolutionTypes(v, 0, 3);
    const auto at = inputs(v.inputCount());
    validateSliding(v, at, false);
    if (!at.explicitPadding) v.type(in(3), TENSOR_INT32);
    checkShapes(v, at);
    v.sameDim(in(0), 0, out(0), 0);
    const auto nchw = v.flagOf(in(at.layout));
    if (!nchw) return;
    v.sameDim(in(1), 0, out(0), *nchw ? 1 : 3);
    if (at.explicitPadding) {
        for (const bool vertical : {false, true}) {
            const auto size = explicitSize(v, at, vertical);
            if (size) v.dim(out(0), (vertical ? 1 : 2) + (*nchw ? 1 : 0), *size);
        }
    } else if (const auto wanted = v.intsOf(in(3)); !*nchw && wanted.size() == 4) {
        for (uint32_t axis = 0; axis < 4; axis++) {  // NCHW has two orders, see geometry()
            if (wanted[axis] > 0) v.dim(out(0), axis, static_cast<uint32_t>(wanted[axis]));
        }
    }
}

/// Whether an output shape with these axes for depth, height and width agrees with the rest.
bool agrees(const int32_t* wanted, int depth, int height, int width, const Convolution& conv,
            const Sliding& sliding) {
    const auto fits = [&](int32_t size, size_t input, int64_t stride, size_t filter) {
        return size >= 1 && Window::implicitPadding(size, sliding.scheme, stride,
                                                    static_cast<int64_t>(filter))
                                    .output == static_cast<int64_t>(input);
    };
    return wanted[depth] == static_cast<int64_t>(conv.outDepth) &&
           fits(wanted[height], conv.height, sliding.strideHeight, conv.filterHeight) &&
           fits(wanted[width], conv.width, sliding.strideWidth, conv.filterWidth);
}

/// The padding before a dimension of the output that has the size `wanted`.
/// Reading: transposed, the output is the input of a CONV_2D with this scheme, whose output has
/// the size of this operation's input.
int64_t implicitHead(const Context& c, int64_t input, int64_t filter, int64_t stride,
                     int32_t scheme, int64_t wanted) {
    c.require(wanted >= 1, "the output shape must be positive");
    const Window forward = Window::implicitPadding(wanted, scheme, stride, filter);
    c.require(forward.output == input,
              "the output shape does not agree with input, strides and padding scheme");
    return forward.head;
}

Convolution geometry(const Context& c) {
    const SlidingInputs at = inputs(c.inputCount());
    const Sliding sliding = readSliding(c, at);
    const Shape& filter = c.shape(1);
    Convolution conv = convolutionSizes(c, sliding);
    conv.groups = 1;
    conv.outDepth = filter[0];
    c.require(conv.height >= 1 && conv.width >= 1, "the input has no pixels");
    if (at.explicitPadding) {
        conv.outHeight = *explicitSize(c, at, true), conv.outWidth = *explicitSize(c, at, false);
        conv.top = sliding.top, conv.left = sliding.left;
        return conv;
    }
    const int32_t* wanted = c.in<int32_t>(3);
    // Reading: the reference does not say in which order an NCHW output's shape is given.
    // Taken as that of the output itself; where that contradicts the inputs, as NHWC.
    const bool channelsFirst = sliding.nchw && agrees(wanted, 1, 2, 3, conv, sliding);
    const int32_t height = wanted[channelsFirst ? 2 : 1], width = wanted[channelsFirst ? 3 : 2];
    c.require(wanted[0] == static_cast<int64_t>(conv.batch) &&
                  wanted[channelsFirst ? 1 : 3] == static_cast<int64_t>(conv.outDepth),
              "the output shape has another batch or depth");
    conv.top = implicitHead(c, static_cast<int64_t>(conv.height), filter[1], sliding.strideHeight,
                            sliding.scheme, height);
    conv.left = implicitHead(c, static_cast<int64_t>(conv.width), filter[2], sliding.strideWidth,
                             sliding.scheme, width);
    conv.outHeight = static_cast<size_t>(height), conv.outWidth = static_cast<size_t>(width);
    return conv;
}

void prepare(Context& c) {
    checkConvolution(c, 0);
    checkShapes(c, inputs(c.inputCount()));
    setOutputShape(c, geometry(c));
}

/// The output positions first, first + stride, ... of one dimension, and the filter positions
/// tap, tap + stride, ... that reach them.
struct Phase {
    size_t first, count;     // output positions
    size_t tap, taps;        // filter positions
    int64_t input;           // the input position under `tap` for `first`
};

Phase phase(size_t first, size_t stride, int64_t head, size_t output, size_t filter) {
    Phase p{};
    const size_t shifted = first + static_cast<size_t>(head);
    p.first = first;
    p.count = (output - first - 1) / stride + 1;
    p.tap = shifted % stride;
    p.taps = p.tap < filter ? (filter - p.tap - 1) / stride + 1 : 0;
    p.input = static_cast<int64_t>(shifted / stride);
    return p;
}

/// Calls run(panel tap starts, tap count, table, row count, output pixel of row) for blocks of
/// output pixels that see the same taps. T: float or int16_t.
template <class T, class Run>
void forEachPhase(Context& c, const Convolution& conv, const T* input, size_t tapSize, Run run) {
    gemm::RowTable<T> table(c, conv.batch * conv.pixels(), conv.taps(), conv.depth);
    const T* zero = zeros<T>(c, conv.depth + 2);
    size_t* taps = c.scratch<size_t>(conv.taps());
    size_t* pixels = c.scratch<size_t>(table.limit());
    const auto height = static_cast<int64_t>(conv.height);
    const auto width = static_cast<int64_t>(conv.width);
    const auto strideY = static_cast<size_t>(conv.strideHeight);
    const auto strideX = static_cast<size_t>(conv.strideWidth);
    for (size_t y0 = 0; y0 < std::min(strideY, conv.outHeight); y0++) {
        const Phase py = phase(y0, strideY, conv.top, conv.outHeight, conv.filterHeight);
        for (size_t x0 = 0; x0 < std::min(strideX, conv.outWidth); x0++) {
            const Phase px = phase(x0, strideX, conv.left, conv.outWidth, conv.filterWidth);
            const size_t tapCount = py.taps * px.taps;
            for (size_t ty = 0; ty < py.taps; ty++) {
                for (size_t tx = 0; tx < px.taps; tx++) {
                    const size_t ky = py.tap + ty * strideY;
                    const size_t kx = px.tap + tx * strideX;
                    taps[ty * px.taps + tx] = (ky * conv.filterWidth + kx) * tapSize;
                }
            }
            const size_t rows = conv.batch * py.count * px.count;
            table.use(tapCount);
            for (size_t first = 0; first < rows; first += table.limit()) {
                c.checkDeadline();
                const size_t count = std::min(table.limit(), rows - first);
                for (size_t row = 0; row < count; row++) {
                    const size_t x = (first + row) % px.count;
                    const size_t y = (first + row) / px.count % py.count;
                    const size_t b = (first + row) / px.count / py.count;
                    const T* image = input + b * conv.height * conv.width * conv.depth;
                    for (size_t ty = 0; ty < py.taps; ty++) {
                        const int64_t iy = py.input + int64_t(y) - int64_t(ty);
                        for (size_t tx = 0; tx < px.taps; tx++) {
                            const int64_t ix = px.input + int64_t(x) - int64_t(tx);
                            const bool inside = iy >= 0 && iy < height && ix >= 0 && ix < width;
                            table.at(row, ty * px.taps + tx) =
                                inside ? image + static_cast<size_t>(iy * width + ix) * conv.depth
                                       : zero;
                        }
                    }
                    pixels[row] =
                        (b * conv.outHeight + py.first + y * strideY) * conv.outWidth +
                        px.first + x * strideX;
                }
                run(taps, tapCount, table, count, pixels);
            }
        }
    }
}

/// Input and output in NHWC order.
void transposeFloat(Context& c, const Convolution& conv, const float* input, const float* bias,
                    float* output, FloatRange range) {
    const gemm::PanelShape shape = conv.panels();
    const float* panels = floatPanels(c, conv);
    const float* padded = gemm::paddedBias(c, bias, conv.outDepth);
    float** out = c.scratch<float*>(gemm::kMostBlockRows);
    forEachPhase(c, conv, input, shape.depth * gemm::engine().columns,
                 [&](const size_t* taps, size_t tapCount, const gemm::RowTable<float>& table,
                     size_t rows, const size_t* pixels) {
                     for (size_t r = 0; r < rows; r++) out[r] = output + pixels[r] * conv.outDepth;
                     const gemm::PanelView<float> view{
                         panels, shape.floatPanel(), taps, tapCount, shape.depth, shape.columns};
                     gemm::multiplyFloats(table, rows, 0, view, padded, out, 0, range);
                 });
}

/// float32 or float16 tensors in either layout.
void executeFloat(Context& c, const Convolution& conv, int32_t fuse) {
    const bool half = c.type(0) == TENSOR_FLOAT16;
    const size_t count = c.output(0).count();
    const float* input = asFloats(c, c.input(0));
    if (conv.nchw) {
        float* nhwc = c.scratch<float>(c.input(0).count());
        transposeBatches(input, nhwc, conv.batch, conv.depth, conv.height * conv.width);
        input = nhwc;
    }
    float* output = half ? c.scratch<float>(count) : c.out<float>(0);
    float* nhwc = conv.nchw ? c.scratch<float>(count) : output;
    transposeFloat(c, conv, input, asFloats(c, c.input(2)), nhwc, activationRange(fuse));
    if (conv.nchw) transposeBatches(nhwc, output, conv.batch, conv.pixels(), conv.outDepth);
    if (half) toHalf(output, c.out<Half>(0), count);
}

template <class T>
void executeQuant(Context& c, const Convolution& conv, int32_t fuse) {
    const gemm::PanelShape shape = conv.panels();
    const int16_t* input = centredNhwc<T>(c, c.input(0), conv.nchw);
    const int16_t* panels = shortPanels(c, conv);
    const ColumnRequantizer requantize(c, c.input(0), c.input(1), c.in<int32_t>(2),
                                       conv.outDepth, fuse, conv.taps() * shape.depth);
    uint8_t* output = c.out<uint8_t>(0);
    uint8_t* result = conv.nchw ? c.scratch<uint8_t>(c.output(0).count()) : output;
    uint8_t** out = c.scratch<uint8_t*>(gemm::kMostBlockRows);
    forEachPhase(
        c, conv, input, (shape.depth + 1) / 2 * 2 * gemm::engine().columns,
        [&](const size_t* taps, size_t tapCount, const gemm::RowTable<int16_t>& table,
            size_t rows, const size_t* pixels) {
            const gemm::PanelView<int16_t> view{
                panels, shape.shortPanel(), taps, tapCount, shape.depth, shape.columns};
            for (size_t r = 0; r < rows; r++) out[r] = result + pixels[r] * conv.outDepth;
            gemm::multiplyShorts(table, rows, 0, view, requantize, 0, out);
        });
    if (conv.nchw) transposeBatches(result, output, conv.batch, conv.pixels(), conv.outDepth);
}

void execute(Context& c) {
    const Convolution conv = geometry(c);
    const int32_t fuse = c.activation(inputs(c.inputCount()).activation());
    if (conv.batch == 0 || conv.outDepth == 0) return;
    switch (c.type(0)) {
        case TENSOR_QUANT8_ASYMM: return executeQuant<uint8_t>(c, conv, fuse);
        case TENSOR_QUANT8_ASYMM_SIGNED: return executeQuant<int8_t>(c, conv, fuse);
        default: return executeFloat(c, conv, fuse);
    }
}

std::shared_ptr<const void> pack(const OpView& v) { return packFilter(v, 1, true); }

const Register registered({{ANEURALNETWORKS_TRANSPOSE_CONV_2D, "TRANSPOSE_CONV_2D", validate,
                            prepare, execute, pack}});

}  // namespace
}  // namespace nnapi
