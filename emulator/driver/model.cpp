#include "model.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "memory.h"
#include "readings.h"

namespace nnapi {
void Model::requireBuilding() const {
    if (state_ != State::BUILDING) {
        fail(ANEURALNETWORKS_BAD_STATE, "the model is finished: it cannot be changed");
    }
}

void Model::requireFinished() const {
    if (state_ == State::BUILDING) {
        fail(ANEURALNETWORKS_BAD_STATE, "the model is not finished: call Model_finish");
    }
    if (state_ == State::INVALID) {
        fail(ANEURALNETWORKS_BAD_DATA, "Model_finish refused this model");
    }
}

Operand& Model::operandAt(int32_t index) {
    if (index < 0 || static_cast<size_t>(index) >= operands_.size()) {
        fail(ANEURALNETWORKS_BAD_DATA, "no operand %d", index);
    }
    return operands_[index];
}

void Model::checkIndices(std::span<const uint32_t> indices) const {
    for (uint32_t index : indices)
        if (index >= operands_.size()) fail(ANEURALNETWORKS_BAD_DATA, "no operand %u", index);
}

void Model::addOperand(const ANeuralNetworksOperandType& type) {
    requireBuilding();
    if (operands_.size() >= INT32_MAX) fail(ANEURALNETWORKS_OUT_OF_MEMORY, "too many operands");
    operands_.push_back(makeOperand(type));
}

const void* Model::copied(const void* value, size_t length) {
    void* copy = values_.take(length);
    std::memcpy(copy, value, length);
    return copy;
}

Operand& Model::valueAt(int32_t index, bool model) {
    requireBuilding();
    Operand& operand = operandAt(index);
    if ((operand.type == MODEL) == model) return operand;
    fail(ANEURALNETWORKS_BAD_DATA,
         model ? "operand %d is not of type MODEL"
               : "operand %d is a MODEL: use setOperandValueFromModel",
         index);
}

void Model::checkConstant(int32_t index, size_t length) const {
    const Operand& operand = operands_[index];
    if (!operand.fullySpecified()) {
        fail(ANEURALNETWORKS_BAD_DATA, "a constant needs all its dimensions (operand %d)", index);
    }
    if (!operand.takes(length)) {
        fail(ANEURALNETWORKS_BAD_DATA, "operand %d has %zu bytes, not %zu", index, operand.bytes(),
             length);
    }
}

void Model::setValue(int32_t index, const void* buffer, size_t length) {
    Operand& operand = valueAt(index, false);
    if (buffer == nullptr) {
        if (length != 0) fail(ANEURALNETWORKS_UNEXPECTED_NULL, "buffer is null, length is not 0");
        operand.lifetime = Lifetime::OMITTED;
        operand.data = nullptr;
        operand.length = 0;
        operand.memory = nullptr;
        return;
    }
    checkConstant(index, length);
    // Long values stay where they are, unless kernels could not read them there.
    const bool stays = length > ANEURALNETWORKS_MAX_SIZE_OF_IMMEDIATELY_COPIED_VALUES &&
                       isAligned(buffer, operand.type);
    operand.data = stays ? buffer : copied(buffer, length);
    operand.lifetime = Lifetime::CONSTANT;
    operand.length = length;
    operand.memory = nullptr;
}

void Model::setValueFromMemory(int32_t index, std::shared_ptr<const Memory> memory, size_t offset,
                               size_t length) {
    Operand& operand = valueAt(index, false);
    checkConstant(index, length);
    operand.data = memory->region(offset, length, Memory::READ);
    operand.lifetime = Lifetime::CONSTANT;
    operand.length = length;
    if (isAligned(operand.data, operand.type)) {
        operand.memory = std::move(memory);
    } else {
        operand.data = copied(operand.data, length);
        operand.memory = nullptr;
    }
}

void Model::setValueFromModel(int32_t index, std::shared_ptr<const Model> value) {
    requireBuilding();
    value->requireFinished();
    Operand& operand = valueAt(index, true);
    if (value->depth_ + 1 > kMaxDepth) {
        fail(ANEURALNETWORKS_BAD_DATA, "models referenced more than %d deep", kMaxDepth);
    }
    depth_ = std::max(depth_, value->depth_ + 1);
    operand.lifetime = Lifetime::SUBGRAPH;
    operand.subgraph = std::move(value);
}

void Model::setChannelQuant(int32_t index,
                            const ANeuralNetworksSymmPerChannelQuantParams& params) {
    requireBuilding();
    Operand& operand = operandAt(index);
    if (operand.type != TENSOR_QUANT8_SYMM_PER_CHANNEL) {
        fail(ANEURALNETWORKS_BAD_DATA, "operand %d is not TENSOR_QUANT8_SYMM_PER_CHANNEL", index);
    }
    if (!operand.rankKnown || params.channelDim >= operand.shape.rank) {
        fail(ANEURALNETWORKS_BAD_DATA, "operand %d has no dimension %u", index, params.channelDim);
    }
    const uint32_t channels = operand.shape[params.channelDim];
    if (channels == 0 || params.scaleCount != channels) {
        fail(ANEURALNETWORKS_BAD_DATA, "%u scales for %u channels", params.scaleCount, channels);
    }
    if (params.scales == nullptr) {
        fail(followsField() ? ANEURALNETWORKS_BAD_DATA : ANEURALNETWORKS_UNEXPECTED_NULL,
             "scales are null");
    }
    for (uint32_t i = 0; i < channels; i++) {
        if (!(params.scales[i] > 0) || !std::isfinite(params.scales[i])) {
            fail(ANEURALNETWORKS_BAD_DATA, "scale %u is not above 0", i);
        }
    }
    operand.channels = std::make_shared<const ChannelQuant>(ChannelQuant{
        params.channelDim, std::vector<float>(params.scales, params.scales + channels)});
}

void Model::addOperation(int32_t code, std::span<const uint32_t> inputs,
                         std::span<const uint32_t> outputs) {
    requireBuilding();
    if ((code < 0 || code >= kOperationCount) && code != kOemOperation) {
        fail(ANEURALNETWORKS_BAD_DATA, "unknown operation %d", code);
    }
    checkIndices(inputs);
    checkIndices(outputs);
    Operation operation;
    operation.code = code;
    operation.inputs.assign(inputs.begin(), inputs.end());
    operation.outputs.assign(outputs.begin(), outputs.end());
    if (followsField()) validateSignature(operation);
    operations_.push_back(std::move(operation));
}

void Model::identify(std::span<const uint32_t> inputs, std::span<const uint32_t> outputs) {
    requireBuilding();
    if (inputs.empty()) fail(ANEURALNETWORKS_BAD_DATA, "a model needs at least one input");
    if (outputs.empty()) fail(ANEURALNETWORKS_BAD_DATA, "a model needs at least one output");
    checkIndices(inputs);
    checkIndices(outputs);
    std::vector<uint8_t> seen(operands_.size(), 0);
    for (std::span<const uint32_t> list : {inputs, outputs}) {
        for (uint32_t index : list) {
            if (seen[index]++ != 0) {
                fail(ANEURALNETWORKS_BAD_DATA, "operand %u is identified twice", index);
            }
        }
    }
    inputs_.assign(inputs.begin(), inputs.end());
    outputs_.assign(outputs.begin(), outputs.end());
}

void Model::relax(bool allow) {
    requireBuilding();
    relaxed_ = allow;
}

}  // namespace nnapi
