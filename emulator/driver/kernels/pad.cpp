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
    Shape shape;
    for (uint32_t i = 0; i < input.rank; i++) {
        const int64_t before = paddings[2 * i], after = paddings[2 * i + 1];
        where.require(before >= 0 && after >= 0, "a padding is negative");
        const bool open = !known && input[i] == 0;
        pushDim(where, shape, open ? 0 : before + input[i] + after);
    }
    return shape;
}

/// Paddings are [rank, 2]; `when`: when the model is refused for their shape.
template <class Where>
void checkPaddings(const Where& where, uint32_t mostRank, When when = When::LATER) {
    where.rank(in(0), 1, mostRank, When::AT_ONCE);
    where.rank(in(1), 2, when);
    where.dim(in(1), 1, 2);
    if (const auto rank = where.rankOf(in(0), when)) where.dim(in(1), 0, *rank, when);
}

void validatePaddings(OpView& v, Type type, uint32_t mostRank, When when = When::LATER) {
    v.sameType({in(0), out(0)});
    v.type(in(1), TENSOR_INT32);
    checkPaddings(v, mostRank, when);
    v.sameRank({in(0), out(0)});
    validateSameQuant(v, type, {in(0), out(0)}, when);
    if (!v.rankOf(in(0), when)) return;
    const auto paddings = v.intsOf(in(1));
    if (!paddings.empty()) expectShape(v, out(0), padded(v, v[in(0)].shape, paddings, false));
}

template <uint32_t mostRank>
void preparePaddings(Context& c) {
    checkPaddings(c, mostRank);
    const Shape shape = padded(c, c.shape(0), c.intsOf(in(1)), true);
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

/// The pad value of quantized tensors is a code.
template <class Where>
void checkPadValue(const Where& where) {
    if (!isQuantized(where.typeOf(in(0)))) return;
    const auto code = where.intOf(in(2));
    const CodeRange range = codeRange(where.typeOf(in(0)));
    where.require(!code || (*code >= range.least && *code <= range.most),
                  "the pad value is not a code of the type");
}

void validatePadV2(OpView& v) {
    v.inputs(3);
    v.outputs(1);
    const Type type = v.type(in(0), kRealAndQuant8Since3);
    validatePaddings(v, type, 4);
    if (!isQuantized(type)) return v.realScalar(in(2), type);
    v.scalar(in(2), INT32);
    checkPadValue(v);
}

void preparePadV2(Context& c) {
    preparePaddings<4>(c);
    checkPadValue(c);
}

template <class T>
void padWith(Context& c, T value) {
    const auto paddings = c.intsOf(in(1));
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
void checkMirror(const Where& where) {
    where.integer(in(2), 0, 1);
    const auto mode = where.intOf(in(2));
    const auto rank = where.rankOf(in(0));
    const auto paddings = where.intsOf(in(1));
    if (!mode || !rank || paddings.empty()) return;
    for (uint32_t i = 0; i < *rank; i++) {
        const auto dim = where.dimOf(in(0), i);
        if (!dim) continue;
        const int64_t before = paddings[2 * i], after = paddings[2 * i + 1];
        const int64_t most = *mode == kSymmetric ? int64_t{*dim} : int64_t{*dim} - 1;
        where.require((before == 0 && after == 0) || (before <= most && after <= most),
                      "a padding is larger than what can be mirrored");
    }
}

void validateMirrorPad(OpView& v) {
    v.inputs(3);
    v.outputs(1);
    const Type type = v.type(in(0), {{TENSOR_FLOAT16, 7},
                                     {TENSOR_FLOAT32, 7},
                                     {TENSOR_QUANT8_ASYMM, 7},
                                     {TENSOR_QUANT8_ASYMM_SIGNED, 7},
                                     {TENSOR_INT32, 7}});
    validatePaddings(v, type, kAnyRank, When::AT_ONCE);
    checkMirror(v);
}

void prepareMirrorPad(Context& c) {
    preparePaddings<kAnyRank>(c);
    checkMirror(c);
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
    const auto paddings = c.intsOf(in(1));
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
