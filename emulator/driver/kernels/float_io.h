// Operands of TENSOR_FLOAT32 and TENSOR_FLOAT16 as arrays of float.
#pragma once

#include <array>
#include <cstring>

#include "../context.h"

namespace nnapi {

/// Half precision inputs are converted once and outputs rounded once, by `finish`; single
/// precision is used in place.
class FloatIo {
public:
    explicit FloatIo(Context& c) : c_(c) {}

    /// The elements of an input; null when it is omitted.
    const float* in(size_t i) {
        if (!c_.has(i)) return nullptr;
        if (c_.type(i) != TENSOR_FLOAT16) return c_.in<float>(i);
        const size_t count = c_.input(i).count();
        float* values = c_.scratch<float>(count);
        toFloat(c_.in<Half>(i), values, count);
        return values;
    }

    /// Where to write an output; null when there is none or it is omitted. At most 8 outputs.
    float* out(size_t i) {
        if (i >= c_.outputCount() || c_.output(i).omitted) return nullptr;
        if (c_.output(i).type != TENSOR_FLOAT16) return c_.out<float>(i);
        return pending_[i] = c_.scratch<float>(c_.output(i).count());
    }

    /// Rounds half precision outputs; call once, last.
    void finish() {
        for (size_t i = 0; i < pending_.size(); i++) {
            if (pending_[i] == nullptr) continue;
            toHalf(pending_[i], c_.out<Half>(i), c_.output(i).count());
        }
    }

private:
    Context& c_;
    std::array<float*, 8> pending_{};
};

/// The values of an input in memory that may be overwritten: `target`, or scratch when it is null.
inline float* copyState(Context& c, FloatIo& io, size_t input, float* target) {
    const size_t count = c.input(input).count();
    if (target == nullptr) target = c.scratch<float>(count);
    if (count != 0) std::memcpy(target, io.in(input), count * sizeof(float));
    return target;
}

}  // namespace nnapi
