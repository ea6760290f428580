// STRIDED_SLICE, SLICE, SPLIT: a part of a tensor.

#include <algorithm>

#include "../readings.h"
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
    // Reading: devices that ship go forward only where a dimension is shrunk.
    where.require(forward || !followsField(),
                  "the stride of a dimension in shrink_axis_mask must be positive");
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

/// The masks where all three are known.
template <class Where>
std::optional<Masks> masksOf(const Where& where) {
    const auto begin = where.intOf(in(4)), end = where.intOf(in(5)), shrink = where.intOf(in(6));
    if (!begin || !end || !shrink) return std::nullopt;
    return Masks{*begin, *end, *shrink};
}

/// Each dimension's part, where it is known.
using Ranges = std::array<std::optional<Range>, kAnyRank>;

/// The rules of STRIDED_SLICE on shapes and values. Gives each dimension's part in `ranges`, and the
/// output's shape; nothing where more than a dimension is not known.
template <class Where>
std::optional<Shape> stridedShape(const Where& where, Ranges& ranges) {
    where.rank(in(0), 1, 4, When::AT_ONCE);
    const auto rank = where.rankOf(in(0));
    for (size_t i = 1; i <= 3; i++) {
        where.rank(in(i), 1);
        if (rank) where.dim(in(i), 0, *rank);
    }
    const auto begin = where.intsOf(in(1)), end = where.intsOf(in(2)), strides = where.intsOf(in(3));
    for (int32_t stride : strides) where.require(stride != 0, "strides must not be zero");
    const auto masks = masksOf(where);
    if (!rank || begin.size() != *rank || end.size() != *rank || strides.size() != *rank ||
        !masks) {
        return std::nullopt;
    }
    Shape shape;
    for (uint32_t i = 0; i < *rank; i++) {
        const auto dim = where.dimOf(in(0), i);
        if (dim) ranges[i] = rangeOf(where, *dim, begin[i], end[i], strides[i], *masks, i);
        if (!Masks::has(masks->shrink, i)) {
            shape.push(static_cast<uint32_t>(ranges[i] ? ranges[i]->count : 0));
        }
    }
    if (shape.rank == 0) shape.push(1);
    return shape;
}

void validateStridedSlice(OpView& v) {
    v.inputs(7);
    v.outputs(1);
    const Type type = v.type(in(0), {{TENSOR_FLOAT16, 3},
                                     {TENSOR_FLOAT32, 2},
                                     {TENSOR_QUANT8_ASYMM, 2},
                                     {TENSOR_QUANT8_ASYMM_SIGNED, 4}});
    v.sameType({in(0), out(0)});
    validateSameQuant(v, type, {in(0), out(0)});
    for (size_t i = 1; i <= 3; i++) v.type(in(i), TENSOR_INT32);
    for (size_t i = 4; i <= 6; i++) v.scalar(in(i), INT32);
    Ranges ranges;
    if (const auto shape = stridedShape(v, ranges)) expectShape(v, out(0), *shape);
}

void prepareStridedSlice(Context& c) {
    Ranges ranges;
    c.setShape(0, *stridedShape(c, ranges));
}

/// Copies the block of `ranges` to the front of the output.
void copyRanges(Context& c, const Ranges& ranges) {
    const auto from = c.shape(0).strides();
    const uint32_t rank = c.shape(0).rank;
    const size_t size = elementSize(c.type(0));
    StridedCopy copy;
    ptrdiff_t first = 0;
    ptrdiff_t to = 1;
    for (uint32_t i = 0; i < rank; i++) to *= static_cast<ptrdiff_t>(ranges[i]->count);
    if (to == 0) return;
    for (uint32_t i = 0; i < rank; i++) {
        const auto stride = static_cast<ptrdiff_t>(from[i]);
        to /= static_cast<ptrdiff_t>(ranges[i]->count);
        first += static_cast<ptrdiff_t>(ranges[i]->start) * stride;
        copy.dim(static_cast<size_t>(ranges[i]->count),
                 static_cast<ptrdiff_t>(ranges[i]->stride) * stride, to);
    }
    copy.run(c.in<uint8_t>(0) + first * static_cast<ptrdiff_t>(size), c.out<uint8_t>(0), size);
}

void executeStridedSlice(Context& c) {
    Ranges ranges;
    stridedShape(c, ranges);
    copyRanges(c, ranges);
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

/// The rules of SLICE on shapes and values; gives the same as `stridedShape`.
template <class Where>
std::optional<Shape> sliceShape(const Where& where, Ranges& ranges) {
    where.rank(in(0), 1, kAnyRank);
    const auto rank = where.rankOf(in(0));
    for (size_t i = 1; i <= 2; i++) {
        where.rank(in(i), 1);
        if (rank) where.dim(in(i), 0, *rank);
    }
    const auto begin = where.intsOf(in(1)), size = where.intsOf(in(2));
    if (!rank || begin.size() != *rank || size.size() != *rank) return std::nullopt;
    Shape shape;
    for (uint32_t i = 0; i < *rank; i++) {
        if (const auto dim = where.dimOf(in(0), i)) {
            ranges[i] = sliceRange(where, *dim, begin[i], size[i]);
        }
        shape.push(static_cast<uint32_t>(ranges[i] ? ranges[i]->count : 0));
    }
    return shape;
}

void validateSlice(OpView& v) {
    v.inputs(3);
    v.outputs(1);
    const Type type = v.type(in(0), kNumericSince3);
    v.sameType({in(0), out(0)});
    v.sameRank({in(0), out(0)});
    validateSameQuant(v, type, {in(0), out(0)});
    for (size_t i = 1; i <= 2; i++) v.type(in(i), TENSOR_INT32);
    Ranges ranges;
    if (const auto shape = sliceShape(v, ranges)) expectShape(v, out(0), *shape);
}

void prepareSlice(Context& c) {
    Ranges ranges;
    c.setShape(0, *sliceShape(c, ranges));
}

void executeSlice(Context& c) {
    Ranges ranges;
    sliceShape(c, ranges);
    copyRanges(c, ranges);
}

// --- SPLIT ----------------------------------------------------------------------------------

/// The rules on axis and splits, and the outputs' shape as far as it is known.
template <class Where>
std::optional<Shape> splitShape(const Where& where) {
    where.rank(in(0), 1, kAnyRank);
    where.integer(in(2), 1, INT32_MAX);
    const auto splits = where.intOf(in(2));
    const size_t outputs = where.outputCount();
    where.require(outputs >= 1 && (!splits || static_cast<size_t>(*splits) == outputs),
                  "there must be one output for each split");
    // Reading: a negative axis counts from the end, as it does for other operations.
    const auto axis = checkAxis(where, in(1), in(0));
    auto shape = shapeOf(where, in(0));
    if (!axis || !shape) return std::nullopt;
    const auto count = static_cast<uint32_t>(outputs);
    where.require((*shape)[*axis] % count == 0, "the splits must evenly divide the axis");
    (*shape)[*axis] /= count;
    return shape;
}

void validateSplit(OpView& v) {
    v.inputs(3);
    const Type type = v.type(in(0), kNumericSince3);
    v.scalar(in(1), INT32);
    for (size_t i = 0; i < v.outputCount(); i++) {
        v.sameType({in(0), out(i)});
        v.sameRank({in(0), out(i)});
        validateSameQuant(v, type, {in(0), out(i)});
    }
    const auto expected = splitShape(v);
    for (size_t i = 0; expected && i < v.outputCount(); i++) expectShape(v, out(i), *expected);
}

void prepareSplit(Context& c) {
    const Shape shape = *splitShape(c);
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
