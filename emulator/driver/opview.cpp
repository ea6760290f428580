#include "opview.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "half.h"
#include "readings.h"

namespace nnapi {
namespace {

std::string label(Ref ref) {
    return (ref.output ? "output " : "input ") + std::to_string(ref.index);
}

}  // namespace

void OpView::refuse(const char* rule) const {
    fail(ANEURALNETWORKS_BAD_DATA, "%s: %s", name_, rule);
}

void OpView::refuse(Ref ref, const char* rule) const {
    fail(ANEURALNETWORKS_BAD_DATA, "%s: %s %s", name_, label(ref).c_str(), rule);
}

void OpView::inputs(std::initializer_list<size_t> counts) const {
    for (size_t count : counts)
        if (count == inputCount()) return;
    fail(ANEURALNETWORKS_BAD_DATA, "%s does not take %zu inputs", name_, inputCount());
}

void OpView::inputRange(size_t least, size_t most) const {
    if (inputCount() < least || inputCount() > most) {
        fail(ANEURALNETWORKS_BAD_DATA, "%s takes %zu to %zu inputs, got %zu", name_, least, most,
             inputCount());
    }
}

void OpView::outputs(std::initializer_list<size_t> counts) const {
    for (size_t count : counts)
        if (count == outputCount()) return;
    fail(ANEURALNETWORKS_BAD_DATA, "%s does not have %zu outputs", name_, outputCount());
}

const Operand& OpView::operator[](Ref ref) const {
    const auto& list = ref.output ? operation_.outputs : operation_.inputs;
    if (ref.index >= list.size()) refuse(ref, "is missing");
    return operands_[list[ref.index]];
}

bool OpView::has(Ref ref) const {
    const auto& list = ref.output ? operation_.outputs : operation_.inputs;
    return ref.index < list.size() && operands_[list[ref.index]].lifetime != Lifetime::OMITTED;
}

void OpView::optional(Ref ref) {
    if (ref.index >= 64) return;
    uint64_t& mask = ref.output ? operation_.optionalOutputs : operation_.optionalInputs;
    mask |= uint64_t{1} << ref.index;
}

void OpView::requireInputs() const {
    if (!isDue(When::LATER)) return;
    for (size_t i = 0; i < inputCount(); i++) {
        const bool optional = i < 64 && (operation_.optionalInputs >> i & 1) != 0;
        if (!optional && !has(in(i))) refuse(in(i), "must not be omitted");
    }
}

Type OpView::type(Ref ref, std::initializer_list<Since> allowed) {
    const Type type = (*this)[ref].type;
    for (const Since& one : allowed) {
        if (one.type != type) continue;
        since(one.level);
        return type;
    }
    fail(ANEURALNETWORKS_BAD_DATA, "%s: %s must not be %s", name_, label(ref).c_str(),
         typeName(type));
}

void OpView::sameType(std::initializer_list<Ref> refs) const {
    const Type first = (*this)[*refs.begin()].type;
    for (Ref ref : refs)
        if ((*this)[ref].type != first) refuse(ref, "differs in type");
}

void OpView::scalar(Ref ref, Type type) const {
    const Type given = (*this)[ref].type;
    if (given != type) {
        fail(ANEURALNETWORKS_BAD_DATA, "%s: %s must be %s, not %s", name_, label(ref).c_str(),
             typeName(type), typeName(given));
    }
}

void OpView::realScalar(Ref ref, Type tensor) const {
    scalar(ref, tensor == TENSOR_FLOAT16 ? FLOAT16 : FLOAT32);
}

void OpView::anyRealScalar(Ref ref, Type tensor) const {
    const bool half = tensor == TENSOR_FLOAT16 &&
                      (followsField() || (*this)[ref].type == FLOAT16);
    scalar(ref, half ? FLOAT16 : FLOAT32);
}

std::optional<float> OpView::realValue(Ref ref) const {
    if ((*this)[ref].type != FLOAT16) return value<float>(ref);
    const auto half = value<Half>(ref);
    if (!half) return std::nullopt;
    return toFloat(*half);
}

void OpView::rank(Ref ref, uint32_t least, uint32_t most, When when) const {
    const Operand& operand = (*this)[ref];
    if (!operand.rankKnown || !isDue(when)) return;
    if (operand.shape.rank < least || operand.shape.rank > most) {
        fail(ANEURALNETWORKS_BAD_DATA, "%s: %s must have rank %u to %u, not %u", name_,
             label(ref).c_str(), least, most, operand.shape.rank);
    }
}

std::optional<uint32_t> OpView::rankOf(Ref ref, When when) const {
    const Operand& operand = (*this)[ref];
    if (!operand.rankKnown || !isDue(when)) return std::nullopt;
    return operand.shape.rank;
}

std::optional<uint32_t> OpView::dimOf(Ref ref, uint32_t axis, When when) const {
    const Operand& operand = (*this)[ref];
    const auto rank = rankOf(ref, when);
    if (!rank || axis >= *rank) return std::nullopt;
    if (operand.shape[axis] == 0) return std::nullopt;
    return operand.shape[axis];
}

void OpView::dim(Ref ref, uint32_t axis, uint32_t size, When when) const {
    const auto known = dimOf(ref, axis, when);
    if (known && *known != size) refuse(ref, "has a wrong dimension");
}

void OpView::sameDim(Ref a, uint32_t axisA, Ref b, uint32_t axisB, When when) const {
    const auto first = dimOf(a, axisA, when);
    const auto second = dimOf(b, axisB, when);
    if (first && second && *first != *second) refuse(b, "has a dimension that does not match");
}

void OpView::sameRank(std::initializer_list<Ref> refs, When when) const {
    std::optional<uint32_t> known;
    for (Ref ref : refs) {
        const auto rank = rankOf(ref, when);
        if (!rank) continue;
        if (known && *known != *rank) refuse(ref, "differs in rank");
        known = rank;
    }
}

void OpView::sameShape(std::initializer_list<Ref> refs) const {
    sameRank(refs);
    for (const Ref* a = refs.begin(); a != refs.end(); a++) {
        const auto rank = rankOf(*a);
        for (const Ref* b = a + 1; rank && b != refs.end(); b++)
            for (uint32_t axis = 0; axis < *rank; axis++) sameDim(*a, axis, *b, axis);
    }
}

const Operand* OpView::constant(Ref ref, size_t size) const {
    const Operand& operand = (*this)[ref];
    if (operand.lifetime != Lifetime::CONSTANT || operand.length < size) return nullptr;
    if (!isDue(When::LATER)) return nullptr;
    return &operand;
}

void OpView::integer(Ref ref, int32_t least, int32_t most) const {
    scalar(ref, INT32);
    const auto known = value<int32_t>(ref);
    if (known && (*known < least || *known > most)) {
        fail(ANEURALNETWORKS_BAD_DATA, "%s: %s must be in [%d, %d], not %d", name_,
             label(ref).c_str(), least, most, *known);
    }
}

void OpView::optionalFlag(Ref ref, int level) {
    optional(ref);
    if (ref.index >= inputCount()) return;
    scalar(ref, BOOL);
    since(level);
}

void OpView::sameQuant(std::initializer_list<Ref> refs, When when) const {
    if (!isDue(when)) return;
    const Operand& first = (*this)[*refs.begin()];
    for (Ref ref : refs) {
        const Operand& other = (*this)[ref];
        if (other.scale != first.scale) refuse(ref, "differs in scale");
        if (other.zeroPoint != first.zeroPoint) refuse(ref, "differs in zero point");
    }
}

void OpView::quant(Ref ref, float scale, int32_t zeroPoint) const {
    const Operand& operand = (*this)[ref];
    if (!isQuantized(operand.type) || !isDue(When::LATER)) return;
    if (operand.scale != scale) refuse(ref, "has a scale that the operation does not allow");
    if (operand.zeroPoint != zeroPoint) {
        refuse(ref, "has a zero point that the operation does not allow");
    }
}

void OpView::bias(Ref bias, Ref input, Ref filter) const {
    const Operand& value = (*this)[bias];
    const Operand &x = (*this)[input], &w = (*this)[filter];
    if (!isQuantized(x.type)) {
        if (value.type != x.type) refuse(bias, "must have the type of the input");
        return;
    }
    if (value.type != TENSOR_INT32) refuse(bias, "must be TENSOR_INT32");
    if (!isDue(When::LATER)) return;
    if (value.zeroPoint != 0) refuse(bias, "must have zero point 0");
    if (w.type == TENSOR_QUANT8_SYMM_PER_CHANNEL) {
        if (value.scale != 0) refuse(bias, "must have scale 0 with a per-channel filter");
        return;
    }
    const double expected = static_cast<double>(x.scale) * w.scale;
    if (std::fabs(value.scale - expected) > expected * kBiasTolerance) {
        refuse(bias, "must have the scale of the input times that of the filter");
    }
}

}  // namespace nnapi
