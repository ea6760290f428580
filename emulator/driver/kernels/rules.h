// Rules that several kernels state twice: for the model (where values are known) and again for an
// execution. `Where` is OpView or Context; both refuse with BAD_DATA.
#pragma once

#include <initializer_list>
#include <optional>
#include <span>

#include "kernel.h"

namespace nnapi {

/// The rank limit of operations documented for tensors "from rank 1".
inline constexpr uint32_t kAnyRank = Shape::kMaxRank;

/// Types of most operations of feature level 1 or 2, and of level 3.
inline constexpr std::initializer_list<Since> kRealAndQuant8Since1 = {
    {TENSOR_FLOAT16, 3},
    {TENSOR_FLOAT32, 1},
    {TENSOR_QUANT8_ASYMM, 1},
    {TENSOR_QUANT8_ASYMM_SIGNED, 4}};
inline constexpr std::initializer_list<Since> kRealAndQuant8Since3 = {
    {TENSOR_FLOAT16, 3},
    {TENSOR_FLOAT32, 3},
    {TENSOR_QUANT8_ASYMM, 3},
    {TENSOR_QUANT8_ASYMM_SIGNED, 4}};
inline constexpr std::initializer_list<Since> kNumericSince3 = {
    {TENSOR_FLOAT16, 3},
    {TENSOR_FLOAT32, 3},
    {TENSOR_INT32, 3},
    {TENSOR_QUANT8_ASYMM, 3},
    {TENSOR_QUANT8_ASYMM_SIGNED, 4}};

/// An axis in [-rank, rank), counted from the end when negative.
template <class Where>
uint32_t normalAxis(const Where& where, int32_t axis, uint32_t rank) {
    const int64_t normal = axis < 0 ? int64_t{axis} + rank : axis;
    where.require(normal >= 0 && normal < rank, "the axis must be in [-n, n), n the rank");
    return static_cast<uint32_t>(normal);
}

/// At Model_finish: the INT32 scalar `axis` is a valid axis of `tensor`, as far as known.
inline void validateAxis(const OpView& v, Ref axis, Ref tensor) {
    v.scalar(axis, INT32);
    const auto value = v.value<int32_t>(axis);
    const auto rank = v.rankOf(tensor);
    if (value && rank) normalAxis(v, *value, *rank);
}

/// At Model_finish: a 1-D TENSOR_INT32.
inline void validateIntVector(OpView& v, Ref ref) {
    v.type(ref, TENSOR_INT32);
    v.rank(ref, 1);
}

/// At Model_finish: equal scale and zero point where `type` is quantized. The scale that a
/// TENSOR_INT32 may carry is no concern of operations that move data.
inline void validateSameQuant(const OpView& v, Type type, std::initializer_list<Ref> refs) {
    if (isQuantized(type)) v.sameQuant(refs);
}

/// At Model_finish: the shape of an operand all of whose dimensions are known, else null.
inline const Shape* knownShape(const OpView& v, Ref ref) {
    const Operand& operand = v[ref];
    return operand.rankKnown && operand.fullySpecified() ? &operand.shape : nullptr;
}

/// At Model_finish: the operand's declared dimensions do not contradict `expected`, in which a
/// dimension of 0 is not known.
inline void expectShape(const OpView& v, Ref ref, const Shape& expected) {
    const auto rank = v.rankOf(ref);
    if (!rank) return;
    v.require(*rank == expected.rank, "an output has the wrong rank");
    for (uint32_t axis = 0; axis < *rank; axis++) {
        const auto dim = v.dimOf(ref, axis);
        v.require(!dim || expected[axis] == 0 || *dim == expected[axis],
                  "an output has a wrong dimension");
    }
}

/// At execution: least <= rank <= most.
inline void requireRank(const Context& c, size_t i, uint32_t least, uint32_t most) {
    c.require(c.shape(i).rank >= least && c.shape(i).rank <= most,
              "an input has a rank that the operation does not take");
}

/// At execution: the elements of a 1-D TENSOR_INT32 input.
inline std::span<const int32_t> intVector(const Context& c, size_t i) {
    requireRank(c, i, 1, 1);
    return {c.in<int32_t>(i), c.input(i).count()};
}

/// Appends a dimension computed in 64 bits.
template <class Where>
void pushDim(const Where& where, Shape& shape, int64_t dim) {
    where.require(dim >= 0 && dim <= INT32_MAX, "a dimension is out of range");
    shape.push(static_cast<uint32_t>(dim));
}

}  // namespace nnapi
