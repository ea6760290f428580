#include "plan.h"

#include "kernels/kernel.h"

namespace nnapi {
namespace {

Slot makeSlot(const Operand& operand) {
    Slot slot;
    slot.tensor.type = operand.type;
    slot.tensor.scale = operand.scale;
    slot.tensor.zeroPoint = operand.zeroPoint;
    slot.tensor.channels = operand.channels.get();
    slot.tensor.shape = operand.shape;
    slot.tensor.omitted = operand.lifetime == Lifetime::OMITTED;
    // Kernels read constants only; Tensor is shared with outputs, hence the cast.
    slot.tensor.data = const_cast<void*>(operand.data);
    slot.declared = operand.rankKnown ? &operand.shape : nullptr;
    return slot;
}

}  // namespace

std::unique_ptr<Plan> Planner::begin(const Model& model) const {
    auto plan = std::make_unique<Plan>();
    plan->model_ = &model;
    const auto operands = model.operands();
    plan->prototype_.reserve(operands.size());
    for (const Operand& operand : operands) plan->prototype_.push_back(makeSlot(operand));
    for (size_t i = 0; i < model.outputs().size(); i++) {
        plan->prototype_[model.outputs()[i]].output = static_cast<int32_t>(i);
    }
    plan->steps_.reserve(model.operations().size());
    return plan;
}

void Planner::addStep(Plan& plan, uint32_t index, const ANeuralNetworksDevice* enters,
                      const Deadline& deadline) {
    deadline.check();
    const auto operands = plan.model_->operands();
    const Operation& operation = plan.model_->operations()[index];
    if (!operation.supported) {
        fail(ANEURALNETWORKS_BAD_DATA, "operation %u (code %d) is not supported", index,
             operation.code);
    }
    Step step;
    step.operation = &operation;
    step.enters = enters;
    for (uint32_t input : operation.inputs) plan.prototype_[input].read = true;
    if (operation.isControlFlow()) {
        const size_t first = operation.code == ANEURALNETWORKS_IF ? 1 : 0;
        for (size_t i = 0; i < 2; i++) {
            step.models[i] = this->plan(*operands[operation.inputs[first + i]].subgraph, deadline);
        }
    } else if (operation.kernel->pack != nullptr && operation.refusal.empty()) {
        Operation copy = operation;  // OpView notes levels; the model stays as it is
        step.packed = operation.kernel->pack(OpView(operands, copy, operation.kernel->name));
    }
    plan.steps_.push_back(std::move(step));
}

const Plan* Planner::end(std::unique_ptr<Plan> plan) {
    const auto operands = plan->model_->operands();
    std::vector<int32_t> lastUse(operands.size(), -1);
    for (size_t i = 0; i < plan->steps_.size(); i++) {
        const Operation& operation = *plan->steps_[i].operation;
        for (const auto* list : {&operation.inputs, &operation.outputs})
            for (uint32_t operand : *list) lastUse[operand] = static_cast<int32_t>(i);
    }
    for (size_t i = 0; i < operands.size(); i++) {
        if (operands[i].lifetime == Lifetime::TEMPORARY && lastUse[i] >= 0) {
            plan->steps_[lastUse[i]].dying.push_back(static_cast<uint32_t>(i));
        }
    }
    const Model* model = plan->model_;
    return plans_.emplace(model, std::move(plan)).first->second.get();
}

const Plan* Planner::plan(const Model& model, const Assignment& assignment,
                          const DeviceList& devices, const Deadline& deadline) {
    auto plan = begin(model);
    uint32_t parts = 0;
    for (size_t i = 0; i < assignment.entries.size(); i++) {
        const auto& [index, device] = assignment.entries[i];
        const ANeuralNetworksDevice* enters = nullptr;
        if (i == 0 || assignment.entries[i - 1].device != device) {
            parts++;
            enters = devices[device]->needsAttention() ? devices[device] : nullptr;
            logNote("part %u begins with operation %u on %s", parts, index,
                    devices[device]->name.c_str());
        }
        addStep(*plan, index, enters, deadline);
    }
    return end(std::move(plan));
}

const Plan* Planner::plan(const Model& model, const Deadline& deadline) {
    if (const auto known = plans_.find(&model); known != plans_.end()) return known->second.get();
    auto plan = begin(model);
    for (uint32_t index : model.order()) addStep(*plan, index, nullptr, deadline);
    return end(std::move(plan));
}

}  // namespace nnapi
