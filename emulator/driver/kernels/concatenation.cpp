// CONCATENATION and PACK: several tensors side by side in one.

#include "kernel.h"
#include "quantize.h"
#include "rules.h"
#include "strided.h"

namespace nnapi {
namespace {

// --- CONCATENATION --------------------------------------------------------------------------

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
        v.rank(in(i), 1, 4);
        v.sameRank({in(0), in(i), out(0)});
        const Operand &one = v[in(i)], &all = v[out(0)];
        if (type == TENSOR_QUANT8_ASYMM &&
            (one.scale != all.scale || one.zeroPoint != all.zeroPoint)) {
            v.since(3);
        }
    }
    const auto axisValue = v.value<int32_t>(in(count));
    const auto rank = v.rankOf(in(0));
    if (!axisValue || !rank) return;
    // Reading: a negative axis counts from the end, as it does for every other operation.
    const uint32_t axis = normalAxis(v, *axisValue, *rank);
    uint64_t sum = 0;
    bool known = true;
    for (size_t i = 0; i < count; i++) {
        if (!v.rankOf(in(i))) return;
        for (uint32_t d = 0; d < *rank; d++) {
            if (d == axis) continue;
            v.sameDim(in(0), d, in(i), d);
            v.sameDim(in(i), d, out(0), d);
        }
        const auto dim = v.dimOf(in(i), axis);
        known = known && dim;
        sum += dim.value_or(0);
    }
    const auto total = v.dimOf(out(0), axis);
    v.require(!known || !total || *total == sum,
              "the output dimension along the axis is not the sum of the inputs'");
}

void prepareConcatenation(Context& c) {
    const size_t count = c.inputCount() - 1;
    requireRank(c, 0, 1, 4);
    Shape shape = c.shape(0);
    const uint32_t axis = normalAxis(c, c.scalar<int32_t>(count), shape.rank);
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        const Shape& one = c.shape(i);
        c.require(one.rank == shape.rank, "the inputs differ in rank");
        for (uint32_t d = 0; d < one.rank; d++) {
            c.require(d == axis || one[d] == shape[d],
                      "the inputs differ in a dimension other than the axis");
        }
        sum += one[axis];
    }
    c.require(sum <= INT32_MAX, "a dimension is out of range");
    shape[axis] = static_cast<uint32_t>(sum);
    c.setShape(0, shape);
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
    validateSameQuant(v, type, {in(1), out(0)});
    for (size_t i = 1; i < v.inputCount(); i++) {
        v.sameType({in(1), in(i)});
        v.rank(in(i), 1, kAnyRank - 1);
        v.sameShape({in(1), in(i)});
        validateSameQuant(v, type, {in(1), in(i)});
    }
    const auto axis = v.value<int32_t>(in(0));
    v.require(!axis || *axis >= 0, "the axis must be in [0, R + 1)");
    const auto rank = v.rankOf(in(1));
    if (!rank) return;
    v.rank(out(0), *rank + 1);
    if (!axis) return;
    v.require(static_cast<uint32_t>(*axis) <= *rank, "the axis must be in [0, R + 1)");
    Shape expected;
    for (uint32_t i = 0; i <= *rank; i++) {
        if (i == static_cast<uint32_t>(*axis)) {
            expected.push(static_cast<uint32_t>(v.inputCount() - 1));
        }
        if (i < *rank) expected.push(v[in(1)].shape[i]);
    }
    expectShape(v, out(0), expected);
}

void preparePack(Context& c) {
    requireRank(c, 1, 1, kAnyRank - 1);
    const Shape& one = c.shape(1);
    const int32_t axis = c.integer(0, 0, static_cast<int32_t>(one.rank));
    Shape shape;
    for (uint32_t i = 0; i <= one.rank; i++) {
        if (i == static_cast<uint32_t>(axis)) shape.push(static_cast<uint32_t>(c.inputCount() - 1));
        if (i < one.rank) shape.push(one[i]);
    }
    for (size_t i = 2; i < c.inputCount(); i++) {
        c.require(c.shape(i) == one, "the inputs differ in shape");
    }
    c.setShape(0, shape);
}

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
