// STRIDED_SLICE, SLICE, SPLIT: a part of a tensor.

#include <algorithm>

#include "kernel.h"
#include "rules.h"
#include "strided.h"

namespace nnapi {
namespace {

// --- STRIDED_SLICE --------------------------------------------------------------------------

/// What one dimension contributes: elements start, start + stride, ...
struct Range {
    int64_t start;
    int64_t stride;
    int64_t count;
};

struct Masks {
    int32_t begin, end, shrink;
    static bool has(int32_t mask, uint32_t i) { return (static_cast<uint32_t>(mask) >> i & 1) != 0; }
};

/// One dimension of size `dim`.
/// Reading: negative begin and end count from the end of the dimension, and both are cut to it,
/// as in the array libraries that the operation comes from; the reference names neither.
template <class Where>
Range rangeOf(const Where& where, int64_t dim, int32_t begin, int32_t end, int32_t stride,
              const Masks& masks, uint32_t i) {
    where.require(stride != 0, "strides must not be zero");
    const bool forward = stride > 0;
    const int64_t least = forward ? 0 : -1, most = forward ? dim : dim - 1;
    const auto place = [&](int64_t index) {
        return std::clamp(index < 0 ? index + dim : index, least, most);
    };
    const int64_t start = Masks::has(masks.begin, i) ? (forward ? 0 : dim - 1) : place(begin);
    const int64_t stop = Masks::has(masks.end, i) ? (forward ? dim : -1) : place(end);
    const int64_t step = stride;
    const int64_t room = forward ? stop - start : start - stop;
    const int64_t size = forward ? step : -step;
    const int64_t count = room <= 0 ? 0 : (room + size - 1) / size;
    if (!Masks::has(masks.shrink, i)) return {start, step, count};
    // A shrunk dimension takes the value at begin and must be a slice of size 1. "begin[i] = x,
    // end[i] = x + 1" is one even for x = -1, where the end is read as the first element.
    const bool single = !Masks::has(masks.begin, i) && !Masks::has(masks.end, i) && forward &&
                        int64_t{end} == int64_t{begin} + 1;
    const int64_t exact = begin < 0 ? begin + dim : begin;
    where.require(Masks::has(masks.begin, i) || (exact >= 0 && exact < dim),
                  "begin is outside of a dimension in shrink_axis_mask");
    where.require(single || count == 1, "a dimension in shrink_axis_mask is not of size 1");
    return {start, step, 1};
}

void validateStridedSlice(OpView& v) {
    v.inputs(7);
    v.outputs(1);
    const Type type = v.type(in(0), {{TENSOR_FLOAT16, 3},
                                     {TENSOR_FLOAT32, 2},
                                     {TENSOR_QUANT8_ASYMM, 2},
                                     {TENSOR_QUANT8_ASYMM_SIGNED, 4}});
    v.sameType({in(0), out(0)});
    v.rank(in(0), 1, 4);
    validateSameQuant(v, type, {in(0), out(0)});
    const auto rank = v.rankOf(in(0));
    for (size_t i = 1; i <= 3; i++) {
        validateIntVector(v, in(i));
        if (rank) v.dim(in(i), 0, *rank);
    }
    for (size_t i = 4; i <= 6; i++) v.scalar(in(i), INT32);
    const auto begin = v.values<int32_t>(in(1));
    const auto end = v.values<int32_t>(in(2));
    const auto strides = v.values<int32_t>(in(3));
    for (int32_t stride : strides) v.require(stride != 0, "strides must not be zero");
    const auto beginMask = v.value<int32_t>(in(4));
    const auto endMask = v.value<int32_t>(in(5));
    const auto shrinkMask = v.value<int32_t>(in(6));
    if (!rank || begin.size() != *rank || end.size() != *rank || strides.size() != *rank ||
        !beginMask || !endMask || !shrinkMask) {
        return;
    }
    const Masks masks{*beginMask, *endMask, *shrinkMask};
    Shape expected;
    for (uint32_t i = 0; i < *rank; i++) {
        const auto dim = v.dimOf(in(0), i);
        const Range range =
            dim ? rangeOf(v, *dim, begin[i], end[i], strides[i], masks, i) : Range{0, 1, 0};
        if (!Masks::has(masks.shrink, i)) expected.push(static_cast<uint32_t>(range.count));
    }
    if (expected.rank == 0) expected.push(1);
    expectShape(v, out(0), expected);
}

std::array<Range, 4> stridedRanges(const Context& c, const Masks& masks) {
    const Shape& shape = c.shape(0);
    const auto begin = intVector(c, 1), end = intVector(c, 2), strides = intVector(c, 3);
    c.require(begin.size() == shape.rank && end.size() == shape.rank &&
                  strides.size() == shape.rank,
              "begin, end and strides must have one entry for each dimension");
    std::array<Range, 4> ranges{};
    for (uint32_t i = 0; i < shape.rank; i++) {
        ranges[i] = rangeOf(c, shape[i], begin[i], end[i], strides[i], masks, i);
    }
    return ranges;
}

Masks masksOf(const Context& c) {
    return {c.scalar<int32_t>(4), c.scalar<int32_t>(5), c.scalar<int32_t>(6)};
}

void prepareStridedSlice(Context& c) {
    requireRank(c, 0, 1, 4);
    const Masks masks = masksOf(c);
    const auto ranges = stridedRanges(c, masks);
    Shape shape;
    for (uint32_t i = 0; i < c.shape(0).rank; i++) {
        if (!Masks::has(masks.shrink, i)) shape.push(static_cast<uint32_t>(ranges[i].count));
    }
    if (shape.rank == 0) shape.push(1);
    c.setShape(0, shape);
}

/// Copies the block of `ranges` to the front of the output.
void copyRanges(Context& c, std::span<const Range> ranges) {
    const auto from = c.shape(0).strides();
    const size_t size = elementSize(c.type(0));
    StridedCopy copy;
    ptrdiff_t first = 0;
    ptrdiff_t to = 1;
    for (const Range& range : ranges) to *= static_cast<ptrdiff_t>(range.count);
    if (to == 0) return;
    for (size_t i = 0; i < ranges.size(); i++) {
        const auto stride = static_cast<ptrdiff_t>(from[i]);
        to /= static_cast<ptrdiff_t>(ranges[i].count);
        first += static_cast<ptrdiff_t>(ranges[i].start) * stride;
        copy.dim(static_cast<size_t>(ranges[i].count),
                 static_cast<ptrdiff_t>(ranges[i].stride) * stride, to);
    }
    copy.run(c.in<uint8_t>(0) + first * static_cast<ptrdiff_t>(size), c.out<uint8_t>(0), size);
}

void executeStridedSlice(Context& c) {
    const auto ranges = stridedRanges(c, masksOf(c));
    copyRanges(c, std::span(ranges.data(), c.shape(0).rank));
}

// --- SLICE ----------------------------------------------------------------------------------

template <class Where>
Range sliceRange(const Where& where, int64_t dim, int32_t begin, int32_t size) {
    where.require(begin >= 0 && begin <= dim, "begin is outside of a dimension");
    where.require(size >= -1, "a size must be -1 or not negative");
    const int64_t count = size == -1 ? dim - begin : size;
    where.require(begin + count <= dim, "begin + size must not exceed a dimension");
    return {begin, 1, count};
}

void validateSlice(OpView& v) {
    v.inputs(3);
    v.outputs(1);
    const Type type = v.type(in(0), kNumericSince3);
    v.sameType({in(0), out(0)});
    v.rank(in(0), 1, kAnyRank);
    v.sameRank({in(0), out(0)});
    validateSameQuant(v, type, {in(0), out(0)});
    const auto rank = v.rankOf(in(0));
    for (size_t i = 1; i <= 2; i++) {
        validateIntVector(v, in(i));
        if (rank) v.dim(in(i), 0, *rank);
    }
    const auto begin = v.values<int32_t>(in(1));
    const auto size = v.values<int32_t>(in(2));
    if (!rank || begin.size() != *rank || size.size() != *rank) return;
    Shape expected;
    for (uint32_t i = 0; i < *rank; i++) {
        const auto dim = v.dimOf(in(0), i);
        expected.push(
            dim ? static_cast<uint32_t>(sliceRange(v, *dim, begin[i], size[i]).count) : 0);
    }
    expectShape(v, out(0), expected);
}

void sliceRanges(const Context& c, std::array<Range, kAnyRank>& ranges) {
    const Shape& shape = c.shape(0);
    const auto begin = intVector(c, 1), size = intVector(c, 2);
    c.require(begin.size() == shape.rank && size.size() == shape.rank,
              "begin and size must have one entry for each dimension");
    for (uint32_t i = 0; i < shape.rank; i++) {
        ranges[i] = sliceRange(c, shape[i], begin[i], size[i]);
    }
}

void prepareSlice(Context& c) {
    requireRank(c, 0, 1, kAnyRank);
    std::array<Range, kAnyRank> ranges;
    sliceRanges(c, ranges);
    Shape shape;
    for (uint32_t i = 0; i < c.shape(0).rank; i++) {
        shape.push(static_cast<uint32_t>(ranges[i].count));
    }
    c.setShape(0, shape);
}

void executeSlice(Context& c) {
    std::array<Range, kAnyRank> ranges;
    sliceRanges(c, ranges);
    copyRanges(c, std::span(ranges.data(), c.shape(0).rank));
}

// --- SPLIT ----------------------------------------------------------------------------------

void validateSplit(OpView& v) {
    v.inputs(3);
    const Type type = v.type(in(0), kNumericSince3);
    v.require(v.outputCount() >= 1, "there must be one output for each split");
    v.rank(in(0), 1, kAnyRank);
    validateAxis(v, in(1), in(0));
    v.integer(in(2), 1, INT32_MAX);
    const auto splits = v.value<int32_t>(in(2));
    v.require(!splits || static_cast<size_t>(*splits) == v.outputCount(),
              "there must be one output for each split");
    for (size_t i = 0; i < v.outputCount(); i++) {
        v.sameType({in(0), out(i)});
        v.sameRank({in(0), out(i)});
        validateSameQuant(v, type, {in(0), out(i)});
    }
    const auto axisValue = v.value<int32_t>(in(1));
    const auto rank = v.rankOf(in(0));
    if (!axisValue || !rank) return;
    // Reading: a negative axis counts from the end, as it does for other operations.
    const uint32_t axis = normalAxis(v, *axisValue, *rank);
    Shape expected = v[in(0)].shape;
    const auto count = static_cast<uint32_t>(v.outputCount());
    v.require(expected[axis] % count == 0, "the splits must evenly divide the axis");
    expected[axis] /= count;
    for (size_t i = 0; i < count; i++) expectShape(v, out(i), expected);
}

void prepareSplit(Context& c) {
    requireRank(c, 0, 1, kAnyRank);
    Shape shape = c.shape(0);
    const uint32_t axis = normalAxis(c, c.scalar<int32_t>(1), shape.rank);
    const int32_t splits = c.integer(2, 1, INT32_MAX);
    c.require(static_cast<size_t>(splits) == c.outputCount(),
              "there must be one output for each split");
    c.require(shape[axis] % static_cast<uint32_t>(splits) == 0,
              "the splits must evenly divide the axis");
    shape[axis] /= static_cast<uint32_t>(splits);
    for (size_t i = 0; i < c.outputCount(); i++) c.setShape(i, shape);
}

void executeSplit(Context& c) {
    const Shape& shape = c.shape(0);
    const uint32_t axis = normalAxis(c, c.scalar<int32_t>(1), shape.rank);
    const size_t size = elementSize(c.type(0));
    const size_t row = shape.countFrom(axis, shape.rank) / c.outputCount();
    const auto whole = static_cast<ptrdiff_t>(row * c.outputCount());
    for (size_t i = 0; i < c.outputCount(); i++) {
        c.checkDeadline();
        StridedCopy copy;
        copy.dim(shape.countFrom(0, axis), whole, static_cast<ptrdiff_t>(row));
        copy.dim(row, 1, 1);
        copy.run(c.in<uint8_t>(0) + i * row * size, c.out<uint8_t>(i), size);
    }
}

const Register registered({
    {ANEURALNETWORKS_STRIDED_SLICE, "STRIDED_SLICE", validateStridedSlice, prepareStridedSlice,
     executeStridedSlice},
    {ANEURALNETWORKS_SLICE, "SLICE", validateSlice, prepareSlice, executeSlice},
    {ANEURALNETWORKS_SPLIT, "SPLIT", validateSplit, prepareSplit, executeSplit},
});

}  // namespace
}  // namespace nnapi
