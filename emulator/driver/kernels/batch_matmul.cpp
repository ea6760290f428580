// BATCH_MATMUL: products of the last two dimensions, each side transposed where asked.

#include <cstring>

#include "../readings.h"
#include "math/product.h"
#include "rules.h"

namespace nnapi {
namespace {

/// The rules on shapes: equal batches, and as many columns of input 0 as rows of input 1.
template <class Where>
void check(const Where& where) {
    for (size_t i : {0, 1}) where.rank(in(i), 2, 4, When::AT_ONCE);
    where.sameRank({in(0), in(1)});
    const auto rank = where.rankOf(in(0));
    if (!rank || !where.rankOf(in(1))) return;
    const uint32_t last = *rank - 1;
    for (uint32_t axis = 0; axis + 1 < last; axis++) where.sameDim(in(0), axis, in(1), axis);
    const auto x = where.flagOf(in(2)), y = where.flagOf(in(3));
    if (x && y) where.sameDim(in(0), *x ? last - 1 : last, in(1), *y ? last : last - 1);
}

void validate(OpView& v) {
    // Reading: the flags "default to false"; devices that ship want all four inputs.
    followsField() ? v.inputs(4) : v.inputRange(2, 4);
    v.outputs(1);
    v.since(6);
    v.type(in(0), {{TENSOR_FLOAT16, 6},
                   {TENSOR_FLOAT32, 6},
                   {TENSOR_QUANT8_ASYMM_SIGNED, 6},
                   {TENSOR_INT32, 6}});
    v.sameType({in(0), in(1), out(0)});
    for (Ref flag : {in(2), in(3)}) {
        followsField() ? v.scalar(flag, BOOL) : v.optionalFlag(flag, 6);
    }
    check(v);
    v.rank(out(0), 2, 4, When::AT_ONCE);
    v.sameRank({in(0), in(1), out(0)});
    const auto rank = v.rankOf(in(0));
    if (!rank || !v.rankOf(in(1))) return;
    const uint32_t last = *rank - 1;
    for (uint32_t axis = 0; axis + 1 < last; axis++) v.sameDim(in(0), axis, out(0), axis);
    const auto x = v.flagOf(in(2)), y = v.flagOf(in(3));
    if (x) v.sameDim(in(0), *x ? last : last - 1, out(0), last - 1);
    if (y) v.sameDim(in(1), *y ? last - 1 : last, out(0), last);
}

struct Product {
    size_t batch, rows, depth, columns;
    bool adjointX, adjointY;
};

Product product(const Context& c) {
    const Shape &x = c.shape(0), &y = c.shape(1);
    const uint32_t last = x.rank - 1;
    Product p{x.countFrom(0, last - 1), 0, 0, 0, c.flag(2), c.flag(3)};
    p.rows = x[p.adjointX ? last : last - 1];
    p.depth = x[p.adjointX ? last - 1 : last];
    p.columns = y[p.adjointY ? last - 1 : last];
    return p;
}

void prepare(Context& c) {
    check(c);
    const Product p = product(c);
    Shape shape = c.shape(0);
    shape[shape.rank - 2] = static_cast<uint32_t>(p.rows);
    shape[shape.rank - 1] = static_cast<uint32_t>(p.columns);
    size_t count = 1;
    for (uint32_t dim : shape) {
        c.require(!__builtin_mul_overflow(count, size_t{dim}, &count) && count < size_t{1} << 40,
                  "the output is too large");
    }
    c.setShape(0, shape);
}

/// Elements of input 1 as panels see them.
gemm::WeightStrides stridesY(const Product& p) {
    if (p.adjointY) return {p.depth, 0, 1};
    return {1, 0, p.columns};
}

/// One batch of input 0 with its rows together.
template <class T>
const T* rowsX(const Product& p, const T* x, T* copy) {
    if (!p.adjointX) return x;
    for (size_t k = 0; k < p.depth; k++) {
        for (size_t row = 0; row < p.rows; row++) copy[row * p.depth + k] = x[k * p.rows + row];
    }
    return copy;
}

/// Calls block(first, count, table) for blocks of rows of one batch.
template <class T, class Block>
void forEachBlock(gemm::RowTable<T>& table, const Product& p, const T* x, Block block) {
    for (size_t first = 0; first < p.rows; first += table.limit()) {
        const size_t count = std::min(table.limit(), p.rows - first);
        for (size_t row = 0; row < count; row++) table.at(row, 0) = x + (first + row) * p.depth;
        block(first, count);
    }
}

/// float32 and float16, the latter converted beforehand.
void multiply(Context& c, const Product& p, const float* x, const float* y, float* output) {
    const gemm::PanelShape shape{p.columns, 1, p.depth};
    float* panels = c.scratch<float>(shape.floatCount());
    float* copy = c.scratch<float>(p.adjointX ? p.rows * p.depth : 0);
    const float* bias = gemm::paddedBias(c, nullptr, p.columns);
    gemm::RowTable<float> table(c, p.rows, 1, p.depth);
    float** out = c.scratch<float*>(table.limit());
    const size_t tap = 0;
    for (size_t b = 0; b < p.batch; b++) {
        gemm::packFloats(shape, y + b * p.depth * p.columns, stridesY(p), panels);
        const gemm::PanelView<float> view{panels, shape.floatPanel(), &tap,
                                          1,      p.depth,            p.columns};
        const float* rows = rowsX(p, x + b * p.rows * p.depth, copy);
        forEachBlock(table, p, rows, [&](size_t first, size_t count) {
            c.checkDeadline();
            for (size_t row = 0; row < count; row++) {
                out[row] = output + (b * p.rows + first + row) * p.columns;
            }
            gemm::multiplyFloats(table, count, 0, view, bias, out, 0,
                                 kUnbounded);
        });
    }
}

void multiplyCodes(Context& c, const Product& p) {
    const gemm::PanelShape shape{p.columns, 1, p.depth};
    int16_t* panels = c.scratch<int16_t>(shape.shortCount());
    const int16_t* x = gemm::centred(c, c.in<int8_t>(0), c.input(0).count(),
                                     c.input(0).zeroPoint);
    int16_t* copy = c.scratch<int16_t>(p.adjointX ? p.rows * p.depth + 2 : 0);
    const ColumnRequantizer requantize(c, c.input(0), c.input(1), nullptr, p.columns,
                                       ANEURALNETWORKS_FUSED_NONE, p.depth);
    gemm::RowTable<int16_t> table(c, p.rows, 1, p.depth);
    uint8_t* output = c.out<uint8_t>(0);
    uint8_t** out = c.scratch<uint8_t*>(table.limit());
    const size_t tap = 0;
    for (size_t b = 0; b < p.batch; b++) {
        gemm::packShorts(shape, c.in<int8_t>(1) + b * p.depth * p.columns, stridesY(p),
                         c.input(1).zeroPoint, panels);
        const gemm::PanelView<int16_t> view{panels, shape.shortPanel(), &tap,
                                            1,      p.depth,            p.columns};
        const int16_t* rows = rowsX(p, x + b * p.rows * p.depth, copy);
        forEachBlock(table, p, rows, [&](size_t first, size_t count) {
            c.checkDeadline();
            for (size_t row = 0; row < count; row++) {
                out[row] = output + (b * p.rows + first + row) * p.columns;
            }
            gemm::multiplyShorts(table, count, 0, view, requantize, 0, out);
        });
    }
}

/// Reading: TENSOR_INT32 holds plain integers here. Overflow, which the reference leaves open,
/// wraps around.
void multiplyInts(Context& c, const Product& p) {
    const int32_t* x = c.in<int32_t>(0);
    const int32_t* y = c.in<int32_t>(1);
    auto* output = c.out<uint32_t>(0);
    const size_t rowX = p.adjointX ? 1 : p.depth, stepX = p.adjointX ? p.rows : 1;
    const gemm::WeightStrides strides = stridesY(p);
    for (size_t b = 0; b < p.batch; b++) {
        for (size_t row = 0; row < p.rows; row++, output += p.columns) {
            c.checkDeadline();
            std::fill(output, output + p.columns, 0u);
            for (size_t k = 0; k < p.depth; k++) {
                const auto factor = static_cast<uint32_t>(x[row * rowX + k * stepX]);
                const int32_t* from = y + k * strides.depth;
                for (size_t i = 0; i < p.columns; i++) {
                    output[i] += factor * static_cast<uint32_t>(from[i * strides.column]);
                }
            }
        }
        x += p.rows * p.depth, y += p.depth * p.columns;
    }
}

void execute(Context& c) {
    const Product p = product(c);
    const size_t count = c.output(0).count();
    if (count == 0) return;
    switch (c.type(0)) {
        case TENSOR_FLOAT32:
            return multiply(c, p, c.in<float>(0), c.in<float>(1), c.out<float>(0));
        case TENSOR_FLOAT16: {
            float* x = c.scratch<float>(c.input(0).count());
            float* y = c.scratch<float>(c.input(1).count());
            float* output = c.scratch<float>(count);
            toFloat(c.in<Half>(0), x, c.input(0).count());
            toFloat(c.in<Half>(1), y, c.input(1).count());
            multiply(c, p, x, y, output);
            return toHalf(output, c.out<Half>(0), count);
        }
        case TENSOR_QUANT8_ASYMM_SIGNED: return multiplyCodes(c, p);
        default: return multiplyInts(c, p);
    }
}

const Register registered(
    {{ANEURALNETWORKS_BATCH_MATMUL, "BATCH_MATMUL", validate, prepare, execute}});

}  // namespace
}  // namespace nnapi
