// FULLY_CONNECTED: a matrix product with the rows of the weights.

#include "math/convolution.h"
#include "rules.h"

namespace nnapi {
namespace {

/// The rules on shapes and scalars, as far as either stage knows them.
template <class Where>
void check(const Where& where) {
    where.rank(in(0), 2, 4, When::AT_ONCE);
    where.rank(in(1), 2, When::AT_ONCE);
    where.rank(in(2), 1, When::AT_ONCE);
    where.sameDim(in(1), 0, in(2), 0, When::AT_ONCE);
    where.activation(in(3));
    const auto size = where.dimOf(in(1), 1);
    // Reading: without an input size there is no batch size to calculate.
    where.require(!size || *size >= 1, "the input size must not be zero");
    const auto count = countOf(where, in(0));
    where.require(!size || !count || *count % *size == 0,
                  "the input must be divisible into rows of the input size");
}

void validate(OpView& v) {
    v.inputs(4);
    v.outputs(1);
    v.type(in(0), {{TENSOR_FLOAT32, 1},
                   {TENSOR_FLOAT16, 3},
                   {TENSOR_QUANT8_ASYMM, 1},
                   {TENSOR_QUANT8_ASYMM_SIGNED, 4}});
    v.sameType({in(0), in(1), out(0)});
    v.bias(in(2), in(0), in(1));
    check(v);
    v.rank(out(0), 2);
    v.sameDim(in(1), 0, out(0), 1);
    const auto size = v.dimOf(in(1), 1), batch = v.dimOf(out(0), 0);
    const auto count = countOf(v, in(0));
    v.require(!size || !count || !batch || *batch == *count / *size,
              "the output has another batch size");
}

struct Product {
    size_t batch, size, units;
};

Product product(const Context& c) {
    const size_t units = c.shape(1)[0], size = c.shape(1)[1];
    return {c.input(0).count() / size, size, units};
}

void prepare(Context& c) {
    check(c);
    const Product p = product(c);
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
