// FULLY_CONNECTED: a matrix product with the rows of the weights.

#include "convolution.h"

namespace nnapi {
namespace {

void validate(OpView& v) {
    v.inputs(4);
    v.outputs(1);
    v.type(in(0), {{TENSOR_FLOAT32, 1},
                   {TENSOR_FLOAT16, 3},
                   {TENSOR_QUANT8_ASYMM, 1},
                   {TENSOR_QUANT8_ASYMM_SIGNED, 4}});
    v.sameType({in(0), in(1), out(0)});
    v.bias(in(2), in(0), in(1));
    v.rank(in(0), 2, 4);
    v.rank(in(1), 2);
    v.rank(in(2), 1);
    v.rank(out(0), 2);
    v.activation(in(3));
    v.sameDim(in(1), 0, in(2), 0);
    v.sameDim(in(1), 0, out(0), 1);
    const auto size = v.dimOf(in(1), 1);
    const Operand& input = v[in(0)];
    if (size && input.rankKnown) {
        size_t count = 1;
        for (uint32_t dim : input.shape) {
            if (dim == 0 || __builtin_mul_overflow(count, size_t{dim}, &count)) return;
        }
        v.require(count % *size == 0, "the input must be divisible into rows of the input size");
        const auto batch = v.dimOf(out(0), 0);
        v.require(!batch || *batch == count / *size, "the output has another batch size");
    }
}

struct Product {
    size_t batch, size, units;
};

Product product(const Context& c) {
    c.require(c.shape(0).rank >= 2 && c.shape(0).rank <= 4, "the input has rank 2 to 4");
    c.require(c.shape(1).rank == 2, "the weights have rank 2");
    const size_t units = c.shape(1)[0], size = c.shape(1)[1];
    // Reading: without an input size there is no batch size to calculate.
    c.require(size >= 1, "the input size must not be zero");
    const size_t count = c.input(0).count();
    c.require(count % size == 0, "the input must be divisible into rows of the input size");
    return {count / size, size, units};
}

void prepare(Context& c) {
    const Product p = product(c);
    c.activation(3);
    c.require(c.shape(2).rank == 1 && c.shape(2)[0] == p.units,
              "the bias must have one value for each unit");
    c.require(p.batch <= 0x7FFFFFFF, "the batch is too large");
    c.setShape(0, {static_cast<uint32_t>(p.batch), static_cast<uint32_t>(p.units)});
}

/// The product is a 1 x 1 convolution over `batch` pixels.
void execute(Context& c) {
    const Product p = product(c);
    Convolution conv{};
    conv.batch = p.batch, conv.height = conv.width = 1, conv.depth = p.size;
    conv.filterHeight = conv.filterWidth = 1;
    conv.outHeight = conv.outWidth = 1, conv.outDepth = p.units;
    conv.groups = 1;
    conv.strideHeight = conv.strideWidth = conv.dilationHeight = conv.dilationWidth = 1;
    convolve(c, conv, c.activation(3));
}

std::shared_ptr<const void> pack(const OpView& v) {
    return packFilter(v, 1, true);
}

const Register registered(
    {{ANEURALNETWORKS_FULLY_CONNECTED, "FULLY_CONNECTED", validate, prepare, execute, pack}});

}  // namespace
}  // namespace nnapi
