// ARGMAX, ARGMIN, TOPK_V2: which elements are the largest or smallest.

#include <algorithm>
#include <cmath>

#include "kernel.h"
#include "rules.h"

namespace nnapi {
namespace {

// Quantized tensors are ordered like their codes: there is one scale, and it is positive.
inline float ordered(Half value) { return toFloat(value); }
template <class T>
T ordered(T value) {
    return value;
}

/// a > b, with NaN above everything (its order is left open by the reference), so that sorting is
/// well defined.
template <class T>
bool above(T storedA, T storedB) {
    const auto a = ordered(storedA);
    const auto b = ordered(storedB);
    return a > b || (a != a && b == b);
}
template <class T>
bool below(T storedA, T storedB) {
    const auto a = ordered(storedA);
    const auto b = ordered(storedB);
    return a < b || (a != a && b == b);
}

template <template <class> class Work>
void forType(Context& c) {
    switch (c.type(0)) {
        case TENSOR_FLOAT32: return Work<float>::run(c);
        case TENSOR_FLOAT16: return Work<Half>::run(c);
        case TENSOR_INT32: return Work<int32_t>::run(c);
        case TENSOR_QUANT8_ASYMM: return Work<uint8_t>::run(c);
        default: return Work<int8_t>::run(c);
    }
}

// --- ARGMAX, ARGMIN -------------------------------------------------------------------------

Shape without(const Shape& input, uint32_t axis) {
    Shape shape;
    for (uint32_t i = 0; i < input.rank; i++) {
        if (i != axis) shape.push(input[i]);
    }
    if (shape.rank == 0) shape.push(1);
    return shape;
}

/// The rules on rank and axis, and the output's shape as far as it is known.
template <class Where>
std::optional<Shape> argShape(const Where& where) {
    where.rank(in(0), 1, kAnyRank);
    const auto axis = checkAxis(where, in(1), in(0));
    const auto input = shapeOf(where, in(0));
    if (!axis || !input) return std::nullopt;
    return without(*input, *axis);
}

void validateArg(OpView& v) {
    v.inputs(2);
    v.outputs(1);
    v.type(in(0), kNumericSince3);
    v.type(out(0), TENSOR_INT32);
    v.scalar(in(1), INT32);
    const auto shape = argShape(v);
    if (const auto rank = v.rankOf(in(0))) v.rank(out(0), std::max(*rank, 2u) - 1);
    if (shape) expectShape(v, out(0), *shape);
}

void prepareArg(Context& c) {
    const Shape shape = *argShape(c);
    c.require(c.input(0).count() != 0, "the input must not be empty");
    c.setShape(0, shape);
}

template <class T>
struct ArgExtreme {
    static void run(Context& c) {
        const Shape& shape = c.shape(0);
        const uint32_t axis = normalAxis(c, c.scalar<int32_t>(1), shape.rank);
        const size_t outer = shape.countFrom(0, axis);
        const size_t inner = shape.countFrom(axis + 1, shape.rank);
        const size_t length = shape[axis];
        const auto better = c.code() == ANEURALNETWORKS_ARGMAX ? above<T> : below<T>;
        const T* x = c.in<T>(0);
        int32_t* y = c.out<int32_t>(0);
        for (size_t o = 0; o < outer; o++) {
            for (size_t i = 0; i < inner; i++) {
                const T* slice = x + o * length * inner + i;
                size_t best = 0;  // Reading: of equal elements, the first
                for (size_t k = 1; k < length; k++) {
                    if (better(slice[k * inner], slice[best * inner])) best = k;
                }
                *y++ = static_cast<int32_t>(best);
                c.spend(16 * length);
            }
        }
    }
};

// --- TOPK_V2 --------------------------------------------------------------------------------

/// The rules on rank and k, and the outputs' shape as far as it is known.
template <class Where>
std::optional<Shape> topKShape(const Where& where) {
    where.rank(in(0), 1, kAnyRank);
    // Reading: "the k largest entries" are at least one and at most the last dimension.
    where.integer(in(1), 1, INT32_MAX);
    const auto k = where.intOf(in(1));
    auto shape = shapeOf(where, in(0));
    if (!shape) return std::nullopt;
    const auto length = where.dimOf(in(0), shape->rank - 1);
    where.require(!k || !length || static_cast<uint32_t>(*k) <= *length,
                  "k must not exceed the last dimension");
    (*shape)[shape->rank - 1] = static_cast<uint32_t>(k.value_or(0));
    return shape;
}

void validateTopK(OpView& v) {
    v.inputs(2);
    v.outputs(2);
    const Type type = v.type(in(0), kNumericSince3);
    v.sameType({in(0), out(0)});
    v.type(out(1), TENSOR_INT32);
    v.sameShape({out(0), out(1)});
    validateSameQuant(v, type, {in(0), out(0)});
    const auto expected = topKShape(v);
    if (!expected) return;
    expectShape(v, out(0), *expected);
    expectShape(v, out(1), *expected);
}

void prepareTopK(Context& c) {
    const Shape shape = *topKShape(c);
    c.setShape(0, shape);
    c.setShape(1, shape);
}

template <class T>
struct TopK {
    static void run(Context& c) {
        const Shape& shape = c.shape(0);
        const size_t length = shape[shape.rank - 1];
        const size_t rows = shape.countFrom(0, shape.rank - 1);
        const auto k = static_cast<size_t>(c.scalar<int32_t>(1));
        const T* x = c.in<T>(0);
        T* values = c.out<T>(0);
        int32_t* indices = c.out<int32_t>(1);
        int32_t* order = c.scratch<int32_t>(length);
        for (size_t row = 0; row < rows; row++, x += length, values += k, indices += k) {
            for (size_t i = 0; i < length; i++) order[i] = static_cast<int32_t>(i);
            std::partial_sort(order, order + k, order + length, [&](int32_t a, int32_t b) {
                c.spend(8);
                if (above(x[a], x[b])) return true;
                if (above(x[b], x[a])) return false;
                return a > b;  // "the one with larger index appears first"
            });
            for (size_t i = 0; i < k; i++) {
                indices[i] = order[i];
                values[i] = x[order[i]];
            }
        }
    }
};

const Register registered({
    {ANEURALNETWORKS_ARGMAX, "ARGMAX", validateArg, prepareArg, forType<ArgExtreme>},
    {ANEURALNETWORKS_ARGMIN, "ARGMIN", validateArg, prepareArg, forType<ArgExtreme>},
    {ANEURALNETWORKS_TOPK_V2, "TOPK_V2", validateTopK, prepareTopK, forType<TopK>},
});

}  // namespace
}  // namespace nnapi
