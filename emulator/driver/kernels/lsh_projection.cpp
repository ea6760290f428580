// LSH_PROJECTION: bits from the signs of sums of hashes.

#include <bit>
#include <cstring>

#include "../readings.h"
#include "dims.h"
#include "fingerprint.h"
#include "kernel.h"

namespace nnapi {
namespace {

constexpr int32_t kSparseDeprecated = 1, kDense = 2, kSparse = 3;
constexpr size_t kInput = 1, kWeight = 2, kType = 3;

/// The rules on shapes and the projection's type, as far as either stage knows them.
template <class Where>
void check(const Where& where) {
    where.rank(in(0), 2);
    where.rank(in(kInput), 1, Shape::kMaxRank);
    if (where.has(in(kWeight))) {
        where.rank(in(kWeight), 1);
        where.sameDim(in(kInput), 0, in(kWeight), 0);
    }
    const auto type = where.intOf(in(kType));
    if (!type) return;
    where.require(*type >= kSparseDeprecated && *type <= kSparse,
                  "the projection type must be 1, 2 or 3");
    const uint32_t hashes = where.dimOf(in(0), 0).value_or(0);
    const uint32_t bits = where.dimOf(in(0), 1).value_or(0);
    if (*type == kDense || hashes == 0) return;
    const uint32_t indexBits = static_cast<uint32_t>(std::bit_width(hashes - 1));
    where.require(bits <= 32 && bits + indexBits <= 32,
                  "a sparse projection must have dims[1] + ceil(log2(dims[0])) <= 32");
}

void validate(OpView& v) {
    v.inputs(4);
    v.outputs(1);
    // Reading: "DataType: Float" means either float type, TENSOR_FLOAT16 since level 3.
    v.type(in(0), {{TENSOR_FLOAT32, 1}, {TENSOR_FLOAT16, 3}});
    v.type(in(kInput), {{TENSOR_FLOAT16, 3},
                        {TENSOR_FLOAT32, 1},
                        {TENSOR_INT32, 1},
                        {TENSOR_QUANT8_ASYMM, 1}});
    v.optional(in(kWeight));
    v.scalar(in(kType), INT32);
    v.type(out(0), TENSOR_INT32);
    if (v.has(in(kWeight))) v.type(in(kWeight), {{TENSOR_FLOAT32, 1}, {TENSOR_FLOAT16, 3}});
    v.rank(out(0), 1);
    const auto type = v.intOf(in(kType));
    if (type == kSparse) v.since(3);  // noted before anything is refused
    check(v);
    if (!type) return;
    const auto hashes = v.dimOf(in(0), 0), bits = v.dimOf(in(0), 1);
    const auto size = v.dimOf(out(0), 0);
    if (!size) return;
    if (*type != kDense && hashes) {
        v.require(*size == *hashes, "a sparse output must have one element for each function");
    } else if (*type == kDense && hashes && bits) {
        v.require(*size == uint64_t{*hashes} * *bits,
                  "a dense output must have one element for each bit");
    }
}

void prepare(Context& c) {
    check(c);
    const Shape& hash = c.shape(0);
    const int32_t type = c.scalar<int32_t>(kType);
    // Reading: the weight is optional; devices that ship want it for a dense projection, and
    // none for a sparse one.
    c.require(!followsField() || c.has(kWeight) == (type == kDense),
              "a weight goes with a dense projection, and with no other");
    c.setShape(0, {type == kDense ? productDim(c, hash[0], hash[1]) : hash[0]});
}

float floatAt(const Tensor& tensor, size_t i) {
    return tensor.type == TENSOR_FLOAT16 ? toFloat(tensor.as<Half>()[i]) : tensor.as<float>()[i];
}

/// The bit of one seed.
/// Reading: the reference does not name the hash. It is Fingerprint64 of FarmHash over the seed's
/// four bytes and the item's bytes, read as a signed number, times the item's weight; the bit is 1
/// where the sum over the items is positive.
bool project(const Context& c, float seed, uint8_t* key) {
    const Tensor& input = c.input(kInput);
    const size_t items = input.shape[0];
    const size_t bytes =
        input.shape.countFrom(1, input.shape.rank) * elementSize(input.type);
    std::memcpy(key, &seed, sizeof seed);
    double sum = 0;
    for (size_t i = 0; i < items; i++) {
        if (bytes != 0) {
            std::memcpy(key + sizeof seed, input.as<uint8_t>() + i * bytes, bytes);
        }
        const auto hash = static_cast<int64_t>(fingerprint64(key, sizeof seed + bytes));
        c.spend(64 + bytes);
        const double weight = c.has(kWeight) ? floatAt(c.input(kWeight), i) : 1.0;
        sum += static_cast<double>(hash) * weight;
    }
    return sum > 0;
}

void execute(Context& c) {
    const Tensor& hash = c.input(0);
    const Shape& input = c.shape(kInput);
    const int32_t type = c.scalar<int32_t>(kType);
    const size_t functions = hash.shape[0], bits = hash.shape[1];
    uint8_t* key = c.scratch<uint8_t>(
        sizeof(float) + input.countFrom(1, input.rank) * elementSize(c.type(kInput)));
    int32_t* output = c.out<int32_t>(0);
    for (size_t k = 0; k < functions; k++) {
        // Reading: the first bit of a signature is its most significant one.
        uint64_t signature = 0;
        for (size_t bit = 0; bit < bits; bit++) {
            const bool one = project(c, floatAt(hash, k * bits + bit), key);
            signature = signature << 1 | one;
            if (type == kDense) output[k * bits + bit] = one;
        }
        if (type == kDense) continue;
        if (type == kSparse) signature += static_cast<uint64_t>(k) << bits;
        output[k] = static_cast<int32_t>(static_cast<uint32_t>(signature));
    }
}

const Register registered(
    {{ANEURALNETWORKS_LSH_PROJECTION, "LSH_PROJECTION", validate, prepare, execute}});

}  // namespace
}  // namespace nnapi
