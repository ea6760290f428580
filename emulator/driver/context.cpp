#include "context.h"

#include "readings.h"

namespace nnapi {

void Context::refuse(const char* rule) const {
    fail(refusalAtExecution(), "%s: %s", name_, rule);
}

void Context::refuse(Ref ref, const char* rule) const {
    fail(refusalAtExecution(), "%s: input %u %s", name_, ref.index, rule);
}

void Context::rank(Ref ref, uint32_t least, uint32_t most, When) const {
    const auto rank = rankOf(ref);
    if (!rank || (*rank >= least && *rank <= most)) return;
    fail(refusalAtExecution(), "%s: input %u must have rank %u to %u, not %u", name_, ref.index,
         least, most, *rank);
}

void Context::dim(Ref ref, uint32_t axis, uint32_t size, When) const {
    const auto given = dimOf(ref, axis);
    if (given && *given != size) refuse(ref, "has a wrong dimension");
}

void Context::sameDim(Ref a, uint32_t axisA, Ref b, uint32_t axisB, When) const {
    const auto first = dimOf(a, axisA), second = dimOf(b, axisB);
    if (first && second && *first != *second) refuse(b, "has a dimension that does not match");
}

void Context::sameRank(std::initializer_list<Ref> refs, When) const {
    for (Ref ref : refs) {
        const auto rank = rankOf(ref);
        if (rank && *rank != rankOf(*refs.begin())) refuse(ref, "differs in rank");
    }
}

void Context::sameShape(std::initializer_list<Ref> refs) const {
    for (Ref ref : refs) {
        if (ref.output) continue;
        if (shape(ref.index) != shape(refs.begin()->index)) refuse(ref, "differs in shape");
    }
}

int32_t Context::integer(size_t i, int32_t least, int32_t most) const {
    const int32_t value = scalar<int32_t>(i);
    if (value < least || value > most) {
        fail(refusalAtExecution(), "%s: input %zu must be in [%d, %d], not %d", name_, i,
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
            fail(refusalAtExecution(), "%s: output %zu has other dimensions than declared",
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
