// CONCATENATION and PACK: several tensors side by side in one.

#include "kernel.h"
#include "quantize.h"
#include "rules.h"
#include "strided.h"

namespace nnapi {
namespace {

// --- CONCATENATION --------------------------------------------------------------------------

/// The output of a concatenation as far as it is known.
struct Concatenated {
    uint32_t axis;
    Shape shape;  // 0 along the axis
    std::optional<uint64_t> sum;  // the size along the axis
};

/// The rules on shapes; nothing where the axis or a rank is not known.
template <class Where>
std::optional<Concatenated> concatenated(const Where& where, size_t count) {
    for (size_t i = 0; i < count; i++) {
        where.rank(in(i), 1, 4, When::AT_ONCE);
        where.sameRank({in(0), in(i)});
    }
    // Reading: a negative axis counts from the end, as it does for every other operation.
    const auto axis = checkAxis(where, in(count), in(0));
    const auto first = shapeOf(where, in(0));
    if (!axis || !first) return std::nullopt;
    Concatenated result{*axis, *first, 0};
    for (size_t i = 0; i < count; i++) {
        const auto one = shapeOf(where, in(i));
        if (!one) return std::nullopt;
        for (uint32_t d = 0; d < one->rank; d++) {
            if (d == *axis) continue;
            where.sameDim(in(0), d, in(i), d);
            if (result.shape[d] == 0) result.shape[d] = (*one)[d];
        }
        const auto dim = where.dimOf(in(i), *axis);
        if (!dim) result.sum.reset();
        if (result.sum) *result.sum += *dim;
    }
    result.shape[*axis] = 0;
    return result;
}

void validateConcatenation(OpView& v) {
    v.inputRange(2, SIZE_MAX);
    v.outputs(1);
    const size_t count = v.inputCount() - 1;
    const Type type = v.type(in(0), kRealAndQuant8Since1);
    v.sameType({in(0), out(0)});
    v.rank(out(0), 1, 4);
    validateAxis(v, in(count), out(0));
    for (size_t i = 0; i < count; i++) {
        v.sameType({in(0), in(i)});
        v.sameRank({in(0), in(i), out(0)});
        const Operand &one = v[in(i)], &all = v[out(0)];
        if (type == TENSOR_QUANT8_ASYMM &&
            (one.scale != all.scale || one.zeroPoint != all.zeroPoint)) {
            v.since(3);
        }
    }
    const auto result = concatenated(v, count);
    if (!result) return;
    expectShape(v, out(0), result->shape);
    // Two inputs may disagree where the first leaves a dimension open.
    for (size_t i = 0; i < count; i++) {
        for (uint32_t d = 0; d < result->shape.rank; d++) {
            if (d != result->axis) v.sameDim(in(i), d, out(0), d);
        }
    }
    const auto total = v.dimOf(out(0), result->axis);
    v.require(!result->sum || !total || *total == *result->sum,
              "the output dimension along the axis is not the sum of the inputs'");
}

void prepareConcatenation(Context& c) {
    Concatenated result = *concatenated(c, c.inputCount() - 1);
    c.require(*result.sum <= INT32_MAX, "a dimension is out of range");
    result.shape[result.axis] = static_cast<uint32_t>(*result.sum);
    c.setShape(0, result.shape);
}

template <class T>
void requantizeAll(T* codes, size_t count, const Tensor& input, const Requantizer& requantize) {
    for (size_t i = 0; i < count; i++) {
        codes[i] = static_cast<T>(requantize(codes[i] - input.zeroPoint));
    }
}

void executeConcatenation(Context& c) {
    const size_t count = c.inputCount() - 1;
    const Tensor& output = c.output(0);
    const Shape& shape = output.shape;
    const uint32_t axis = normalAxis(c, c.scalar<int32_t>(count), shape.rank);
    const size_t size = elementSize(output.type);
    const size_t outer = shape.countFrom(0, axis);
    const size_t inner = shape.countFrom(axis + 1, shape.rank);
    const size_t outputRow = shape[axis] * inner;
    uint8_t* to = c.out<uint8_t>(0);
    for (size_t i = 0; i < count; i++) {
        const Tensor& input = c.input(i);
        const size_t row = input.shape[axis] * inner;
        if (row == 0 || outer == 0) continue;
        const bool sameCodes = !isQuantized(output.type) || (input.scale == output.scale &&
                                                             input.zeroPoint == output.zeroPoint);
        const Requantizer requantize(input.scale, output, ANEURALNETWORKS_FUSED_NONE);
        for (size_t o = 0; o < outer; o++) {
            uint8_t* place = to + o * outputRow * size;
            std::memcpy(place, input.as<uint8_t>() + o * row * size, row * size);
            c.spend((sameCodes ? 1 : 32) * row + 16);
            if (sameCodes) continue;
            if (output.type == TENSOR_QUANT8_ASYMM) {
                requantizeAll(place, row, input, requantize);
            } else {
                requantizeAll(reinterpret_cast<int8_t*>(place), row, input, requantize);
            }
        }
        to += row * size;
    }
}

// --- PACK -----------------------------------------------------------------------------------

/// The rules on shapes, and the output's as far as it is known.
template <class Where>
std::optional<Shape> packed(const Where& where) {
    for (size_t i = 1; i < where.inputCount(); i++) {
        where.rank(in(i), 1, kAnyRank - 1, When::AT_ONCE);
        where.sameRank({in(1), in(i)}, When::AT_ONCE);
        where.sameShape({in(1), in(i)});
    }
    const auto axis = where.intOf(in(0));
    const auto one = shapeOf(where, in(1));
    where.require(!axis || (*axis >= 0 && (!one || static_cast<uint32_t>(*axis) <= one->rank)),
                  "the axis must be in [0, R + 1)");
    if (!axis || !one) return std::nullopt;
    Shape shape;
    for (uint32_t i = 0; i <= one->rank; i++) {
        if (i == static_cast<uint32_t>(*axis)) {
            shape.push(static_cast<uint32_t>(where.inputCount() - 1));
        }
        if (i < one->rank) shape.push((*one)[i]);
    }
    return shape;
}

void validatePack(OpView& v) {
    v.inputRange(2, SIZE_MAX);
    v.outputs(1);
    v.scalar(in(0), INT32);
    const Type type = v.type(in(1), {{TENSOR_FLOAT16, 6},
                                     {TENSOR_FLOAT32, 6},
                                     {TENSOR_QUANT8_ASYMM, 6},
                                     {TENSOR_QUANT8_ASYMM_SIGNED, 6},
                                     {TENSOR_INT32, 6}});
    v.sameType({in(1), out(0)});
    validateSameQuant(v, type, {in(1), out(0)}, When::AT_ONCE);
    for (size_t i = 2; i < v.inputCount(); i++) {
        v.sameType({in(1), in(i)});
        validateSameQuant(v, type, {in(1), in(i)}, When::AT_ONCE);
    }
    const auto shape = packed(v);
    if (const auto rank = v.rankOf(in(1))) v.rank(out(0), *rank + 1);
    if (shape) expectShape(v, out(0), *shape);
}

void preparePack(Context& c) { c.setShape(0, *packed(c)); }

void executePack(Context& c) {
    const Shape& one = c.shape(1);
    const auto axis = static_cast<uint32_t>(c.scalar<int32_t>(0));
    const size_t size = elementSize(c.type(1));
    const size_t count = c.inputCount() - 1;
    const size_t outer = one.countFrom(0, axis);
    const size_t tile = one.countFrom(axis, one.rank);
    for (size_t i = 0; i < count; i++) {
        StridedCopy copy;
        copy.dim(outer, static_cast<ptrdiff_t>(tile), static_cast<ptrdiff_t>(tile * count));
        copy.dim(tile, 1, 1);
        copy.run(c.in<uint8_t>(i + 1), c.out<uint8_t>(0) + i * tile * size, size);
    }
}

const Register registered({
    {ANEURALNETWORKS_CONCATENATION, "CONCATENATION", validateConcatenation, prepareConcatenation,
     executeConcatenation},
    {ANEURALNETWORKS_PACK, "PACK", validatePack, preparePack, executePack},
});

}  // namespace
}  // namespace nnapi
