// The model as data: operands, operations, referenced models; built by the C API, checked by
// `finish`, read-only afterwards.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "arena.h"
#include "tensor.h"

namespace nnapi {

class Memory;
class Model;
struct Kernel;

inline constexpr int32_t kOperationCount = ANEURALNETWORKS_REVERSE + 1;

/// Devices of this library as bits, by their place in `devices()`.
using DeviceMask = uint32_t;

/// Where an operand's value comes from.
enum class Lifetime : uint8_t {
    TEMPORARY,  // written by an operation of the model
    INPUT,
    OUTPUT,
    CONSTANT,  // bytes known when the model is finished
    OMITTED,   // an optional operand without a value
    SUBGRAPH,  // a referenced model
};

/// An operand of a model. A dimension of 0 is unknown; `rankKnown` is true for scalars.
struct Operand {
    Type type = TENSOR_FLOAT32;
    Lifetime lifetime = Lifetime::TEMPORARY;
    bool rankKnown = true;
    Shape shape;
    float scale = 0;
    int32_t zeroPoint = 0;
    std::shared_ptr<const ChannelQuant> channels;
    const void* data = nullptr;  // CONSTANT: valid as long as the model
    size_t length = 0;
    std::shared_ptr<const Model> subgraph;
    std::shared_ptr<const Memory> memory;  // keeps `data` alive where it lies in a memory object

    /// All dimensions known; true for scalars.
    bool fullySpecified() const;
    /// Bytes of a fully specified operand.
    size_t bytes() const { return shape.count() * elementSize(type); }
};

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

    bool isControlFlow() const {
        return code == ANEURALNETWORKS_IF || code == ANEURALNETWORKS_WHILE;
    }
};

/// Checks an operand type as given to addOperand, setInput or setOutput, and converts it.
/// Refuses with BAD_DATA; UNEXPECTED_NULL for missing dimensions.
Operand makeOperand(const ANeuralNetworksOperandType& type);

/// The dimensions known from `a` and `b` together, or BAD_DATA where they contradict each other.
void mergeDimensions(Operand& a, const Operand& b);

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

    /// Checks everything that the model alone can show (graph.cpp); afterwards it is immutable.
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
    void checkIndices(std::span<const uint32_t> indices) const;
    /// A copy that lives as long as the model, aligned for any type.
    const void* copied(const void* value, size_t length);
    void check();
    void assignLifetimes();
    void sortOperations(const std::vector<int32_t>& writer);
    void validateOperations();
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

/// The rules of IF and WHILE at `finish` (control_flow.cpp); refuses with BAD_DATA.
void validateControlFlow(std::span<const Operand> operands, const Operation& operation);

}  // namespace nnapi
