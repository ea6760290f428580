#include "execution.h"

#include <chrono>
#include <cstring>
#include <new>

#include "readings.h"

namespace nnapi {

Execution::Execution(std::shared_ptr<const Compilation> compilation)
    : compilation_(std::move(compilation)) {
    compilation_->requireFinished();
    const Model& model = compilation_->model();
    inputs_.resize(model.inputs().size());
    outputs_.resize(model.outputs().size());
    for (size_t i = 0; i < inputs_.size(); i++) {
        inputs_[i].operand = model.operands()[model.inputs()[i]];
    }
    for (size_t i = 0; i < outputs_.size(); i++) {
        outputs_[i].operand = model.operands()[model.outputs()[i]];
    }
}

// --- preparation ------------------------------------------------------------------------------

void Execution::requirePreparation() const {
    if (state_.load(std::memory_order_acquire) != State::PREPARATION) {
        fail(ANEURALNETWORKS_BAD_STATE, "the execution has been scheduled: it cannot be changed");
    }
}

Execution::Argument& Execution::argument(std::vector<Argument>& list, int32_t index) {
    requirePreparation();
    if (index < 0 || static_cast<size_t>(index) >= list.size()) {
        fail(ANEURALNETWORKS_BAD_DATA, "no argument %d", index);
    }
    // Reading: the documentation does not say what setting an argument again does.
    if (followsField() && list[index].set) {
        fail(ANEURALNETWORKS_BAD_STATE, "argument %d is set already", index);
    }
    return list[index];
}

Execution::Argument Execution::Argument::none(Operand operand) {
    Argument result;
    result.set = result.omitted = true;
    result.operand = std::move(operand);
    return result;
}

namespace {

/// Reading: "all other properties of the type must be the same as specified in the model", so a
/// type must not take back a rank or a dimension that the model gives.
void requireAsSpecified(const Operand& given, const Operand& model) {
    if (!model.rankKnown) return;
    if (!given.rankKnown) {
        fail(ANEURALNETWORKS_BAD_DATA, "the type leaves the rank open, which is %u in the model",
             model.shape.rank);
    }
    for (uint32_t axis = 0; axis < model.shape.rank; axis++) {
        if (model.shape[axis] != 0 && axis < given.shape.rank && given.shape[axis] == 0) {
            fail(ANEURALNETWORKS_BAD_DATA, "the type leaves dimension %u open, which is %u in the model",
                 axis, model.shape[axis]);
        }
    }
}

}  // namespace

/// A set argument, from the model's operand and the type given with it.
Execution::Argument Execution::makeArgument(const Argument& old, bool output,
                                            const ANeuralNetworksOperandType* type,
                                            size_t length) const {
    const Model& model = compilation_->model();
    const std::vector<Argument>& list = output ? outputs_ : inputs_;
    const size_t index = static_cast<size_t>(&old - list.data());
    Argument result;
    result.set = true;
    result.operand = model.operands()[(output ? model.outputs() : model.inputs())[index]];
    if (type != nullptr) {
        const Operand given = makeOperand(*type);
        if (given.type != result.operand.type || given.scale != result.operand.scale ||
            given.zeroPoint != result.operand.zeroPoint) {
            fail(ANEURALNETWORKS_BAD_DATA, "the type differs from the model's in more than dimensions");
        }
        if (followsField()) requireAsSpecified(given, result.operand);
        mergeDimensions(result.operand, given);
    }
    result.length = length;
    return result;
}

namespace {

void requireBuffer(const void* buffer, size_t length) {
    if (buffer == nullptr && length != 0) {
        fail(ANEURALNETWORKS_UNEXPECTED_NULL, "buffer is null, length is not 0");
    }
}

/// The rule on `length` for an operand whose dimensions are all known.
void checkLength(const Operand& operand, size_t length, bool padding) {
    const size_t bytes = operand.bytes();
    if (padding ? length < bytes : length != bytes) {
        fail(ANEURALNETWORKS_BAD_DATA, "the argument has %zu bytes, not %zu", bytes, length);
    }
}

}  // namespace

void Execution::checkBytes(const Argument& given, bool output) const {
    const bool specified = given.operand.fullySpecified();
    if (!output && !specified) fail(ANEURALNETWORKS_BAD_DATA, "an input needs all its dimensions");
    if (specified) checkLength(given.operand, given.length, padding_);
}

void Execution::set(Argument& slot, Argument given) {
    slot = std::move(given);
    anySet_ = true;
}

void Execution::setFromMemory(bool output, int32_t index, const ANeuralNetworksOperandType* type,
                              std::shared_ptr<Memory> memory, size_t offset, size_t length) {
    Argument& slot = argument(output ? outputs_ : inputs_, index);
    Argument given = makeArgument(slot, output, type, length);
    if (memory->isDevice()) {
        memory->requireRole(compilation_.get(), output, static_cast<uint32_t>(index));
        if (offset != 0 || length != 0) {
            fail(ANEURALNETWORKS_BAD_DATA, "device memory is used whole: offset and length 0");
        }
        if (output) mergeDimensions(given.operand, memory->operand());
    } else {
        checkBytes(given, output);
        given.data = memory->region(offset, length, output ? Memory::WRITE : Memory::READ);
    }
    given.memory = std::move(memory);
    set(slot, std::move(given));
}

void Execution::setInput(int32_t index, const ANeuralNetworksOperandType* type,
                         const void* buffer, size_t length) {
    Argument& slot = argument(inputs_, index);
    requireBuffer(buffer, length);
    if (buffer == nullptr) {
        if (followsField()) makeArgument(slot, false, type, length);  // refuses a wrong type
        return set(slot, Argument::none(slot.operand));
    }
    Argument given = makeArgument(slot, false, type, length);
    checkBytes(given, false);
    given.data = const_cast<void*>(buffer);  // only ever read
    set(slot, std::move(given));
}

bool Execution::mayOmitOutput(int32_t index) const {
    const Model& model = compilation_->model();
    const uint32_t operand = model.outputs()[index];
    for (const Operation& operation : model.operations()) {
        for (size_t i = 0; i < operation.outputs.size() && i < 64; i++) {
            if (operation.outputs[i] == operand) return operation.optionalOutputs >> i & 1;
        }
    }
    return false;
}

void Execution::setOutput(int32_t index, const ANeuralNetworksOperandType* type, void* buffer,
                          size_t length) {
    Argument& slot = argument(outputs_, index);
    requireBuffer(buffer, length);
    Argument given = makeArgument(slot, true, type, length);
    if (buffer != nullptr) {
        checkBytes(given, true);
    } else if (mayOmitOutput(index)) {
        given = Argument::none(slot.operand);
    } else if (given.operand.fullySpecified()) {
        fail(ANEURALNETWORKS_BAD_DATA, "output %d is not optional", index);
    }
    // Reading: an output that may turn out empty can have a buffer of no bytes.
    given.data = buffer;
    set(slot, std::move(given));
}

void Execution::enablePadding(bool enable) {
    requirePreparation();
    if (anySet_) {
        fail(ANEURALNETWORKS_BAD_STATE, "padding must be enabled before inputs and outputs are set");
    }
    padding_ = enable;
}

void Execution::setReusable(bool reusable) {
    requirePreparation();
    reusable_ = reusable;
}

void Execution::setMeasureTiming(bool measure) {
    requirePreparation();
    compilation_->requireOneDevice("measuring");
    measure_ = measure && compilation_->level() >= 3;  // older devices measure nothing
}

void Execution::setTimeout(uint64_t nanoseconds) {
    requirePreparation();
    compilation_->requireOneDevice("an execution timeout");
    if (compilation_->level() >= 4) timeout_ = nanoseconds;  // older devices ignore the hint
}

void Execution::setLoopTimeout(uint64_t nanoseconds) {
    requirePreparation();
    loopTimeout_ = nanoseconds < kMaximumLoopTimeout ? nanoseconds : kMaximumLoopTimeout;
}

void Execution::requireSpecifiedOutputs() const {
    for (const Argument& output : outputs_) {
        if (output.set && !output.omitted && !output.operand.fullySpecified()) {
            fail(ANEURALNETWORKS_BAD_DATA, "a fenced execution needs the dimensions of its outputs");
        }
    }
}

// --- computation ------------------------------------------------------------------------------

void Execution::schedule() {
    for (size_t i = 0; i < inputs_.size(); i++)
        if (!inputs_[i].set) fail(ANEURALNETWORKS_BAD_DATA, "input %zu is not set", i);
    for (size_t i = 0; i < outputs_.size(); i++)
        if (!outputs_[i].set) fail(ANEURALNETWORKS_BAD_DATA, "output %zu is not set", i);
    State expected = State::PREPARATION;
    if (!state_.compare_exchange_strong(expected, State::COMPUTATION)) {
        if (expected == State::COMPUTATION) {
            fail(ANEURALNETWORKS_BAD_STATE, "the execution is computing");
        }
        if (!reusable_) {
            fail(ANEURALNETWORKS_BAD_STATE, "the execution has been used and is not reusable");
        }
        if (!state_.compare_exchange_strong(expected, State::COMPUTATION)) {
            fail(ANEURALNETWORKS_BAD_STATE, "the execution is computing");
        }
    }
    deadline_ = Deadline::after(timeout_);
}

void Execution::forget() noexcept {
    duration_ = UINT64_MAX;
    for (Argument& output : outputs_) {
        output.known = output.insufficient = false;
        if (output.memory && output.memory->isDevice()) output.memory->invalidate();
    }
}

int Execution::evaluate(const Deadline& deadline) noexcept {
    const auto start = std::chrono::steady_clock::now();
    forget();
    int code = ANEURALNETWORKS_OP_FAILED;
    try {
        code = run(Deadline::earlier(deadline, deadline_));
    } catch (const Refusal& refusal) {
        logRefusal("execution", refusal.code(), refusal.what());
        code = refusal.code();
    } catch (const std::bad_alloc&) {
        code = ANEURALNETWORKS_OUT_OF_MEMORY;
    } catch (const std::exception& error) {
        logRefusal("execution", code, error.what());
    }
    if (measure_ && code == ANEURALNETWORKS_NO_ERROR) {
        const auto elapsed = std::chrono::steady_clock::now() - start;
        duration_ = static_cast<uint64_t>(
            std::chrono::duration_cast<std::chrono::nanoseconds>(elapsed).count());
    }
    return code;
}

namespace {

/// Gives the workspace back when the execution ends, however it ends.
class Lease {
public:
    explicit Lease(const Compilation& compilation)
        : compilation_(compilation), workspace_(compilation.takeWorkspace()) {}
    ~Lease() { compilation_.returnWorkspace(std::move(workspace_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Workspace& operator*() { return *workspace_; }

private:
    const Compilation& compilation_;
    std::unique_ptr<Workspace> workspace_;
};

}  // namespace

void Execution::bindInputs(Workspace& workspace, std::vector<Tensor>& inputs) const {
    for (size_t i = 0; i < inputs_.size(); i++) {
        const Argument& from = inputs_[i];
        Tensor& to = inputs[i];
        to.omitted = from.omitted;
        if (from.omitted) continue;
        to.type = from.operand.type;
        to.shape = from.operand.shape;
        to.data = from.data;
        if (from.memory && from.memory->isDevice()) {
            Operand actual;
            to.data = const_cast<void*>(from.memory->initialized(actual.shape));
            Operand wanted = from.operand;
            mergeDimensions(wanted, actual);
            to.shape = actual.shape;
        } else if (!isAligned(from.data, to.type)) {
            to.data = workspace.arena.take(to.bytes());
            std::memcpy(to.data, from.data, to.bytes());
        }
    }
}

void Execution::bindOutputs(std::vector<OutputBinding>& outputs) const {
    for (size_t i = 0; i < outputs_.size(); i++) {
        const Argument& from = outputs_[i];
        OutputBinding& to = outputs[i];
        to.declared = from.operand.rankKnown ? &from.operand.shape : nullptr;
        if (from.omitted || (from.memory && from.memory->isDevice())) continue;
        to.limit = from.length;
        if (isAligned(from.data, from.operand.type)) {
            to.data = from.data;
            to.capacity = from.length;
        }
    }
}

void Execution::noteShapes(const std::vector<OutputBinding>& outputs) {
    for (size_t i = 0; i < outputs_.size(); i++) {
        outputs_[i].known = outputs[i].written;
        outputs_[i].shape = outputs[i].value.tensor.shape;
    }
}

/// Copies what the executor could not write in place; OUTPUT_INSUFFICIENT_SIZE if one is too long.
int Execution::finishOutputs(std::vector<OutputBinding>& outputs) {
    int code = ANEURALNETWORKS_NO_ERROR;
    for (size_t i = 0; i < outputs_.size(); i++) {
        Argument& to = outputs_[i];
        const Slot& from = outputs[i].value;
        if (to.omitted) continue;
        const size_t bytes = from.tensor.bytes();
        if (to.memory && to.memory->isDevice()) {
            // Unless another output did not fit, and this one's operation was not executed.
            if (from.block == nullptr) continue;
            std::memcpy(to.memory->overwrite(bytes), from.tensor.data, bytes);
            continue;
        }
        if (bytes > to.length) {
            to.insufficient = true;
            code = ANEURALNETWORKS_OUTPUT_INSUFFICIENT_SIZE;
        } else if (from.block != nullptr && bytes != 0) {
            std::memcpy(to.data, from.tensor.data, bytes);
        }
    }
    if (code != ANEURALNETWORKS_NO_ERROR) return code;
    for (Argument& output : outputs_) {
        if (output.memory && output.memory->isDevice()) output.memory->commit(output.shape);
    }
    return code;
}

int Execution::run(const Deadline& deadline) {
    Lease lease(*compilation_);
    Workspace& workspace = *lease;
    try {
        return runPlan(compilation_->plan(), workspace, deadline);
    } catch (const DeviceFailure& failure) {
        if (compilation_->fallback() == nullptr) throw;
        logNote("%s: executing on nnapi-reference instead", failure.what());
    }
    workspace.reset();
    return runPlan(*compilation_->fallback(), workspace, deadline);
}

int Execution::runPlan(const Plan& plan, Workspace& workspace, const Deadline& deadline) {
    std::vector<Tensor> inputs(inputs_.size());
    std::vector<OutputBinding> outputs(outputs_.size());
    bindOutputs(outputs);
    bindInputs(workspace, inputs);
    const ExecutionLimits limits{compilation_->model().relaxed(), deadline, loopTimeout_};
    Executor executor(workspace, limits);
    try {
        executor.run(plan, inputs, outputs);
    } catch (...) {
        noteShapes(outputs);
        throw;
    }
    noteShapes(outputs);
    return finishOutputs(outputs);
}

// --- results ----------------------------------------------------------------------------------

const Execution::Argument& Execution::completedOutput(int32_t index) const {
    if (state_.load(std::memory_order_acquire) != State::COMPLETED) {
        fail(ANEURALNETWORKS_BAD_STATE, "the execution has not completed");
    }
    if (index < 0 || static_cast<size_t>(index) >= outputs_.size()) {
        fail(ANEURALNETWORKS_BAD_DATA, "no output %d", index);
    }
    if (!outputs_[index].known) {
        fail(ANEURALNETWORKS_BAD_STATE, "the execution failed before output %d was known", index);
    }
    return outputs_[index];
}

uint32_t Execution::outputRank(int32_t index) const { return completedOutput(index).shape.rank; }

int Execution::outputStatus(int32_t index) const {
    return completedOutput(index).insufficient ? ANEURALNETWORKS_OUTPUT_INSUFFICIENT_SIZE
                                               : ANEURALNETWORKS_NO_ERROR;
}

int Execution::outputDimensions(int32_t index, uint32_t* dimensions) const {
    const Argument& output = completedOutput(index);
    if (!isTensor(output.operand.type)) {
        fail(ANEURALNETWORKS_BAD_DATA, "output %d is a scalar: it has no dimensions", index);
    }
    std::memcpy(dimensions, output.shape.begin(), output.shape.rank * sizeof(uint32_t));
    return outputStatus(index);
}

uint64_t Execution::duration(int32_t code) const {
    if (state_.load(std::memory_order_acquire) != State::COMPLETED) {
        fail(ANEURALNETWORKS_BAD_STATE, "the execution has not completed");
    }
    if (code < ANEURALNETWORKS_DURATION_ON_HARDWARE ||
        code > ANEURALNETWORKS_FENCED_DURATION_IN_DRIVER) {
        fail(ANEURALNETWORKS_BAD_DATA, "unknown duration code %d", code);
    }
    return duration_;
}

}  // namespace nnapi
