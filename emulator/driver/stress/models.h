// Small models through the C API, for the stress program.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <list>
#include <memory>
#include <vector>

#include "nnapi.h"

namespace stress {

/// Ends the program with the call's text unless the result code is NO_ERROR.
void check(int code, const char* call);
#define CHECK(call) ::stress::check(call, #call)

/// A model under construction; constants stay alive with it.
class Model {
public:
    Model();
    ~Model() { ANeuralNetworksModel_free(handle); }
    Model(const Model&) = delete;
    Model& operator=(const Model&) = delete;

    uint32_t tensor(int32_t type, std::initializer_list<uint32_t> dims, float scale = 0,
                    int32_t zeroPoint = 0);
    uint32_t int32(int32_t value);
    /// Gives an operand `count` elements made of `next`, called for each.
    template <class T, class Next>
    uint32_t constant(uint32_t operand, size_t count, Next next) {
        std::vector<char> bytes(count * sizeof(T));
        for (size_t i = 0; i < count; i++) reinterpret_cast<T*>(bytes.data())[i] = next(i);
        return value(operand, std::move(bytes));
    }
    uint32_t submodel(std::shared_ptr<Model> model);
    void operation(int32_t code, std::initializer_list<uint32_t> inputs,
                   std::initializer_list<uint32_t> outputs);
    void finish(std::initializer_list<uint32_t> inputs, std::initializer_list<uint32_t> outputs);

    ANeuralNetworksModel* handle = nullptr;

private:
    uint32_t value(uint32_t operand, std::vector<char> bytes);
    uint32_t add(const ANeuralNetworksOperandType& type);

    uint32_t count_ = 0;
    std::list<std::vector<char>> constants_;
    std::vector<std::shared_ptr<Model>> submodels_;
};

/// Inputs and outputs of `network`, float32 elements.
inline constexpr size_t kInputSize = 8 * 8 * 4;
inline constexpr size_t kOutputSize = 8 * 8 * 8;

/// [1, 8, 8, 4] to [1, 512]: convolution, the same quantized, their sum five times in a WHILE,
/// an IF, softmax. Weights are constant, so that they are packed.
std::shared_ptr<Model> network();

}  // namespace stress
