// DEPTH_TO_SPACE, SPACE_TO_DEPTH, BATCH_TO_SPACE_ND and SPACE_TO_BATCH_ND: blocks of pixels
// moved between space and depth or batch.

#include "rules.h"
#include "sliding.h"

namespace nnapi {
namespace {

/// Output element (b, y, x, channel) comes from the input element that source(input layout, b, y,
/// x, channel) names, or is `fill` where it names none.
template <class T, class Source>
void rearrange(Context& c, bool nchw, T fill, Source source) {
    const Layout4 from(c.shape(0), nchw), to(c.output(0).shape, nchw);
    const T* input = c.in<T>(0);
    T* output = c.out<T>(0);
    for (size_t b = 0; b < to.batch; b++) {
        for (size_t y = 0; y < to.height; y++) {
            c.spend(16 * size_t{to.width} * to.channels);
            for (size_t x = 0; x < to.width; x++) {
                for (size_t channel = 0; channel < to.channels; channel++) {
                    const std::optional<size_t> at = source(from, b, y, x, channel);
                    output[to.at(b, y, x, channel)] = at ? input[*at] : fill;
                }
            }
        }
    }
}

/// Dispatches on the element size; data only move. Padding is the logical zero.
template <class Source>
void rearrangeAny(Context& c, bool nchw, Source source) {
    switch (elementSize(c.type(0))) {
        case 4: return rearrange<uint32_t>(c, nchw, 0, source);
        case 2: return rearrange<uint16_t>(c, nchw, 0, source);
        default: {
            const auto zero = static_cast<uint8_t>(c.input(0).zeroPoint);
            return rearrange<uint8_t>(c, nchw, zero, source);
        }
    }
}

void validateTensors(OpView& v) {
    v.outputs(1);
    v.type(in(0), kRealAndQuant8Since1);
    v.sameType({in(0), out(0)});
    v.sameQuant({in(0), out(0)});
    v.rank(out(0), 4);
}

/// The sizes of a 4-D tensor in NHWC terms, as far as they are known.
struct Sizes {
    std::optional<uint64_t> batch, height, width, depth;
};

template <class Where>
Sizes inputSizes(const Where& where, bool nchw) {
    const auto size = [&](uint32_t axis) -> std::optional<uint64_t> {
        return where.dimOf(in(0), axis);
    };
    return {size(0), size(nchw ? 2 : 1), size(nchw ? 3 : 2), size(nchw ? 1 : 3)};
}

/// For the model: the output's dimensions do not contradict `expected`.
void expectOutput(const OpView& v, bool nchw, const Sizes& expected) {
    const auto expect = [&](uint32_t axis, std::optional<uint64_t> size) {
        const auto given = v.dimOf(out(0), axis);
        v.require(!size || !given || *given == *size, "the output has a wrong dimension");
    };
    expect(0, expected.batch);
    expect(nchw ? 2 : 1, expected.height);
    expect(nchw ? 3 : 2, expected.width);
    expect(nchw ? 1 : 3, expected.depth);
}

/// At execution: the output's shape.
void setOutput(Context& c, bool nchw, const Sizes& sizes) {
    const auto size = [](std::optional<uint64_t> one) { return static_cast<int64_t>(*one); };
    setShape4(c, size(sizes.batch), size(sizes.height), size(sizes.width), size(sizes.depth), nchw);
}

std::optional<uint64_t> times(std::optional<uint64_t> size, uint64_t factor) {
    if (!size) return std::nullopt;
    return *size * factor;
}
std::optional<uint64_t> plus(std::optional<uint64_t> size, int64_t before, int64_t after) {
    if (!size) return std::nullopt;
    return *size + static_cast<uint64_t>(before) + static_cast<uint64_t>(after);
}
template <class Where>
std::optional<uint64_t> over(const Where& where, std::optional<uint64_t> size, uint64_t divisor,
                             const char* rule) {
    if (!size) return std::nullopt;
    where.require(*size % divisor == 0, rule);
    return *size / divisor;
}

constexpr const char* kSpaceRule = "block sizes must divide the height and width";

// --- Depth --------------------------------------------------------------------------------------

/// block_size squared must stay in range.
constexpr int32_t kMostBlock = 46340;

/// The rules on rank and block size, and the output's sizes as far as they are known.
/// Reading: the "width of the output is input_depth * block_size" of the text contradicts the
/// shape given for the output, which counts.
template <class Where>
Sizes depthToSpace(const Where& where, bool nchw, uint64_t block) {
    const Sizes from = inputSizes(where, nchw);
    return {from.batch, times(from.height, block), times(from.width, block),
            over(where, from.depth, block * block,
                 "block_size * block_size must divide the input depth")};
}
template <class Where>
Sizes spaceToDepth(const Where& where, bool nchw, uint64_t block) {
    const Sizes from = inputSizes(where, nchw);
    return {from.batch, over(where, from.height, block, kSpaceRule),
            over(where, from.width, block, kSpaceRule), times(from.depth, block * block)};
}

template <class Where>
void checkDepth(const Where& where) {
    where.rank(in(0), 4);
    where.integer(in(1), 1, INT32_MAX);
}

template <Sizes (*output)(const OpView&, bool, uint64_t)>
void validateDepth(OpView& v) {
    v.inputs({2, 3});
    validateTensors(v);
    v.optionalFlag(in(2), 3);
    checkDepth(v);
    const auto nchw = v.flagOf(in(2));
    const auto block = v.intOf(in(1));
    if (nchw && block) expectOutput(v, *nchw, output(v, *nchw, static_cast<uint64_t>(*block)));
}

template <Sizes (*output)(const Context&, bool, uint64_t)>
void prepareDepth(Context& c) {
    checkDepth(c);
    const int32_t block = c.scalar<int32_t>(1);
    c.require(block <= kMostBlock, "the output is too large");
    setOutput(c, c.flag(2), output(c, c.flag(2), static_cast<uint64_t>(block)));
}

/// Reading: pixels of a block lie row by row in the depth, the channels of a pixel together.
void executeDepthToSpace(Context& c) {
    const auto block = static_cast<size_t>(c.scalar<int32_t>(1));
    const size_t depth = Layout4(c.output(0).shape, c.flag(2)).channels;
    rearrangeAny(c, c.flag(2),
                 [=](const Layout4& from, size_t b, size_t y, size_t x,
                     size_t channel) -> std::optional<size_t> {
                     const size_t inBlock = y % block * block + x % block;
                     return from.at(b, y / block, x / block, inBlock * depth + channel);
                 });
}

void executeSpaceToDepth(Context& c) {
    const auto block = static_cast<size_t>(c.scalar<int32_t>(1));
    const size_t depth = Layout4(c.shape(0), c.flag(2)).channels;
    rearrangeAny(c, c.flag(2),
                 [=](const Layout4& from, size_t b, size_t y, size_t x,
                     size_t channel) -> std::optional<size_t> {
                     const size_t inBlock = channel / depth;
                     return from.at(b, y * block + inBlock / block, x * block + inBlock % block,
                                    channel % depth);
                 });
}

// --- Batch --------------------------------------------------------------------------------------

/// Block sizes, and paddings [top, bottom, left, right], of height and width.
struct Blocks {
    int64_t height, width;
    int64_t top = 0, bottom = 0, left = 0, right = 0;
};

/// The rules on shapes and values of block sizes and, where they are input 2, paddings; nothing
/// where one is not known.
template <class Where>
std::optional<Blocks> blocksOf(const Where& where, bool padded) {
    where.rank(in(0), 4);
    where.rank(in(1), 1);
    where.dim(in(1), 0, 2);
    const auto sizes = where.intsOf(in(1));
    for (int32_t size : sizes) where.require(size >= 1, "block sizes must be at least 1");
    std::span<const int32_t> paddings;
    if (padded) {
        where.rank(in(2), 2);
        where.dim(in(2), 0, 2);
        where.dim(in(2), 1, 2);
        paddings = where.intsOf(in(2));
        for (int32_t one : paddings) where.require(one >= 0, "paddings must not be negative");
    }
    if (sizes.size() != 2 || (padded && paddings.size() != 4)) return std::nullopt;
    Blocks blocks{sizes[0], sizes[1]};
    if (!padded) return blocks;
    blocks.top = paddings[0], blocks.bottom = paddings[1];
    blocks.left = paddings[2], blocks.right = paddings[3];
    return blocks;
}

/// The output's sizes as far as they are known.
template <class Where>
Sizes batchToSpace(const Where& where, bool nchw, const Blocks& blocks) {
    const Sizes from = inputSizes(where, nchw);
    const auto height = static_cast<uint64_t>(blocks.height);
    const auto width = static_cast<uint64_t>(blocks.width);
    return {over(where, from.batch, height * width,
                 "the product of the block sizes must divide the batch"),
            times(from.height, height), times(from.width, width), from.depth};
}
template <class Where>
Sizes spaceToBatch(const Where& where, bool nchw, const Blocks& blocks) {
    const Sizes from = inputSizes(where, nchw);
    const auto height = static_cast<uint64_t>(blocks.height);
    const auto width = static_cast<uint64_t>(blocks.width);
    return {times(from.batch, height * width),
            over(where, plus(from.height, blocks.top, blocks.bottom), height, kSpaceRule),
            over(where, plus(from.width, blocks.left, blocks.right), width, kSpaceRule),
            from.depth};
}

void validateBatchToSpace(OpView& v) {
    v.inputs({2, 3});
    v.since(2);
    validateTensors(v);
    v.type(in(1), TENSOR_INT32);
    v.optionalFlag(in(2), 3);
    const auto blocks = blocksOf(v, false);
    const auto nchw = v.flagOf(in(2));
    if (nchw && blocks) expectOutput(v, *nchw, batchToSpace(v, *nchw, *blocks));
}

void prepareBatchToSpace(Context& c) {
    const Blocks blocks = *blocksOf(c, false);
    const Sizes to = batchToSpace(c, c.flag(2), blocks);
    const Layout4 input(c.shape(0), c.flag(2));
    c.require(blocks.height <= INT32_MAX / std::max<int64_t>(1, input.height) &&
                  blocks.width <= INT32_MAX / std::max<int64_t>(1, input.width),
              "the output is too large");
    setOutput(c, c.flag(2), to);
}

void executeBatchToSpace(Context& c) {
    const Blocks blocks = *blocksOf(c, false);
    const auto height = static_cast<size_t>(blocks.height);
    const auto width = static_cast<size_t>(blocks.width);
    const size_t batch = c.output(0).shape[0];
    rearrangeAny(c, c.flag(2),
                 [=](const Layout4& from, size_t b, size_t y, size_t x,
                     size_t channel) -> std::optional<size_t> {
                     const size_t inBlock = y % height * width + x % width;
                     return from.at(inBlock * batch + b, y / height, x / width, channel);
                 });
}

void validateSpaceToBatch(OpView& v) {
    v.inputs({3, 4});
    v.since(2);
    validateTensors(v);
    v.type(in(1), TENSOR_INT32);
    v.type(in(2), TENSOR_INT32);
    v.optionalFlag(in(3), 3);
    const auto blocks = blocksOf(v, true);
    const auto nchw = v.flagOf(in(3));
    if (nchw && blocks) expectOutput(v, *nchw, spaceToBatch(v, *nchw, *blocks));
}

void prepareSpaceToBatch(Context& c) {
    const Blocks blocks = *blocksOf(c, true);
    const int64_t batch = std::max<int64_t>(1, c.shape(0)[0]);
    c.require(blocks.height * blocks.width <= INT32_MAX / batch, "the output is too large");
    setOutput(c, c.flag(3), spaceToBatch(c, c.flag(3), blocks));
}

void executeSpaceToBatch(Context& c) {
    const Blocks blocks = *blocksOf(c, true);
    const size_t batch = c.shape(0)[0];
    rearrangeAny(c, c.flag(3),
                 [=](const Layout4& from, size_t b, size_t y, size_t x,
                     size_t channel) -> std::optional<size_t> {
                     const auto inBlock = static_cast<int64_t>(b / batch);
                     const int64_t iy = static_cast<int64_t>(y) * blocks.height +
                                        inBlock / blocks.width - blocks.top;
                     const int64_t ix = static_cast<int64_t>(x) * blocks.width +
                                        inBlock % blocks.width - blocks.left;
                     if (iy < 0 || iy >= from.height || ix < 0 || ix >= from.width) {
                         return std::nullopt;
                     }
                     return from.at(b % batch, static_cast<size_t>(iy), static_cast<size_t>(ix),
                                    channel);
                 });
}

const Register registered({
    {ANEURALNETWORKS_DEPTH_TO_SPACE, "DEPTH_TO_SPACE", validateDepth<depthToSpace>,
     prepareDepth<depthToSpace>,
     executeDepthToSpace},
    {ANEURALNETWORKS_SPACE_TO_DEPTH, "SPACE_TO_DEPTH", validateDepth<spaceToDepth>,
     prepareDepth<spaceToDepth>,
     executeSpaceToDepth},
    {ANEURALNETWORKS_BATCH_TO_SPACE_ND, "BATCH_TO_SPACE_ND", validateBatchToSpace,
     prepareBatchToSpace, executeBatchToSpace},
    {ANEURALNETWORKS_SPACE_TO_BATCH_ND, "SPACE_TO_BATCH_ND", validateSpaceToBatch,
     prepareSpaceToBatch, executeSpaceToBatch},
});

}  // namespace
}  // namespace nnapi
