// TILE, GATHER, FILL, RANK.

#include <algorithm>

#include "kernel.h"
#include "rules.h"
#include "strided.h"

namespace nnapi {
namespace {

// --- TILE -----------------------------------------------------------------------------------

template <class Where>
Shape tiled(const Where& where, const Shape& input, std::span<const int32_t> multiples) {
    where.require(multiples.size() == input.rank, "multiples must have one entry per dimension");
    Shape shape;
    for (uint32_t i = 0; i < input.rank; i++) {
        where.require(multiples[i] >= 0, "a multiple is negative");
        pushDim(where, shape, static_cast<int64_t>(input[i]) * multiples[i]);
    }
    return shape;
}

void validateTile(OpView& v) {
    v.inputs(2);
    v.outputs(1);
    const Type type = v.type(in(0), kNumericSince3);
    v.sameType({in(0), out(0)});
    v.rank(in(0), 1, kAnyRank);
    v.sameRank({in(0), out(0)});
    validateIntVector(v, in(1));
    validateSameQuant(v, type, {in(0), out(0)});
    const auto rank = v.rankOf(in(0));
    if (!rank) return;
    v.dim(in(1), 0, *rank);
    const auto multiples = v.values<int32_t>(in(1));
    if (!multiples.empty()) expectShape(v, out(0), tiled(v, v[in(0)].shape, multiples));
}

void prepareTile(Context& c) {
    requireRank(c, 0, 1, kAnyRank);
    const Shape shape = tiled(c, c.shape(0), intVector(c, 1));
    c.setShape(0, shape);
}

void executeTile(Context& c) {
    const Shape& shape = c.shape(0);
    const auto multiples = intVector(c, 1);
    const auto from = shape.strides(), to = c.output(0).shape.strides();
    StridedCopy copy;
    for (uint32_t i = 0; i < shape.rank; i++) {
        const auto step = static_cast<ptrdiff_t>(to[i]);
        copy.dim(static_cast<size_t>(multiples[i]), 0, step * static_cast<ptrdiff_t>(shape[i]));
        copy.dim(shape[i], static_cast<ptrdiff_t>(from[i]), step);
    }
    copy.run(c.in<uint8_t>(0), c.out<uint8_t>(0), elementSize(c.type(0)));
}

// --- GATHER ---------------------------------------------------------------------------------

template <class Where>
Shape gathered(const Where& where, const Shape& input, uint32_t axis, const Shape& indices) {
    where.require(input.rank + indices.rank - 1 <= kAnyRank, "the output rank is too high");
    Shape shape;
    for (uint32_t i = 0; i < axis; i++) shape.push(input[i]);
    for (uint32_t dim : indices) shape.push(dim);
    for (uint32_t i = axis + 1; i < input.rank; i++) shape.push(input[i]);
    return shape;
}

void validateGather(OpView& v) {
    v.inputs(3);
    v.outputs(1);
    const Type type = v.type(in(0), kNumericSince3);
    v.sameType({in(0), out(0)});
    v.rank(in(0), 1, kAnyRank);
    validateAxis(v, in(1), in(0));
    v.type(in(2), TENSOR_INT32);
    v.rank(in(2), 1, kAnyRank);
    validateSameQuant(v, type, {in(0), out(0)});
    const auto axisValue = v.value<int32_t>(in(1));
    const auto rank = v.rankOf(in(0));
    if (rank && v.rankOf(in(2))) v.rank(out(0), *rank + *v.rankOf(in(2)) - 1);
    if (!axisValue || !rank) return;
    const uint32_t axis = normalAxis(v, *axisValue, *rank);
    const auto length = v.dimOf(in(0), axis);
    for (int32_t index : v.values<int32_t>(in(2))) {
        v.require(index >= 0 && (!length || static_cast<uint32_t>(index) < *length),
                  "an index is out of bounds");
    }
    if (v.rankOf(in(2))) expectShape(v, out(0), gathered(v, v[in(0)].shape, axis, v[in(2)].shape));
}

void prepareGather(Context& c) {
    requireRank(c, 0, 1, kAnyRank);
    requireRank(c, 2, 1, kAnyRank);
    const uint32_t axis = normalAxis(c, c.scalar<int32_t>(1), c.shape(0).rank);
    const int32_t* indices = c.in<int32_t>(2);
    const size_t count = c.input(2).count();
    for (size_t i = 0; i < count; i++) {
        c.require(indices[i] >= 0 && static_cast<uint32_t>(indices[i]) < c.shape(0)[axis],
                  "an index is out of bounds");
    }
    const Shape shape = gathered(c, c.shape(0), axis, c.shape(2));
    c.setShape(0, shape);
}

void executeGather(Context& c) {
    if (c.output(0).count() == 0) return;
    const Shape& shape = c.shape(0);
    const uint32_t axis = normalAxis(c, c.scalar<int32_t>(1), shape.rank);
    const size_t outer = shape.countFrom(0, axis);
    const size_t bytes = shape.countFrom(axis + 1, shape.rank) * elementSize(c.type(0));
    const int32_t* indices = c.in<int32_t>(2);
    const size_t count = c.input(2).count();
    uint8_t* to = c.out<uint8_t>(0);
    for (size_t o = 0; o < outer; o++) {
        c.spend(count * (8 + bytes / 8));
        const uint8_t* from = c.in<uint8_t>(0) + o * shape[axis] * bytes;
        for (size_t i = 0; i < count; i++, to += bytes) {
            std::memcpy(to, from + static_cast<size_t>(indices[i]) * bytes, bytes);
        }
    }
}

// --- FILL -----------------------------------------------------------------------------------

template <class Where>
Shape filled(const Where& where, std::span<const int32_t> dims) {
    where.require(!dims.empty() && dims.size() <= kAnyRank, "the output rank is out of range");
    Shape shape;
    for (int32_t dim : dims) pushDim(where, shape, dim);
    return shape;
}

void validateFill(OpView& v) {
    v.inputs(2);
    v.outputs(1);
    validateIntVector(v, in(0));
    const Type type =
        v.type(out(0), {{TENSOR_FLOAT16, 4}, {TENSOR_FLOAT32, 4}, {TENSOR_INT32, 4}});
    if (type == TENSOR_INT32) {
        v.scalar(in(1), INT32);
    } else {
        v.realScalar(in(1), type);
    }
    v.rank(out(0), 1, kAnyRank);
    if (const auto length = v.dimOf(in(0), 0)) v.rank(out(0), *length);
    const auto dims = v.values<int32_t>(in(0));
    if (!dims.empty()) expectShape(v, out(0), filled(v, dims));
}

void prepareFill(Context& c) {
    const Shape shape = filled(c, intVector(c, 0));
    c.setShape(0, shape);
}

void executeFill(Context& c) {
    const size_t count = c.output(0).count();
    if (c.output(0).type == TENSOR_FLOAT16) {
        std::fill_n(c.out<uint16_t>(0), count, c.scalar<uint16_t>(1));
    } else {
        std::fill_n(c.out<uint32_t>(0), count, c.scalar<uint32_t>(1));
    }
}

// --- RANK -----------------------------------------------------------------------------------

void validateRank(OpView& v) {
    v.inputs(1);
    v.outputs(1);
    v.type(in(0), {{TENSOR_FLOAT16, 4},
                   {TENSOR_FLOAT32, 4},
                   {TENSOR_INT32, 4},
                   {TENSOR_QUANT8_ASYMM, 4},
                   {TENSOR_QUANT16_SYMM, 4},
                   {TENSOR_BOOL8, 4},
                   {TENSOR_QUANT8_SYMM_PER_CHANNEL, 4},
                   {TENSOR_QUANT16_ASYMM, 4},
                   {TENSOR_QUANT8_SYMM, 4},
                   {TENSOR_QUANT8_ASYMM_SIGNED, 4}});
    v.rank(in(0), 1, kAnyRank);
    v.scalar(out(0), INT32);
}

void prepareRank(Context& c) {
    requireRank(c, 0, 1, kAnyRank);
    c.setShape(0, Shape{});
}

void executeRank(Context& c) { *c.out<int32_t>(0) = static_cast<int32_t>(c.shape(0).rank); }

const Register registered({
    {ANEURALNETWORKS_TILE, "TILE", validateTile, prepareTile, executeTile},
    {ANEURALNETWORKS_GATHER, "GATHER", validateGather, prepareGather, executeGather},
    {ANEURALNETWORKS_FILL, "FILL", validateFill, prepareFill, executeFill},
    {ANEURALNETWORKS_RANK, "RANK", validateRank, prepareRank, executeRank},
});

}  // namespace
}  // namespace nnapi
