// TRANSPOSE, REVERSE, CHANNEL_SHUFFLE: the elements of a tensor in another order.

#include "kernel.h"
#include "rules.h"
#include "strided.h"

namespace nnapi {
namespace {

// --- TRANSPOSE ------------------------------------------------------------------------------

/// The rules on rank and permutation, and the permutation where it is known: the reverse order
/// when none is given.
template <class Where>
std::optional<std::array<uint32_t, 4>> permutation(const Where& where) {
    where.rank(in(0), 1, 4, When::AT_ONCE);
    const bool given = where.has(in(1));
    if (given) where.rank(in(1), 1);
    const auto rank = where.rankOf(in(0));
    if (!rank) return std::nullopt;
    std::array<uint32_t, 4> result{};
    if (!given) {
        for (uint32_t i = 0; i < *rank; i++) result[i] = *rank - 1 - i;
        return result;
    }
    where.dim(in(1), 0, *rank);
    const auto perm = where.intsOf(in(1));
    if (perm.size() != *rank) return std::nullopt;
    uint32_t seen = 0;
    for (uint32_t i = 0; i < *rank; i++) {
        where.require(perm[i] >= 0 && static_cast<uint32_t>(perm[i]) < *rank &&
                          (seen >> perm[i] & 1) == 0,
                      "perm must be a permutation of the dimensions");
        seen |= 1u << perm[i];
        result[i] = static_cast<uint32_t>(perm[i]);
    }
    return result;
}

Shape permuted(const Shape& input, const std::array<uint32_t, 4>& perm) {
    Shape shape;
    for (uint32_t i = 0; i < input.rank; i++) shape.push(input[perm[i]]);
    return shape;
}

void validateTranspose(OpView& v) {
    v.inputs({1, 2});
    v.outputs(1);
    const Type type = v.type(in(0), {{TENSOR_FLOAT16, 3},
                                     {TENSOR_FLOAT32, 2},
                                     {TENSOR_QUANT8_ASYMM, 2},
                                     {TENSOR_QUANT8_ASYMM_SIGNED, 4}});
    v.sameType({in(0), out(0)});
    v.sameRank({in(0), out(0)});
    v.optional(in(1));
    if (v.inputCount() == 2) v.type(in(1), TENSOR_INT32);
    validateSameQuant(v, type, {in(0), out(0)});
    if (const auto perm = permutation(v)) expectShape(v, out(0), permuted(v[in(0)].shape, *perm));
}

void prepareTranspose(Context& c) { c.setShape(0, permuted(c.shape(0), *permutation(c))); }

void executeTranspose(Context& c) {
    const auto perm = *permutation(c);
    const auto from = c.shape(0).strides();
    const Shape& shape = c.output(0).shape;
    const auto to = shape.strides();
    StridedCopy copy;
    for (uint32_t i = 0; i < shape.rank; i++) {
        copy.dim(shape[i], static_cast<ptrdiff_t>(from[perm[i]]), static_cast<ptrdiff_t>(to[i]));
    }
    copy.run(c.in<uint8_t>(0), c.out<uint8_t>(0), elementSize(c.type(0)));
}

// --- REVERSE --------------------------------------------------------------------------------

/// The rules on rank and axis.
template <class Where>
void checkReverse(const Where& where) {
    where.rank(in(0), 1, 8, When::AT_ONCE);
    where.rank(in(1), 1, When::AT_ONCE);
    where.dim(in(1), 0, 1);
    const auto rank = where.rankOf(in(0));
    for (int32_t axis : where.intsOf(in(1))) {
        where.require(axis >= 0 && (!rank || static_cast<uint32_t>(axis) < *rank),
                      "the axis must be in [0, n)");
    }
}

void validateReverse(OpView& v) {
    v.inputs(2);
    v.outputs(1);
    const Type type = v.type(in(0), {{TENSOR_FLOAT16, 7},
                                     {TENSOR_FLOAT32, 7},
                                     {TENSOR_QUANT8_ASYMM, 7},
                                     {TENSOR_QUANT8_ASYMM_SIGNED, 7},
                                     {TENSOR_INT32, 7}});
    v.sameType({in(0), out(0)});
    v.type(in(1), TENSOR_INT32);
    checkReverse(v);
    v.sameShape({in(0), out(0)});
    validateSameQuant(v, type, {in(0), out(0)}, When::AT_ONCE);
}

void prepareReverse(Context& c) {
    checkReverse(c);
    c.setShape(0, c.shape(0));
}

void executeReverse(Context& c) {
    const Shape& shape = c.shape(0);
    if (shape.count() == 0) return;
    const auto axis = static_cast<uint32_t>(c.in<int32_t>(1)[0]);
    const auto length = static_cast<ptrdiff_t>(shape[axis]);
    const auto inner = static_cast<ptrdiff_t>(shape.countFrom(axis + 1, shape.rank));
    const size_t size = elementSize(c.type(0));
    StridedCopy copy;
    copy.dim(shape.countFrom(0, axis), length * inner, length * inner);
    copy.dim(shape[axis], -inner, inner);
    copy.dim(static_cast<size_t>(inner), 1, 1);
    copy.run(c.in<uint8_t>(0) + static_cast<size_t>((length - 1) * inner) * size,
             c.out<uint8_t>(0), size);
}

// --- CHANNEL_SHUFFLE ------------------------------------------------------------------------

/// The rules on rank, axis and groups.
template <class Where>
void checkShuffle(const Where& where) {
    where.rank(in(0), 1, 4, When::AT_ONCE);
    where.integer(in(1), 1, INT32_MAX);
    const auto groups = where.intOf(in(1));
    const auto axis = checkAxis(where, in(2), in(0));
    if (!groups || !axis) return;
    const auto channels = where.dimOf(in(0), *axis);
    where.require(!channels || *channels % static_cast<uint32_t>(*groups) == 0,
                  "the number of channels must be divisible by the number of groups");
}

void validateShuffle(OpView& v) {
    v.inputs(3);
    v.outputs(1);
    const Type type = v.type(in(0), kRealAndQuant8Since3);
    v.sameType({in(0), out(0)});
    v.scalar(in(2), INT32);
    checkShuffle(v);
    v.sameShape({in(0), out(0)});
    validateSameQuant(v, type, {in(0), out(0)});
}

void prepareShuffle(Context& c) {
    checkShuffle(c);
    c.setShape(0, c.shape(0));
}

void executeShuffle(Context& c) {
    const Shape& shape = c.shape(0);
    const auto groups = static_cast<size_t>(c.scalar<int32_t>(1));
    const uint32_t axis = normalAxis(c, c.scalar<int32_t>(2), shape.rank);
    const size_t channels = shape[axis];
    const size_t groupSize = channels / groups;
    const auto inner = static_cast<ptrdiff_t>(shape.countFrom(axis + 1, shape.rank));
    const ptrdiff_t block = static_cast<ptrdiff_t>(channels) * inner;
    StridedCopy copy;  // output channel k * groups + g is input channel g * groupSize + k
    copy.dim(shape.countFrom(0, axis), block, block);
    copy.dim(groupSize, inner, static_cast<ptrdiff_t>(groups) * inner);
    copy.dim(groups, static_cast<ptrdiff_t>(groupSize) * inner, inner);
    copy.dim(static_cast<size_t>(inner), 1, 1);
    copy.run(c.in<uint8_t>(0), c.out<uint8_t>(0), elementSize(c.type(0)));
}

const Register registered({
    {ANEURALNETWORKS_TRANSPOSE, "TRANSPOSE", validateTranspose, prepareTranspose,
     executeTranspose},
    {ANEURALNETWORKS_REVERSE, "REVERSE", validateReverse, prepareReverse, executeReverse},
    {ANEURALNETWORKS_CHANNEL_SHUFFLE, "CHANNEL_SHUFFLE", validateShuffle, prepareShuffle,
     executeShuffle},
});

}  // namespace
}  // namespace nnapi
