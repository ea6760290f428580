#include "model.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "memory.h"

namespace nnapi {
namespace {

// No tensor above this size: real ones do not come near, and sums of sizes cannot overflow.
constexpr uint64_t kMaxTensorBytes = uint64_t{1} << 32;

void checkQuantization(const Operand& operand) {
    const auto requireScale = [&] {
        if (!(operand.scale > 0) || !std::isfinite(operand.scale)) {
            fail(ANEURALNETWORKS_BAD_DATA, "%s needs a scale above 0", typeName(operand.type));
        }
    };
    const auto requireZeroPoint = [&](int32_t least, int32_t most) {
        if (operand.zeroPoint < least || operand.zeroPoint > most) {
            fail(ANEURALNETWORKS_BAD_DATA, "%s needs a zero point in [%d, %d]",
                 typeName(operand.type), least, most);
        }
    };
    switch (operand.type) {
        case TENSOR_QUANT8_ASYMM:
            requireScale();
            return requireZeroPoint(0, 255);
        case TENSOR_QUANT8_ASYMM_SIGNED:
            requireScale();
            return requireZeroPoint(-128, 127);
        case TENSOR_QUANT16_ASYMM:
            requireScale();
            return requireZeroPoint(0, 65535);
        case TENSOR_QUANT8_SYMM:
        case TENSOR_QUANT16_SYMM:
            requireScale();
            return requireZeroPoint(0, 0);
        case TENSOR_INT32:  // a bias has a scale
            if (!(operand.scale >= 0) || !std::isfinite(operand.scale)) {
                fail(ANEURALNETWORKS_BAD_DATA, "TENSOR_INT32 with a negative scale");
            }
            return requireZeroPoint(0, 0);
        default:
            if (operand.scale != 0) {
                fail(ANEURALNETWORKS_BAD_DATA, "%s has no scale", typeName(operand.type));
            }
            return requireZeroPoint(0, 0);
    }
}

}  // namespace

bool Operand::fullySpecified() const {
    return rankKnown && std::find(shape.begin(), shape.end(), 0u) == shape.end();
}

Operand makeOperand(const ANeuralNetworksOperandType& type) {
    if (type.type < 0 || type.type >= kTypeCount) {
        fail(ANEURALNETWORKS_BAD_DATA, "unknown operand type %d", type.type);
    }
    Operand operand;
    operand.type = static_cast<Type>(type.type);
    operand.scale = type.scale;
    operand.zeroPoint = type.zeroPoint;
    if (!isTensor(operand.type)) {
        if (type.dimensionCount != 0) {
            fail(ANEURALNETWORKS_BAD_DATA, "%s must not have dimensions", typeName(operand.type));
        }
    } else if (type.dimensionCount == 0) {
        operand.rankKnown = false;
    } else {
        if (type.dimensions == nullptr) {
            fail(ANEURALNETWORKS_UNEXPECTED_NULL, "dimensions are null");
        }
        uint64_t bytes = elementSize(operand.type);
        for (uint32_t i = 0; i < type.dimensionCount; i++) {
            operand.shape.push(type.dimensions[i]);
            if (type.dimensions[i] != 0) bytes *= type.dimensions[i];
            if (bytes >= kMaxTensorBytes) fail(ANEURALNETWORKS_BAD_DATA, "tensor of 4 GiB or more");
        }
    }
    checkQuantization(operand);
    return operand;
}

void mergeDimensions(Operand& a, const Operand& b) {
    if (!b.rankKnown) return;
    if (!a.rankKnown) {
        a.rankKnown = true;
        a.shape = b.shape;
        return;
    }
    if (a.shape.rank != b.shape.rank) fail(ANEURALNETWORKS_BAD_DATA, "the ranks differ");
    for (uint32_t i = 0; i < a.shape.rank; i++) {
        if (b.shape[i] == 0) continue;
        if (a.shape[i] != 0 && a.shape[i] != b.shape[i]) {
            fail(ANEURALNETWORKS_BAD_DATA, "dimension %u is %u, not %u", i, a.shape[i], b.shape[i]);
        }
        a.shape[i] = b.shape[i];
    }
}

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

void Model::setValue(int32_t index, const void* buffer, size_t length) {
    requireBuilding();
    Operand& operand = operandAt(index);
    if (operand.type == MODEL) {
        fail(ANEURALNETWORKS_BAD_DATA, "operand %d is a MODEL: use setOperandValueFromModel", index);
    }
    if (buffer == nullptr) {
        if (length != 0) fail(ANEURALNETWORKS_UNEXPECTED_NULL, "buffer is null, length is not 0");
        operand.lifetime = Lifetime::OMITTED;
        operand.data = nullptr;
        operand.length = 0;
        operand.memory = nullptr;
        return;
    }
    if (!operand.fullySpecified()) {
        fail(ANEURALNETWORKS_BAD_DATA, "a constant needs all its dimensions (operand %d)", index);
    }
    if (length != operand.bytes()) {
        fail(ANEURALNETWORKS_BAD_DATA, "operand %d has %zu bytes, not %zu", index, operand.bytes(),
             length);
    }
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
    requireBuilding();
    Operand& operand = operandAt(index);
    if (operand.type == MODEL) {
        fail(ANEURALNETWORKS_BAD_DATA, "operand %d is a MODEL: use setOperandValueFromModel", index);
    }
    if (!operand.fullySpecified()) {
        fail(ANEURALNETWORKS_BAD_DATA, "a constant needs all its dimensions (operand %d)", index);
    }
    if (length != operand.bytes()) {
        fail(ANEURALNETWORKS_BAD_DATA, "operand %d has %zu bytes, not %zu", index, operand.bytes(),
             length);
    }
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
    Operand& operand = operandAt(index);
    if (operand.type != MODEL) {
        fail(ANEURALNETWORKS_BAD_DATA, "operand %d is not of type MODEL", index);
    }
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
    if (params.scales == nullptr) fail(ANEURALNETWORKS_UNEXPECTED_NULL, "scales are null");
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
    if (code < 0 || code > ANEURALNETWORKS_REVERSE) {
        fail(ANEURALNETWORKS_BAD_DATA, "unknown operation %d", code);
    }
    checkIndices(inputs);
    checkIndices(outputs);
    Operation operation;
    operation.code = code;
    operation.inputs.assign(inputs.begin(), inputs.end());
    operation.outputs.assign(outputs.begin(), outputs.end());
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
