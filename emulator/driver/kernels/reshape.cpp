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

/// The shape that `target` asks for; `count`, the number of input elements, where it is known.
template <class Where>
Shape reshaped(const Where& where, std::span<const int32_t> target, std::optional<uint64_t> count) {
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
    if (!count) return shape;
    if (open) {
        where.require(product != 0 && *count % product == 0,
                      "no size of the open dimension keeps the number of elements");
        const uint64_t dim = *count / product;
        where.require(dim <= INT32_MAX, "a dimension is out of range");
        shape[*open] = static_cast<uint32_t>(dim);
    } else {
        where.require(product == *count, "the shape has another number of elements");
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
    v.rank(in(0), 1, 4, When::AT_ONCE);
    v.rank(out(0), 1, 4);
    validateIntVector(v, in(1));
    validateSameQuant(v, type, {in(0), out(0)});
    if (const auto length = v.dimOf(in(1), 0)) v.rank(out(0), *length);
    const auto target = v.values<int32_t>(in(1));
    if (target.empty()) return;
    const Shape* input = knownShape(v, in(0));
    std::optional<uint64_t> count;
    if (input != nullptr) count = input->count();
    expectShape(v, out(0), reshaped(v, target, count));
}

void prepareReshape(Context& c) {
    requireRank(c, 0, 1, 4);
    c.setShape(0, reshaped(c, intVector(c, 1), c.input(0).count()));
}

// --- EXPAND_DIMS ----------------------------------------------------------------------------

template <class Where>
Shape expanded(const Where& where, const Shape& input, int32_t axis) {
    const uint32_t place = normalAxis(where, axis, input.rank + 1);
    Shape shape;
    for (uint32_t i = 0; i <= input.rank; i++) {
        if (i == place) shape.push(1);
        if (i < input.rank) shape.push(input[i]);
    }
    return shape;
}

void validateExpandDims(OpView& v) {
    v.inputs(2);
    v.outputs(1);
    const Type type = v.type(in(0), kNumericSince3);
    v.sameType({in(0), out(0)});
    v.rank(in(0), 1, kAnyRank - 1);
    v.scalar(in(1), INT32);
    validateSameQuant(v, type, {in(0), out(0)});
    const auto rank = v.rankOf(in(0));
    if (!rank) return;
    v.rank(out(0), *rank + 1);
    const auto axis = v.value<int32_t>(in(1));
    if (axis) expectShape(v, out(0), expanded(v, v[in(0)].shape, *axis));
}

void prepareExpandDims(Context& c) {
    requireRank(c, 0, 1, kAnyRank - 1);
    c.setShape(0, expanded(c, c.shape(0), c.scalar<int32_t>(1)));
}

// --- SQUEEZE --------------------------------------------------------------------------------

/// `listed` is false when no dimensions are named: then all of size 1 go.
template <class Where>
Shape squeezed(const Where& where, const Shape& input, bool listed,
               std::span<const int32_t> dims) {
    uint32_t mask = 0;
    for (int32_t dim : dims) {
        // Reading: a negative index, of which nothing is said, counts from the end as it does
        // for EXPAND_DIMS.
        const uint32_t axis = normalAxis(where, dim, input.rank);
        where.require(input[axis] == 1, "a dimension to squeeze is not 1");
        mask |= 1u << axis;
    }
    Shape shape;
    for (uint32_t i = 0; i < input.rank; i++) {
        if (listed ? (mask >> i & 1) == 0 : input[i] != 1) shape.push(input[i]);
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
    v.rank(in(0), 1, 4, When::AT_ONCE);
    v.optional(in(1));
    if (v.inputCount() == 2) validateIntVector(v, in(1));
    validateSameQuant(v, type, {in(0), out(0)});
    const Shape* input = knownShape(v, in(0));
    if (input == nullptr) return;
    if (!v.has(in(1))) {
        expectShape(v, out(0), squeezed(v, *input, false, {}));
    } else if (const auto dims = v.values<int32_t>(in(1)); !dims.empty()) {
        expectShape(v, out(0), squeezed(v, *input, true, dims));
    }
}

void prepareSqueeze(Context& c) {
    requireRank(c, 0, 1, 4);
    const bool listed = c.has(1);
    c.setShape(0, squeezed(c, c.shape(0), listed,
                           listed ? intVector(c, 1) : std::span<const int32_t>{}));
}

const Register registered({
    {ANEURALNETWORKS_RESHAPE, "RESHAPE", validateReshape, prepareReshape, execute},
    {ANEURALNETWORKS_EXPAND_DIMS, "EXPAND_DIMS", validateExpandDims, prepareExpandDims, execute},
    {ANEURALNETWORKS_SQUEEZE, "SQUEEZE", validateSqueeze, prepareSqueeze, execute},
});

}  // namespace
}  // namespace nnapi
