// A compiled model: operations in order, where each value dies, work done once for constants.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "deadline.h"
#include "partition.h"
#include "workspace.h"

namespace nnapi {

class Plan;

/// An operand of a running model. `block` owns the bytes where the executor allocated them.
struct Slot {
    Tensor tensor;
    Pool::Block* block = nullptr;
    const Shape* declared = nullptr;  // the model's dimensions; null: the rank is not known
    int32_t output = -1;              // place among the model's outputs
    bool read = false;                // an operation of the model reads it
};

/// One operation of a plan.
struct Step {
    const Operation* operation = nullptr;
    const ANeuralNetworksDevice* enters = nullptr;  // first of a part on a device with delays
    std::vector<uint32_t> dying;         // temporaries that no later step reads
    std::shared_ptr<const void> packed;  // from Kernel::pack
    const Plan* models[2] = {nullptr, nullptr};  // IF: then, else; WHILE: condition, body
};

class Plan {
public:
    const Model& model() const { return *model_; }
    /// The operands before the first step: constants and omitted operands are filled in.
    const std::vector<Slot>& prototype() const { return prototype_; }
    const std::vector<Step>& steps() const { return steps_; }

private:
    friend class Planner;
    const Model* model_ = nullptr;
    std::vector<Slot> prototype_;
    std::vector<Step> steps_;
};

/// The plans of a main model and all models that it references.
class Planner {
public:
    /// Plans a main model whose operations were assigned to devices. Refuses with
    /// MISSED_DEADLINE_PERSISTENT when the deadline passes meanwhile.
    const Plan* plan(const Model& model, const Assignment& assignment, const DeviceList& devices,
                     const Deadline& deadline);
    /// Plans a model in its own order, without devices that need attention.
    const Plan* plan(const Model& model, const Deadline& deadline);

private:
    std::unique_ptr<Plan> begin(const Model& model) const;
    void addStep(Plan& plan, uint32_t index, const ANeuralNetworksDevice* enters,
                 const Deadline& deadline);
    const Plan* end(std::unique_ptr<Plan> plan);

    std::map<const Model*, std::unique_ptr<Plan>> plans_;
};

}  // namespace nnapi
