// The model as data: operands, operations, referenced models; built by the C API, checked by
// `finish`, read-only afterwards.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "arena.h"
#include "operand.h"

namespace nnapi {

struct Kernel;

inline constexpr int32_t kOperationCount = ANEURALNETWORKS_REVERSE + 1;
/// The operation of vendors from before extensions: it can be added, and no device executes it.
inline constexpr int32_t kOemOperation = 10000;

/// Devices of this library as bits, by their place in `devices()`.
using DeviceMask = uint32_t;

/// One operation of a model, with what validation learned about it.
struct Operation {
    int32_t code = 0;
    const Kernel* kernel = nullptr;  // null for IF and WHILE, and where there is no kernel
    std::vector<uint32_t> inputs;
    std::vector<uint32_t> outputs;
    uint64_t optionalInputs = 0;   // bit i: input i may be omitted
    uint64_t optionalOutputs = 0;  // bit i: output i may be omitted
    int level = 1;                 // the lowest feature level that promises this use of it
    bool supported = false;        // there is a kernel, for referenced models too
    DeviceMask devices = 0;        // those that execute it
    std::string refusal;           // the rule that it breaks, for its execution to say; or empty

    bool isControlFlow() const {
        return code == ANEURALNETWORKS_IF || code == ANEURALNETWORKS_WHILE;
    }
};

class Model {
public:
    enum class State : uint8_t { BUILDING, FINISHED, INVALID };
    /// Models referenced by referenced models, at most this deep: execution recurses.
    static constexpr int kMaxDepth = 200;

    // Building; each refuses (throws Refusal) and then leaves the model as it was.
    void addOperand(const ANeuralNetworksOperandType& type);
    void setValue(int32_t index, const void* buffer, size_t length);
    void setValueFromMemory(int32_t index, std::shared_ptr<const Memory> memory, size_t offset,
                            size_t length);
    void setValueFromModel(int32_t index, std::shared_ptr<const Model> value);
    void setChannelQuant(int32_t index, const ANeuralNetworksSymmPerChannelQuantParams& params);
    void addOperation(int32_t code, std::span<const uint32_t> inputs,
                      std::span<const uint32_t> outputs);
    void identify(std::span<const uint32_t> inputs, std::span<const uint32_t> outputs);
    void relax(bool allow);

    /// Checks the graph (graph.cpp); afterwards the model is immutable. What is wrong with the
    /// shapes and values of an operation is kept for its execution to refuse, or refused here
    /// where the documentation's reading is followed.
    void finish();

    /// Refuses with BAD_STATE unless finished, with BAD_DATA if `finish` refused the model.
    void requireFinished() const;
    /// Refuses with BAD_STATE once `finish` has been called.
    void requireBuilding() const;

    State state() const { return state_; }
    bool relaxed() const { return relaxed_; }
    bool supported() const { return supported_; }
    /// The devices that execute every operation of the model.
    DeviceMask deviceMask() const { return devices_; }
    std::span<const Operand> operands() const { return operands_; }
    std::span<const Operation> operations() const { return operations_; }
    std::span<const uint32_t> inputs() const { return inputs_; }
    std::span<const uint32_t> outputs() const { return outputs_; }
    /// The operations in an order in which every operand is written before it is read; the order
    /// of addition where that is one.
    std::span<const uint32_t> order() const { return order_; }

private:
    Operand& operandAt(int32_t index);
    /// The operand that is to get a value, a model (`model`) or bytes; checks nothing of the value.
    Operand& valueAt(int32_t index, bool model);
    /// The rules on a constant of `length` bytes, wherever they lie.
    void checkConstant(int32_t index, size_t length) const;
    void checkIndices(std::span<const uint32_t> indices) const;
    /// A copy that lives as long as the model, aligned for any type.
    const void* copied(const void* value, size_t length);
    void check();
    void assignLifetimes();
    void sortOperations(const std::vector<int32_t>& writer);
    void validateOperations();
    void validateSignature(Operation& operation) const;
    void validateOperation(Operation& operation) const;
    void findDevices(Operation& operation) const;

    State state_ = State::BUILDING;
    bool relaxed_ = false;
    bool supported_ = false;
    DeviceMask devices_ = 0;
    int depth_ = 0;
    std::vector<Operand> operands_;
    std::vector<Operation> operations_;
    std::vector<uint32_t> inputs_;
    std::vector<uint32_t> outputs_;
    std::vector<uint32_t> order_;
    Arena values_;  // copied constants
};

/// The rules of IF and WHILE (control_flow.cpp): on counts and types when the operation is added,
/// `finished` false, and all of them at `finish`. Refuses with BAD_DATA.
void validateControlFlow(std::span<const Operand> operands, const Operation& operation,
                         bool finished);

}  // namespace nnapi
