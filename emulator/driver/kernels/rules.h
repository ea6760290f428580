// Rules that several kernels share. `Where` is OpView or Context: a rule is written once, as a
// template, and looked at for the model, as far as that tells, and again for each execution.
#pragma once

#include <initializer_list>
#include <optional>
#include <span>

#include "../readings.h"
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

/// The axis of `tensor` that the INT32 scalar `axis` names, where both are known; nothing where
/// it is omitted.
template <class Where>
std::optional<uint32_t> checkAxis(const Where& where, Ref axis, Ref tensor) {
    const auto value = where.intOf(axis);
    const auto rank = where.rankOf(tensor);
    if (!value || !rank) return std::nullopt;
    return normalAxis(where, *value, *rank);
}

/// For the model: type and value of such a scalar.
inline void validateAxis(const OpView& v, Ref axis, Ref tensor) {
    v.scalar(axis, INT32);
    checkAxis(v, axis, tensor);
}

/// The shape as far as it is known, 0 elsewhere; nothing where the rank is not.
template <class Where>
std::optional<Shape> shapeOf(const Where& where, Ref ref) {
    const auto rank = where.rankOf(ref);
    if (!rank) return std::nullopt;
    Shape shape;
    for (uint32_t axis = 0; axis < *rank; axis++) shape.push(where.dimOf(ref, axis).value_or(0));
    return shape;
}

/// The number of elements where every dimension is known, and it can be counted.
template <class Where>
std::optional<size_t> countOf(const Where& where, Ref ref) {
    const auto rank = where.rankOf(ref);
    if (!rank) return std::nullopt;
    std::optional<size_t> count = 1;
    for (uint32_t axis = 0; axis < *rank; axis++) {
        const auto dim = where.dimOf(ref, axis);
        if (!dim || *dim == 0) return dim;
        size_t product = 0;
        const bool over = !count || __builtin_mul_overflow(*count, size_t{*dim}, &product);
        count = over ? std::nullopt : std::optional(product);
    }
    return count;
}

/// The shape where all of it is known.
template <class Where>
std::optional<Shape> knownShape(const Where& where, Ref ref) {
    const auto shape = shapeOf(where, ref);
    for (uint32_t axis = 0; shape && axis < shape->rank; axis++) {
        if (!where.dimOf(ref, axis)) return std::nullopt;
    }
    return shape;
}

/// The rank of a 1-D TENSOR_INT32, and its elements where they are known.
template <class Where>
std::optional<std::span<const int32_t>> intVector(const Where& where, Ref ref) {
    where.rank(ref, 1);
    return where.isKnown(ref) ? std::optional(where.intsOf(ref)) : std::nullopt;
}

/// The shapes of an operation whose output is shaped like input 0; `ranks`: when the rule on ranks
/// is due.
template <class Where>
void checkUnary(const Where& where, uint32_t mostRank, When ranks) {
    where.rank(in(0), 1, mostRank, ranks);
    where.sameShape({in(0), out(0)});
}

/// For the model: such an operation whose output has the type of input 0 too.
inline void validateUnary(const OpView& v, uint32_t mostRank) {
    v.sameType({in(0), out(0)});
    checkUnary(v, mostRank, When::AT_ONCE);
}

/// At execution: the same, and the output's shape.
template <uint32_t mostRank>
void prepareUnary(Context& c) {
    checkUnary(c, mostRank, When::AT_ONCE);
    c.setShape(0, c.shape(0));
}

/// For the model: equal scale and zero point where `type` is quantized. The scale that a
/// TENSOR_INT32 may carry is no concern of operations that move data.
inline void validateSameQuant(const OpView& v, Type type, std::initializer_list<Ref> refs,
                              When when = When::LATER) {
    if (isQuantized(type)) v.sameQuant(refs, when);
}

/// For the model: the operand's declared dimensions do not contradict `expected`, in which a
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

/// At execution: no input is empty.
/// Reading: of zero-sized tensors the text of some operations says that they are supported; of the
/// others devices that ship refuse them.
inline void requireElements(const Context& c) {
    for (size_t i = 0; followsField() && i < c.inputCount(); i++) {
        c.require(c.input(i).omitted || c.input(i).count() != 0, "an input is empty");
    }
}

/// Appends a dimension computed in 64 bits.
template <class Where>
void pushDim(const Where& where, Shape& shape, int64_t dim) {
    where.require(dim >= 0 && dim <= INT32_MAX, "a dimension is out of range");
    shape.push(static_cast<uint32_t>(dim));
}

}  // namespace nnapi
