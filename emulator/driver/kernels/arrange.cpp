// TILE, GATHER, FILL, RANK.

#include <algorithm>

#include "kernel.h"
#include "rules.h"
#include "strided.h"

namespace nnapi {
namespace {

// --- TILE -----------------------------------------------------------------------------------

/// The rules on shapes and multiples, and the output's shape as far as it is known.
template <class Where>
std::optional<Shape> tiled(const Where& where) {
    where.rank(in(0), 1, kAnyRank);
    where.rank(in(1), 1);
    const auto input = shapeOf(where, in(0));
    if (!input) return std::nullopt;
    where.dim(in(1), 0, input->rank);
    const auto multiples = where.intsOf(in(1));
    if (multiples.size() != input->rank) return std::nullopt;
    Shape shape;
    for (uint32_t i = 0; i < input->rank; i++) {
        where.require(multiples[i] >= 0, "a multiple is negative");
        pushDim(where, shape, static_cast<int64_t>((*input)[i]) * multiples[i]);
    }
    return shape;
}

void validateTile(OpView& v) {
    v.inputs(2);
    v.outputs(1);
    const Type type = v.type(in(0), kNumericSince3);
    v.sameType({in(0), out(0)});
    v.sameRank({in(0), out(0)});
    v.type(in(1), TENSOR_INT32);
    validateSameQuant(v, type, {in(0), out(0)});
    if (const auto shape = tiled(v)) expectShape(v, out(0), *shape);
}

void prepareTile(Context& c) {
    const Shape shape = *tiled(c);
    c.setShape(0, shape);
}

void executeTile(Context& c) {
    const Shape& shape = c.shape(0);
    const auto multiples = c.intsOf(in(1));
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

/// The rules on shapes, axis and indices, and the output's shape as far as it is known.
template <class Where>
std::optional<Shape> gathered(const Where& where) {
    where.rank(in(0), 1, kAnyRank);
    where.rank(in(2), 1, kAnyRank);
    const auto axis = checkAxis(where, in(1), in(0));
    const auto input = shapeOf(where, in(0)), indices = shapeOf(where, in(2));
    if (!axis || !input) return std::nullopt;
    const auto length = where.dimOf(in(0), *axis);
    for (int32_t index : where.intsOf(in(2))) {
        where.require(index >= 0 && (!length || static_cast<uint32_t>(index) < *length),
                      "an index is out of bounds");
    }
    if (!indices) return std::nullopt;
    where.require(input->rank + indices->rank - 1 <= kAnyRank, "the output rank is too high");
    Shape shape;
    for (uint32_t i = 0; i < *axis; i++) shape.push((*input)[i]);
    for (uint32_t dim : *indices) shape.push(dim);
    for (uint32_t i = *axis + 1; i < input->rank; i++) shape.push((*input)[i]);
    return shape;
}

void validateGather(OpView& v) {
    v.inputs(3);
    v.outputs(1);
    const Type type = v.type(in(0), kNumericSince3);
    v.sameType({in(0), out(0)});
    v.scalar(in(1), INT32);
    v.type(in(2), TENSOR_INT32);
    validateSameQuant(v, type, {in(0), out(0)});
    const auto rank = v.rankOf(in(0)), indices = v.rankOf(in(2));
    if (rank && indices) v.rank(out(0), *rank + *indices - 1);
    if (const auto shape = gathered(v)) expectShape(v, out(0), *shape);
}

void prepareGather(Context& c) {
    const Shape shape = *gathered(c);
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

/// The rules on the output's shape as an operand, and that shape where it is known.
template <class Where>
std::optional<Shape> filled(const Where& where) {
    const auto dims = intVector(where, in(0));
    if (!dims) return std::nullopt;
    where.require(!dims->empty() && dims->size() <= kAnyRank, "the output rank is out of range");
    Shape shape;
    for (int32_t dim : *dims) pushDim(where, shape, dim);
    return shape;
}

void validateFill(OpView& v) {
    v.inputs(2);
    v.outputs(1);
    v.type(in(0), TENSOR_INT32);
    const Type type =
        v.type(out(0), {{TENSOR_FLOAT16, 4}, {TENSOR_FLOAT32, 4}, {TENSOR_INT32, 4}});
    if (type == TENSOR_INT32) {
        v.scalar(in(1), INT32);
    } else {
        v.realScalar(in(1), type);
    }
    v.rank(out(0), 1, kAnyRank);
    if (const auto length = v.dimOf(in(0), 0)) v.rank(out(0), *length);
    if (const auto shape = filled(v)) expectShape(v, out(0), *shape);
}

void prepareFill(Context& c) {
    const Shape shape = *filled(c);
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

template <class Where>
void checkRank(const Where& where) {
    where.rank(in(0), 1, kAnyRank);
}

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
    checkRank(v);
    v.scalar(out(0), INT32);
}

void prepareRank(Context& c) {
    checkRank(c);
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
