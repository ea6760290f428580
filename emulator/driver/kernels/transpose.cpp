// TRANSPOSE, REVERSE, CHANNEL_SHUFFLE: the elements of a tensor in another order.

#include "kernel.h"
#include "rules.h"
#include "strided.h"

namespace nnapi {
namespace {

// --- TRANSPOSE ------------------------------------------------------------------------------

/// The permutation of `rank` dimensions; the reverse order when none is given.
template <class Where>
std::array<uint32_t, 4> permutation(const Where& where, bool given, std::span<const int32_t> perm,
                                    uint32_t rank) {
    std::array<uint32_t, 4> result{};
    if (!given) {
        for (uint32_t i = 0; i < rank; i++) result[i] = rank - 1 - i;
        return result;
    }
    where.require(perm.size() == rank, "perm must have one entry for each dimension");
    uint32_t seen = 0;
    for (uint32_t i = 0; i < rank; i++) {
        where.require(perm[i] >= 0 && static_cast<uint32_t>(perm[i]) < rank &&
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
    v.rank(in(0), 1, 4);
    v.sameRank({in(0), out(0)});
    v.optional(in(1));
    if (v.inputCount() == 2) validateIntVector(v, in(1));
    validateSameQuant(v, type, {in(0), out(0)});
    const auto rank = v.rankOf(in(0));
    if (!rank) return;
    const bool given = v.has(in(1));
    std::span<const int32_t> perm;
    if (given) {
        v.dim(in(1), 0, *rank);
        perm = v.values<int32_t>(in(1));
        if (perm.empty()) return;
    }
    expectShape(v, out(0), permuted(v[in(0)].shape, permutation(v, given, perm, *rank)));
}

std::array<uint32_t, 4> permutationOf(const Context& c) {
    const bool given = c.has(1);
    return permutation(c, given, given ? intVector(c, 1) : std::span<const int32_t>{},
                       c.shape(0).rank);
}

void prepareTranspose(Context& c) {
    requireRank(c, 0, 1, 4);
    c.setShape(0, permuted(c.shape(0), permutationOf(c)));
}

void executeTranspose(Context& c) {
    const auto perm = permutationOf(c);
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

void validateReverse(OpView& v) {
    v.inputs(2);
    v.outputs(1);
    const Type type = v.type(in(0), {{TENSOR_FLOAT16, 7},
                                     {TENSOR_FLOAT32, 7},
                                     {TENSOR_QUANT8_ASYMM, 7},
                                     {TENSOR_QUANT8_ASYMM_SIGNED, 7},
                                     {TENSOR_INT32, 7}});
    v.sameType({in(0), out(0)});
    v.rank(in(0), 1, 8);
    v.sameShape({in(0), out(0)});
    validateIntVector(v, in(1));
    v.dim(in(1), 0, 1);
    validateSameQuant(v, type, {in(0), out(0)});
    const auto axis = v.values<int32_t>(in(1));
    if (axis.empty()) return;
    v.require(axis[0] >= 0, "the axis must be in [0, n)");
    const auto rank = v.rankOf(in(0));
    v.require(!rank || static_cast<uint32_t>(axis[0]) < *rank, "the axis must be in [0, n)");
}

void prepareReverse(Context& c) {
    requireRank(c, 0, 1, 8);
    const auto axis = intVector(c, 1);
    c.require(axis.size() == 1, "the axis must have shape [1]");
    c.require(axis[0] >= 0 && static_cast<uint32_t>(axis[0]) < c.shape(0).rank,
              "the axis must be in [0, n)");
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

void validateShuffle(OpView& v) {
    v.inputs(3);
    v.outputs(1);
    const Type type = v.type(in(0), kRealAndQuant8Since3);
    v.sameType({in(0), out(0)});
    v.rank(in(0), 1, 4);
    v.sameShape({in(0), out(0)});
    v.integer(in(1), 1, INT32_MAX);
    validateAxis(v, in(2), in(0));
    validateSameQuant(v, type, {in(0), out(0)});
    const auto groups = v.value<int32_t>(in(1));
    const auto axis = v.value<int32_t>(in(2));
    const auto rank = v.rankOf(in(0));
    if (!groups || !axis || !rank) return;
    const auto channels = v.dimOf(in(0), normalAxis(v, *axis, *rank));
    v.require(!channels || *channels % static_cast<uint32_t>(*groups) == 0,
              "the number of channels must be divisible by the number of groups");
}

void prepareShuffle(Context& c) {
    requireRank(c, 0, 1, 4);
    const auto groups = static_cast<uint32_t>(c.integer(1, 1, INT32_MAX));
    const uint32_t axis = normalAxis(c, c.scalar<int32_t>(2), c.shape(0).rank);
    c.require(c.shape(0)[axis] % groups == 0,
              "the number of channels must be divisible by the number of groups");
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
