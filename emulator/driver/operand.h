// Operands: type, quantization, dimensions, and where the value comes from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "tensor.h"

namespace nnapi {

class Memory;
class Model;

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
    /// Whether a value of the fully specified operand may have this many bytes.
    bool takes(size_t length) const { return type == OEM_SCALAR || length == bytes(); }
};

/// Checks an operand type as given to addOperand, setInput or setOutput, and converts it.
/// Refuses with BAD_DATA.
Operand makeOperand(const ANeuralNetworksOperandType& type);

/// Refuses with BAD_DATA where the dimensions that are known make 4 GiB or more.
void requireSize(const Operand& operand);

/// The dimensions known from `a` and `b` together, or BAD_DATA where they contradict each other.
void mergeDimensions(Operand& a, const Operand& b);

}  // namespace nnapi
