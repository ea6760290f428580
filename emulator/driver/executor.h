// Runs a plan: prepares, allocates and executes one operation after the other; IF and WHILE
// recurse into the referenced models.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/kernel.h"
#include "plan.h"

namespace nnapi {

/// Where an output of a model goes, and what became of it.
struct OutputBinding {
    /// The caller's buffer, aligned for the type; null: the executor allocates.
    void* data = nullptr;
    size_t capacity = 0;
    /// Dimensions that the value must have, on top of the model's; null: none.
    const Shape* declared = nullptr;
    /// A value of more bytes is not wanted: the execution fails anyway, and nobody else reads it.
    /// SIZE_MAX: it is wanted in any case.
    size_t limit = SIZE_MAX;

    /// The value. `value.block` is null when it was written to `data`, or not computed.
    Slot value;
    bool written = false;  // the shape is known
};

/// Limits and flags of one execution.
struct ExecutionLimits {
    bool relaxed = false;
    Deadline deadline;
    uint64_t loopTimeout = 0;  // nanoseconds that each WHILE may take
};

class Executor {
public:
    Executor(Workspace& workspace, const ExecutionLimits& limits)
        : workspace_(workspace), limits_(limits) {}

    /// Runs a model. `inputs` match its inputs in number and type; their shapes are checked.
    /// An output that does not fit its buffer is left in a block of the pool.
    void run(const Plan& plan, std::span<const Tensor> inputs, std::span<OutputBinding> outputs);

private:
    void runKernel(const Step& step, Slot* frame, std::span<OutputBinding> outputs);
    void runIf(const Step& step, Slot* frame, std::span<OutputBinding> outputs);
    void runWhile(const Step& step, Slot* frame, std::span<OutputBinding> outputs);
    /// What the description of a device asks for where a part begins.
    void enter(const ANeuralNetworksDevice& device) const;
    /// The shape of an output of the model is known from here on; refuses one that is not allowed.
    static void noteShape(const Slot& slot, std::span<OutputBinding> outputs);
    bool runCondition(const Plan& plan, std::span<const Tensor> inputs);
    /// Gives an output operand of known shape its bytes.
    void allocate(Slot& slot, std::span<OutputBinding> outputs);
    /// True where no output of the operation is needed and at least one does not fit: then it is
    /// not executed. The shapes are known all the same.
    bool isUnwanted(const Operation& operation, const Slot* frame,
                    std::span<OutputBinding> outputs) const;
    /// Moves the value of a referenced model's output to the operand that receives it.
    void receive(Slot& slot, OutputBinding& from, std::span<OutputBinding> outputs);
    template <class T>
    std::span<T> array(size_t count);

    Workspace& workspace_;
    const ExecutionLimits& limits_;
};

}  // namespace nnapi
