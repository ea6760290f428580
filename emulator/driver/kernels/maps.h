// Element-wise loops: one input, or two inputs with broadcasting.
#pragma once

#include "broadcast.h"
#include "kernel.h"
#include "quantize.h"
#include "rules.h"

namespace nnapi {

// --- one input ------------------------------------------------------------------------------

/// Output element i is f(input element i), for TENSOR_FLOAT32 and TENSOR_FLOAT16; f is computed in
/// double and its result is rounded once.
template <class F>
void mapReal(Context& c, F f) {
    const size_t count = c.output(0).count();
    if (c.type(0) == TENSOR_FLOAT32) {
        const float* x = c.in<float>(0);
        float* y = c.out<float>(0);
        c.forEachBlock(count, [&](size_t first, size_t end) {
            for (size_t i = first; i < end; i++) {
                y[i] = static_cast<float>(f(static_cast<double>(x[i])));
            }
        });
    } else {
        const Half* x = c.in<Half>(0);
        Half* y = c.out<Half>(0);
        c.forEachBlock(count, [&](size_t first, size_t end) {
            for (size_t i = first; i < end; i++) {
                y[i] = toHalf(static_cast<double>(f(static_cast<double>(toFloat(x[i])))));
            }
        });
    }
}

/// The same in float, for functions that float computes with one rounding (or none).
template <class F>
void mapFloat(Context& c, F f) {
    const size_t count = c.output(0).count();
    if (c.type(0) == TENSOR_FLOAT32) {
        const float* x = c.in<float>(0);
        float* y = c.out<float>(0);
        c.forEachBlock(count, [&](size_t first, size_t end) {
            for (size_t i = first; i < end; i++) y[i] = f(x[i]);
        });
    } else {
        const Half* x = c.in<Half>(0);
        Half* y = c.out<Half>(0);
        c.forEachBlock(count, [&](size_t first, size_t end) {
            for (size_t i = first; i < end; i++) y[i] = toHalf(f(toFloat(x[i])));
        });
    }
}

/// Output code i is code(input code i), for the 8-bit asymmetric types. Large tensors go through
/// a table of all 256 codes.
template <class F>
void mapCodes(Context& c, F code) {
    const size_t count = c.output(0).count();
    const auto* x = c.in<uint8_t>(0);
    auto* y = c.out<uint8_t>(0);
    const bool isSigned = c.type(0) == TENSOR_QUANT8_ASYMM_SIGNED;
    const auto one = [&](uint8_t bits) {
        const int32_t input = isSigned ? static_cast<int8_t>(bits) : bits;
        return static_cast<uint8_t>(code(input));
    };
    if (count <= 256) {
        for (size_t i = 0; i < count; i++) y[i] = one(x[i]);
        return;
    }
    uint8_t table[256];
    for (int bits = 0; bits < 256; bits++) table[bits] = one(static_cast<uint8_t>(bits));
    c.forEachBlock(count, [&](size_t first, size_t end) {
        for (size_t i = first; i < end; i++) y[i] = table[x[i]];
    });
}

/// mapCodes for a function of the real value: dequantize, f in double, quantize once.
template <class F>
void mapQuantized(Context& c, F f) {
    const Tensor &input = c.input(0), &output = c.output(0);
    const CodeRange range = codeRange(output.type);
    mapCodes(c, [&](int32_t code) {
        const double real = (code - input.zeroPoint) * static_cast<double>(input.scale);
        return quantize(f(real), output.scale, output.zeroPoint, range);
    });
}

// --- two inputs, broadcast ------------------------------------------------------------------

/// The rules on the shapes of inputs 0 and 1 that broadcast, and the output's as far as it is
/// certain; `ranks`: when the rule on ranks is due.
template <class Where>
std::optional<Shape> checkBroadcast(const Where& where, uint32_t mostRank, When ranks) {
    for (Ref input : {in(0), in(1)}) where.rank(input, 1, mostRank, ranks);
    return broadcastShape(where, in(0), in(1));
}

/// For the model: the rules on such an operation's shapes.
inline void validateBroadcast(const OpView& v, uint32_t mostRank, When ranks = When::LATER) {
    if (const auto shape = checkBroadcast(v, mostRank, ranks)) expectShape(v, out(0), *shape);
}

/// At execution: the same, and the output's shape.
inline void prepareBroadcast(Context& c, uint32_t mostRank) {
    c.setShape(0, *checkBroadcast(c, mostRank, When::LATER));
}

/// z[i] = f(x[i * stepA], y[i * stepB]), of the steps one at least 1.
template <class In, class Out, class F>
void mapRow(const In* x, const In* y, Out* z, size_t n, size_t stepA, size_t stepB, F& f) {
    if (stepA == 1 && stepB == 1) {
        for (size_t i = 0; i < n; i++) z[i] = f(x[i], y[i]);
    } else if (stepA == 1) {
        const In right = *y;
        for (size_t i = 0; i < n; i++) z[i] = f(x[i], right);
    } else {
        const In left = *x;
        for (size_t i = 0; i < n; i++) z[i] = f(left, y[i * stepB]);
    }
}

/// Calls row(x, y, z, n, stepA, stepB) for rows of elements that mapRow could take, a and b being
/// of the shapes of input 0 and input 1, out of output 0.
template <class In, class Out, class Row>
void mapRows(const Context& c, const In* a, const In* b, Out* out, Row row) {
    forEachRow(c.shape(0), c.shape(1), c.output(0).shape,
               [&](size_t ia, size_t ib, size_t io, size_t n, size_t stepA, size_t stepB) {
                   for (size_t left = n; left > 0;) {  // parts, between which the clock is seen
                       const size_t part = std::min(left, size_t{1} << 15);
                       row(a + ia, b + ib, out + io, part, stepA, stepB);
                       ia += part * stepA, ib += part * stepB, io += part, left -= part;
                       c.spend(32 * part);
                   }
               });
}

/// out[i] = f(a[i], b[i]), a and b of the shapes of input 0 and input 1, out of output 0.
template <class In, class Out, class F>
void mapPairs(const Context& c, const In* a, const In* b, Out* out, F f) {
    mapRows(c, a, b, out,
            [&](const In* x, const In* y, Out* z, size_t n, size_t stepA, size_t stepB) {
                mapRow(x, y, z, n, stepA, stepB, f);
            });
}

/// mapPairs on input 0 and input 1 to output 0.
template <class In, class Out, class F>
void mapPairs(Context& c, F f) {
    mapPairs(c, c.in<In>(0), c.in<In>(1), c.out<Out>(0), f);
}

/// mapPairs for TENSOR_FLOAT16: f on floats, its result rounded to half.
template <class F>
void mapHalfPairs(Context& c, F f) {
    const size_t countA = c.input(0).count(), countB = c.input(1).count();
    const size_t count = c.output(0).count();
    float* a = c.scratch<float>(countA);
    float* b = c.scratch<float>(countB);
    float* result = c.scratch<float>(count);
    toFloat(c.in<Half>(0), a, countA);
    toFloat(c.in<Half>(1), b, countB);
    mapPairs(c, a, b, result, f);
    toHalf(result, c.out<Half>(0), count);
}

}  // namespace nnapi
