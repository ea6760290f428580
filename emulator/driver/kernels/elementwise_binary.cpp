// ADD: element-wise with broadcasting and a fused activation.

#include "broadcast.h"
#include "kernel.h"
#include "quantize.h"

namespace nnapi {
namespace {

void validate(OpView& v) {
    v.inputs(3);
    v.outputs(1);
    const Type type = v.type(in(0), {{TENSOR_FLOAT16, 3},
                                     {TENSOR_FLOAT32, 1},
                                     {TENSOR_QUANT8_ASYMM, 1},
                                     {TENSOR_QUANT8_ASYMM_SIGNED, 4},
                                     {TENSOR_INT32, 4}});
    v.sameType({in(0), in(1), out(0)});
    v.rank(in(0), 1, 4);
    v.rank(in(1), 1, 4);
    v.broadcast(in(0), in(1), out(0));
    v.activation(in(2));
    if (type == TENSOR_INT32) v.integer(in(2), 0, 0);  // FUSED_NONE only
}

void prepare(Context& c) {
    const auto shape = broadcastShape(c.shape(0), c.shape(1));
    c.require(shape.has_value(), "the dimensions of the inputs are not compatible");
    const int32_t fuse = c.activation(2);
    c.require(c.type(0) != TENSOR_INT32 || fuse == ANEURALNETWORKS_FUSED_NONE,
              "TENSOR_INT32 takes FUSED_NONE only");
    c.setShape(0, *shape);
}

void addFloat(const float* a, const float* b, float* sum, Context& c, FloatRange range) {
    const Shape& result = c.output(0).shape;
    forEachRow(c.shape(0), c.shape(1), result,
               [&](size_t ia, size_t ib, size_t io, size_t n, size_t stepA, size_t stepB) {
                   for (size_t i = 0; i < n; i++) {
                       const float value = a[ia + i * stepA] + b[ib + i * stepB];
                       sum[io + i] = clampFloat(value, range);
                   }
               });
}

void addHalf(Context& c, FloatRange range) {
    const size_t countA = c.input(0).count(), countB = c.input(1).count();
    const size_t count = c.output(0).count();
    float* a = c.scratch<float>(countA);
    float* b = c.scratch<float>(countB);
    float* sum = c.scratch<float>(count);
    toFloat(c.in<Half>(0), a, countA);
    toFloat(c.in<Half>(1), b, countB);
    addFloat(a, b, sum, c, range);
    toHalf(sum, c.out<Half>(0), count);
}

void addInt(Context& c) {
    const int32_t* a = c.in<int32_t>(0);
    const int32_t* b = c.in<int32_t>(1);
    int32_t* sum = c.out<int32_t>(0);
    forEachRow(c.shape(0), c.shape(1), c.output(0).shape,
               [&](size_t ia, size_t ib, size_t io, size_t n, size_t stepA, size_t stepB) {
                   for (size_t i = 0; i < n; i++) {
                       // Unsigned: overflow is left open by the reference, undefined in C++.
                       sum[io + i] = static_cast<int32_t>(
                           static_cast<uint32_t>(a[ia + i * stepA]) +
                           static_cast<uint32_t>(b[ib + i * stepB]));
                   }
               });
}

template <class T>
void addQuant(Context& c, int32_t fuse) {
    const Tensor &left = c.input(0), &right = c.input(1), &output = c.output(0);
    const T* a = c.in<T>(0);
    const T* b = c.in<T>(1);
    T* sum = c.out<T>(0);
    const double scaleA = left.scale, scaleB = right.scale;
    const CodeRange range = activationCodes(output.type, output.scale, output.zeroPoint, fuse);
    forEachRow(left.shape, right.shape, output.shape,
               [&](size_t ia, size_t ib, size_t io, size_t n, size_t stepA, size_t stepB) {
                   for (size_t i = 0; i < n; i++) {
                       const double real = (a[ia + i * stepA] - left.zeroPoint) * scaleA +
                                           (b[ib + i * stepB] - right.zeroPoint) * scaleB;
                       sum[io + i] = static_cast<T>(
                           quantize(real, output.scale, output.zeroPoint, range));
                   }
               });
}

void execute(Context& c) {
    const int32_t fuse = c.activation(2);
    const FloatRange range = activationRange(fuse);
    switch (c.type(0)) {
        case TENSOR_FLOAT32:
            return addFloat(c.in<float>(0), c.in<float>(1), c.out<float>(0), c, range);
        case TENSOR_FLOAT16: return addHalf(c, range);
        case TENSOR_INT32: return addInt(c);
        case TENSOR_QUANT8_ASYMM: return addQuant<uint8_t>(c, fuse);
        default: return addQuant<int8_t>(c, fuse);
    }
}

const Register registered({{ANEURALNETWORKS_ADD, "ADD", validate, prepare, execute}});

}  // namespace
}  // namespace nnapi
