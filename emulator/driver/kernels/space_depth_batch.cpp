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
    v.rank(in(0), 4);
    v.rank(out(0), 4);
}

/// The output's dimensions as [batch, height, width, depth] do not contradict `expected` (0: not
/// known), where the layout is known.
void expectOutput(const OpView& v, std::optional<bool> nchw, std::optional<uint64_t> batch,
                  std::optional<uint64_t> height, std::optional<uint64_t> width,
                  std::optional<uint64_t> depth) {
    if (!nchw) return;
    const auto expect = [&](uint32_t axis, std::optional<uint64_t> size) {
        const auto given = v.dimOf(out(0), axis);
        v.require(!size || !given || *given == *size, "the output has a wrong dimension");
    };
    expect(0, batch);
    expect(*nchw ? 2 : 1, height);
    expect(*nchw ? 3 : 2, width);
    expect(*nchw ? 1 : 3, depth);
}

/// A known input dimension in NHWC terms: 'b', 'h', 'w' or 'c'.
std::optional<uint64_t> known(const OpView& v, bool nchw, char which) {
    const uint32_t axis = which == 'b'   ? 0
                          : which == 'h' ? (nchw ? 2 : 1)
                          : which == 'w' ? (nchw ? 3 : 2)
                                         : (nchw ? 1 : 3);
    const auto dim = v.dimOf(in(0), axis);
    if (!dim) return std::nullopt;
    return *dim;
}
std::optional<uint64_t> times(std::optional<uint64_t> size, uint64_t factor) {
    if (!size) return std::nullopt;
    return *size * factor;
}
std::optional<uint64_t> over(const OpView& v, std::optional<uint64_t> size, uint64_t divisor,
                             const char* rule) {
    if (!size) return std::nullopt;
    v.require(*size % divisor == 0, rule);
    return *size / divisor;
}

constexpr const char* kDepthRule = "block_size * block_size must divide the input depth";
constexpr const char* kSpaceRule = "block sizes must divide the height and width";
constexpr const char* kBatchRule = "the product of the block sizes must divide the batch";

// --- Depth --------------------------------------------------------------------------------------

/// block_size squared must stay in range.
constexpr int32_t kMostBlock = 46340;

void validateDepth(OpView& v, bool toSpace) {
    v.inputs({2, 3});
    validateTensors(v);
    v.integer(in(1), 1, INT32_MAX);
    v.optionalFlag(in(2), 3);
    const auto nchw = knownLayout(v, 2);
    const auto block = v.value<int32_t>(in(1));
    if (!nchw || !block) return;
    const auto size = static_cast<uint64_t>(*block);
    const auto batch = known(v, *nchw, 'b'), height = known(v, *nchw, 'h');
    const auto width = known(v, *nchw, 'w'), depth = known(v, *nchw, 'c');
    if (toSpace) {
        expectOutput(v, nchw, batch, times(height, size), times(width, size),
                     over(v, depth, size * size, kDepthRule));
    } else {
        expectOutput(v, nchw, batch, over(v, height, size, kSpaceRule),
                     over(v, width, size, kSpaceRule), times(depth, size * size));
    }
}
void validateDepthToSpace(OpView& v) { validateDepth(v, true); }
void validateSpaceToDepth(OpView& v) { validateDepth(v, false); }

/// Reading: the "width of the output is input_depth * block_size" of the text contradicts the
/// shape given for the output, which counts.
void prepareDepthToSpace(Context& c) {
    requireRank(c, 0, 4, 4);
    const Layout4 input(c.shape(0), c.flag(2));
    const int64_t block = c.integer(1, 1, INT32_MAX);
    c.require(block <= kMostBlock && input.channels % (block * block) == 0, kDepthRule);
    setShape4(c, input.batch, input.height * block, input.width * block,
              input.channels / (block * block), c.flag(2));
}

/// Reading: pixels of a block lie row by row in the depth, the channels of a pixel together.
void executeDepthToSpace(Context& c) {
    const auto block = static_cast<size_t>(c.integer(1, 1, INT32_MAX));
    const size_t depth = Layout4(c.output(0).shape, c.flag(2)).channels;
    rearrangeAny(c, c.flag(2),
                 [=](const Layout4& from, size_t b, size_t y, size_t x,
                     size_t channel) -> std::optional<size_t> {
                     const size_t inBlock = y % block * block + x % block;
                     return from.at(b, y / block, x / block, inBlock * depth + channel);
                 });
}

void prepareSpaceToDepth(Context& c) {
    requireRank(c, 0, 4, 4);
    const Layout4 input(c.shape(0), c.flag(2));
    const int64_t block = c.integer(1, 1, INT32_MAX);
    c.require(input.height % block == 0 && input.width % block == 0, kSpaceRule);
    c.require(block <= kMostBlock, "the output is too large");
    setShape4(c, input.batch, input.height / block, input.width / block,
              input.channels * block * block, c.flag(2));
}

