// SELECT: output = condition ? input 1 : input 2, element by element.

#include "kernel.h"
#include "quantize.h"
#include "rules.h"

namespace nnapi {
namespace {

template <class Where>
void check(const Where& where) {
    where.rank(in(0), 1, kAnyRank);
    where.sameShape({in(0), in(1), in(2), out(0)});
}

void validate(OpView& v) {
    v.inputs(3);
    v.outputs(1);
    v.type(in(0), TENSOR_BOOL8);
    v.type(in(1), kNumericSince3);
    v.sameType({in(1), in(2), out(0)});
    check(v);
}

void prepare(Context& c) {
    check(c);
    c.setShape(0, c.shape(0));
}

template <class T>
void choose(Context& c) {
    const uint8_t* condition = c.in<uint8_t>(0);
    const T *x = c.in<T>(1), *y = c.in<T>(2);
    T* z = c.out<T>(0);
    const size_t count = c.output(0).count();
    c.forEachBlock(count, [&](size_t first, size_t end) {
        for (size_t i = first; i < end; i++) z[i] = condition[i] != 0 ? x[i] : y[i];
    });
}

template <class T>
void chooseQuantized(Context& c) {
    const uint8_t* condition = c.in<uint8_t>(0);
    const T *x = c.in<T>(1), *y = c.in<T>(2);
    T* z = c.out<T>(0);
    const Requantizer fromX(c.input(1).scale, c.output(0), ANEURALNETWORKS_FUSED_NONE);
    const Requantizer fromY(c.input(2).scale, c.output(0), ANEURALNETWORKS_FUSED_NONE);
    const int32_t zeroX = c.input(1).zeroPoint, zeroY = c.input(2).zeroPoint;
    const size_t count = c.output(0).count();
    c.forEachBlock(count, [&](size_t first, size_t end) {
        for (size_t i = first; i < end; i++) {
            z[i] = static_cast<T>(condition[i] != 0 ? fromX(x[i] - zeroX) : fromY(y[i] - zeroY));
        }
    });
}

void execute(Context& c) {
    switch (c.type(1)) {
        case TENSOR_FLOAT16: return choose<uint16_t>(c);
        case TENSOR_QUANT8_ASYMM: return chooseQuantized<uint8_t>(c);
        case TENSOR_QUANT8_ASYMM_SIGNED: return chooseQuantized<int8_t>(c);
        default: return choose<uint32_t>(c);
    }
}

const Register registered({{ANEURALNETWORKS_SELECT, "SELECT", validate, prepare, execute}});

}  // namespace
}  // namespace nnapi
