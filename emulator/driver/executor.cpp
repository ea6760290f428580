#include "executor.h"

#include <cstring>
#include <memory>
#include <new>

#include "readings.h"

namespace nnapi {
namespace {

/// Refuses a shape that contradicts the declared dimensions (null: anything goes).
void requireFit(const Shape& shape, const Shape* declared, const char* what) {
    if (declared == nullptr) return;
    bool fits = declared->rank == shape.rank;
    for (uint32_t i = 0; fits && i < shape.rank; i++) {
        fits = (*declared)[i] == 0 || (*declared)[i] == shape[i];
    }
    if (!fits) fail(refusalAtExecution(), "%s has other dimensions than declared", what);
}

}  // namespace

template <class T>
std::span<T> Executor::array(size_t count) {
    T* first = static_cast<T*>(workspace_.arena.take(count * sizeof(T)));
    for (size_t i = 0; i < count; i++) new (first + i) T();
    return {first, count};
}

void Executor::run(const Plan& plan, std::span<const Tensor> inputs,
                   std::span<OutputBinding> outputs) {
    const auto mark = workspace_.arena.mark();
    const auto& prototype = plan.prototype();
    Slot* frame = static_cast<Slot*>(workspace_.arena.take(prototype.size() * sizeof(Slot)));
    std::uninitialized_copy(prototype.begin(), prototype.end(), frame);
    const auto ids = plan.model().inputs();
    for (size_t i = 0; i < ids.size(); i++) {
        Slot& slot = frame[ids[i]];
        if (inputs[i].omitted) {
            slot.tensor.omitted = true;
            continue;
        }
        requireFit(inputs[i].shape, slot.declared, "an input");
        slot.tensor.shape = inputs[i].shape;
        slot.tensor.data = inputs[i].data;
    }
    for (const Step& step : plan.steps()) {
        limits_.deadline.check();
        if (step.enters != nullptr) enter(*step.enters);
        switch (step.operation->code) {
            case ANEURALNETWORKS_IF: runIf(step, frame, outputs); break;
            case ANEURALNETWORKS_WHILE: runWhile(step, frame, outputs); break;
            default: runKernel(step, frame, outputs);
        }
        for (uint32_t dead : step.dying) {
            workspace_.pool.release(frame[dead].block);
            frame[dead].block = nullptr;
        }
    }
    for (size_t i = 0; i < outputs.size(); i++) {
        outputs[i].value = frame[plan.model().outputs()[i]];
    }
    workspace_.arena.release(mark);
}

void Executor::enter(const ANeuralNetworksDevice& device) const {
    if (device.fails == ANeuralNetworksDevice::Failure::EXECUTION) {
        throw DeviceFailure(ANEURALNETWORKS_OP_FAILED, device.name + " fails to execute");
    }
    limits_.deadline.sleep(device.executionTime);
}

void Executor::noteShape(const Slot& slot, std::span<OutputBinding> outputs) {
    if (slot.output < 0) return;
    OutputBinding& binding = outputs[slot.output];
    requireFit(slot.tensor.shape, binding.declared, "an output");
    binding.written = true;
    binding.value.tensor.shape = slot.tensor.shape;
}

bool Executor::isUnwanted(const Operation& operation, const Slot* frame,
                          std::span<OutputBinding> outputs) const {
    bool tooLarge = false;
    for (uint32_t index : operation.outputs) {
        const Slot& slot = frame[index];
        if (slot.read) return false;
        if (slot.output < 0) continue;  // a value without any use
        const size_t limit = outputs[slot.output].limit;
        if (limit == SIZE_MAX) return false;
        tooLarge = tooLarge || slot.tensor.bytes() > limit;
    }
    return tooLarge;
}

void Executor::allocate(Slot& slot, std::span<OutputBinding> outputs) {
    const size_t bytes = slot.tensor.bytes();
    noteShape(slot, outputs);
    if (slot.output >= 0) {
        const OutputBinding& binding = outputs[slot.output];
        if (binding.data != nullptr && bytes <= binding.capacity) {
            slot.tensor.data = binding.data;
            return;
        }
    }
    slot.block = workspace_.pool.take(bytes);
    slot.tensor.data = slot.block->bytes.get();
}

void Executor::runKernel(const Step& step, Slot* frame, std::span<OutputBinding> outputs) {
    const Operation& operation = *step.operation;
    if (!operation.refusal.empty()) {
        fail(refusalAtExecution(), "%s", operation.refusal.c_str());
    }
    const auto mark = workspace_.arena.mark();
    const auto inputs = array<Tensor*>(operation.inputs.size());
    const auto results = array<Tensor*>(operation.outputs.size());
    const auto declared = array<const Shape*>(operation.outputs.size());
    for (size_t i = 0; i < inputs.size(); i++) {
        inputs[i] = &frame[operation.inputs[i]].tensor;
        if (inputs[i]->omitted && (i >= 64 || (operation.optionalInputs >> i & 1) == 0)) {
            fail(refusalAtExecution(), "%s: input %zu must not be omitted",
                 operation.kernel->name, i);
        }
    }
    for (size_t i = 0; i < results.size(); i++) {
        results[i] = &frame[operation.outputs[i]].tensor;
        declared[i] = frame[operation.outputs[i]].declared;
    }
    Context context;
    context.code_ = operation.code;
    context.relaxed_ = limits_.relaxed;
    context.name_ = operation.kernel->name;
    context.inputs_ = inputs;
    context.outputs_ = results;
    context.declared_ = declared;
    context.scratch_ = &workspace_.arena;
    context.packed_ = step.packed.get();
    context.deadline_ = &limits_.deadline;
    operation.kernel->prepare(context);
    if (isUnwanted(operation, frame, outputs)) {
        for (uint32_t output : operation.outputs) noteShape(frame[output], outputs);
        workspace_.arena.release(mark);
        return;
    }
    for (uint32_t output : operation.outputs) allocate(frame[output], outputs);
    operation.kernel->execute(context);
    workspace_.arena.release(mark);
}

void Executor::receive(Slot& slot, OutputBinding& from, std::span<OutputBinding> outputs) {
    const Tensor& value = from.value.tensor;
    requireFit(value.shape, slot.declared, "an output of a referenced model");
    slot.tensor.shape = value.shape;
    noteShape(slot, outputs);
    if (value.data == nullptr) return;  // unwanted: it does not fit, or another output does not
    if (slot.output >= 0) {
        const OutputBinding& binding = outputs[slot.output];
        if (binding.data != nullptr && value.bytes() <= binding.capacity) {
            slot.tensor.data = binding.data;
            // The branch of an IF may have written it in place already.
            if (value.data != binding.data && value.bytes() != 0) {
                std::memcpy(slot.tensor.data, value.data, value.bytes());
            }
            workspace_.pool.release(from.value.block);
            return;
        }
    }
    slot.block = from.value.block;
    slot.tensor.data = value.data;
}

void Executor::runIf(const Step& step, Slot* frame, std::span<OutputBinding> outputs) {
    const Operation& operation = *step.operation;
    const auto mark = workspace_.arena.mark();
    const Tensor& condition = frame[operation.inputs[0]].tensor;
    if (condition.omitted || condition.count() != 1) {
        fail(refusalAtExecution(), "IF: the condition must have one element");
    }
    const bool chosen = *condition.as<uint8_t>() != 0;
    const auto inputs = array<Tensor>(operation.inputs.size() - 3);
    for (size_t i = 0; i < inputs.size(); i++) inputs[i] = frame[operation.inputs[3 + i]].tensor;
    const auto results = array<OutputBinding>(operation.outputs.size());
    for (size_t i = 0; i < results.size(); i++) {
        // The branch writes to the caller's buffer where this operand is an output itself.
        const int32_t output = frame[operation.outputs[i]].output;
        if (output < 0) continue;
        results[i].data = outputs[output].data;
        results[i].capacity = outputs[output].capacity;
        if (!frame[operation.outputs[i]].read) results[i].limit = outputs[output].limit;
    }
    run(*step.models[chosen ? 0 : 1], inputs, results);
    for (size_t i = 0; i < results.size(); i++) {
        receive(frame[operation.outputs[i]], results[i], outputs);
    }
    workspace_.arena.release(mark);
}

bool Executor::runCondition(const Plan& plan, std::span<const Tensor> inputs) {
    OutputBinding verdict;
    uint8_t value = 0;
    verdict.data = &value;
    verdict.capacity = 1;
    run(plan, inputs, {&verdict, 1});
    if (verdict.value.block != nullptr || verdict.value.tensor.count() != 1) {
        fail(refusalAtExecution(), "WHILE: the condition must have one element");
    }
    return value != 0;
}

void Executor::runWhile(const Step& step, Slot* frame, std::span<OutputBinding> outputs) {
    const Operation& operation = *step.operation;
    const auto mark = workspace_.arena.mark();
    const auto start = Deadline::Clock::now();
    const std::chrono::nanoseconds limit(limits_.loopTimeout);
    const Plan &condition = *step.models[0], &body = *step.models[1];
    const auto state = array<Tensor>(operation.inputs.size() - 2);
    for (size_t i = 0; i < state.size(); i++) state[i] = frame[operation.inputs[2 + i]].tensor;
    const size_t carried = body.model().outputs().size();
    const auto owned = array<Pool::Block*>(carried);  // null: still the operation's own input
    const auto results = array<OutputBinding>(carried);
    while (runCondition(condition, state)) {
        if (Deadline::Clock::now() - start > limit) {
            fail(ANEURALNETWORKS_MISSED_DEADLINE_PERSISTENT, "WHILE: the loop timeout has passed");
        }
        for (OutputBinding& result : results) result = OutputBinding();
        run(body, state, results);
        for (size_t i = 0; i < carried; i++) {
            workspace_.pool.release(owned[i]);
            owned[i] = results[i].value.block;
            state[i].omitted = false;
            state[i].shape = results[i].value.tensor.shape;
            state[i].data = results[i].value.tensor.data;
        }
    }
    for (size_t i = 0; i < carried; i++) {
        if (i >= operation.outputs.size()) {
            workspace_.pool.release(owned[i]);
            continue;
        }
        if (state[i].omitted) fail(refusalAtExecution(), "WHILE: an output has no value");
        Slot& slot = frame[operation.outputs[i]];
        if (owned[i] == nullptr) {  // no iteration: the initial value is copied
            requireFit(state[i].shape, slot.declared, "WHILE: an output");
            slot.tensor.shape = state[i].shape;
            allocate(slot, outputs);
            if (state[i].bytes() != 0) {
                std::memcpy(slot.tensor.data, state[i].data, state[i].bytes());
            }
            continue;
        }
        OutputBinding last;
        last.value.tensor = state[i];
        last.value.block = owned[i];
        receive(slot, last, outputs);
    }
    workspace_.arena.release(mark);
}

}  // namespace nnapi