void executeSpaceToDepth(Context& c) {
    const auto block = static_cast<size_t>(c.integer(1, 1, INT32_MAX));
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

/// The rules for values; `Where` is OpView or Context.
template <class Where>
Blocks makeBlocks(const Where& where, std::span<const int32_t> sizes,
                  std::span<const int32_t> paddings) {
    where.require(sizes.size() == 2, "there must be two block sizes");
    where.require(sizes[0] >= 1 && sizes[1] >= 1, "block sizes must be at least 1");
    Blocks blocks{sizes[0], sizes[1]};
    if (paddings.empty()) return blocks;
    where.require(paddings.size() == 4, "the paddings must be of shape [2, 2]");
    for (int32_t padding : paddings) where.require(padding >= 0, "paddings must not be negative");
    blocks.top = paddings[0], blocks.bottom = paddings[1];
    blocks.left = paddings[2], blocks.right = paddings[3];
    return blocks;
}

void validateBlocks(OpView& v) {
    v.type(in(1), TENSOR_INT32);
    v.rank(in(1), 1);
    v.dim(in(1), 0, 2);
}

void validateBatchToSpace(OpView& v) {
    v.inputs({2, 3});
    v.since(2);
    validateTensors(v);
    validateBlocks(v);
    v.optionalFlag(in(2), 3);
    const auto sizes = v.values<int32_t>(in(1));
    const auto nchw = knownLayout(v, 2);
    if (sizes.empty()) return;
    const Blocks blocks = makeBlocks(v, sizes, {});
    if (!nchw) return;
    const auto product = static_cast<uint64_t>(blocks.height * blocks.width);
    expectOutput(v, nchw, over(v, known(v, *nchw, 'b'), product, kBatchRule),
                 times(known(v, *nchw, 'h'), static_cast<uint64_t>(blocks.height)),
                 times(known(v, *nchw, 'w'), static_cast<uint64_t>(blocks.width)),
                 known(v, *nchw, 'c'));
}

Blocks readBlocks(const Context& c, bool paddings) {
    const auto sizes = intVector(c, 1);
    if (!paddings) return makeBlocks(c, sizes, {});
    c.require(c.shape(2).rank == 2 && c.shape(2)[0] == 2 && c.shape(2)[1] == 2,
              "the paddings must be of shape [2, 2]");
    return makeBlocks(c, sizes, {c.in<int32_t>(2), 4});
}

void prepareBatchToSpace(Context& c) {
    requireRank(c, 0, 4, 4);
    const Layout4 input(c.shape(0), c.flag(2));
    const Blocks blocks = readBlocks(c, false);
    c.require(input.batch % (blocks.height * blocks.width) == 0, kBatchRule);
    c.require(blocks.height <= INT32_MAX / std::max<int64_t>(1, input.height) &&
                  blocks.width <= INT32_MAX / std::max<int64_t>(1, input.width),
              "the output is too large");
    setShape4(c, input.batch / (blocks.height * blocks.width), input.height * blocks.height,
              input.width * blocks.width, input.channels, c.flag(2));
}

void executeBatchToSpace(Context& c) {
    const Blocks blocks = readBlocks(c, false);
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
    validateBlocks(v);
    v.type(in(2), TENSOR_INT32);
    v.rank(in(2), 2);
    v.dim(in(2), 0, 2);
    v.dim(in(2), 1, 2);
    v.optionalFlag(in(3), 3);
    const auto sizes = v.values<int32_t>(in(1));
    const auto paddings = v.values<int32_t>(in(2));
    const auto nchw = knownLayout(v, 3);
    for (int32_t padding : paddings) v.require(padding >= 0, "paddings must not be negative");
    if (sizes.empty()) return;
    const Blocks blocks = makeBlocks(v, sizes, paddings);
    if (!nchw || paddings.empty()) return;
    const auto padded = [&](char which, int64_t head, int64_t tail) -> std::optional<uint64_t> {
        const auto size = known(v, *nchw, which);
        if (!size) return std::nullopt;
        return *size + static_cast<uint64_t>(head) + static_cast<uint64_t>(tail);
    };
    expectOutput(v, nchw,
                 times(known(v, *nchw, 'b'),
                       static_cast<uint64_t>(blocks.height) * static_cast<uint64_t>(blocks.width)),
                 over(v, padded('h', blocks.top, blocks.bottom),
                      static_cast<uint64_t>(blocks.height), kSpaceRule),
                 over(v, padded('w', blocks.left, blocks.right),
                      static_cast<uint64_t>(blocks.width), kSpaceRule),
                 known(v, *nchw, 'c'));
}

void prepareSpaceToBatch(Context& c) {
    requireRank(c, 0, 4, 4);
    const Layout4 input(c.shape(0), c.flag(3));
    const Blocks blocks = readBlocks(c, true);
    const int64_t height = input.height + blocks.top + blocks.bottom;
    const int64_t width = input.width + blocks.left + blocks.right;
    c.require(height % blocks.height == 0 && width % blocks.width == 0, kSpaceRule);
    const int64_t times = blocks.height * blocks.width;
    c.require(times <= INT32_MAX / std::max<int64_t>(1, input.batch), "the output is too large");
    setShape4(c, input.batch * times, height / blocks.height, width / blocks.width,
              input.channels, c.flag(3));
}

void executeSpaceToBatch(Context& c) {
    const Blocks blocks = readBlocks(c, true);
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
    {ANEURALNETWORKS_DEPTH_TO_SPACE, "DEPTH_TO_SPACE", validateDepthToSpace, prepareDepthToSpace,
     executeDepthToSpace},
    {ANEURALNETWORKS_SPACE_TO_DEPTH, "SPACE_TO_DEPTH", validateSpaceToDepth, prepareSpaceToDepth,
     executeSpaceToDepth},
    {ANEURALNETWORKS_BATCH_TO_SPACE_ND, "BATCH_TO_SPACE_ND", validateBatchToSpace,
     prepareBatchToSpace, executeBatchToSpace},
    {ANEURALNETWORKS_SPACE_TO_BATCH_ND, "SPACE_TO_BATCH_ND", validateSpaceToBatch,
     prepareSpaceToBatch, executeSpaceToBatch},
});

}  // namespace
}  // namespace nnapi
