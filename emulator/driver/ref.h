// How rules name operands, and when they are due.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nnapi {

/// Names an operand by its place in the operation: in(0), out(0).
struct Ref {
    bool output;
    uint32_t index;
};
constexpr Ref in(size_t index) { return {false, static_cast<uint32_t>(index)}; }
constexpr Ref out(size_t index) { return {true, static_cast<uint32_t>(index)}; }

/// When a rule on ranks, quantization or anything else is due: with the rules on values, or as soon
/// as the operation is added.
enum class When : uint8_t { LATER, AT_ONCE };

}  // namespace nnapi
