// EMBEDDING_LOOKUP and HASHTABLE_LOOKUP: rows of a tensor, by index or by key.

#include <algorithm>
#include <cstring>

#include "../readings.h"
#include "dims.h"
#include "kernel.h"
#include "rules.h"

namespace nnapi {
namespace {

/// `values` with another first dimension; the output of both operations.
Shape rowsOf(const Context& c, const Shape& values, uint32_t rows) {
    Shape shape = values;
    shape[0] = rows;
    requireCountable(c, shape);
    return shape;
}

/// The rules on ranks of both operations.
template <class Where>
void checkRows(const Where& where, Ref lookups, Ref values) {
    where.rank(lookups, 1);
    where.rank(values, 2, Shape::kMaxRank);
}

/// The output has the values' rank and, but for the first, their dimensions.
void validateRows(OpView& v, Ref lookups, Ref values, Ref output) {
    checkRows(v, lookups, values);
    v.sameType({values, output});
    validateSameQuant(v, v[values].type, {values, output});
    v.sameRank({values, output});
    v.sameDim(lookups, 0, output, 0);
    const uint32_t rank = v.rankOf(values).value_or(v.rankOf(output).value_or(1));
    for (uint32_t axis = 1; axis < rank; axis++) v.sameDim(values, axis, output, axis);
}

size_t rowBytes(const Tensor& values) {
    return values.shape.countFrom(1, values.shape.rank) * elementSize(values.type);
}

// --- EMBEDDING_LOOKUP -----------------------------------------------------------------------

void validateEmbedding(OpView& v) {
    v.inputs(2);
    v.outputs(1);
    v.type(in(0), TENSOR_INT32);
    v.type(in(1), {{TENSOR_FLOAT16, 4},
                   {TENSOR_FLOAT32, 1},
                   {TENSOR_INT32, 3},
                   {TENSOR_QUANT8_ASYMM, 3},
                   {TENSOR_QUANT8_ASYMM_SIGNED, 4}});
    validateRows(v, in(0), in(1), out(0));
}

void prepareEmbedding(Context& c) {
    checkRows(c, in(0), in(1));
    const Shape &lookups = c.shape(0), &values = c.shape(1);
    const int32_t* index = c.in<int32_t>(0);
    for (size_t i = 0; i < lookups[0]; i++) {
        c.require(index[i] >= 0 && static_cast<uint32_t>(index[i]) < values[0],
                  "a lookup is out of bounds");
    }
    c.setShape(0, rowsOf(c, values, lookups[0]));
}

void executeEmbedding(Context& c) {
    const size_t bytes = rowBytes(c.input(1));
    if (bytes == 0) return;
    const int32_t* index = c.in<int32_t>(0);
    const char* values = c.in<char>(1);
    char* output = c.out<char>(0);
    for (size_t i = 0; i < c.shape(0)[0]; i++) {
        std::memcpy(output + i * bytes, values + static_cast<size_t>(index[i]) * bytes, bytes);
        c.spend(8 + bytes / 8);
    }
}

// --- HASHTABLE_LOOKUP -----------------------------------------------------------------------

/// The rules on keys.
template <class Where>
void checkKeys(const Where& where) {
    where.rank(in(1), 1);
    where.sameDim(in(1), 0, in(2), 0);
    const auto keys = where.intsOf(in(1));
    where.require(std::is_sorted(keys.begin(), keys.end()), "keys must be in ascending order");
}

void validateHashtable(OpView& v) {
    v.inputs(3);
    v.outputs(2);
    v.type(in(0), TENSOR_INT32);
    v.type(in(1), TENSOR_INT32);
    v.type(in(2), {{TENSOR_FLOAT32, 1}, {TENSOR_INT32, 1}, {TENSOR_QUANT8_ASYMM, 1}});
    v.type(out(1), TENSOR_QUANT8_ASYMM);
    v.quant(out(1), 1.0f, 0);
    v.rank(out(1), 1);
    validateRows(v, in(0), in(2), out(0));
    checkKeys(v);
    v.sameDim(in(0), 0, out(1), 0);
}

void prepareHashtable(Context& c) {
    checkRows(c, in(0), in(2));
    checkKeys(c);
    const Shape &lookups = c.shape(0), &values = c.shape(2);
    c.setShape(0, rowsOf(c, values, lookups[0]));
    c.setShape(1, {lookups[0]});
}

void executeHashtable(Context& c) {
    const size_t bytes = rowBytes(c.input(2));
    // Reading: "zero values" are values that stand for 0: the zero point where there is one.
    // Devices that ship write codes of 0.
    const bool real = c.type(2) == TENSOR_QUANT8_ASYMM && !followsField();
    const int zero = real ? c.input(2).zeroPoint : 0;
    const int32_t* lookups = c.in<int32_t>(0);
    const int32_t* keys = c.in<int32_t>(1);
    const int32_t* end = keys + c.shape(1)[0];
    const char* values = c.in<char>(2);
    char* output = c.out<char>(0);
    uint8_t* hits = c.out<uint8_t>(1);
    for (size_t i = 0; i < c.shape(0)[0]; i++) {
        const int32_t* key = std::lower_bound(keys, end, lookups[i]);
        hits[i] = key != end && *key == lookups[i];
        c.spend(128 + bytes / 8);
        if (bytes == 0) continue;
        if (hits[i]) {
            std::memcpy(output + i * bytes, values + static_cast<size_t>(key - keys) * bytes,
                        bytes);
        } else {
            std::memset(output + i * bytes, zero, bytes);
        }
    }
}

const Register registered({
    {ANEURALNETWORKS_EMBEDDING_LOOKUP, "EMBEDDING_LOOKUP", validateEmbedding, prepareEmbedding,
     executeEmbedding},
    {ANEURALNETWORKS_HASHTABLE_LOOKUP, "HASHTABLE_LOOKUP", validateHashtable, prepareHashtable,
     executeHashtable},
});

}  // namespace
}  // namespace nnapi
