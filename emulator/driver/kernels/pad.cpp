// PAD, PAD_V2, MIRROR_PAD.

#include <algorithm>

#include "kernel.h"
#include "quantize.h"
#include "rules.h"
#include "strided.h"

namespace nnapi {
namespace {

// --- shapes ---------------------------------------------------------------------------------

/// The output shape. A dimension of 0 stays 0 where `known` is false.
template <class Where>
Shape padded(const Where& where, const Shape& input, std::span<const int32_t> paddings,
             bool known) {
    where.require(paddings.size() == 2 * size_t{input.rank}, "paddings must be [rank, 2]");
    Shape shape;
    for (uint32_t i = 0; i < input.rank; i++) {
        const int64_t before = paddings[2 * i], after = paddings[2 * i + 1];
        where.require(before >= 0 && after >= 0, "a padding is negative");
        const bool open = !known && input[i] == 0;
        pushDim(where, shape, open ? 0 : before + input[i] + after);
    }
    return shape;
}

void validatePaddings(OpView& v, Type type, uint32_t mostRank) {
    v.sameType({in(0), out(0)});
    v.rank(in(0), 1, mostRank);
    v.sameRank({in(0), out(0)});
    v.type(in(1), TENSOR_INT32);
    v.rank(in(1), 2);
    v.dim(in(1), 1, 2);
    validateSameQuant(v, type, {in(0), out(0)});
    const auto rank = v.rankOf(in(0));
    if (!rank) return;
    v.dim(in(1), 0, *rank);
    const auto paddings = v.values<int32_t>(in(1));
    if (!paddings.empty()) expectShape(v, out(0), padded(v, v[in(0)].shape, paddings, false));
}

std::span<const int32_t> paddingsOf(const Context& c) {
    const Shape& shape = c.shape(1);
    c.require(shape.rank == 2 && shape[0] == c.shape(0).rank && shape[1] == 2,
              "paddings must be [rank, 2]");
    return {c.in<int32_t>(1), shape.count()};
}

template <uint32_t mostRank>
void preparePaddings(Context& c) {
    requireRank(c, 0, 1, mostRank);
    const Shape shape = padded(c, c.shape(0), paddingsOf(c), true);
    c.setShape(0, shape);
}

// --- PAD, PAD_V2 ----------------------------------------------------------------------------

void validatePad(OpView& v) {
    v.inputs(2);
    v.outputs(1);
    const Type type = v.type(in(0), {{TENSOR_FLOAT16, 3},
                                     {TENSOR_FLOAT32, 2},
                                     {TENSOR_QUANT8_ASYMM, 2},
                                     {TENSOR_QUANT8_ASYMM_SIGNED, 4}});
    validatePaddings(v, type, 4);
}

constexpr const char* kPadCode = "the pad value is not a code of the type";

void validatePadV2(OpView& v) {
    v.inputs(3);
    v.outputs(1);
    const Type type = v.type(in(0), kRealAndQuant8Since3);
    validatePaddings(v, type, 4);
    if (!isQuantized(type)) return v.realScalar(in(2), type);
    v.scalar(in(2), INT32);
    const auto code = v.value<int32_t>(in(2));
    const CodeRange range = codeRange(type);
    v.require(!code || (*code >= range.least && *code <= range.most), kPadCode);
}

void preparePadV2(Context& c) {
    preparePaddings<4>(c);
    if (!isQuantized(c.type(0))) return;
    const CodeRange range = codeRange(c.type(0));
    const int32_t code = c.scalar<int32_t>(2);
    c.require(code >= range.least && code <= range.most, kPadCode);
}

template <class T>
void padWith(Context& c, T value) {
    const auto paddings = paddingsOf(c);
    const Shape& shape = c.shape(0);
    const Shape& result = c.output(0).shape;
    std::fill_n(c.out<T>(0), result.count(), value);
    const auto from = shape.strides(), to = result.strides();
    StridedCopy copy;
    size_t first = 0;
    for (uint32_t i = 0; i < shape.rank; i++) {
        first += static_cast<size_t>(paddings[2 * i]) * to[i];
        copy.dim(shape[i], static_cast<ptrdiff_t>(from[i]), static_cast<ptrdiff_t>(to[i]));
    }
    copy.run(c.in<T>(0), c.out<T>(0) + first, sizeof(T));
}

void executePad(Context& c) {
    switch (c.type(0)) {
        case TENSOR_FLOAT32: return padWith<float>(c, 0);
        case TENSOR_FLOAT16: return padWith<Half>(c, Half{0});
        default: return padWith(c, static_cast<uint8_t>(c.input(0).zeroPoint));
    }
}

void executePadV2(Context& c) {
    switch (c.type(0)) {
        case TENSOR_FLOAT32: return padWith(c, c.scalar<float>(2));
        case TENSOR_FLOAT16: return padWith(c, c.scalar<Half>(2));
        default: return padWith(c, static_cast<uint8_t>(c.scalar<int32_t>(2)));
    }
}

// --- MIRROR_PAD -----------------------------------------------------------------------------

constexpr int32_t kSymmetric = 1;  // 0 is REFLECT

/// Reading: a mirror shows no more than the tensor holds: at most dim - 1 elements without the
/// border (REFLECT), dim with it (SYMMETRIC).
template <class Where>
void requireMirror(const Where& where, int64_t dim, int32_t mode, const int32_t* paddings) {
    const int64_t most = mode == kSymmetric ? dim : dim - 1;
    const bool none = paddings[0] == 0 && paddings[1] == 0;
    where.require(none || (paddings[0] <= most && paddings[1] <= most),
                  "a padding is larger than what can be mirrored");
}

void validateMirrorPad(OpView& v) {
    v.inputs(3);
    v.outputs(1);
    const Type type = v.type(in(0), {{TENSOR_FLOAT16, 7},
                                     {TENSOR_FLOAT32, 7},
                                     {TENSOR_QUANT8_ASYMM, 7},
                                     {TENSOR_QUANT8_ASYMM_SIGNED, 7},
                                     {TENSOR_INT32, 7}});
    validatePaddings(v, type, kAnyRank);
    v.integer(in(2), 0, 1);
    const auto mode = v.value<int32_t>(in(2));
    const auto paddings = v.values<int32_t>(in(1));
    const auto rank = v.rankOf(in(0));
    if (!mode || !rank || paddings.empty()) return;
    for (uint32_t i = 0; i < *rank; i++) {
        const auto dim = v.dimOf(in(0), i);
        if (dim) requireMirror(v, *dim, *mode, paddings.data() + 2 * i);
    }
}

void prepareMirrorPad(Context& c) {
    const int32_t mode = c.integer(2, 0, 1);
    preparePaddings<kAnyRank>(c);
    const auto paddings = paddingsOf(c);
    for (uint32_t i = 0; i < c.shape(0).rank; i++) {
        requireMirror(c, c.shape(0)[i], mode, paddings.data() + 2 * i);
    }
}

/// For each index of the output along a dimension, the index of the input that it shows.
void mirror(uint32_t* table, int64_t length, int64_t before, int64_t dim, int32_t mode) {
    const int64_t border = mode == kSymmetric ? 1 : 0;
    for (int64_t i = 0; i < length; i++) {
        int64_t index = i - before;
        if (index < 0) index = -index - border;
        if (index >= dim) index = 2 * (dim - 1) - index + border;
        table[i] = static_cast<uint32_t>(index);
    }
}

template <class T>
void mirrorAll(Context& c) {
    const Shape& shape = c.shape(0);
    const Shape& result = c.output(0).shape;
    const size_t count = result.count();
    if (count == 0) return;
    const auto paddings = paddingsOf(c);
    const int32_t mode = c.scalar<int32_t>(2);
    const auto strides = shape.strides();
    std::array<uint32_t*, kAnyRank> tables{};
    for (uint32_t i = 0; i < shape.rank; i++) {
        tables[i] = c.scratch<uint32_t>(result[i]);
        mirror(tables[i], result[i], paddings[2 * i], shape[i], mode);
    }
    const uint32_t last = shape.rank - 1;
    std::array<uint32_t, kAnyRank> index{};
    T* y = c.out<T>(0);
    for (size_t done = 0; done < count; done += result[last]) {
        c.spend(16 + 2 * size_t{result[last]});
        const T* row = c.in<T>(0);
        for (uint32_t i = 0; i < last; i++) row += tables[i][index[i]] * strides[i];
        for (uint32_t k = 0; k < result[last]; k++) *y++ = row[tables[last][k]];
        for (uint32_t i = last; i-- > 0;) {
            if (++index[i] < result[i]) break;
            index[i] = 0;
        }
    }
}

void executeMirrorPad(Context& c) {
    switch (elementSize(c.type(0))) {
        case 1: return mirrorAll<uint8_t>(c);
        case 2: return mirrorAll<uint16_t>(c);
        default: return mirrorAll<uint32_t>(c);
    }
}

const Register registered({
    {ANEURALNETWORKS_PAD, "PAD", validatePad, preparePaddings<4>, executePad},
    {ANEURALNETWORKS_PAD_V2, "PAD_V2", validatePadV2, preparePadV2, executePadV2},
    {ANEURALNETWORKS_MIRROR_PAD, "MIRROR_PAD", validateMirrorPad, prepareMirrorPad,
     executeMirrorPad},
});

}  // namespace
}  // namespace nnapi
