// RESHAPE, EXPAND_DIMS, SQUEEZE: the same elements in another shape.

#include <cstring>

#include "kernel.h"
#include "rules.h"

namespace nnapi {
namespace {

void execute(Context& c) {
    const size_t bytes = c.output(0).bytes();
    if (bytes != 0) std::memcpy(c.out<uint8_t>(0), c.in<uint8_t>(0), bytes);
}

// --- RESHAPE --------------------------------------------------------------------------------

/// The rules on shapes, and that which input 1 asks for as far as it is known.
template <class Where>
std::optional<Shape> reshaped(const Where& where) {
    where.rank(in(0), 1, 4, When::AT_ONCE);
    const auto wanted = intVector(where, in(1));
    if (!wanted) return std::nullopt;
    const auto& target = *wanted;
    const auto input = knownShape(where, in(0));
    where.require(!target.empty() && target.size() <= 4, "the output rank must be 1 to 4");
    Shape shape;
    uint64_t product = 1;
    std::optional<uint32_t> open;
    for (size_t i = 0; i < target.size(); i++) {
        const int32_t dim = target[i];
        if (dim == -1) {
            where.require(!open, "at most one component of the shape may be -1");
            open = static_cast<uint32_t>(i);
        } else {
            where.require(dim >= 0, "a component of the shape is negative");
            where.require(dim == 0 || product <= INT64_MAX / static_cast<uint64_t>(dim),
                          "the shape has too many elements");
            product *= static_cast<uint64_t>(dim);
        }
        shape.push(dim == -1 ? 0 : static_cast<uint32_t>(dim));
    }
    if (!input) return shape;
    const uint64_t count = input->count();
    if (open) {
        where.require(product != 0 && count % product == 0,
                      "no size of the open dimension keeps the number of elements");
        const uint64_t dim = count / product;
        where.require(dim <= INT32_MAX, "a dimension is out of range");
        shape[*open] = static_cast<uint32_t>(dim);
    } else {
        where.require(product == count, "the shape has another number of elements");
    }
    return shape;
}

void validateReshape(OpView& v) {
    v.inputs(2);
    v.outputs(1);
    const Type type = v.type(in(0), {{TENSOR_FLOAT16, 3},
                                     {TENSOR_FLOAT32, 1},
                                     {TENSOR_QUANT8_ASYMM, 1},
                                     {TENSOR_QUANT8_ASYMM_SIGNED, 4},
                                     {TENSOR_INT32, 6}});
    v.sameType({in(0), out(0)});
    v.rank(out(0), 1, 4);
    v.type(in(1), TENSOR_INT32);
    validateSameQuant(v, type, {in(0), out(0)});
    if (const auto length = v.dimOf(in(1), 0)) v.rank(out(0), *length);
    if (const auto shape = reshaped(v)) expectShape(v, out(0), *shape);
}

void prepareReshape(Context& c) { c.setShape(0, *reshaped(c)); }

// --- EXPAND_DIMS ----------------------------------------------------------------------------

/// The rules on rank and axis, and the output's shape as far as it is known.
template <class Where>
std::optional<Shape> expanded(const Where& where) {
    where.rank(in(0), 1, kAnyRank - 1);
    const auto input = shapeOf(where, in(0));
    const auto axis = where.intOf(in(1));
    if (!input || !axis) return std::nullopt;
    const uint32_t place = normalAxis(where, *axis, input->rank + 1);
    Shape shape;
    for (uint32_t i = 0; i <= input->rank; i++) {
        if (i == place) shape.push(1);
        if (i < input->rank) shape.push((*input)[i]);
    }
    return shape;
}

void validateExpandDims(OpView& v) {
    v.inputs(2);
    v.outputs(1);
    const Type type = v.type(in(0), kNumericSince3);
    v.sameType({in(0), out(0)});
    v.scalar(in(1), INT32);
    validateSameQuant(v, type, {in(0), out(0)});
    if (const auto rank = v.rankOf(in(0))) v.rank(out(0), *rank + 1);
    if (const auto shape = expanded(v)) expectShape(v, out(0), *shape);
}

void prepareExpandDims(Context& c) { c.setShape(0, *expanded(c)); }

// --- SQUEEZE --------------------------------------------------------------------------------

/// The rules on rank and dimensions to squeeze, and the output's shape where the input's and those
/// are known. Where none are named all of size 1 go.
template <class Where>
std::optional<Shape> squeezed(const Where& where) {
    where.rank(in(0), 1, 4, When::AT_ONCE);
    const bool listed = where.has(in(1));
    const auto dims = listed ? intVector(where, in(1)) : std::span<const int32_t>{};
    const auto input = knownShape(where, in(0));
    if (!dims || !input) return std::nullopt;
    uint32_t mask = 0;
    for (int32_t dim : *dims) {
        // Reading: a negative index, of which nothing is said, counts from the end as it does
        // for EXPAND_DIMS.
        const uint32_t axis = normalAxis(where, dim, input->rank);
        where.require((*input)[axis] == 1, "a dimension to squeeze is not 1");
        mask |= 1u << axis;
    }
    Shape shape;
    for (uint32_t i = 0; i < input->rank; i++) {
        if (listed ? (mask >> i & 1) == 0 : (*input)[i] != 1) shape.push((*input)[i]);
    }
    if (shape.rank == 0) shape.push(1);
    return shape;
}

void validateSqueeze(OpView& v) {
    v.inputs({1, 2});
    v.outputs(1);
    const Type type = v.type(in(0), {{TENSOR_FLOAT16, 3},
                                     {TENSOR_FLOAT32, 2},
                                     {TENSOR_QUANT8_ASYMM, 2},
                                     {TENSOR_QUANT8_ASYMM_SIGNED, 4}});
    v.sameType({in(0), out(0)});
    v.optional(in(1));
    if (v.inputCount() == 2) {
        v.type(in(1), TENSOR_INT32);
        v.rank(in(1), 1);  // also of an operand without a value
    }
    validateSameQuant(v, type, {in(0), out(0)});
    if (const auto shape = squeezed(v)) expectShape(v, out(0), *shape);
}

void prepareSqueeze(Context& c) { c.setShape(0, *squeezed(c)); }

const Register registered({
    {ANEURALNETWORKS_RESHAPE, "RESHAPE", validateReshape, prepareReshape, execute},
    {ANEURALNETWORKS_EXPAND_DIMS, "EXPAND_DIMS", validateExpandDims, prepareExpandDims, execute},
    {ANEURALNETWORKS_SQUEEZE, "SQUEEZE", validateSqueeze, prepareSqueeze, execute},
});

}  // namespace
}  // namespace nnapi
