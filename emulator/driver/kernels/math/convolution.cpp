#include "convolution.h"

namespace nnapi {

using gemm::PanelView;
using gemm::RowTable;

namespace {

/// Ranks, and a bias for each output channel; `ranks`: when those of input and filter are due.
template <class Where>
void checkShapes(const Where& where, uint32_t channelDim, When ranks) {
    where.rank(in(0), 4, ranks);
    where.rank(in(1), 4, ranks);
    where.rank(in(2), 1);
    where.sameDim(in(1), channelDim, in(2), 0);
}

}  // namespace

void validateConvolutionTypes(OpView& v, uint32_t channelDim, int since, When ranks) {
    v.since(since);
    const Type type = v.type(in(0), {{TENSOR_FLOAT32, 1},
                                     {TENSOR_FLOAT16, 3},
                                     {TENSOR_QUANT8_ASYMM, 1},
                                     {TENSOR_QUANT8_ASYMM_SIGNED, 4}});
    v.sameType({in(0), out(0)});
    if (isQuantized(type)) {
        v.type(in(1), {{type, 1}, {TENSOR_QUANT8_SYMM_PER_CHANNEL, 3}});
    } else {
        v.sameType({in(0), in(1)});
    }
    v.bias(in(2), in(0), in(1));
    checkShapes(v, channelDim, ranks);
    v.rank(out(0), 4);
    if (v[in(1)].type == TENSOR_QUANT8_SYMM_PER_CHANNEL && v[in(1)].channels != nullptr) {
        v.require(v[in(1)].channels->channelDim == channelDim,
                  "the filter's channelDim is not its dimension of output channels");
    }
}

void checkConvolution(const Context& c, uint32_t channelDim) {
    checkShapes(c, channelDim, When::LATER);
    const Tensor& filter = c.input(1);
    if (filter.type != TENSOR_QUANT8_SYMM_PER_CHANNEL) return;
    c.require(filter.channels != nullptr &&
                  filter.channels->scales.size() == c.shape(1)[channelDim],
              "the filter must have one scale for each output channel");
}

namespace {

/// Panels of all groups of a filter in [outDepth][taps][groupDepth] order.
template <class T>
void packFloatGroups(const T* filter, const gemm::PanelShape& shape, size_t groups,
                     float* panels) {
    const size_t each = shape.columns * shape.taps * shape.depth;
    for (size_t g = 0; g < groups; g++) {
        gemm::packFloats(shape, filter + g * each,
                         {shape.taps * shape.depth, shape.depth, 1},
                         panels + g * shape.floatCount());
    }
}

template <class T>
void packShortGroups(const T* filter, const gemm::PanelShape& shape, size_t groups,
                     int32_t zeroPoint, int16_t* panels) {
    const size_t each = shape.columns * shape.taps * shape.depth;
    for (size_t g = 0; g < groups; g++) {
        gemm::packShorts(shape, filter + g * each,
                         {shape.taps * shape.depth, shape.depth, 1}, zeroPoint,
                         panels + g * shape.shortCount());
    }
}

}  // namespace

std::shared_ptr<const void> packFilter(const OpView& v, size_t groups, bool floatPanels) {
    const Operand& filter = v[in(1)];
    const size_t count = filter.shape.count();
    if (filter.lifetime != Lifetime::CONSTANT || !filter.rankKnown || groups == 0 || count == 0 ||
        filter.shape.rank < 2 || filter.shape[0] % groups != 0 ||
        filter.length < count * elementSize(filter.type)) {
        return nullptr;
    }
    const size_t depth = filter.shape[filter.shape.rank - 1];
    const gemm::PanelShape shape{filter.shape[0] / groups, count / filter.shape[0] / depth, depth};
    if (filter.type == TENSOR_FLOAT32 || filter.type == TENSOR_FLOAT16) {
        if (!floatPanels) return nullptr;
        auto panels = std::make_shared<gemm::Panels>(groups * shape.floatCount() * sizeof(float));
        if (filter.type == TENSOR_FLOAT32) {
            packFloatGroups(v.values<float>(in(1)).data(), shape, groups, panels->as<float>());
        } else {
            packFloatGroups(v.values<Half>(in(1)).data(), shape, groups, panels->as<float>());
        }
        return panels;
    }
    auto panels = std::make_shared<gemm::Panels>(groups * shape.shortCount() * sizeof(int16_t));
    if (filter.type == TENSOR_QUANT8_ASYMM) {
        packShortGroups(v.values<uint8_t>(in(1)).data(), shape, groups, filter.zeroPoint,
                        panels->as<int16_t>());
    } else {
        packShortGroups(v.values<int8_t>(in(1)).data(), shape, groups, filter.zeroPoint,
                        panels->as<int16_t>());
    }
    return panels;
}

const float* floatPanels(Context& c, const Convolution& conv) {
    if (const auto* packed = c.packed<gemm::Panels>()) return packed->as<float>();
    const gemm::PanelShape shape = conv.panels();
    float* panels = c.scratch<float>(conv.groups * shape.floatCount());
    if (c.type(1) == TENSOR_FLOAT32) {
        packFloatGroups(c.in<float>(1), shape, conv.groups, panels);
    } else {
        packFloatGroups(c.in<Half>(1), shape, conv.groups, panels);
    }
    return panels;
}

const int16_t* shortPanels(Context& c, const Convolution& conv) {
    if (const auto* packed = c.packed<gemm::Panels>()) return packed->as<int16_t>();
    const gemm::PanelShape shape = conv.panels();
    int16_t* panels = c.scratch<int16_t>(conv.groups * shape.shortCount());
    const int32_t zeroPoint = c.input(1).zeroPoint;
    if (c.type(1) == TENSOR_QUANT8_ASYMM) {
        packShortGroups(c.in<uint8_t>(1), shape, conv.groups, zeroPoint, panels);
    } else {
        packShortGroups(c.in<int8_t>(1), shape, conv.groups, zeroPoint, panels);
    }
    return panels;
}

const float* asFloats(Context& c, const Tensor& tensor) {
    if (tensor.type == TENSOR_FLOAT32) return tensor.as<float>();
    float* values = c.scratch<float>(tensor.count());
    toFloat(tensor.as<Half>(), values, tensor.count());
    return values;
}

namespace {

/// Points the rows first ... first + count of all output pixels at the input pixels (NHWC) under
/// the filter's taps, or at zeros where there is padding.
template <class T>
void pointRows(RowTable<T>& table, const Convolution& conv, const T* input, const T* zero,
               size_t first, size_t count) {
    size_t x = first % conv.outWidth;
    size_t y = first / conv.outWidth % conv.outHeight;
    size_t b = first / conv.outWidth / conv.outHeight;
    const int64_t height = static_cast<int64_t>(conv.height);
    const int64_t width = static_cast<int64_t>(conv.width);
    for (size_t row = 0; row < count; row++) {
        const T* image = input + b * conv.height * conv.width * conv.depth;
        const int64_t top = static_cast<int64_t>(y) * conv.strideHeight - conv.top;
        const int64_t left = static_cast<int64_t>(x) * conv.strideWidth - conv.left;
        size_t tap = 0;
        for (size_t ky = 0; ky < conv.filterHeight; ky++) {
            const int64_t iy = top + static_cast<int64_t>(ky) * conv.dilationHeight;
            const bool inside = iy >= 0 && iy < height;
            for (size_t kx = 0; kx < conv.filterWidth; kx++, tap++) {
                const int64_t ix = left + static_cast<int64_t>(kx) * conv.dilationWidth;
                table.at(row, tap) =
                    inside && ix >= 0 && ix < width
                        ? image + static_cast<size_t>(iy * width + ix) * conv.depth
                        : zero;
            }
        }
        if (++x == conv.outWidth) {
            x = 0;
            if (++y == conv.outHeight) y = 0, b++;
        }
    }
}

size_t* tapStarts(Context& c, size_t taps, size_t tapSize) {
    size_t* starts = c.scratch<size_t>(taps);
    for (size_t tap = 0; tap < taps; tap++) starts[tap] = tap * tapSize;
    return starts;
}

void convolveFloatNhwc(Context& c, const Convolution& conv, const float* input,
                       const float* bias, float* output, FloatRange range) {
    const size_t width = gemm::engine().columns;
    const gemm::PanelShape shape = conv.panels();
    const float* panels = floatPanels(c, conv);
    const size_t rows = conv.batch * conv.pixels();
    RowTable<float> table(c, rows, conv.taps(), conv.groupDepth());
    float** out = c.scratch<float*>(table.limit());
    const float* zero = zeros<float>(c, conv.depth);
    const float** biases = c.scratch<const float*>(conv.groups);
    for (size_t g = 0; g < conv.groups; g++) {
        biases[g] = gemm::paddedBias(c, bias + g * shape.columns, shape.columns);
    }
    const size_t* taps = tapStarts(c, conv.taps(), shape.depth * width);
    for (size_t first = 0; first < rows; first += table.limit()) {
        c.checkDeadline();
        const size_t count = std::min(table.limit(), rows - first);
        pointRows(table, conv, input, zero, first, count);
        for (size_t r = 0; r < count; r++) out[r] = output + (first + r) * conv.outDepth;
        for (size_t g = 0; g < conv.groups; g++) {
            const PanelView<float> view{panels + g * shape.floatCount(),
                                        shape.floatPanel(),
                                        taps,
                                        conv.taps(),
                                        shape.depth,
                                        shape.columns};
            gemm::multiplyFloats(table, count, g * shape.depth, view, biases[g], out,
                                 g * shape.columns, range);
        }
    }
}

/// Gathers output pixels first ... first + count of one image and group into a panel of
/// [channel range of the filter's order][engine columns].
void gatherPanel(const Convolution& conv, const float* planes, size_t first, size_t count,
                 float* panel) {
    const size_t width = gemm::engine().columns;
    const size_t plane = conv.height * conv.width;
    for (size_t ky = 0; ky < conv.filterHeight; ky++) {
        for (size_t kx = 0; kx < conv.filterWidth; kx++) {
            int64_t at[gemm::kMostColumns];
            bool run = true;
            for (size_t i = 0; i < width; i++) {
                if (i >= count) {
                    at[i] = -1;
                    continue;
                }
                const auto y = static_cast<int64_t>((first + i) / conv.outWidth);
                const auto x = static_cast<int64_t>((first + i) % conv.outWidth);
                const int64_t iy = y * conv.strideHeight - conv.top +
                                   static_cast<int64_t>(ky) * conv.dilationHeight;
                const int64_t ix = x * conv.strideWidth - conv.left +
                                   static_cast<int64_t>(kx) * conv.dilationWidth;
                const bool inside = iy >= 0 && iy < static_cast<int64_t>(conv.height) &&
                                    ix >= 0 && ix < static_cast<int64_t>(conv.width);
                at[i] = inside ? iy * static_cast<int64_t>(conv.width) + ix : -1;
                run = run && at[0] >= 0 && at[i] == at[0] + static_cast<int64_t>(i);
            }
            for (size_t k = 0; k < conv.groupDepth(); k++, panel += width) {
                const float* from = planes + k * plane;
                if (run) {
                    std::memcpy(panel, from + at[0], count * sizeof(float));
                    std::fill(panel + count, panel + width, 0.0f);
                } else {
                    for (size_t i = 0; i < width; i++) panel[i] = at[i] < 0 ? 0.0f : from[at[i]];
                }
            }
        }
    }
}

/// NCHW: the filter's rows times panels of output pixels, so that neither side is transposed.
void convolveFloatNchw(Context& c, const Convolution& conv, const float* input,
                       const float* filter, const float* bias, float* output, FloatRange range) {
    const gemm::Engine& e = gemm::engine();
    const size_t terms = conv.taps() * conv.groupDepth();
    const size_t panelSize = terms * e.columns;
    // As many panels at a time as stay in the second-level cache.
    const size_t together = std::clamp<size_t>(65536 / std::max<size_t>(1, panelSize), 1, 16);
    float* panels = c.scratch<float>(together * panelSize);
    const float** rows = c.scratch<const float*>(conv.outDepth);
    for (size_t i = 0; i < conv.outDepth; i++) rows[i] = filter + i * terms;
    float** out = c.scratch<float*>(conv.outDepth);
    const size_t tapStart = 0;
    gemm::FloatTile tile;
    tile.rowOffset = 0;
    tile.taps = &tapStart;
    tile.tapCount = 1;
    tile.depth = terms;
    tile.columnBias = nullptr;
    tile.range = range;
    for (size_t b = 0; b < conv.batch; b++) {
        for (size_t i = 0; i < conv.outDepth; i++) {
            out[i] = output + (b * conv.outDepth + i) * conv.pixels();
        }
        for (size_t g = 0; g < conv.groups; g++) {
            const float* planes =
                input + (b * conv.depth + g * conv.groupDepth()) * conv.height * conv.width;
            const size_t lastRow = (g + 1) * conv.groupColumns();
            for (size_t first = 0; first < conv.pixels(); first += together * e.columns) {
                c.checkDeadline();
                const size_t end = std::min(conv.pixels(), first + together * e.columns);
                for (size_t p = first; p < end; p += e.columns) {
                    gatherPanel(conv, planes, p, std::min(e.columns, end - p),
                                panels + (p - first) * terms);
                }
                for (size_t row = g * conv.groupColumns(); row < lastRow; row += e.rows) {
                    tile.rows = rows + row;
                    tile.rowBias = bias + row;
                    tile.out = out + row;
                    for (size_t p = first; p < end; p += e.columns) {
                        tile.panel = panels + (p - first) * terms;
                        tile.outOffset = p;
                        tile.columns = std::min(e.columns, end - p);
                        gemm::runTile(e, tile, std::min(e.rows, lastRow - row));
                    }
                }
            }
        }
    }
}

void convolveFloat(Context& c, const Convolution& conv, const float* input, const float* bias,
                   float* output, FloatRange range) {
    if (conv.nchw) {
        convolveFloatNchw(c, conv, input, asFloats(c, c.input(1)), bias, output, range);
    } else {
        convolveFloatNhwc(c, conv, input, bias, output, range);
    }
}

template <class T>
void convolveQuant(Context& c, const Convolution& conv, int32_t fuse) {
    const gemm::PanelShape shape = conv.panels();
    const int16_t* input = centredNhwc<T>(c, c.input(0), conv.nchw);
    const int16_t* panels = shortPanels(c, conv);
    const ColumnRequantizer requantize(c, c.input(0), c.input(1), c.in<int32_t>(2),
                                       conv.outDepth, fuse, conv.taps() * shape.depth);
    const size_t rows = conv.batch * conv.pixels();
    RowTable<int16_t> table(c, rows, conv.taps(), conv.groupDepth());
    const int16_t* zero = zeros<int16_t>(c, conv.depth + 2);
    const size_t* taps =
        tapStarts(c, conv.taps(), (shape.depth + 1) / 2 * 2 * gemm::engine().columns);
    uint8_t* output = c.out<uint8_t>(0);
    uint8_t* result = conv.nchw ? c.scratch<uint8_t>(c.output(0).count()) : output;
    uint8_t** out = c.scratch<uint8_t*>(table.limit());
    for (size_t first = 0; first < rows; first += table.limit()) {
        c.checkDeadline();
        const size_t count = std::min(table.limit(), rows - first);
        pointRows(table, conv, input, zero, first, count);
        for (size_t r = 0; r < count; r++) out[r] = result + (first + r) * conv.outDepth;
        for (size_t g = 0; g < conv.groups; g++) {
            const PanelView<int16_t> view{panels + g * shape.shortCount(),
                                          shape.shortPanel(),
                                          taps,
                                          conv.taps(),
                                          shape.depth,
                                          shape.columns};
            gemm::multiplyShorts(table, count, g * shape.depth, view, requantize,
                                 g * shape.columns, out);
        }
    }
    if (conv.nchw) transposeBatches(result, output, conv.batch, conv.pixels(), conv.outDepth);
}

}  // namespace

Convolution convolutionSizes(const Context& c, const Sliding& sliding) {
    const Layout4 input(c.shape(0), sliding.nchw);
    const Shape& filter = c.shape(1);
    Convolution conv{};
    conv.nchw = sliding.nchw;
    conv.batch = input.batch, conv.height = input.height, conv.width = input.width;
    conv.depth = input.channels;
    conv.filterHeight = filter[1], conv.filterWidth = filter[2];
    c.require(conv.filterHeight >= 1 && conv.filterWidth >= 1, "the filter is empty");
    conv.strideHeight = sliding.strideHeight, conv.strideWidth = sliding.strideWidth;
    conv.dilationHeight = sliding.dilationHeight, conv.dilationWidth = sliding.dilationWidth;
    return conv;
}

Convolution slidingConvolution(const Context& c, const Sliding& sliding) {
    Convolution conv = convolutionSizes(c, sliding);
    const Window x = sliding.horizontal(static_cast<int64_t>(conv.width), c.shape(1)[2]);
    const Window y = sliding.vertical(static_cast<int64_t>(conv.height), c.shape(1)[1]);
    conv.outHeight = static_cast<size_t>(std::max<int64_t>(0, y.output));
    conv.outWidth = static_cast<size_t>(std::max<int64_t>(0, x.output));
    conv.top = y.head, conv.left = x.head;
    return conv;
}

void setOutputShape(Context& c, const Convolution& conv) {
    setShape4(c, static_cast<int64_t>(conv.batch), static_cast<int64_t>(conv.outHeight),
              static_cast<int64_t>(conv.outWidth), static_cast<int64_t>(conv.outDepth),
              conv.nchw);
}

void convolve(Context& c, const Convolution& conv, int32_t fuse) {
    if (conv.batch == 0 || conv.outDepth == 0) return;
    switch (c.type(0)) {
        case TENSOR_FLOAT32:
            return convolveFloat(c, conv, c.in<float>(0), c.in<float>(2), c.out<float>(0),
                                 activationRange(fuse));
        case TENSOR_FLOAT16: {
            const size_t count = c.output(0).count();
            float* output = c.scratch<float>(count);
            convolveFloat(c, conv, asFloats(c, c.input(0)), asFloats(c, c.input(2)), output,
                          activationRange(fuse));
            return toHalf(output, c.out<Half>(0), count);
        }
        case TENSOR_QUANT8_ASYMM: return convolveQuant<uint8_t>(c, conv, fuse);
        default: return convolveQuant<int8_t>(c, conv, fuse);
    }
}

}  // namespace nnapi
