#include "context.h"

namespace nnapi {

void Context::refuse(const char* rule) const {
    fail(ANEURALNETWORKS_BAD_DATA, "%s: %s", name_, rule);
}

int32_t Context::integer(size_t i, int32_t least, int32_t most) const {
    const int32_t value = scalar<int32_t>(i);
    if (value < least || value > most) {
        fail(ANEURALNETWORKS_BAD_DATA, "%s: input %zu must be in [%d, %d], not %d", name_, i,
             least, most, value);
    }
    return value;
}

void Context::setShape(size_t i, const Shape& shape) {
    if (const Shape* declared = declared_[i]) {
        bool fits = declared->rank == shape.rank;
        for (uint32_t axis = 0; fits && axis < shape.rank; axis++) {
            fits = (*declared)[axis] == 0 || (*declared)[axis] == shape[axis];
        }
        if (!fits) {
            fail(ANEURALNETWORKS_BAD_DATA, "%s: output %zu has other dimensions than declared",
                 name_, i);
        }
    }
    // Sizes may come from hostile values; a caller's buffer or memory is of no such size anyway.
    uint64_t bytes = elementSize(outputs_[i]->type);
    for (uint32_t dim : shape) bytes = dim == 0 ? 0 : bytes;
    for (uint32_t dim : shape) {
        if (bytes != 0 && dim > INT32_MAX / bytes) {
            fail(ANEURALNETWORKS_OUT_OF_MEMORY, "%s: output %zu is larger than 2^31 bytes", name_,
                 i);
        }
        bytes *= dim;
    }
    outputs_[i]->shape = shape;
}

}  // namespace nnapi
