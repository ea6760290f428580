// An execution: the buffers of one evaluation of a compilation, its state and its results.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "compilation.h"
#include "executor.h"
#include "memory.h"

namespace nnapi {

class Execution {
public:
    explicit Execution(std::shared_ptr<const Compilation> compilation);

    void setInput(int32_t index, const ANeuralNetworksOperandType* type, const void* buffer,
                  size_t length);
    void setOutput(int32_t index, const ANeuralNetworksOperandType* type, void* buffer,
                   size_t length);
    /// An input or output (`output`) in a memory object.
    void setFromMemory(bool output, int32_t index, const ANeuralNetworksOperandType* type,
                       std::shared_ptr<Memory> memory, size_t offset, size_t length);
    void enablePadding(bool enable);
    void setReusable(bool reusable);
    void setMeasureTiming(bool measure);
    void setTimeout(uint64_t nanoseconds);
    void setLoopTimeout(uint64_t nanoseconds);

    /// Moves to the computation state. Refuses with BAD_STATE when computing or used up, with
    /// BAD_DATA when an input or output is not set (the state stays as it was).
    void schedule();
    /// Evaluates, after `schedule`; returns the NNAPI result code. `deadline` is in addition to
    /// the one that setTimeout began at `schedule`.
    int evaluate(const Deadline& deadline = {}) noexcept;
    /// What a failed execution leaves, whatever an earlier evaluation did: outputs without shape, no
    /// duration, device memory uninitialized.
    void forget() noexcept;
    /// Moves to the completed state.
    void complete() noexcept { state_.store(State::COMPLETED, std::memory_order_release); }

    /// Refuses with BAD_DATA unless every output has all its dimensions.
    void requireSpecifiedOutputs() const;

    // After completion.
    uint32_t outputRank(int32_t index) const;
    /// Writes the dimensions; returns OUTPUT_INSUFFICIENT_SIZE where the buffer was too small.
    int outputDimensions(int32_t index, uint32_t* dimensions) const;
    int outputStatus(int32_t index) const;
    uint64_t duration(int32_t code) const;

    const Compilation& compilation() const { return *compilation_; }

    static constexpr uint64_t kDefaultLoopTimeout = 2'000'000'000;
    static constexpr uint64_t kMaximumLoopTimeout = 15'000'000'000;

private:
    enum class State : uint8_t { PREPARATION, COMPUTATION, COMPLETED };

    /// One input or output argument.
    struct Argument {
        bool set = false;
        bool omitted = false;
        Operand operand;  // the model's operand with the dimensions given here
        void* data = nullptr;
        size_t length = 0;
        std::shared_ptr<Memory> memory;  // keeps `data` alive; device memory has no `data`
        // Outputs, after the evaluation:
        bool known = false;
        bool insufficient = false;
        Shape shape;

        static Argument none(Operand operand);  // omitted on purpose
    };

    void requirePreparation() const;
    const Argument& completedOutput(int32_t index) const;
    Argument& argument(std::vector<Argument>& list, int32_t index);
    Argument makeArgument(const Argument& old, bool output,
                          const ANeuralNetworksOperandType* type, size_t length) const;
    /// The rules on an argument's dimensions and length, where its bytes are the caller's.
    void checkBytes(const Argument& given, bool output) const;
    void set(Argument& slot, Argument given);
    bool mayOmitOutput(int32_t index) const;
    int run(const Deadline& deadline);
    int runPlan(const Plan& plan, Workspace& workspace, const Deadline& deadline);
    void bindInputs(Workspace& workspace, std::vector<Tensor>& inputs) const;
    void bindOutputs(std::vector<OutputBinding>& outputs) const;
    int finishOutputs(std::vector<OutputBinding>& outputs);
    void noteShapes(const std::vector<OutputBinding>& outputs);

    std::shared_ptr<const Compilation> compilation_;
    std::atomic<State> state_{State::PREPARATION};
    bool reusable_ = false;
    bool measure_ = false;
    bool padding_ = false;
    bool anySet_ = false;
    uint64_t timeout_ = 0;
    uint64_t loopTimeout_ = kDefaultLoopTimeout;
    uint64_t duration_ = UINT64_MAX;
    Deadline deadline_;
    std::vector<Argument> inputs_;
    std::vector<Argument> outputs_;
};

}  // namespace nnapi
