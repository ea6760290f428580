#include "memory_desc.h"

#include <algorithm>

#include "compilation.h"

namespace nnapi {
namespace {

bool sameChannels(const ChannelQuant* a, const ChannelQuant* b) {
    if (a == nullptr || b == nullptr) return a == b;
    return a->channelDim == b->channelDim && a->scales == b->scales;
}

}  // namespace

void MemoryDesc::requireUnfinished() const {
    if (finished_) fail(ANEURALNETWORKS_BAD_STATE, "the memory descriptor is finished");
}

void MemoryDesc::addRole(MemoryRole role, float frequency) {
    requireUnfinished();
    const Model& model = role.compilation->model();
    const auto list = role.output ? model.outputs() : model.inputs();
    if (role.index >= list.size()) fail(ANEURALNETWORKS_BAD_DATA, "no operand %u", role.index);
    if (!(frequency > 0.0f && frequency <= 1.0f)) {
        fail(ANEURALNETWORKS_BAD_DATA, "the frequency must be in (0, 1]");
    }
    if (std::find(roles_.begin(), roles_.end(), role) != roles_.end()) {
        fail(ANEURALNETWORKS_BAD_DATA, "the role is specified twice");
    }
    const Operand& operand = model.operands()[list[role.index]];
    Operand merged = operand_;
    if (roles_.empty()) {
        merged.type = operand.type;
        merged.scale = operand.scale;
        merged.zeroPoint = operand.zeroPoint;
        merged.channels = operand.channels;
        if (!hasDimensions_) merged.rankKnown = false;
    } else if (merged.type != operand.type || merged.scale != operand.scale ||
               merged.zeroPoint != operand.zeroPoint ||
               !sameChannels(merged.channels.get(), operand.channels.get())) {
        fail(ANEURALNETWORKS_BAD_DATA, "the roles differ in type or quantization");
    }
    mergeDimensions(merged, operand);
    operand_ = std::move(merged);
    roles_.push_back(std::move(role));
}

void MemoryDesc::setDimensions(std::span<const uint32_t> dimensions) {
    requireUnfinished();
    Operand given;
    given.rankKnown = !dimensions.empty();
    for (uint32_t dim : dimensions) given.shape.push(dim);
    Operand merged = operand_;
    if (roles_.empty() && !hasDimensions_) merged.rankKnown = false;
    mergeDimensions(merged, given);
    operand_ = std::move(merged);
    hasDimensions_ = true;
}

void MemoryDesc::finish() {
    requireUnfinished();
    if (roles_.empty()) fail(ANEURALNETWORKS_BAD_DATA, "the memory descriptor has no roles");
    requireSize(operand_);
    finished_ = true;
}

std::shared_ptr<Memory> MemoryDesc::make() const {
    if (!finished_) fail(ANEURALNETWORKS_BAD_STATE, "the memory descriptor is not finished");
    return Memory::forRoles(roles_, operand_);
}

}  // namespace nnapi
