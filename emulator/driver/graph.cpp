// ANeuralNetworksModel_finish: the rules of the graph, then those of each operation.

#include <algorithm>
#include <iterator>
#include <queue>

#include "device.h"
#include "kernels/kernel.h"
#include "model.h"
#include "readings.h"

namespace nnapi {
namespace {

#define NNAPI_LEVEL(name, code, since) since,
constexpr int kOperationLevels[] = {NNAPI_OPERATIONS(NNAPI_LEVEL)};
constexpr int kTypeLevels[] = {NNAPI_OPERAND_TYPES(NNAPI_LEVEL)};
#undef NNAPI_LEVEL
static_assert(std::size(kOperationLevels) == kOperationCount, "one row for each code, in order");
static_assert(std::size(kTypeLevels) == kDocumentedTypes, "one row for each code, in order");

}  // namespace

void Model::finish() {
    requireBuilding();
    state_ = State::INVALID;
    check();
    state_ = State::FINISHED;
}

void Model::check() {
    if (inputs_.empty() || outputs_.empty()) {
        fail(ANEURALNETWORKS_BAD_DATA, "inputs and outputs are not identified");
    }
    assignLifetimes();
    std::vector<int32_t> writer(operands_.size(), -1);
    for (size_t i = 0; i < operations_.size(); i++) {
        for (uint32_t output : operations_[i].outputs) {
            const Lifetime lifetime = operands_[output].lifetime;
            if (lifetime != Lifetime::TEMPORARY && lifetime != Lifetime::OUTPUT) {
                fail(ANEURALNETWORKS_BAD_DATA,
                     "operation %zu writes operand %u, an input or constant", i, output);
            }
            if (writer[output] >= 0) {
                fail(ANEURALNETWORKS_BAD_DATA, "operand %u is written twice", output);
            }
            writer[output] = static_cast<int32_t>(i);
        }
    }
    for (size_t i = 0; i < operands_.size(); i++) {
        const Operand& operand = operands_[i];
        const bool written =
            operand.lifetime == Lifetime::TEMPORARY || operand.lifetime == Lifetime::OUTPUT;
        if (written && writer[i] < 0) {
            fail(ANEURALNETWORKS_BAD_DATA,
                 "operand %zu is no input, has no value, and no operation writes it", i);
        }
        if (operand.type == MODEL && operand.lifetime != Lifetime::SUBGRAPH) {
            fail(ANEURALNETWORKS_BAD_DATA, "operand %zu is a MODEL without a model", i);
        }
        if (operand.type == TENSOR_QUANT8_SYMM_PER_CHANNEL && operand.channels == nullptr &&
            operand.lifetime != Lifetime::OMITTED) {
            fail(ANEURALNETWORKS_BAD_DATA, "operand %zu lacks per-channel parameters", i);
        }
    }
    sortOperations(writer);
    validateOperations();
}

void Model::assignLifetimes() {
    for (uint32_t index : inputs_) {
        if (operands_[index].lifetime != Lifetime::TEMPORARY) {
            fail(ANEURALNETWORKS_BAD_DATA, "operand %u is an input and has a value", index);
        }
        operands_[index].lifetime = Lifetime::INPUT;
    }
    for (uint32_t index : outputs_) {
        if (operands_[index].lifetime != Lifetime::TEMPORARY) {
            fail(ANEURALNETWORKS_BAD_DATA, "operand %u is an output and has a value", index);
        }
        operands_[index].lifetime = Lifetime::OUTPUT;
    }
}

void Model::sortOperations(const std::vector<int32_t>& writer) {
    const size_t count = operations_.size();
    std::vector<uint32_t> waiting(count, 0);
    std::vector<std::vector<uint32_t>> readers(count);
    for (size_t i = 0; i < count; i++) {
        for (uint32_t input : operations_[i].inputs) {
            if (writer[input] < 0) continue;
            waiting[i]++;
            readers[writer[input]].push_back(static_cast<uint32_t>(i));
        }
    }
    // The ready operation that was added first comes first.
    std::priority_queue<uint32_t, std::vector<uint32_t>, std::greater<>> ready;
    for (size_t i = 0; i < count; i++)
        if (waiting[i] == 0) ready.push(static_cast<uint32_t>(i));
    order_.clear();
    order_.reserve(count);
    while (!ready.empty()) {
        const uint32_t next = ready.top();
        ready.pop();
        order_.push_back(next);
        for (uint32_t reader : readers[next])
            if (--waiting[reader] == 0) ready.push(reader);
    }
    if (order_.size() != count) fail(ANEURALNETWORKS_BAD_DATA, "the graph has a cycle");
}

void Model::validateOperations() {
    supported_ = true;
    devices_ = ~DeviceMask{0};
    for (Operation& operation : operations_) {
        if (operation.outputs.empty()) {
            fail(ANEURALNETWORKS_BAD_DATA, "operation %d has no outputs", operation.code);
        }
        operation.kernel = findKernel(operation.code);
        validateOperation(operation);
        supported_ = supported_ && operation.supported;
        findDevices(operation);
        devices_ &= operation.devices;
    }
}

/// When the operation is added: counts and types.
void Model::validateSignature(Operation& operation) const {
    const Kernel* kernel = findKernel(operation.code);
    if (operation.isControlFlow()) {
        validateControlFlow(operands_, operation, false);
    } else if (kernel != nullptr) {
        OpView view(operands_, operation, kernel->name, Stage::SIGNATURE);
        kernel->validate(view);
    }
}

void Model::validateOperation(Operation& operation) const {
    if (operation.isControlFlow()) {
        validateControlFlow(operands_, operation, true);
        operation.level = 4;
        operation.supported = true;
        for (uint32_t input : operation.inputs) {
            const auto& model = operands_[input].subgraph;
            if (model && !model->supported()) operation.supported = false;
        }
        return;
    }
    if (operation.kernel == nullptr) return;
    // Before anything is refused, the level of this use and the optional inputs are noted.
    if (followsField()) validateSignature(operation);
    try {
        OpView view(operands_, operation, operation.kernel->name);
        operation.kernel->validate(view);
        view.requireInputs();
    } catch (const Refusal& refusal) {
        if (!followsField()) throw;
        operation.refusal = refusal.what();
    }
    operation.supported = true;
}

/// The level of this use, which the kernel has raised for its signature, and who claims it.
void Model::findDevices(Operation& operation) const {
    if (operation.code == kOemOperation) return;
    operation.level = std::max(operation.level, kOperationLevels[operation.code]);
    for (const auto* list : {&operation.inputs, &operation.outputs}) {
        for (uint32_t index : *list) {
            if (operands_[index].type >= kDocumentedTypes) continue;
            operation.level = std::max(operation.level, kTypeLevels[operands_[index].type]);
        }
    }
    DeviceMask bit = 1;
    for (const ANeuralNetworksDevice& device : nnapi::devices()) {
        if (device.supports(operation, operands_)) operation.devices |= bit;
        bit <<= 1;
    }
}

}  // namespace nnapi
