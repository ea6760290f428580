// The model as data: operands, operations, referenced models.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "tensor.h"

struct ANeuralNetworksMemory;

namespace nnapi {

class Model;
struct Kernel;

/// Where an operand's value comes from.
enum class Lifetime : uint8_t {
    TEMPORARY,  // written by an operation of the model, or by nobody
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
    const Model* subgraph = nullptr;
    std::shared_ptr<const void> owned;  // keeps `data` alive where the model copied it
    const ANeuralNetworksMemory* memory = nullptr;  // set where `data` lies in a memory object

    bool fullySpecified() const {
        if (!rankKnown) return false;
        for (uint32_t dim : shape)
            if (dim == 0) return false;
        return true;
    }
};

/// One operation of a model, with what validation learned about it.
struct Operation {
    int32_t code = 0;
    const Kernel* kernel = nullptr;  // null for IF and WHILE
    std::vector<uint32_t> inputs;
    std::vector<uint32_t> outputs;
    uint64_t optionalInputs = 0;  // bit i: input i may be omitted
    int level = 1;                // the lowest feature level that promises this use of it
};

}  // namespace nnapi
